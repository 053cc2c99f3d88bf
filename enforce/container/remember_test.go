package container

import (
	"testing"
)

// TestRemember holds that events of cgroups that are gone find their container
// after a restart, and that such a container is not listed as one that runs.
func TestRemember(t *testing.T) {
	before := New(Options{Root: t.TempDir()})
	before.Made(Cgroup{Key: 1, Path: "/docker/" + id})
	before.Made(Cgroup{Key: 2, Path: "/docker/" + id[1:] + "0"})
	changes := before.Changes()
	data, n, err := before.Memory()
	if err != nil || n != changes || n == 0 {
		t.Fatalf("%d of %d: %v", n, changes, err)
	}
	after := New(Options{Root: t.TempDir()})
	after.Made(Cgroup{Key: 3, Path: "/docker/" + id}) // it started again
	if n, err := after.Remember(data); err != nil || n != 2 {
		t.Errorf("%d: %v", n, err)
	}
	if c := after.Container(1); c == nil || c.ID != id {
		t.Errorf("of the cgroup before the restart: %+v", c)
	}
	if c := after.Container(2); c == nil || c.ID != id[1:]+"0" {
		t.Errorf("of a container that is gone: %+v", c)
	}
	if list := after.List(); len(list) != 1 || list[0].ID != id {
		t.Errorf("%d containers run", len(list))
	}
	after.Removed(1)
	after.Removed(2)
	if keys := after.Keys(id); len(keys) != 1 || keys[0] != 3 || after.Container(2) != nil {
		t.Errorf("after the removals: %v", keys)
	}
	if _, err := after.Remember([]byte("[")); err == nil {
		t.Error("half a file was taken")
	}
}

func FuzzRemember(f *testing.F) {
	f.Add([]byte(`[{"keys":[1,2],"container":{"id":"a","name":"b"}},{"container":null}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k := New(Options{Root: t.TempDir()})
		n, err := k.Remember(data)
		if err != nil && n != 0 || len(k.List()) != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}
