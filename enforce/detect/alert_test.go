package detect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/detect"
)

const tiny = `
- rule: shell
  desc: a shell
  condition: evt.type = execve and proc.name in (sh, bash)
  output: "*Shell %proc.name(%proc.pid) of %container.info%evt.time %proc.aname[1] %proc.aname %toupper(user.name) %evt.arg.flags 100%."
  priority: NOTICE
  tags: [mitre_execution, T1059.004, TA0002, T12, x]
`

func detector(t *testing.T, l detect.Limits) *detect.Detector {
	t.Helper()
	return detect.NewDetector(load(t, false, detect.Source{Name: "tiny", Data: []byte(tiny)}), l, nil, "host")
}

func TestOutput(t *testing.T) {
	d := detector(t, detect.Limits{})
	a := d.Observe(start, exec("sh < runner < init", origin(sekisho.OriginUpper)))
	if len(a) != 1 {
		t.Fatalf("%d alerts", len(a))
	}
	want := "Shell sh(1000) of 03:04:06.000000000 runner runner->init ROOT EXE_UPPER_LAYER 100%. container_id=0123456789ab container_name=web-1 container_image_repository=registry.example/team/web container_image_tag=1.4 k8s_ns_name=<NA> k8s_pod_name=<NA>"
	if a[0].Output != want {
		t.Errorf("output is\n%s, want\n%s", a[0].Output, want)
	}
	if got := strings.Join(a[0].MITRE, " "); got != "T1059.004 TA0002" {
		t.Errorf("techniques are %s", got)
	}
	if len(a[0].Tree) != 3 || a[0].Tree[2].Name != "init" || a[0].Count != 1 || a[0].Container.Name != "web-1" {
		t.Errorf("%+v", a[0])
	}
	if a := d.Observe(start, exec("sh < runner", host)); !strings.Contains(a[0].Output, "container_id=host container_name=host container_image_repository=<NA>") {
		t.Errorf("output of the host is %s", a[0].Output)
	}
}

// TestHostile holds that what a process chose itself reaches nobody's terminal
// raw, nor without end.
func TestHostile(t *testing.T) {
	set := load(t, false, detect.Source{Name: "x", Data: []byte("- rule: r\n  desc: d\n  condition: evt.type = execve\n  output: c=%proc.cmdline\n  priority: info\n")})
	m := set.NewMatcher(nil, "")
	for in, want := range map[string]string{"a\x1b[2Jb": `a\x1b[2Jb`, "a\nb\r\t": `a\x0ab\x0d\x09`, "\xff\xfe": `\xff\xfe`, "\u202eevil": `\u202eevil`, "\u009b1m": `\xc2\x9b1m`, "日本 é": "日本 é", "\x00": `\x00`} {
		e := exec("x")
		e.Process.Args = []string{"x", in}
		out, _ := m.Output(0, e)
		if !strings.HasPrefix(out, "c=x "+want+" container_id") {
			t.Errorf("%q is written %q, want %q", in, out, want)
		}
	}
	e := exec("x")
	e.Process.Args = []string{"x", strings.Repeat("é\n", 1<<20)}
	if out, _ := m.Output(0, e); len(out) > 1<<15 || strings.Contains(out, "\n") {
		t.Errorf("an argument of megabytes is written with %d bytes", len(out))
	}
}

func TestOutputMistakes(t *testing.T) {
	for _, output := range []string{"%proc.nam", "%proc.name[1]", "%toupper(proc.name"} {
		_, err := detect.Load(detect.Options{}, detect.Source{Name: "f.yaml", Data: []byte("- rule: r\n  desc: d\n  condition: evt.type = execve\n  output: x " + output + "\n  priority: info\n")})
		if err == nil || !strings.Contains(err.Error(), "f.yaml:1:1: rule r: output") && !strings.Contains(err.Error(), "rule r: output") {
			t.Errorf("%s gives %v", output, err)
		}
	}
}

