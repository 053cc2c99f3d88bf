package sekisho

import (
	"net/netip"
	"time"
)

// EventKind is what happened.
type EventKind uint8

// The kinds of events.
const (
	EventNone       EventKind = iota
	EventExec                 // a process runs another program
	EventFork                 // a process makes another
	EventExit                 // a process ends
	EventOpen                 // a file is opened; Flags and Mode are those of open(2)
	EventCreate               // a file is made
	EventRename               // Path becomes Other
	EventUnlink               // a file is removed
	EventLink                 // Other is a new name of Path
	EventSymlink              // Path is made, pointing to Other
	EventMkdir                //
	EventRmdir                //
	EventChmod                // Mode is the new one
	EventChown                // UID and GID are the new ones
	EventMount                // Other is mounted at Path
	EventMap                  // a file is mapped executable after exec: a library, or ld.so's argument
	EventConnect              // a connection to Remote is opened
	EventAccept               // a connection from Remote is taken
	EventListen               // Local listens
	EventSend                 // a datagram to Remote
	EventReceive              // a datagram from Remote
	EventSocket               // a socket of Domain and Type is made
	EventDNS                  // a name is resolved: Path is the name, Addresses the answer
	EventDup                  // a descriptor becomes another
	EventSetuid               // UID is the new one
	EventCapability           // a capability is used: Number
	EventSetns                // a namespace is entered; Flags
	EventUnshare              // Flags
	EventPtrace               // Number is the request, Target the process
	EventModule               // a kernel module is loaded
	EventBPF                  // bpf(2); Number is the command
	EventIOUring              // a request through io_uring; Number is its opcode
	EventKill                 // the enforcer killed the process
	EventDenied               // the enforcer denied what the process tried
	EventLost                 // events were lost: Number of them, Path says of which class
	EventCgroup               // a container's cgroup was made or removed
	EventFault                // page faults of a process are given to itself: userfaultfd(2)
)

// Origins of an executable or library: where its content comes from.
const (
	OriginImage   = "image"   // as the image has it
	OriginUpper   = "upper"   // written or changed after the container started
	OriginVolume  = "volume"  // of a mount that is not the image
	OriginMemory  = "memory"  // memfd, or a file system in memory
	OriginDeleted = "deleted" // unlinked while it is open
	OriginHost    = "host"    // of the host's own file system
	OriginUnknown = ""
)

// Event is something that a process did, as the kernel told it. Which fields
// are set depends on the kind.
type Event struct {
	Seq       uint64     `json:"seq"` // of this enforcer, without holes but for EventLost
	Time      time.Time  `json:"time"`
	Kind      EventKind  `json:"kind"`
	Syscall   string     `json:"syscall,omitempty"` // execve, openat …, where it is known
	Process   *Process   `json:"process,omitempty"`
	Container *Container `json:"container,omitempty"` // nil for the host's own
	Result    int64      `json:"result"`              // of the call: negative errno, else its value

	Path   string     `json:"path,omitempty"`  // as the container sees it, absolute
	Raw    string     `json:"raw,omitempty"`   // the path as the program wrote it, where that is known
	Other  string     `json:"other,omitempty"` // the second path
	Data   []byte     `json:"data,omitempty"`  // the first bytes sent or received, where they were asked for
	File   int        `json:"fd,omitempty"`    // descriptor
	Flags  uint64     `json:"flags,omitempty"`
	Mode   uint32     `json:"mode,omitempty"`
	UID    uint32     `json:"uid,omitempty"`
	GID    uint32     `json:"gid,omitempty"`
	Number int64      `json:"number,omitempty"`
	Origin string     `json:"origin,omitempty"` // of the file
	Reason string     `json:"reason,omitempty"` // why it was denied, or the process killed: drift, or what the profile does not have
	Target int        `json:"target,omitempty"` // pid
	Digest Digest     `json:"digest,omitempty"` // of an executable's content
	Net    *EventConn `json:"net,omitempty"`
	Made   bool       `json:"made,omitempty"`   // an open made the file
	Compat bool       `json:"compat,omitempty"` // by a system call of 32 bits: the hooks of calls do not see such
}

// EventConn is the network part of an event.
type EventConn struct {
	Protocol  string         `json:"protocol"` // tcp, udp, icmp, unix, raw
	Local     netip.AddrPort `json:"local,omitzero"`
	Remote    netip.AddrPort `json:"remote,omitzero"`
	Name      string         `json:"name,omitempty"` // the name that the address was resolved from
	Unix      string         `json:"unix,omitempty"` // path of a unix socket
	Domain    int            `json:"domain,omitempty"`
	Type      int            `json:"type,omitempty"`
	Addresses []netip.Addr   `json:"addresses,omitempty"`
	Inbound   bool           `json:"inbound,omitempty"`
	Connected bool           `json:"connected,omitempty"` // a datagram socket with a fixed peer
}

// Process is a process after its last exec.
type Process struct {
	ID        uint64    `json:"id"`                  // of this exec, unique on the host since it started
	ParentID  uint64    `json:"parent_id,omitempty"` // ID of the parent when this one was forked
	PID       int       `json:"pid"`
	ParentPID int       `json:"ppid"`
	InnerPID  int       `json:"inner_pid,omitempty"` // in its own pid namespace
	Name      string    `json:"name"`                // comm, at most 15 bytes
	Path      string    `json:"path"`                // of the executable, as the container sees it
	Args      []string  `json:"args"`                // with the program's own name first; cut at a bound
	Env       []string  `json:"-"`                   // for rules only; never shown or kept
	Directory string    `json:"directory,omitempty"`
	UID       uint32    `json:"uid"`
	GID       uint32    `json:"gid"`
	User      string    `json:"user,omitempty"`  // name of UID where the process runs, where it is known
	Group     string    `json:"group,omitempty"` // name of GID
	LoginUID  uint32    `json:"login_uid"`       // 4294967295 when nobody logged in
	Effective uint64    `json:"effective_capabilities"`
	Permitted uint64    `json:"permitted_capabilities"`
	TTY       uint32    `json:"tty,omitempty"`     // device number of the controlling terminal
	Session   int       `json:"session,omitempty"` // pid of the session's leader
	Leader    bool      `json:"group_leader,omitempty"`
	Origin    string    `json:"origin"`             // of the executable
	Replaces  bool      `json:"replaces,omitempty"` // of origin upper: the image has a file of this name too, and it was changed or only touched
	Digest    Digest    `json:"digest,omitempty"`
	Inode     uint64    `json:"inode,omitempty"`
	Device    uint64    `json:"device,omitempty"`
	Changed   time.Time `json:"changed,omitzero"`  // ctime of the executable
	Modified  time.Time `json:"modified,omitzero"` // mtime
	Sockets   uint8     `json:"sockets,omitempty"` // bits 0 to 2: standard input, output, error are network sockets
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended,omitzero"`
	Container string    `json:"container,omitempty"`
	Parent    *Process  `json:"-"`
}
