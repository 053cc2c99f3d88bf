package sensor

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Features of the hooks that refuse, where the kernel asks programs (BPF LSM).
// Without them the same is killed.
const (
	lsmExec    = "LSM exec"
	lsmMap     = "LSM mmap"
	lsmProtect = "LSM mprotect"
)

// Numbers of events of these hooks, in the place of a system call's.
const (
	hookExec = 509 + iota
	hookMap
	hookProtect
)

// asksLSM says whether a policy forbids what a hook refuses: programs as soon
// as there is such a policy, mapped code while a container is under it.
func (s *Sensor) asksLSM(p part) bool {
	if s.o.Probe {
		return true
	}
	mode := s.inUse()
	if p.feature == lsmExec {
		for _, policy := range s.policies {
			mode |= policy.Mode
		}
	}
	return mode&p.mode != 0
}

// attachLSM attaches a hook where the kernel really asks it: a kernel that was
// started without "bpf" among its security modules attaches, and never asks.
func (s *Sensor) attachLSM(prog *ebpf.Program) (link.Link, error) {
	if err := s.proveLSM(); err != nil {
		return nil, err
	}
	return link.AttachLSM(link.LSMOptions{Program: prog})
}

// proveLSM maps memory under a hook of its own and looks whether it was asked.
func (s *Sensor) proveLSM() error {
	if s.provedLSM {
		return nil
	}
	prog, err := s.program(part{object: "lsm", program: "lsm_mmap"})
	if err != nil {
		return err
	}
	l, err := link.AttachLSM(link.LSMOptions{Program: prog})
	if err != nil {
		return err
	}
	defer l.Close()
	before, err := s.askedLSM()
	if err != nil {
		return err
	}
	mem, err := unix.Mmap(-1, 0, 1, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("map memory: %w", err)
	}
	defer unix.Munmap(mem)
	after, err := s.askedLSM()
	if err != nil {
		return err
	}
	if after == before {
		return errors.New("the kernel was started without bpf among its security modules (lsm=…,bpf)")
	}
	s.provedLSM = true
	return nil
}

func (s *Sensor) askedLSM() (n uint64, err error) {
	if err := s.maps["asked"].Lookup(uint32(0), &n); err != nil {
		return 0, fmt.Errorf("read whether the hook was asked: %w", err)
	}
	return n, nil
}
