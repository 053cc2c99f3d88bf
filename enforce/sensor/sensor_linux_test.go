package sensor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho"
)

// TestLossIsExact holds back the reader while a flood of opened files fills
// the ring: what is told and what is said to be lost is what was seen.
func TestLossIsExact(t *testing.T) {
	hold := make(chan struct{})
	var mu sync.Mutex
	told, lost := 0, 0
	dir := t.TempDir()
	last := filepath.Join(dir, "last")
	ended := make(chan struct{}, 1)
	s := opened(t, Options{Host: Policy{Kinds: []sekisho.EventKind{sekisho.EventMkdir}}}, func(e *sekisho.Event) {
		<-hold
		mu.Lock()
		defer mu.Unlock()
		switch {
		case e.Kind == sekisho.EventMkdir:
			told++
		case e.Kind == sekisho.EventLost && e.Path == "mkdir":
			lost += int(e.Number)
			select {
			case ended <- struct{}{}:
			default:
			}
		}
	})
	s.shared().Self = 0 // this process makes the flood itself
	for range 60000 {
		os.Mkdir(dir, 0o755) // it is there: only the call counts
	}
	close(hold)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("no loss was told")
	}
	os.Mkdir(last, 0o755)
	deadline := time.Now().Add(20 * time.Second)
	for {
		st, err := s.Stats()
		if err != nil {
			t.Fatal(err)
		}
		c := st.Kinds[sekisho.EventMkdir]
		mu.Lock()
		got := told + lost
		mu.Unlock()
		if int(c.Seen-c.Filtered) == got {
			if c.Seen < 60000 || lost == 0 || int(c.Lost) != lost || int(c.Submitted) != told {
				t.Errorf("counted %+v, told %d, lost %d", c, told, lost)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("counted %+v, told %d, lost %d", c, told, lost)
		}
	}
}

// TestPoliciesAttach holds that a hook is there while a policy asks for it,
// and no longer: what no one asks for costs nothing.
func TestPoliciesAttach(t *testing.T) {
	s := opened(t, Options{}, func(*sekisho.Event) {})
	state := func(name string) string {
		for _, f := range s.Features() {
			if f.Name == name {
				return f.State
			}
		}
		return "unknown"
	}
	for _, f := range s.Features() {
		if f.Taxes && f.State != NotAsked {
			t.Errorf("%s is %s though no one asked", f.Name, f.State)
		}
	}
	if err := s.SetPolicy(1, Policy{Kinds: []sekisho.EventKind{sekisho.EventUnlink}}); err != nil {
		t.Fatal(err)
	}
	if state("call unlinkat") != OK || state("call rename") != NotAsked {
		t.Errorf("unlinkat is %s, rename is %s", state("call unlinkat"), state("call rename"))
	}
	if err := s.SetPolicy(1, Policy{}); err != nil {
		t.Fatal(err)
	}
	if state("call unlinkat") != NotAsked {
		t.Errorf("unlinkat is %s after the policy is gone", state("call unlinkat"))
	}
}

// TestOldPrograms holds that the programs for older kernels load here too, but
// for those whose place this kernel does not have.
func TestOldPrograms(t *testing.T) {
	s := opened(t, Options{Probe: true, Default: Policy{Kinds: []sekisho.EventKind{sekisho.EventCapability, sekisho.EventIOUring}}}, func(*sekisho.Event) {})
	refuses := true
	for _, f := range s.Features() {
		if f.Name == lsmExec {
			refuses = f.State == OK
		}
		if (f.Name == "capability" || f.Name == "io_uring") && f.State != OK {
			t.Errorf("%s: %s %s", f.Name, f.State, f.Why)
		}
	}
	for _, object := range objectNames {
		spec, err := parse(object, old)
		if err != nil {
			t.Fatal(err)
		}
		for name := range spec.Programs {
			s.mu.Lock()
			_, err := s.load(spec, name)
			s.mu.Unlock()
			if err != nil && object == "sys" {
				s.mu.Lock()
				_, err = s.loadOldest(spec, name)
				s.mu.Unlock()
			}
			if err != nil && !strings.HasPrefix(name, "on_capable") && !strings.HasPrefix(name, "on_uring") && (refuses || object != "lsm") {
				t.Errorf("%s: %v", name, why(err))
			}
		}
	}
}

// TestTreeIsBounded holds that chains of parents and the number of processes
// stay bounded, and that a pid which is used again is another process.
func TestTreeIsBounded(t *testing.T) {
	tr := newTree(time.Now)
	parent := tr.put(1, 1, &sekisho.Process{PID: 1}, nil)
	for i := uint32(2); i < 100000; i++ {
		n := tr.put(i, uint64(i), &sekisho.Process{PID: int(i), Name: strconv.Itoa(int(i))}, parent)
		tr.end(i-1, uint64(i-1))
		parent = n
	}
	depth := 0
	for p := parent.p; p != nil; p = p.Parent {
		depth++
	}
	if depth > maxDepth+1 || depth < maxDepth/2 {
		t.Errorf("a chain of %d", depth)
	}
	if len(tr.live) > 2 || len(tr.gone) > maxEnded || len(tr.ended) > maxEnded {
		t.Errorf("%d live, %d ended", len(tr.live), len(tr.gone))
	}
	for i := uint32(0); i < 2*maxProcesses; i++ {
		tr.put(i, 5, &sekisho.Process{}, nil)
	}
	if len(tr.live) > maxProcesses {
		t.Errorf("%d processes are kept", len(tr.live))
	}
	a := tr.put(7, 1000, &sekisho.Process{Name: "first"}, nil)
	tr.end(7, 1000)
	tr.put(7, 2000, &sekisho.Process{Name: "second"}, nil)
	if tr.find(7, 1000) != a || tr.find(7, 2000).p.Name != "second" || tr.find(7, 3000) != nil {
		t.Error("a pid that is used again was taken for the same process")
	}
}

func FuzzWords(f *testing.F) {
	f.Add([]byte("a\x00b\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(words(b)); n > maxArgs {
			t.Errorf("%d words", n)
		}
	})
}

// hooked lists the features that slow down every system call and are on.
func hooked(s *Sensor) (list []string) {
	for _, f := range s.Features() {
		if f.Taxes && f.State == OK {
			list = append(list, f.Name)
		}
	}
	return list
}

// TestHooksFollowContainers holds that no system call is hooked for a policy
// that no container has, and that it is while one has it.
func TestHooksFollowContainers(t *testing.T) {
	s := opened(t, Options{Default: Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect, sekisho.EventCapability}}}, func(*sekisho.Event) {})
	if err := s.SetPolicy(7, Policy{Mode: KillUpper | KillMapped}); err != nil {
		t.Fatal(err)
	}
	if list := hooked(s); len(list) > 0 {
		t.Errorf("no one asked for %v", list)
	}
	if err := s.Assign("a", 7, nil); err != nil {
		t.Fatal(err)
	}
	if list := hooked(s); !slices.Equal(list, []string{"mmap of code", "mprotect of code"}) {
		t.Errorf("hooked for a container that may not map: %v", list)
	}
	s.forget("a")
	if list := hooked(s); len(list) > 0 {
		t.Errorf("the container is gone, %v stay", list)
	}
}

// TestDirect holds that a kernel that takes direct loads (6.2 and later) gets
// them: the other objects cost twice as much.
func TestDirect(t *testing.T) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	takes := major > 6 || major == 6 && minor >= 2
	if s := opened(t, Options{}, func(*sekisho.Event) {}); (s.form == direct) != takes {
		t.Errorf("kernel %d.%d: programs of the form %v", major, minor, s.form)
	}
}
