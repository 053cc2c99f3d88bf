package sensor

// The layouts of bpf/event.h. Numbers are little endian, as on all machines
// that the programs are built for.

const fixedSize = 256 // bytes before the strings of an event made in scratch

// Flags of an event.
const (
	flagKilled = 1 << iota
	flagCut
	flagLower
	flagRemoved
	flagNoTask
	flagInbound
	flagKnown
	flagCompat
	flagProfile = flagRemoved // of a process that was killed
)

type head struct {
	Size                                uint32
	Kind, Flags                         uint8
	Call                                uint16
	Time, Cgroup, Container, Start, Seq uint64
	CPU, PID, TID, ParentPID, UID, GID  uint32
	Comm                                [16]byte
	Result                              int64
}

type execEvent struct {
	Head                                                                head
	ParentStart, Permitted, Effective, Inode, Changed, Modified, Length uint64
	Device, LoginUID, TTY, Inner, PIDNS, MntNS                          uint32
	Origin, Sockets, Leader, _                                          uint8
	Path, Cwd, Args, Env, Session                                       uint32
	ArgsFull                                                            uint64
}

type forkEvent struct {
	Head          head
	ParentStart   uint64
	Parent, Inner uint32
}

type cgroupEvent struct {
	Head    head
	Parent  uint64
	Path, _ uint32
}

type callEvent struct {
	Head                                        head
	Number, Flags, Inode, Changed, Length       uint64
	Mode, EUID, EGID, Device                    uint32
	File, Target                                int32
	Family, Type, Protocol, LPort, RPort, State uint16
	Local, Remote                               [16]byte
	Origin, Made, _, _                          uint8
	Base, Path, Base2, Path2, Data              uint32
}

type netEvent struct {
	Head                                     head
	Family, Type, Protocol, LPort, RPort, Op uint16
	Local, Remote                            [16]byte
}

type dnsEvent struct {
	Head          head
	LPort, Length uint16
	Stream        uint32
	Payload       [1232]byte
}

type cgroupValue struct {
	Container     uint64
	Policy, Rules uint32
}

type policyValue struct {
	Wants       uint64
	Mode, Opens uint32
}

type configValue struct {
	HostWants                                     uint64
	HostOpens, HostMntNS, V1, Env, Sleeping, Self uint32
	Caps                                          uint64
	Heartbeat, LossAfter                          uint64
	Loss, Generation, Unknown, Data               uint32
	Budget, _                                     uint32
}

type budgetValue struct {
	Since       uint64
	Count, Over uint32
}

type counterValue struct{ Seen, Filtered, Submitted, Lost uint64 }

type callDesc struct {
	Kind                                                                uint8
	Dir, Path, Dir2, Path2, Flags, Mode, UID, GID, Number, File, Target int8
	How, _, _, _                                                        uint8
}

type exemptKey struct {
	Inode     uint64
	Device, _ uint32
}

type numberEvent struct {
	Head   head
	Number int64
}

// What holds while the enforcer does not live.
const (
	lossOpen = 1 << iota
	lossStrict
	lossHost
)
