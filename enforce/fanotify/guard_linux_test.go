package fanotify

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/drift"
)

// TestLate holds that a question whose verdict hangs gets the configured answer
// in time, open or closed: nothing waits for a judge that does not come.
func TestLate(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("missing: root")
		}
		t.Skip("missing: root")
	}
	for name, closed := range map[string]bool{"open": false, "closed": true} {
		t.Run(name, func(t *testing.T) { late(t, closed) })
	}
}

func late(t *testing.T, closed bool) {
	dir, err := os.MkdirTemp("/var/tmp", "sekisho-late-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", "-L", "/bin/busybox", dir+"/lower/true").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work", dir+"/merged").CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	defer exec.Command("umount", dir+"/merged").Run()
	c := &sekisho.Container{ID: "c", Name: "c", Root: dir + "/merged", Upper: dir + "/upper"}
	hang := make(chan struct{})
	g, err := Open(Options{Deadline: 50 * time.Millisecond, Closed: closed, Judge: drift.New("/proc/self/mountinfo"), Denied: func(Denial) {}, Proc: "/proc",
		Find: func(int) *sekisho.Container { <-hang; return c }})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Watch(c, []string{"upper"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	began := time.Now()
	err = exec.Command(dir+"/merged/true", "true").Run()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if denied := errors.Is(err, syscall.EPERM); denied != closed || !closed && err != nil {
		t.Errorf("it ended with %v", err)
	}
	if s := g.Stats(); s.Late == 0 || !g.Alive() {
		t.Errorf("stats %+v", s)
	}
	close(hang)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
