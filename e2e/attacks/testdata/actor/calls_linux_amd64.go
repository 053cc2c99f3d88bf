package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

func int80(nr, a, b, c uint32) int32

func calls() map[string]func([]string) error {
	return map[string]func([]string) error{"uring-open": uringOpen, "uring-connect": uringConnect, "userfaultfd": userfaultfd, "ptrace": ptrace, "vmwrite": vmwrite,
		"fsmount": fsmount, "handle": handle, "bpf": loadBPF, "setns": setns, "legacy": legacy, "packet": packet, "fchmodat2": fchmodat2}
}

func call(n uintptr, a ...uintptr) (uintptr, error) {
	a = append(a, 0, 0, 0, 0, 0, 0)
	r, _, errno := syscall.Syscall6(n, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return r, errno
	}
	return r, nil
}

func text(s string) uintptr {
	b := append([]byte(s), 0)
	return uintptr(unsafe.Pointer(&b[0]))
}

const here = ^uintptr(99) // AT_FDCWD

// memfd runs itself from memory.
func memfd(a []string) error {
	fd, err := call(319, text("kworker"), 0)
	if err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if _, err := syscall.Write(int(fd), self); err != nil {
		return err
	}
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), []string{"worker", "touch", a[0]}, nil)
}

// uring hands one request to the kernel through io_uring and returns its result.
func uring(fill func(sqe []byte)) (int32, error) {
	params := make([]uint32, 30)
	fd, err := call(425, 4, uintptr(unsafe.Pointer(&params[0])))
	if err != nil {
		return 0, err
	}
	entries, sq, cq := params[0], params[10:], params[20:] // sq: head tail ring_mask ring_entries flags dropped array; cq: head tail ring_mask ring_entries overflow cqes
	size := int(max(sq[6]+entries*4, cq[5]+params[1]*16))
	ring, err := syscall.Mmap(int(fd), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return 0, err
	}
	sqes, err := syscall.Mmap(int(fd), 0x10000000, int(entries*64), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return 0, err
	}
	fill(sqes[:64])
	*(*uint32)(unsafe.Pointer(&ring[sq[1]]))++
	if _, err := call(426, fd, 1, 1, 1); err != nil {
		return 0, err
	}
	return *(*int32)(unsafe.Pointer(&ring[cq[5]+8])), nil
}

func done(r int32, err error) error {
	if err == nil && r < 0 {
		err = syscall.Errno(-r)
	}
	return effect(err)
}

func uringOpen(a []string) error {
	name := append([]byte(a[0]), 0)
	defer runtime.KeepAlive(name)
	return done(uring(func(e []byte) {
		e[0] = 18 // IORING_OP_OPENAT
		binary.LittleEndian.PutUint32(e[4:], uint32(0xffffff9c))
		binary.LittleEndian.PutUint64(e[16:], uint64(uintptr(unsafe.Pointer(&name[0]))))
	}))
}

func uringConnect(a []string) error {
	to, err := net.ResolveTCPAddr("tcp4", a[0])
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	address := append([]byte{2, 0, byte(to.Port >> 8), byte(to.Port)}, append([]byte(to.IP.To4()), make([]byte, 8)...)...)
	defer runtime.KeepAlive(address)
	return done(uring(func(e []byte) {
		e[0] = 16 // IORING_OP_CONNECT
		binary.LittleEndian.PutUint32(e[4:], uint32(fd))
		binary.LittleEndian.PutUint64(e[8:], 16)
		binary.LittleEndian.PutUint64(e[16:], uint64(uintptr(unsafe.Pointer(&address[0]))))
	}))
}

func userfaultfd([]string) error {
	_, err := call(323, 1) // UFFD_USER_MODE_ONLY
	return effect(err)
}

// victim is a process to be taken over.
func victim() (*exec.Cmd, error) {
	c := exec.Command("/bin/sleep", "600")
	return c, c.Start()
}

