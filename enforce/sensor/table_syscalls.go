package sensor

import "sekisho"

// How the kernel's program reads a call; bpf/event.h has the same.
const (
	howOpen = 1 << iota
	howFile
	howSocket
	howResult
	howRaw
	howSuccess
	howData
	howMsg
)

// syscall is where a system call's arguments stand; no is nowhere.
type syscall struct {
	name                                                                string
	kind                                                                sekisho.EventKind
	dir, path, dir2, path2, flags, mode, uid, gid, number, file, target int8
	how                                                                 uint8
	tier0                                                               bool // what it tells is told without it: attached only when it is named
}

const no = -1

// at makes a description without arguments.
func at(name string, kind sekisho.EventKind, how uint8) syscall {
	return syscall{name: name, kind: kind, dir: no, path: no, dir2: no, path2: no, flags: no, mode: no, uid: no, gid: no, number: no, file: no, target: no, how: how}
}

func (s syscall) paths(dir, path int8) syscall     { s.dir, s.path = dir, path; return s }
func (s syscall) others(dir, path int8) syscall    { s.dir2, s.path2 = dir, path; return s }
func (s syscall) flagged(flags, mode int8) syscall { s.flags, s.mode = flags, mode; return s }
func (s syscall) owned(uid, gid int8) syscall      { s.uid, s.gid = uid, gid; return s }
func (s syscall) with(number, file, target int8) syscall {
	s.number, s.file, s.target = number, file, target
	return s
}
func (s syscall) named() syscall { s.tier0 = true; return s }

// syscalls returns all that the sensor can tell.
func syscalls() []syscall {
	return []syscall{
		at("open", sekisho.EventOpen, howOpen).paths(no, 0).flagged(1, 2),
		at("openat", sekisho.EventOpen, howOpen).paths(0, 1).flagged(2, 3),
		at("openat2", sekisho.EventOpen, howOpen).paths(0, 1).with(2, no, no),
		at("creat", sekisho.EventOpen, howOpen).paths(no, 0).flagged(no, 1),
		at("open_by_handle_at", sekisho.EventOpen, howOpen).flagged(2, no),
		at("rename", sekisho.EventRename, 0).paths(no, 0).others(no, 1),
		at("renameat", sekisho.EventRename, 0).paths(0, 1).others(2, 3),
		at("renameat2", sekisho.EventRename, 0).paths(0, 1).others(2, 3).flagged(4, no),
		at("unlink", sekisho.EventUnlink, 0).paths(no, 0),
		at("unlinkat", sekisho.EventUnlink, 0).paths(0, 1).flagged(2, no),
		at("rmdir", sekisho.EventRmdir, 0).paths(no, 0),
		at("mkdir", sekisho.EventMkdir, 0).paths(no, 0).flagged(no, 1),
		at("mkdirat", sekisho.EventMkdir, 0).paths(0, 1).flagged(no, 2),
		at("link", sekisho.EventLink, 0).paths(no, 0).others(no, 1),
		at("linkat", sekisho.EventLink, 0).paths(0, 1).others(2, 3).flagged(4, no),
		at("symlink", sekisho.EventSymlink, howRaw).paths(no, 1).others(no, 0),
		at("symlinkat", sekisho.EventSymlink, howRaw).paths(1, 2).others(no, 0),
		at("chmod", sekisho.EventChmod, 0).paths(no, 0).flagged(no, 1),
		at("fchmod", sekisho.EventChmod, howFile).with(no, 0, no).flagged(no, 1),
		at("fchmodat", sekisho.EventChmod, 0).paths(0, 1).flagged(no, 2),
		at("fchmodat2", sekisho.EventChmod, 0).paths(0, 1).flagged(3, 2),
		at("chown", sekisho.EventChown, 0).paths(no, 0).owned(1, 2),
		at("lchown", sekisho.EventChown, 0).paths(no, 0).owned(1, 2),
		at("fchown", sekisho.EventChown, howFile).with(no, 0, no).owned(1, 2),
		at("fchownat", sekisho.EventChown, 0).paths(0, 1).owned(2, 3).flagged(4, no),
		at("mount", sekisho.EventMount, howRaw).paths(no, 1).others(no, 0).flagged(3, no),
		at("move_mount", sekisho.EventMount, 0).paths(2, 3).others(0, 1).flagged(4, no),
		at("fsmount", sekisho.EventMount, 0).flagged(2, no),
		at("umount", sekisho.EventMount, 0).paths(no, 0).flagged(1, no),
		at("setns", sekisho.EventSetns, 0).with(no, 0, no).flagged(1, no),
		at("unshare", sekisho.EventUnshare, 0).flagged(0, no),
		at("ptrace", sekisho.EventPtrace, 0).with(0, no, 1),
		at("process_vm_writev", sekisho.EventPtrace, 0).with(no, no, 0),
		at("init_module", sekisho.EventModule, 0),
		at("finit_module", sekisho.EventModule, howFile).with(no, 0, no).flagged(2, no),
		at("bpf", sekisho.EventBPF, 0).with(0, no, no),
		at("setuid", sekisho.EventSetuid, 0).owned(0, no),
		at("setresuid", sekisho.EventSetuid, 0).owned(1, no),
		at("setreuid", sekisho.EventSetuid, 0).owned(1, no),
		at("dup", sekisho.EventDup, howSocket|howResult|howSuccess).with(no, 0, no),
		at("dup2", sekisho.EventDup, howSocket|howResult|howSuccess).with(1, 0, no),
		at("dup3", sekisho.EventDup, howSocket|howResult|howSuccess).with(1, 0, no).flagged(2, no),
		at("socket", sekisho.EventSocket, howSocket|howResult).with(0, no, no).flagged(1, no).named(),
		at("connect", sekisho.EventConnect, howSocket).with(no, 0, no).paths(no, 1).named(),
		at("accept", sekisho.EventAccept, howSocket|howResult|howSuccess).with(no, 0, no).named(),
		at("accept4", sekisho.EventAccept, howSocket|howResult|howSuccess).with(no, 0, no).flagged(3, no).named(),
		at("listen", sekisho.EventListen, howSocket).with(1, 0, no).named(),
		at("bind", sekisho.EventListen, howSocket).with(no, 0, no).paths(no, 1).named(),
		at("sendto", sekisho.EventSend, howSocket|howSuccess|howData).with(2, 0, no).paths(1, 4).named(),
		at("sendmsg", sekisho.EventSend, howSocket|howSuccess|howMsg).with(no, 0, no).paths(1, no).named(),
		at("sendmmsg", sekisho.EventSend, howSocket|howSuccess|howMsg|howData).with(no, 0, no).paths(1, no).named(),
		at("recvfrom", sekisho.EventReceive, howSocket|howSuccess|howData).with(2, 0, no).paths(1, 4).named(),
		at("recvmsg", sekisho.EventReceive, howSocket|howSuccess|howMsg).with(no, 0, no).paths(1, no).named(),
		at("recvmmsg", sekisho.EventReceive, howSocket|howSuccess|howMsg|howData).with(no, 0, no).paths(1, no).named(),
		at("userfaultfd", sekisho.EventFault, 0).flagged(0, no),
	}
}
