package ready_test

import (
	"testing"

	"sekisho/policy/ready"
)

// TestAll holds that every policy can be read.
func TestAll(t *testing.T) {
	for _, name := range ready.Names() {
		p, err := ready.Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Name != name || p.Description.English == "" || p.Description.Japanese == "" {
			t.Errorf("%s: its name or description is off: %+v", name, p)
		}
	}
	if ready.Has("../ready") || ready.Has("nothing") {
		t.Error("a policy that is not there was found")
	}
}