func ptrace([]string) error {
	runtime.LockOSThread()
	v, err := victim()
	if err != nil {
		return err
	}
	defer v.Process.Kill()
	if err := syscall.PtraceAttach(v.Process.Pid); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(v.Process.Pid, &status, 0, nil); err != nil {
		return err
	}
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(v.Process.Pid, &regs); err != nil {
		return err
	}
	_, err = syscall.PtracePokeData(v.Process.Pid, uintptr(regs.Rsp), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	return effect(err)
}

func vmwrite([]string) error {
	v, err := victim()
	if err != nil {
		return err
	}
	defer v.Process.Kill()
	b := []byte("x")
	iov := [2]uintptr{uintptr(unsafe.Pointer(&b[0])), 1}
	_, err = call(311, uintptr(v.Process.Pid), uintptr(unsafe.Pointer(&iov[0])), 1, uintptr(unsafe.Pointer(&iov[0])), 1)
	if err == syscall.EFAULT { // the call was made: only the address is not the victim's
		err = nil
	}
	return effect(err)
}

// fsmount mounts by the calls of Linux 5.2.
func fsmount(a []string) error {
	fs, err := call(430, text("tmpfs"), 0)
	if err != nil {
		return err
	}
	if _, err := call(431, fs, 6); err != nil { // FSCONFIG_CMD_CREATE
		return err
	}
	m, err := call(432, fs, 0, 0)
	if err != nil {
		return err
	}
	_, err = call(429, m, text(""), here, text(a[0]), 4) // MOVE_MOUNT_F_EMPTY_PATH
	return effect(err)
}

// handle opens a file by its handle, as the escape of 2014 did.
func handle(a []string) error {
	h := make([]byte, 136)
	binary.LittleEndian.PutUint32(h, 128)
	var mount int32
	if _, err := call(303, here, text(a[0]), uintptr(unsafe.Pointer(&h[0])), uintptr(unsafe.Pointer(&mount)), 0); err != nil {
		return fmt.Errorf("name_to_handle_at: %w", err)
	}
	f, err := os.Open(a[0])
	if err != nil {
		return err
	}
	_, err = call(304, f.Fd(), uintptr(unsafe.Pointer(&h[0])), 0)
	return effect(err)
}

// loadBPF loads the program "return 0".
func loadBPF([]string) error {
	code := []uint64{0x00000000000000b7, 0x0000000000000095} // r0 = 0; exit
	license := append([]byte("GPL"), 0)
	attr := make([]byte, 128)
	binary.LittleEndian.PutUint32(attr, 1) // BPF_PROG_TYPE_SOCKET_FILTER
	binary.LittleEndian.PutUint32(attr[4:], 2)
	binary.LittleEndian.PutUint64(attr[8:], uint64(uintptr(unsafe.Pointer(&code[0]))))
	binary.LittleEndian.PutUint64(attr[16:], uint64(uintptr(unsafe.Pointer(&license[0]))))
	_, err := call(321, 5, uintptr(unsafe.Pointer(&attr[0])), 128)
	return effect(err)
}

func setns(a []string) error {
	runtime.LockOSThread()
	f, err := os.Open(a[0])
	if err != nil {
		return err
	}
	_, err = call(308, f.Fd(), 0)
	return effect(err)
}

func packet([]string) error {
	_, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	return effect(err)
}

func fchmodat2(a []string) error {
	_, err := call(452, here, text(a[0]), 0o4755, 0)
	return effect(err)
}

// legacy makes the calls of a 32-bit program out of a 64-bit one: it opens a
// file and starts a process.
func legacy(a []string) error {
	runtime.LockOSThread()
	low, err := call(syscall.SYS_MMAP, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|0x40, ^uintptr(0), 0) // MAP_32BIT
	if err != nil {
		return err
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(low)), 4096), a[0]+"\x00")
	fd := int80(5, uint32(low), 0, 0)
	if fd < 0 {
		return syscall.Errno(-fd)
	}
	fmt.Println("EFFECT")
	args := unsafe.Slice((*uint32)(unsafe.Pointer(low+2048)), 2)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(low+1024)), 64), "/bin/true\x00")
	args[0], args[1] = uint32(low+1024), 0
	return syscall.Errno(-int80(11, uint32(low+1024), uint32(low+2048), 0))
}
