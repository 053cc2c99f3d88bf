package canary

import (
	"context"
	"strings"
	"testing"
	"time"

	"sekisho/enforce"
)

func FuzzParse(f *testing.F) {
	f.Add(`{"attempt":"drifted executable","blocked":true,"how":"denied"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if n := len(parse(strings.NewReader(text))); n > 17 {
			t.Fatal(n)
		}
	})
}

// TestNoEngine says that nothing was proven where there is nothing to try in.
func TestNoEngine(t *testing.T) {
	list := Fly(context.Background(), Options{Name: Prefix + "x", Docker: []string{"/nonexistent/docker"}, Binary: "/bin/true", Now: time.Now, Enabled: map[string]bool{Drift: true}})
	for _, p := range list {
		if p.State == enforce.Enforcing {
			t.Errorf("%+v", p)
		}
	}
	if len(list) != 4 {
		t.Errorf("%+v", list)
	}
}
