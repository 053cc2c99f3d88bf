package sensor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho"
)

// next waits for an event.
func next(t *testing.T, events <-chan *sekisho.Event) *sekisho.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no event was told")
		return nil
	}
}

// TestUserOfNow holds that an event tells the user that its thread has, not
// the one that the program began as; what changed the user is by who it was.
func TestUserOfNow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	events := make(chan *sekisho.Event, 4)
	s := opened(t, Options{Host: Policy{Kinds: []sekisho.EventKind{sekisho.EventMkdir, sekisho.EventSetuid}}}, func(e *sekisho.Event) {
		if e.Process != nil && e.Process.PID == os.Getpid() && (e.Kind == sekisho.EventSetuid || e.Path == dir) {
			events <- e
		}
	})
	s.shared().Self = 0 // this process makes the events itself
	const nobody = 65534
	keep := ^uintptr(0)
	runtime.LockOSThread() // which alone changes its user
	defer runtime.UnlockOSThread()
	if _, _, err := unix.RawSyscall(unix.SYS_SETRESUID, keep, nobody, keep); err != 0 {
		t.Fatal(err)
	}
	refused := unix.Mkdir(dir, 0o755)
	if _, _, err := unix.RawSyscall(unix.SYS_SETRESUID, keep, 0, keep); err != 0 {
		t.Fatal(err)
	}
	if refused == nil {
		t.Error("nobody may make directories here")
	}
	change, first, back := next(t, events), next(t, events), next(t, events)
	if err := unix.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	second := next(t, events)
	if back.Kind != sekisho.EventSetuid || back.UID != 0 || back.Process.UID != nobody {
		t.Errorf("the change to user %d is by %d", back.UID, back.Process.UID)
	}
	if change.Kind != sekisho.EventSetuid || change.UID != nobody || change.Process.UID != 0 {
		t.Errorf("the change to user %d is by %d", change.UID, change.Process.UID)
	}
	if first.Process.UID != nobody || second.Process.UID != 0 || first.Process.ID != second.Process.ID {
		t.Errorf("users %d and %d of processes %d and %d", first.Process.UID, second.Process.UID, first.Process.ID, second.Process.ID)
	}
}

// TestMemfdIsNamed holds that a program in memory is told by the name that it
// was made with, since that is how rules know it.
func TestMemfdIsNamed(t *testing.T) {
	for _, name := range []string{"x", "a-name-with-more-than-sixteen-bytes"} {
		fd, err := unix.MemfdCreate(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		program, err := os.ReadFile("/bin/true")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(fd, program); err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
		events := make(chan *sekisho.Event, 1)
		s := opened(t, Options{}, func(e *sekisho.Event) {
			if e.Kind == sekisho.EventExec && len(e.Process.Args) > 0 && e.Process.Args[0] == path {
				events <- e
			}
		})
		s.shared().Self = 0
		if err := exec.Command(path).Run(); err != nil {
			t.Fatal(err)
		}
		if e := next(t, events); e.Process.Path != "/memfd:"+name || e.Origin != sekisho.OriginMemory {
			t.Errorf("the program is told as %q of %s", e.Process.Path, e.Origin)
		}
	}
}
