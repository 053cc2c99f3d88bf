package settings_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/settings"
)

func TestRead(t *testing.T) {
	s, err := settings.Read(strings.NewReader(`mode: enforce
state: /var/lib/x
profiles: profiles
drift: [upper, memory]
workloads:
  - {workload: "shop/*", mode: learn, drift: []}
  - {image: "build:*", ignore: true}
responses:
  - {on: [rule], severity: high, do: kill}
  - {on: [rule], rules: ["*Reverse Shell*"], do: quarantine}
cap: {instances: 5, window: 1h}
evidence: {size: 2GiB, time: 3s}
`), "/etc/sekisho/enforce.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if s.Profiles != "/etc/sekisho/profiles" || s.Evidence.Size != 2<<30 || time.Duration(s.Cap.Window) != time.Hour || s.Deny.OnTimeout != "allow" {
		t.Errorf("%+v", s)
	}
	shop := &sekisho.Container{Name: "x", Image: "web:1", Workload: sekisho.Workload{Namespace: "shop", Name: "web"}}
	if got := s.For(shop); got.Mode != "learn" || len(got.Drift) != 0 {
		t.Errorf("shop: %+v", got)
	}
	if got := s.For(&sekisho.Container{Name: "y", Image: "build:2"}); !got.Ignore || len(got.Drift) != 2 {
		t.Errorf("build: %+v", got)
	}
	for _, c := range []struct{ rule, severity, want string }{{"x", "low", "alert"}, {"x", "critical", "kill"}, {"A Reverse Shell found", "low", "quarantine"}, {"A Reverse Shell found", "high", "quarantine"}} {
		if got := s.Respond("rule", c.rule, c.severity, shop); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"mod: audit\n":                                   "mod",
		"mode: fast\n":                                   `"fast" is none of`,
		"drift: [uper]\n":                                "drift",
		"workloads: [{mode: audit}]\n":                   "want a workload or an image",
		"responses: [{on: [rule]}]\n":                    "do: want one of",
		"responses: [{do: explode}]\n":                   "explode",
		"responses: [{do: kill, severity: loud}]\n":      "severity",
		"cap: {instances: -1}\n":                         "cap: instances",
		"cap: {window: fast}\n":                          "want a span of time",
		"budget: -1\n":                                   "budget: -1: want 0",
		"evidence: {size: 1TB}\n":                        "want a size",
		"deny: {deadline: 1h}\n":                         "deny: deadline",
		"deny: {on_timeout: maybe}\n":                    "on_timeout",
		"canary: {every: 1s}\n":                          "canary",
		"pin: maybe\n":                                   "true, false or the absolute path",
		"pin: /sys/fs/bpf/a.b\n":                         "without dots",
		"on_loss: close\n":                               "on_loss",
		"loss_after: 1s\n":                               "loss_after",
		"syscalls: false\nfiles: true\n":                 "want one of both",
		"syscalls: false\ndrift: [libraries]\n":          "want one of both",
		"evidence: {size: 99999999999999999999999GiB}\n": "want a size",
	} {
		if _, err := settings.Read(strings.NewReader(text), "e.yaml"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "e.yaml") {
			t.Errorf("%q is told as %v", text, err)
		}
	}
}

// TestPin holds where the kernel's part is kept.
func TestPin(t *testing.T) {
	for text, want := range map[string]string{
		"":                       settings.PinRoot + "/",
		"pin: true\n":            settings.PinRoot + "/",
		"pin: false\n":           "",
		"pin: /sys/fs/bpf/own\n": "/sys/fs/bpf/own",
	} {
		s, err := settings.Read(strings.NewReader("state: /var/lib/x\n"+text), "e.yaml")
		if err != nil || !strings.HasPrefix(string(s.Pin), want) || want == "" && s.Pin != "" {
			t.Errorf("%q: %q, %v", text, s.Pin, err)
		}
	}
	if a, b := settings.PinDir("/var/lib/x/"), settings.PinDir("/var/lib/y"); a == b || a != settings.PinDir("/var/lib/x") {
		t.Errorf("%s, %s", a, b)
	}
}

// TestNoHooks holds that drift of libraries is not promised when no system call
// may be hooked.
func TestNoHooks(t *testing.T) {
	s, err := settings.Read(strings.NewReader("syscalls: false\n"), "e.yaml")
	if err != nil || slices.Contains(s.Drift, settings.Libraries) || !slices.Contains(s.Drift, settings.Memory) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{{"*", "", true}, {"a*", "a", true}, {"a*b", "ab", true}, {"a*b", "a", false}, {"ab*ab", "ab", false}, {"a*b*c", "axxbyyc", true}, {"a", "ab", false}, {"*x*", "axb", true}} {
		if got := settings.Glob(c.pattern, c.text); got != c.want {
			t.Errorf("%q ~ %q: %v", c.pattern, c.text, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("mode: enforce\nworkloads: [{workload: \"*\", mode: learn}]\nresponses: [{do: kill}]\nevidence: {size: 1GiB}\n"))
	f.Add([]byte("cap: {window: 10m}\nfold: 1s\n"))
	c := &sekisho.Container{Name: "x", Image: "web:1", Workload: sekisho.Workload{Namespace: "shop", Name: "web"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := settings.Read(bytes.NewReader(data), "e.yaml")
		if err != nil {
			return
		}
		if s.Cap.Instances < 1 || s.Evidence.Size < 1<<20 || s.Deny.Deadline <= 0 || s.State == "" {
			t.Fatalf("unbounded: %+v", s)
		}
		s.For(c)
		s.Respond("rule", "x", "high", c)
	})
}
