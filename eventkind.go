package sekisho

import "fmt"

var eventNames = [...]string{
	EventNone: "none", EventExec: "exec", EventFork: "fork", EventExit: "exit", EventOpen: "open", EventCreate: "create", EventRename: "rename",
	EventUnlink: "unlink", EventLink: "link", EventSymlink: "symlink", EventMkdir: "mkdir", EventRmdir: "rmdir", EventChmod: "chmod", EventChown: "chown",
	EventMount: "mount", EventMap: "map", EventConnect: "connect", EventAccept: "accept", EventListen: "listen", EventSend: "send", EventReceive: "receive",
	EventSocket: "socket", EventDNS: "dns", EventDup: "dup", EventSetuid: "setuid", EventCapability: "capability", EventSetns: "setns", EventUnshare: "unshare",
	EventPtrace: "ptrace", EventModule: "module", EventBPF: "bpf", EventIOUring: "io_uring", EventKill: "kill", EventDenied: "denied", EventLost: "lost", EventCgroup: "cgroup", EventFault: "userfaultfd",
}

// String returns the kind's name.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText writes the kind's name.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *EventKind) UnmarshalText(text []byte) error {
	for i, name := range eventNames {
		if name == string(text) {
			*k = EventKind(i)
			return nil
		}
	}
	return Errorf(Invalid, "unknown kind of event %q", text)
}

// EventKinds returns all kinds but EventNone, in order.
func EventKinds() []EventKind {
	list := make([]EventKind, 0, len(eventNames)-1)
	for k := EventExec; int(k) < len(eventNames); k++ {
		list = append(list, k)
	}
	return list
}
