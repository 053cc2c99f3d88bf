// Package sensor hears from the kernel what the processes of this host do and
// hands it on as events, each with its process and its container. It is the
// one room of the enforcer, beside the firewall, that speaks eBPF: programs
// compiled in advance that find the kernel's structures by its own type
// information, so that nothing is compiled on the host.
//
// What a kernel cannot do is found out by trying and said by Features. Every
// event that is lost is counted and told as an event of its own.
package sensor

import (
	"time"

	"sekisho"
	"sekisho/enforce/container"
)

// States of a feature.
const (
	OK           = "ok"
	NotSupported = "not supported here"
	NotAsked     = "off"
)

// Feature is something that the sensor may be able to do on this kernel.
type Feature struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Why      string `json:"why,omitempty"`
	Unpinned string `json:"unpinned,omitempty"` // why it does not outlive the sensor, where it should
	Taxes    bool   `json:"taxes,omitempty"`    // while it is on, every system call of the host costs some 40 ns more
}

// BeyondBudget is the path of an EventLost of a container that told more than
// Options.Budget. What it says is counted by kinds too.
const BeyondBudget = "budget"

// Opens says which opened files are told.
type Opens uint32

// Opens to write, opens to read of files with one of Options.Names, and all.
const (
	OpensToWrite Opens = 1 << iota
	OpensOfNames
	OpensToRead
	OpensRefused // that failed: what was not allowed, and files with one of Options.Names
	OpensRaw     // with the path as the program wrote it
)

// Mode is what a policy forbids in the kernel, at once and without asking.
type Mode uint32

// A process that runs content of these origins is killed before its first
// instruction. KillMapped does the same to one that maps it executable later.
const (
	KillUpper Mode = 1 << iota
	KillVolume
	KillMemory
	KillMapped
	SpareLower // a file that the image has too may run: somebody else compares its content

	// What the rules of a container do not have is stopped: connections and
	// sockets fail with EPERM, who listens on a port that the kernel chose, who
	// opens a file to write it and who runs a program is killed.
	DenyConnect
	DenyListen
	DenyRaw // sockets that are neither TCP nor UDP
	DenyICMP
	KillWrite
	KillExec
)

// Modes are all that a policy can forbid together.
const Modes = KillExec<<1 - 1

// Reasons of events of the kinds sekisho.EventKill and sekisho.EventDenied:
// drift, or what the rules do not have.
const (
	ReasonDrift      = "drift"
	ReasonProcess    = "process"
	ReasonWrite      = "write"
	ReasonConnection = "connection"
	ReasonListen     = "listen"
	ReasonSocket     = "socket"
)

// Outlived says what went on while no sensor ran.
type Outlived struct {
	Since time.Time // when the last one was known to live
	Held  []string  // classes of events that were kept all the time
	Gone  []string  // classes that were not
	Read  uint64    // bytes that waited in the rings
	Other bool      // programs of another layout ran: what they kept cannot be read
	Open  bool      // nothing was killed
	Kills Mode      // what could be killed
}

// Held is what the kernel does now of what is pinned.
type Held struct {
	Other    bool // by another version: it cannot be read
	Away     bool // no sensor lives
	Open     bool // nothing is killed while none does
	Strict   bool
	Attached []string        // programs, by feature
	Unknown  Mode            // what holds for containers that begin now
	Modes    map[string]Mode // what holds, by container
}

// Policy is what the kernel does for the containers of one policy.
type Policy struct {
	Kinds []sekisho.EventKind // that are told; execs, forks, exits and cgroups always are
	Opens Opens
	Mode  Mode
}

// Options are what a sensor listens to.
type Options struct {
	Containers   *container.Tracker
	Default      Policy   // of containers that have no other
	Host         Policy   // of the host's own processes; Mode is not used
	Syscalls     []string // told by the call itself, with its result, where a kind is told without it too
	Capabilities uint64   // whose use is told, as bits; 0 for those that lead out of a container
	Names        []string // last parts of paths whose opens to read are told
	Probe        bool     // try what no policy asks for, too
	Env          int      // bytes of the environment read at exec; none by default
	Budget       int      // events of a container in a second that are told, but for programs that begin and end; 0 for any number
	Data         int      // bytes read of messages that are sent or received, where those calls are told; none by default
	Pins         string   // the directory of a bpffs where programs and maps outlive the sensor; empty for none
	State        string   // the directory that the pins are noted to belong to
	Loss         Loss
	Now          func() time.Time
	layout, made string // instead of what the objects say, for tests
}

// Loss is what the kernel's programs do while the sensor does not live: it
// ended and is pinned, or it hangs.
type Loss struct {
	After   time.Duration // without a sign of life; 0: it does not matter
	Open    bool          // nothing is killed
	Strict  bool          // SpareLower spares nothing
	Host    bool          // the host's own processes are not told, so that the rings last longer
	Unknown uint32        // policy of containers that begin meanwhile, unless they were known before; 0 for the default
}

// Stats are what the kernel counted since the sensor started:
// Seen = Filtered + Submitted + Lost for each kind.
type Stats struct {
	Kinds     map[sekisho.EventKind]Count `json:"kinds"`
	Total     Count                       `json:"total"`
	Processes int                         `json:"processes"` // known now
	Missed    uint64                      `json:"missed"`    // calls of a program that the kernel refused to nest
}

// Count counts events of one kind.
type Count struct {
	Seen      uint64 `json:"seen"`
	Filtered  uint64 `json:"filtered"`
	Submitted uint64 `json:"submitted"`
	Lost      uint64 `json:"lost"`
}

// escapes are the capabilities whose use is told by default: SYS_MODULE,
// SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, SYS_BOOT, SYS_TIME, MKNOD, NET_ADMIN,
// NET_RAW, DAC_READ_SEARCH, LINUX_IMMUTABLE, MAC_ADMIN, SYSLOG, PERFMON, BPF.
const escapes = 1<<9 | 1<<16 | 1<<17 | 1<<19 | 1<<21 | 1<<22 | 1<<25 | 1<<27 | 1<<12 | 1<<13 | 1<<2 | 1<<33 | 1<<34 | 1<<38 | 1<<39

func (c Count) add(o Count) Count {
	return Count{c.Seen + o.Seen, c.Filtered + o.Filtered, c.Submitted + o.Submitted, c.Lost + o.Lost}
}

// wants makes the bits of kinds; those that processes and containers are
// followed by are always among them.
func (p Policy) wants() uint64 {
	bits := uint64(1)<<sekisho.EventExec | 1<<sekisho.EventFork | 1<<sekisho.EventExit | 1<<sekisho.EventCgroup
	for _, k := range p.Kinds {
		bits |= 1 << k
		if k == sekisho.EventRmdir {
			bits |= 1 << sekisho.EventUnlink // unlinkat removes directories too
		}
	}
	return bits
}
