package sensor

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/btf"
)

// TestLayouts holds that Go reads where the kernel's programs write: the
// objects say the layouts of their structures themselves.
func TestLayouts(t *testing.T) {
	var want = []struct {
		object, c string
		value     any
	}{
		{"proc", "scratch.exec", execEvent{}}, {"proc", "scratch.cgroup", cgroupEvent{}}, {"proc", "scratch.call", callEvent{}},
		{"proc", "cg", cgroupValue{}}, {"proc", "policy", policyValue{}}, {"proc", "config", configValue{}}, {"proc", "counter", counterValue{}},
		{"proc", "exempt_key", exemptKey{}}, {"sys", "call_desc", callDesc{}},
	}
	for _, f := range []form{direct, old} {
		for _, w := range want {
			spec, err := parse(w.object, f)
			if err != nil {
				t.Fatal(err)
			}
			s := structure(t, spec.Types, w.c)
			if s == nil {
				t.Fatalf("%s: no structure %s", w.object, w.c)
			}
			compare(t, w.c, s, reflect.TypeOf(w.value))
		}
	}
	if size := unsafe.Sizeof(execEvent{}); size > fixedSize {
		t.Errorf("an exec event has %d bytes, more than the %d before its strings", size, fixedSize)
	}
	if size := unsafe.Sizeof(callEvent{}); size > fixedSize {
		t.Errorf("a call's event has %d bytes, more than the %d before its strings", size, fixedSize)
	}
}

// structure finds a structure by name, or the type of scratch's member.
func structure(t *testing.T, types *btf.Spec, name string) *btf.Struct {
	t.Helper()
	member := ""
	if len(name) > 8 && name[:8] == "scratch." {
		name, member = "scratch", name[8:]
	}
	var s *btf.Struct
	if err := types.TypeByName(name, &s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if member == "" {
		return s
	}
	for _, m := range s.Members {
		if u, ok := btf.UnderlyingType(m.Type).(*btf.Union); ok {
			for _, x := range u.Members {
				if x.Name == member {
					return x.Type.(*btf.Struct)
				}
			}
		}
	}
	return nil
}

// compare compares members by place: names differ, offsets and sizes must not.
func compare(t *testing.T, name string, s *btf.Struct, g reflect.Type) {
	t.Helper()
	if int(s.Size) != int(g.Size()) {
		t.Errorf("%s: %d bytes in C, %d in Go", name, s.Size, g.Size())
	}
	if len(s.Members) != g.NumField() {
		if len(s.Members)+3 < g.NumField() || len(s.Members) > g.NumField() {
			t.Errorf("%s: %d members in C, %d in Go", name, len(s.Members), g.NumField())
		}
		return
	}
	for i, m := range s.Members {
		if f := g.Field(i); uintptr(m.Offset.Bytes()) != f.Offset {
			t.Errorf("%s: %s is at %d in C, %s at %d in Go", name, m.Name, m.Offset.Bytes(), f.Name, f.Offset)
		}
	}
}

// TestObjectsAreOfTheseSources holds that the objects were compiled again
// after the last change: go generate ./enforce/sensor.
func TestObjectsAreOfTheseSources(t *testing.T) {
	sums, err := os.ReadFile("bpf/sources.sum")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(sums)) {
		f := strings.Fields(line)
		data, err := os.ReadFile(filepath.Join("bpf", f[1]))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != f[0] {
			t.Errorf("%s changed since the objects were compiled; run go generate ./enforce/sensor", f[1])
		}
		n++
	}
	if n < 7 {
		t.Errorf("%d sources", n)
	}
}
