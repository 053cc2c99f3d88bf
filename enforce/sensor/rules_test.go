package sensor

import (
	"net/netip"
	"strings"
	"testing"
)

// TestRulesNumber holds that the number of rules follows what they have, not
// the order in which it was written, and that what the kernel cannot hold is
// an error.
func TestRulesNumber(t *testing.T) {
	port := Port{443, "tcp"}
	a, b := Peer{netip.MustParsePrefix("10.0.0.0/8"), port}, Peer{netip.MustParsePrefix("fd00::/8"), port}
	number := func(r *Rules) uint32 {
		w, err := r.compile()
		if err != nil {
			t.Fatal(err)
		}
		return w.number()
	}
	one := number(&Rules{Peers: []Peer{a, b}, Names: []Name{{"A.example", port}}})
	if one != number(&Rules{Peers: []Peer{b, a}, Names: []Name{{"a.EXAMPLE.", port}}}) {
		t.Error("the same rules have two numbers")
	}
	for _, r := range []*Rules{{Peers: []Peer{a}}, {Peers: []Peer{a, b}}, {Peers: []Peer{{a.Prefix, Port{443, "udp"}}, b}, Names: []Name{{"a.example", port}}}, {Paths: []Path{{Path: "/a/", Level: Below}}}, {Paths: []Path{{Path: "/a/", Level: Within}}}, {Paths: []Path{{Path: "/a/", Level: Below, Run: true}}}} {
		if n := number(r); n == one || n == 0 {
			t.Errorf("%+v has the number of others", r)
		}
	}
	many := &Rules{}
	for i := range maxHostPorts + 1 {
		many.Names = append(many.Names, Name{"a.example", Port{uint16(i), "tcp"}})
	}
	for _, r := range []*Rules{many, {Names: []Name{{"a..b", port}}}, {Names: []Name{{strings.Repeat("x", 64), port}}}, {Paths: []Path{{Path: "/" + strings.Repeat("x", maxPath)}}}, {Peers: []Peer{{a.Prefix, Port{1, "sctp"}}}}} {
		if _, err := r.compile(); err == nil {
			t.Errorf("%+v is held", r)
		}
	}
}

func FuzzWireName(f *testing.F) {
	f.Add("db.example.org")
	f.Add(".")
	f.Fuzz(func(t *testing.T, name string) {
		wire, ok := wireName(name)
		if !ok {
			return
		}
		labels := []string{}
		for at := 0; at < len(wire); {
			n := int(wire[at])
			if n == 0 || n > 63 || at+1+n > len(wire) {
				t.Fatalf("%q became %q", name, wire)
			}
			labels = append(labels, wire[at+1:at+1+n])
			at += 1 + n
		}
		if got := strings.Join(labels, "."); got != strings.TrimSuffix(name, ".") {
			t.Errorf("%q became %q", name, got)
		}
	})
}
