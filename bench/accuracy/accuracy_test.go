package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sekisho/internal/fixture"
)

// TestDistributions holds that sekisho misses nothing that Debian's and
// AlmaLinux's own tools tell, but for reasons that are written here.
func TestDistributions(t *testing.T) {
	if testing.Short() {
		t.Skip("runs debsecan and dnf")
	}
	for _, name := range []string{"debsecan", "dnf", "createrepo_c", "modifyrepo_c", "xz"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	data := filepath.Dir(fixture.Dir(t, "."))
	program := filepath.Join(t.TempDir(), "sekisho")
	build := exec.Command("go", "build", "-o", program, "sekisho/cmd/sekisho")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, only := range []string{"debsecan", "dnf"} {
		l := &lab{data: data, sekisho: program, tools: t.TempDir(), examples: 5}
		if err := l.run(only); err != nil {
			t.Errorf("%s: %v\n%v", only, err, l.classes)
		}
		if l.agreed < 1000 {
			t.Errorf("%s: %d answers to compare, want more", only, l.agreed)
		}
	}
}
