package kernels_test

import (
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
		t.Logf("%s: %v written %v\n%s\n%s", s.Name, s.Status, s.Written, s.Errors, s.Out)
	}
}
