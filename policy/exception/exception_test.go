package exception_test

import (
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/policy/exception"
	"sekisho/policy/scope"
)

const good = `
exceptions:
  - id: SKS-IMG-003
    path: usr/bin/**
    reason: the base image needs su
    owner: platform team
    until: 2026-12-31
`

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestApply(t *testing.T) {
	f, err := exception.Parse(strings.NewReader(good), ".sekisho.yaml")
	if err != nil {
		t.Fatal(err)
	}
	finding := func(id, path string) sekisho.Finding {
		return sekisho.Finding{ID: id, Location: sekisho.Location{Path: path}}
	}
	for _, c := range []struct {
		name                string
		finding             sekisho.Finding
		today               time.Time
		suppressed, expired bool
	}{
		{"covered", finding("SKS-IMG-003", "usr/bin/su"), day("2026-11-24"), true, false},
		{"on the last day", finding("SKS-IMG-003", "usr/bin/su"), day("2026-12-31").Add(23 * time.Hour), true, false},
		{"a day late", finding("SKS-IMG-003", "usr/bin/su"), day("2027-01-01"), false, true},
		{"another path", finding("SKS-IMG-003", "usr/sbin/x"), day("2026-11-24"), false, false},
		{"another id", finding("SKS-IMG-004", "usr/bin/su"), day("2026-11-24"), false, false},
	} {
		list := []sekisho.Finding{c.finding}
		f.Apply(list, exception.Subject{}, c.today)
		if (list[0].Suppressed != nil) != c.suppressed || (list[0].Expired != nil) != c.expired {
			t.Errorf("%s: suppressed %v, expired %v; want %v, %v", c.name, list[0].Suppressed, list[0].Expired, c.suppressed, c.expired)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"unknown field": {"exceptions:\n  - id: X\n    raeson: y\n", "[3:5]"},
		"no reason":     {"exceptions:\n  - id: X\n    owner: a\n    until: 2026-01-01\n", "reason is missing"},
		"no owner":      {"exceptions:\n  - id: X\n    reason: a\n    until: 2026-01-01\n", "owner is missing"},
		"no end":        {"exceptions:\n  - id: X\n    reason: a\n    owner: b\n", "until is missing"},
		"covers all":    {"exceptions:\n  - reason: a\n    owner: b\n    until: 2026-01-01\n", "at least one of"},
		"bad day":       {"exceptions:\n  - id: X\n    reason: a\n    owner: b\n    until: soon\n", "want YYYY-MM-DD"},
		"alias":         {"x: &a [1]\nexceptions: *a\n", "[1:4] anchors"},
		"bad pattern":   {"exceptions:\n  - path: '['\n    reason: a\n    owner: b\n    until: 2026-01-01\n", "path"},
	} {
		_, err := exception.Parse(strings.NewReader(c.in), "f.yaml")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "f.yaml") {
			t.Errorf("%s: error %v, want the file and %q", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := exception.Parse(strings.NewReader(string(data)), "f")
		if err == nil {
			file.Apply([]sekisho.Finding{{ID: "x"}}, exception.Subject{}, day("2026-01-01"))
		}
	})
}

// TestAllPlaces wants an exception for a path not to cover a secret that is
// elsewhere too.
func TestAllPlaces(t *testing.T) {
	f, err := exception.Parse(strings.NewReader("exceptions:\n  - path: tests/**\n    reason: made up\n    owner: team\n    until: 2030-01-01\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	both := []sekisho.Location{{Path: "tests/a"}, {Path: "app/b"}}
	list := []sekisho.Finding{{ID: "x", Location: both[0]}, {ID: "x", Location: both[0], Places: both[1:]}}
	f.Apply(list, exception.Subject{}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if list[0].Suppressed == nil || list[1].Suppressed != nil {
		t.Errorf("got %+v", list)
	}
}

const scoped = `
exceptions:
  - {id: CVE-1, images: ["registry.example.org/pay/*"], versions: ">= 1.2, < 2", reason: r, owner: o, approver: a, until: 2026-12-31}
  - {id: CVE-2, digests: ["sha256:1111111111111111111111111111111111111111111111111111111111111111"], reason: r, owner: o, until: 2026-12-31}
  - {id: CVE-3, until_fixed: true, reason: r, owner: o}
  - {control: root-user, policy: production, images: [nginx], reason: r, owner: o, until: 2026-12-31}
`

// TestFor holds for which images an exception is; what is not known of an
// image matches none that asks for it.
func TestFor(t *testing.T) {
	f, err := exception.Parse(strings.NewReader(scoped), "x")
	if err != nil {
		t.Fatal(err)
	}
	digest := sekisho.Digest("sha256:" + strings.Repeat("1", 64))
	for _, c := range []struct {
		n       int
		image   string
		digests []sekisho.Digest
		want    bool
	}{
		{0, "registry.example.org/pay/app:1.2.5", nil, true},
		{0, "registry.example.org/pay/app:v1.3", nil, true},
		{0, "registry.example.org/pay/app:2.0", nil, false},
		{0, "registry.example.org/pay/app:latest", nil, false},
		{0, "registry.example.org/pay/app@" + string(digest), nil, false}, // no tag, so no version
		{0, "registry.example.org/other:1.3", nil, false},
		{0, "", nil, false},
		{1, "a", []sekisho.Digest{digest}, true},
		{1, "a", nil, false},
		{2, "", nil, true},
		{3, "nginx:1.27", nil, true},
		{3, "evil.example/library/nginx", nil, false},
	} {
		s := exception.Subject{Digests: c.digests}
		if c.image != "" {
			r, err := scope.Parse(c.image)
			if err != nil {
				t.Fatal(err)
			}
			s.Reference = &r
		}
		if got := f.Exceptions[c.n].For(s); got != c.want {
			t.Errorf("%s on %s: got %v", f.Exceptions[c.n].What(), c.image, got)
		}
	}
}

// TestUntilFixed holds that such an exception ends with the fix, and says so.
func TestUntilFixed(t *testing.T) {
	f, err := exception.Parse(strings.NewReader(scoped), "x")
	if err != nil {
		t.Fatal(err)
	}
	list := []sekisho.Finding{{ID: "CVE-3"}, {ID: "CVE-3", FixedIn: []string{"2"}}}
	f.Apply(list, exception.Subject{}, day("2026-01-01"))
	if list[0].Suppressed == nil || list[1].Suppressed != nil || list[1].Expired == nil || !list[1].Expired.UntilFixed {
		t.Errorf("got %+v", list)
	}
	if got := f.Exceptions[2].Ended(day("2026-01-01"), true); got != sekisho.ExceptionFixed {
		t.Errorf("ended: %s", got)
	}
}

func TestScopeErrors(t *testing.T) {
	for in, want := range map[string]string{
		"{control: x, id: y, reason: r, owner: o, until: 2026-01-01}":                    "stands alone",
		"{control: x, until_fixed: true, reason: r, owner: o}":                           "until is missing",
		"{id: x, policy: y, reason: r, owner: o, until: 2026-01-01}":                     "goes with control",
		"{id: x, images: ['app*'], reason: r, owner: o, until: 2026-01-01}":              "images",
		"{id: x, digests: [abc], reason: r, owner: o, until: 2026-01-01}":                "digests",
		"{id: x, versions: 'newer', reason: r, owner: o, until: 2026-01-01}":             "versions",
		"{id: x, reason: r, owner: o, approver: o, until: 2026-01-01}":                   "somebody else",
		"{id: x, reason: r, owner: o, until: 2026-01-01, image: ['registry.example/a']}": "unknown field",
	} {
		_, err := exception.Parse(strings.NewReader("exceptions:\n  - "+in+"\n"), "f.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", in, err, want)
		}
	}
}