// TestFold holds that alerts of one cause are one, with a count that is told
// when the window ends, and that nothing is lost.
func TestFold(t *testing.T) {
	d := detector(t, detect.Limits{Window: time.Minute})
	told, counted := 0, 0
	take := func(list []detect.Alert) {
		for _, a := range list {
			counted += a.Count
			if a.Note == "" {
				told++
			}
		}
	}
	for i := range 50 {
		e := exec("sh < runner")
		e.Process.PID = 5000 + i
		take(d.Observe(start.Add(time.Duration(i)*time.Second), e))
	}
	if told != 1 || counted != 1 {
		t.Fatalf("%d alerts told, %d events counted, want 1 and 1", told, counted)
	}
	take(d.Observe(start, exec("sh < other")))
	take(d.Observe(start, exec("sh < runner", func(e *sekisho.Event) { e.Container.ID = "b" })))
	if told != 3 {
		t.Errorf("another line and another container: %d told, want 3", told)
	}
	take(d.Flush(start.Add(time.Hour)))
	if counted != 52 {
		t.Errorf("%d of 52 events are counted in alerts", counted)
	}
	if c := d.Counts(); c.Matches != 52 || c.Alerts != 3 || c.Folded != 49 || c.Demoted != 0 || c.Rules["shell"].Matches != 52 {
		t.Errorf("%+v", c)
	}
}

// TestBudget holds that a noisy rule is demoted, that this is said, and that
// every alert is counted.
func TestBudget(t *testing.T) {
	d := detector(t, detect.Limits{Budget: 3, Period: time.Hour, Window: time.Second})
	var all []detect.Alert
	for i := range 30 {
		all = append(all, d.Observe(start.Add(time.Duration(i)*time.Minute), exec(fmt.Sprintf("sh < tool%d", i)))...)
	}
	if len(all) != 4 || all[3].Note != detect.NoteDemoted || !all[3].Demoted || all[3].Priority.String() != "Debug" {
		t.Fatalf("%d alerts, the last %+v", len(all), all[len(all)-1])
	}
	other := d.Observe(start, exec("sh < tool", func(e *sekisho.Event) { e.Container.ID = "b" }))
	if len(other) != 1 || other[0].Demoted {
		t.Error("the budget of one container counts for another")
	}
	sum := append([]detect.Alert{}, d.Flush(start.Add(2*time.Hour))...)
	if len(sum) != 1 || sum[0].Note != detect.NoteSum || sum[0].Count != 26 {
		t.Fatalf("at the end of the period: %+v", sum)
	}
	if again := d.Observe(start.Add(3*time.Hour), exec("sh < late")); len(again) != 1 || again[0].Demoted {
		t.Error("the budget does not come back")
	}
	if c := d.Counts(); c.Matches != c.Alerts+c.Folded+c.Demoted || c.Demoted != 27 {
		t.Errorf("%+v", c)
	}
}

// TestBounded holds that causes without end do not take memory without end,
// and that their counts are told nevertheless.
func TestBounded(t *testing.T) {
	d := detector(t, detect.Limits{Entries: 100, Budget: 1 << 30})
	counted := 0
	for i := range 5000 {
		for range 2 {
			for _, a := range d.Observe(start, exec(fmt.Sprintf("sh < tool%d", i))) {
				counted += a.Count
			}
		}
	}
	for _, a := range d.Flush(start.Add(time.Hour)) {
		counted += a.Count
	}
	if counted != 10000 {
		t.Errorf("%d of 10000 events are counted", counted)
	}
}

