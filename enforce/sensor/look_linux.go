package sensor

import (
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"sekisho/enforce/container"
	"sekisho/enforce/sensor/pin"
)

// Look reads what the kernel does without a sensor: from the maps and links
// that are pinned in a directory, not from what somebody wrote down. It
// returns nothing where nothing is pinned.
func Look(dir string, containers *container.Tracker) (*Held, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, nil //nolint:nilerr // nothing is pinned
	}
	p := pin.Read(dir, layout())
	if p == nil {
		return &Held{Other: true}, nil
	}
	defer p.Close()
	config, policies, cgroups := p.Map("config"), p.Map("policies"), p.Map("cgroups")
	if config == nil || policies == nil || cgroups == nil {
		return &Held{Other: true}, nil
	}
	mem, err := unix.Mmap(config.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("read the pinned configuration: %w", err)
	}
	c := *(*configValue)(unsafe.Pointer(&mem[0]))
	unix.Munmap(mem)
	h := &Held{Away: c.LossAfter > 0 && int64(sinceBoot()-c.Heartbeat) > int64(c.LossAfter), Open: c.Loss&lossOpen != 0, Strict: c.Loss&lossStrict != 0, Attached: p.Attached(c.Generation), Modes: map[string]Mode{}}
	mode := func(id uint32) Mode {
		var v policyValue
		if id == 0 && h.Away {
			id = c.Unknown
		}
		if policies.Lookup(id, &v) != nil {
			return 0
		}
		return h.effective(Mode(v.Mode))
	}
	h.Unknown = mode(0)
	containers.Running()
	for _, x := range containers.List() {
		m, known := ^Mode(0), false
		for _, key := range containers.Keys(x.ID) {
			var v cgroupValue
			if cgroups.Lookup(key, &v) == nil {
				m, known = m&mode(v.Policy), true
				if v.Rules == 0 {
					m &^= KillExec | KillWrite | DenyConnect | DenyListen // no profile to hold it against
				}
			}
		}
		if !known {
			m = 0
		}
		h.Modes[x.ID] = m
	}
	return h, nil
}

// Abandoned says that programs are pinned in a directory and no sensor lives.
func Abandoned(dir string) bool { return pin.Abandoned(dir) }

// effective is what of a mode the attached programs carry out.
func (h *Held) effective(m Mode) Mode {
	if h.Away && h.Open {
		return 0
	}
	return m & carried(h.Attached)
}

// carriers are the features that carry out a mode: all of one of the lists.
var carriers = []struct {
	mode     Mode
	features [][]string
}{
	{KillUpper | KillVolume | KillMemory, [][]string{{"exec"}, {lsmExec}}},
	{KillMapped, [][]string{{"mmap of code", "mprotect of code"}, {lsmMap, lsmProtect}}},
	{KillExec, [][]string{{"exec"}}},
	{KillWrite, [][]string{{"call openat"}}},
	{DenyConnect, [][]string{{"connect IPv4", "connect IPv6", "datagram IPv4", "datagram IPv6", "DNS answers"}}},
	{DenyListen, [][]string{{"bind IPv4", "bind IPv6", "listen and accept"}}},
}

// carried is what is stopped while programs are attached.
func carried(attached []string) (m Mode) {
	for _, c := range carriers {
		for _, all := range c.features {
			if !slices.ContainsFunc(all, func(f string) bool { return !slices.Contains(attached, pin.Entry(f)) }) {
				m |= c.mode
			}
		}
	}
	return m
}
