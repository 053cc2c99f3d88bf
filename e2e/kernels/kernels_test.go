package kernels_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// scratch is where programs and disks are made, for one run.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("/var/tmp", "sekisho-kernels-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(scratch)
	os.Exit(status)
}

// seen is what is asked of an event.
type seen struct {
	Kind, Path, Name, Origin string
	Done                     string
	Process                  *struct{ Path, Name, Origin string }
	Container                *struct {
		Name     string
		Workload json.RawMessage
	}
	Event *seen
	Rule  string
	What  string
}

func TestTry(t *testing.T) {
	arch := "amd64"
	if a := os.Getenv("ARCH"); a != "" {
		arch = a
	}
	k := fetch(t, arch, strings.Split(os.Getenv("SUITE"), ",")...)
	t.Log(k.release, k.image(t))
	r := boot{kernel: k, cgroup: os.Getenv("CG"), do: os.Getenv("DO"), append: os.Getenv("APPEND")}.run(t)
	t.Logf("%s %s lsm %s", r.Kernel, r.Cgroup, r.LSM)
	for k, v := range r.Outputs {
		t.Logf("%s: %s", k, v)
	}
	for _, s := range r.Sessions {
		t.Logf("%s: %v written %v\n%s", s.Name, s.Status, s.Written, s.Errors)
		count := map[string]int{}
		for line := range strings.Lines(s.Out) {
			var e seen
			if json.Unmarshal([]byte(line), &e) != nil || e.Kind == "" {
				if len(line) > 1 {
					t.Logf("%.3000s", line)
				}
				continue
			}
			c := "-"
			if e.Container != nil {
				c = e.Container.Name
			}
			if e.Rule != "" {
				t.Logf("alert %s %s %s %s %s", e.Kind, e.Rule, e.What, e.Done, c)
				continue
			}
			if e.Kind == "kill" || e.Kind == "exec" {
				p := ""
				if e.Process != nil {
					p = e.Process.Path + " " + e.Process.Origin
				}
				t.Logf("%s %s %s %s", e.Kind, p, e.Path, c)
			}
			count[e.Kind+" "+c]++
		}
		t.Log(count)
	}
}