func TestNeeds(t *testing.T) {
	set := load(t, false, detect.Source{Name: "tiny", Data: []byte(tiny)})
	needs := set.Needs()
	if len(needs) != 1 {
		t.Fatalf("%v", needs)
	}
	for n, rules := range needs {
		if n.Syscall != "execve" || n.Kind != sekisho.EventExec || n.Tier != 0 || len(rules) != 1 {
			t.Errorf("%+v %v", n, rules)
		}
	}
	// The public rules that are enabled need these and nothing else.
	got := map[string]bool{}
	for n := range load(t, true, public(t)...).Needs() {
		got[n.Syscall] = true
	}
	want := strings.Fields(`execve execveat open openat openat2 connect accept accept4 listen sendmsg sendto rename renameat renameat2 rmdir unlink unlinkat recvfrom chmod fchmod fchmodat creat mkdir mkdirat ptrace recvmsg
		bpf dup dup2 dup3 finit_module init_module link linkat setns setuid socket symlink symlinkat unshare userfaultfd`)
	for _, name := range want {
		if !got[name] {
			t.Errorf("%s is not said to be needed", name)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is said to be needed", name)
	}
}

// TestNames holds that the sensor is told the names of files that rules ask
// about.
func TestNames(t *testing.T) {
	names := load(t, false, detect.BuiltIn()...).Names()
	for _, want := range []string{"shadow", "gshadow", "credentials", "token", "environ", "mem", "release_agent", "core_pattern", "docker.sock", "authorized_keys", "ld.so.preload", ".bashrc", "config.json"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among the names: %v", want, names)
		}
	}
	if slices.Contains(names, "*") || slices.Contains(names, "") {
		t.Errorf("a pattern is among the names: %v", names)
	}
}

func TestReadEvents(t *testing.T) {
	text := `# a comment
{"kind":"exec","syscall":"execve","result":0,"process":{"name":"sh"},"ancestors":[{"name":"nginx"},{"name":"init"}],"env":["A=1"]}

`
	n := 0
	err := detect.ReadEvents(strings.NewReader(text), func(line int, e *sekisho.Event) error {
		n++
		if line != 2 || e.Kind != sekisho.EventExec || e.Process.Parent.Parent.Name != "init" || e.Process.Env[0] != "A=1" || e.Seq == 0 {
			t.Errorf("line %d: %+v", line, e)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("%d events, %v", n, err)
	}
	for _, bad := range []string{`{"kind":"exec"`, `{"kind":"dance"}`, `{"colour":1}`, `{} {}`, `{"ancestors":[{}]}`, `{"process":{},"ancestors":[null]}`, strings.Repeat("x", 2<<20)} {
		if err := detect.ReadEvents(strings.NewReader(bad), func(int, *sekisho.Event) error { return nil }); err == nil {
			t.Errorf("%.40q is taken for an event", bad)
		}
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("x %proc.cmdline %*evt.time %toupper(proc.name) %proc.aname[2]", "a\x1b")
	f.Add("%%%container.info%k8s.ns.name[", "\u202e")
	f.Fuzz(func(t *testing.T, output, name string) {
		quoted, err := json.Marshal(output)
		if err != nil {
			return
		}
		set, err := detect.Load(detect.Options{}, detect.Source{Name: "f", Data: []byte("- rule: r\n  desc: d\n  condition: evt.type = execve\n  output: " + string(quoted) + "\n  priority: info\n")})
		if err != nil {
			return
		}
		e := exec("x < y")
		e.Process.Name, e.Process.Args = name, []string{name, name}
		for _, p := range func() []detect.Pair { _, p := set.NewMatcher(nil, "").Output(0, e); return p }() {
			if strings.ContainsAny(p.Value, "\x1b\x00\n\r") {
				t.Errorf("%s is %q", p.Name, p.Value)
			}
		}
	})
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte(`{"kind":"exec","process":{"name":"sh","args":["sh"]},"ancestors":[{"name":"a"}]}`))
	f.Add([]byte(`{"kind":"connect","net":{"protocol":"tcp","local":"1.2.3.4:5","remote":"[::1]:80"},"fd":3}`))
	f.Add([]byte(`{"kind":"open","path":"/etc/../etc/shadow","flags":65,"container":{"id":"x","image":"a:b@c","mounts":[{"source":"/"}]}}`))
	set, err := detect.Load(detect.Options{}, detect.BuiltIn()...)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := detect.NewDetector(set, detect.Limits{}, nil, "")
		_ = detect.ReadEvents(bytes.NewReader(text), func(_ int, e *sekisho.Event) error {
			d.Observe(start, e)
			return nil
		})
		d.Flush(start.Add(24 * time.Hour))
	})
}
