package enforce_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/audit"
	"sekisho/enforce"
	"sekisho/enforce/evidence"
	"sekisho/enforce/profile"
	"sekisho/enforce/respond"
	"sekisho/enforce/settings"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// sensor plays events.
type sensor struct {
	events    []*sekisho.Event
	forbidden map[string][]string
	during    func(each func(*sekisho.Event))
	marks     enforce.Marks
	outlived  *enforce.Outlived
}

func (s *sensor) Marks() *enforce.Marks               { return &s.marks }
func (s *sensor) Outlived() (*enforce.Outlived, bool) { return s.outlived, true }

func (s *sensor) Run(_ context.Context, each func(*sekisho.Event)) error {
	for _, e := range s.events {
		each(e)
	}
	if s.during != nil {
		s.during(each)
	}
	return nil
}

func (s *sensor) Forbid(c *sekisho.Container, o enforce.Orders) error {
	if s.forbidden == nil {
		s.forbidden = map[string][]string{}
	}
	s.forbidden[c.ID] = append(slices.Clone(o.Origins), o.Stop...)
	return nil
}

func (s *sensor) Expect([]string) {}

func (s *sensor) Counts() (map[string]enforce.Count, error) {
	return map[string]enforce.Count{"exec": {Seen: 3, Filtered: 1, Submitted: 1, Lost: 1}}, nil
}

// responder notes what it was asked in order.
type responder struct {
	mu    sync.Mutex
	steps []string
	fail  error
}

func (r *responder) Seal(_ context.Context, o *respond.Order) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, "seal "+o.Container.ID[:3])
	return "x.case", r.fail
}

func (r *responder) Act(_ context.Context, o *respond.Order) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, o.Do+" "+o.Container.ID[:3])
	return nil
}

type rules map[string]enforce.Match // by path of the process

func (r rules) Flush(time.Time) []enforce.Match { return nil }

func (r rules) Observe(_ time.Time, e *sekisho.Event) []enforce.Match {
	if e.Kind != sekisho.EventExec || e.Process == nil {
		return nil
	}
	if m, ok := r[e.Process.Path]; ok {
		return []enforce.Match{m}
	}
	return nil
}

type auditor struct{ entries []audit.Entry }

func (a *auditor) Append(e ...audit.Entry) error { a.entries = append(a.entries, e...); return nil }

func box(id, image string) *sekisho.Container {
	return &sekisho.Container{ID: strings.Repeat(id, 64)[:64], Name: "box-" + id, Image: image, Runtime: "docker", Started: start, ImageID: sekisho.Digest("sha256:" + strings.Repeat("1", 64)),
		Workload: sekisho.Workload{Platform: "docker", Name: "box-" + id}}
}

func exec(c *sekisho.Container, after time.Duration, path, origin string) *sekisho.Event {
	return &sekisho.Event{Kind: sekisho.EventExec, Time: start.Add(after), Container: c,
		Process: &sekisho.Process{ID: uint64(after), PID: 4000 + int(after/time.Second), Path: path, Name: filepath.Base(path), Args: []string{path}, Origin: origin, Container: c.ID, Started: start.Add(after)}}
}

// bench is one enforcer with fakes around it.
type bench struct {
	t        testing.TB
	dir      string
	settings *settings.Settings
	sensor   *sensor
	respond  enforce.Responder
	rules    enforce.Rules
	log      enforce.Log
	audit    *auditor
	alerts   []*enforce.Alert
	now      time.Time
}

func newBench(t testing.TB, yaml string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), sensor: &sensor{}, audit: &auditor{}, now: start}
	s, err := settings.Read(strings.NewReader("state: state\nprofiles: profiles\nmetrics: sekisho.prom\n"+yaml), filepath.Join(b.dir, "enforce.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	b.settings = s
	return b
}

func (b *bench) run(events ...*sekisho.Event) *enforce.Status {
	b.t.Helper()
	b.sensor.events = events
	b.alerts = nil
	log := b.log
	if log == nil {
		l, err := evidence.Open(filepath.Join(b.settings.State, "evidence"), evidence.Options{})
		if err != nil {
			b.t.Fatal(err)
		}
		defer l.Close()
		log = l
	}
	e, err := enforce.New(enforce.Options{Settings: b.settings, Sensor: b.sensor, Log: log, Rules: b.rules, Responder: b.respond, Audit: b.audit, Host: "host",
		Alert: func(a *enforce.Alert) { b.alerts = append(b.alerts, a) }, Now: func() time.Time { return b.now }, Tick: make(chan time.Time)})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := e.Run(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	st, err := enforce.ReadStatus(b.settings.State)
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

func (b *bench) told() (list []string) {
	for _, a := range b.alerts {
		list = append(list, a.Kind+" "+a.Rule+" "+a.What+" "+a.Done)
	}
	return list
}

// TestTwoSeconds holds that a container which lived two seconds, and is gone
// when somebody looks, leaves a case that can be read and believed.
func TestTwoSeconds(t *testing.T) {
	b := newBench(t, "mode: audit\n")
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	proc := t.TempDir()
	b.respond = &respond.Responder{Dir: filepath.Join(b.dir, "cases"), MaxCases: 1 << 30, Log: filepath.Join(b.settings.State, "evidence"), Key: key, Host: "host", Proc: proc, Cgroup: proc, Now: func() time.Time { return start.Add(time.Hour) }}
	c := box("a", "alpine:3")
	c.Upper = t.TempDir()
	if err := os.WriteFile(filepath.Join(c.Upper, "x"), []byte("payload"), 0o700); err != nil {
		t.Fatal(err)
	}
	shell := exec(c, time.Second/2, "/bin/sh", sekisho.OriginImage)
	dropped := exec(c, time.Second, "/x", sekisho.OriginUpper)
	dropped.Process.ParentID, dropped.Process.ParentPID = shell.Process.ID, shell.Process.PID
	exit := exec(c, 2*time.Second, "/x", sekisho.OriginUpper)
	exit.Kind, exit.Process = sekisho.EventExit, dropped.Process
	b.run(&sekisho.Event{Kind: sekisho.EventCgroup, Time: start, Container: c}, shell, dropped, exit)
	cases, err := filepath.Glob(filepath.Join(b.dir, "cases", "*.case"))
	if err != nil || len(cases) != 1 {
		t.Fatalf("cases %v %v; alerts %v", cases, err, b.told())
	}
	parts := map[string]string{}
	doc, err := evidence.OpenCase(cases[0], []ed25519.PublicKey{public}, func(name string, r io.Reader) error {
		data, err := io.ReadAll(r)
		parts[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if doc.Container.Name != "box-a" || !strings.Contains(doc.Reason, "/x") {
		t.Errorf("case %+v", doc)
	}
	if parts["changed/x"] != "payload" || strings.Count(parts["events.jsonl"], "\n") < 4 {
		t.Errorf("parts %v", parts)
	}
	var tree []struct {
		Path     string
		Children []struct{ Path string }
	}
	if err := json.Unmarshal([]byte(parts["tree.json"]), &tree); err != nil || len(tree) != 1 || tree[0].Path != "/bin/sh" || len(tree[0].Children) != 1 || tree[0].Children[0].Path != "/x" {
		t.Errorf("tree %v %s", err, parts["tree.json"])
	}
}

func TestEvidenceBeforeDestruction(t *testing.T) {
	for _, do := range []string{"kill", "pause", "stop", "quarantine"} {
		b := newBench(t, "mode: enforce\nresponses: [{on: [rule], severity: high, do: "+do+"}]\n")
		r := &responder{}
		b.respond, b.rules = r, rules{"/usr/bin/nc": {Rule: "shell", Severity: "critical"}}
		c := box("a", "web:1")
		st := b.run(exec(c, time.Second, "/usr/bin/nc", sekisho.OriginImage))
		if got := strings.Join(r.steps, ","); got != "seal aaa,"+do+" aaa" {
			t.Errorf("%s: %s", do, got)
		}
		if st.Responses[do] != 1 {
			t.Errorf("%s: responses %v", do, st.Responses)
		}
		var actions []string
		for _, e := range b.audit.entries {
			actions = append(actions, e.Action+" "+e.Result)
		}
		if got := strings.Join(actions, ","); got != "evidence.seal done,response."+do+" done" {
			t.Errorf("%s: audit %s", do, got)
		}
	}
}

// TestSealFails holds that a full disk is told, and does not protect the
// attacker.
func TestSealFails(t *testing.T) {
	b := newBench(t, "mode: enforce\nresponses: [{on: [rule], do: kill}]\n")
	r := &responder{fail: errors.New("no space left on device")}
	b.respond, b.rules = r, rules{"/usr/bin/nc": {Rule: "shell", Severity: "critical"}}
	b.run(exec(box("a", "web:1"), time.Second, "/usr/bin/nc", sekisho.OriginImage))
	if got := strings.Join(r.steps, ","); got != "seal aaa,kill aaa" {
		t.Errorf("%s", got)
	}
	if !slices.Contains(b.told(), "response evidence not sealed rule: shell: /usr/bin/nc ") {
		t.Errorf("told %q", b.told())
	}
}

// TestOnlyInEnforce holds that in other modes the alert says what would have
// been done, and nothing is.
func TestOnlyInEnforce(t *testing.T) {
	b := newBench(t, "mode: audit\nresponses: [{on: [rule], do: stop}]\n")
	r := &responder{}
	b.respond, b.rules = r, rules{"/usr/bin/nc": {Rule: "shell", Severity: "critical"}}
	b.run(exec(box("a", "web:1"), time.Second, "/usr/bin/nc", sekisho.OriginImage))
	if got := strings.Join(r.steps, ","); got != "seal aaa" {
		t.Errorf("steps %s", got)
	}
	if got := strings.Join(b.told(), ","); got != "rule shell /usr/bin/nc would stop" {
		t.Errorf("told %s", got)
	}
}

// TestCap holds that one service loses no more instances than the cap allows,
// that others are not counted with it, and that a restart does not reset it.
func TestCap(t *testing.T) {
	b := newBench(t, "mode: enforce\nresponses: [{on: [rule], do: stop}]\ncap: {instances: 2, window: 10m}\n")
	r := &responder{}
	b.respond, b.rules = r, rules{"/usr/bin/nc": {Rule: "shell", Severity: "critical"}}
	var events []*sekisho.Event
	for _, id := range []string{"a", "b", "c", "d"} {
		events = append(events, exec(box(id, "web:1"), time.Second, "/usr/bin/nc", sekisho.OriginImage))
	}
	events = append(events, exec(box("e", "db:1"), time.Second, "/usr/bin/nc", sekisho.OriginImage))
	b.run(events...)
	stops := func() (n int) {
		for _, s := range r.steps {
			if strings.HasPrefix(s, "stop ") {
				n++
			}
		}
		return n
	}
	if stops() != 3 || !slices.Contains(r.steps, "stop eee") {
		t.Errorf("steps %v, want two of web and one of db stopped", r.steps)
	}
	if !slices.ContainsFunc(b.told(), func(s string) bool { return strings.HasPrefix(s, "cap response left out image:web:1") }) {
		t.Errorf("the cap was not told: %q", b.told())
	}
	b.run(exec(box("f", "web:1"), time.Second, "/usr/bin/nc", sekisho.OriginImage))
	if stops() != 3 {
		t.Error("a restart reset the cap")
	}
	b.now = start.Add(11 * time.Minute)
	b.run(exec(box("f", "web:1"), time.Second, "/usr/bin/nc", sekisho.OriginImage))
	if stops() != 4 {
		t.Error("the cap never ends")
	}
}

// TestLife goes from learning to audit to enforcement, over restarts.
func TestLife(t *testing.T) {
	b := newBench(t, "mode: learn\n")
	c := box("a", "web:1")
	b.run(exec(c, time.Second, "/bin/sh", sekisho.OriginImage), exec(c, time.Hour, "/usr/sbin/nginx", sekisho.OriginImage))
	b.run(exec(c, 2*time.Hour, "/usr/bin/logger", sekisho.OriginImage), exec(c, 2*time.Hour, "/tmp/evil", sekisho.OriginUpper))
	if got := b.told(); len(got) != 1 || !strings.HasPrefix(got[0], "gap ") {
		t.Errorf("learning told %q", got)
	}
	path := filepath.Join(b.settings.Profiles, enforce.FileName("image:web:1")+".yaml")
	p, err := enforce.ReadProfile(path)
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	for _, x := range p.Processes {
		programs = append(programs, x.Path)
	}
	if got := strings.Join(programs, " "); got != "/bin/sh /usr/bin/logger /usr/sbin/nginx" {
		t.Fatalf("learned over a restart: %s", got)
	}
	p.Mode = profile.Audit
	if err := enforce.WriteProfile(path, p); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	st := b.run(exec(c, 3*time.Hour, "/usr/sbin/nginx", sekisho.OriginImage), exec(c, 3*time.Hour, "/usr/bin/curl", sekisho.OriginImage), exec(c, 3*time.Hour, "/tmp/evil", sekisho.OriginUpper))
	if got := strings.Join(b.told()[1:], ","); got != "profile process /usr/bin/curl ,drift drift /tmp/evil " {
		t.Errorf("audit told %s", got)
	}
	if st.Containers[0].State != enforce.Open || st.Containers[0].Profile != p.Name {
		t.Errorf("status %+v", st.Containers[0])
	}
	after, _ := os.ReadFile(path)
	if string(before) != string(after) {
		t.Error("the profile was widened silently")
	}
	proposal, err := enforce.ReadProfile(enforce.ProposalPath(b.settings.Profiles, p.Name))
	if err != nil || len(proposal.Processes) != 1 || proposal.Processes[0].Path != "/usr/bin/curl" {
		t.Fatalf("proposal %v %+v", err, proposal)
	}
	p = profile.Promote(p, proposal, "process")
	p.Mode = profile.Enforce
	if err := enforce.WriteProfile(path, p); err != nil {
		t.Fatal(err)
	}
	r := &responder{}
	b.respond = r
	st = b.run(exec(c, 4*time.Hour, "/usr/bin/curl", sekisho.OriginImage), exec(c, 4*time.Hour, "/tmp/evil", sekisho.OriginUpper))
	if got := strings.Join(b.told()[1:], ","); got != "drift drift /tmp/evil ordered kill" {
		t.Errorf("enforce told %s", got)
	}
	if got := strings.Join(r.steps, ","); got != "seal aaa,kill aaa" {
		t.Errorf("steps %s", got)
	}
	if st.Containers[0].State != enforce.Enforcing || !slices.Equal(b.sensor.forbidden[c.ID], []string{"upper", "volume", "memory", "libraries", "process"}) || !slices.Equal(st.Containers[0].Stops, []string{"drift", "process"}) {
		t.Errorf("status %+v, forbidden %v", st.Containers[0], b.sensor.forbidden)
	}
}

// TestFold holds that a thousand alerts of one cause are two: the first, and
// one with the count.
func TestFold(t *testing.T) {
	b := newBench(t, "mode: audit\n")
	c := box("a", "web:1")
	var events []*sekisho.Event
	for i := range 1000 {
		events = append(events, exec(c, time.Duration(i)*time.Millisecond, "/tmp/x", sekisho.OriginUpper))
	}
	b.run(events...)
	if len(b.alerts) != 2 || b.alerts[0].Count != 1 || b.alerts[1].Count != 1000 || b.alerts[0].ID != b.alerts[1].ID {
		t.Errorf("%d alerts, %q", len(b.alerts), b.told())
	}
}

// slowLog does not write before it is let.
type slowLog struct {
	enforce.Log
	let chan struct{}
}

func (l *slowLog) Append(e ...*sekisho.Event) error { <-l.let; return l.Log.Append(e...) }

// TestSlowDisk holds that a disk which does not move never stops the reader,
// that each lost event is counted, and that what is urgent is not lost first.
func TestSlowDisk(t *testing.T) {
	b := newBench(t, "mode: learn\n")
	l, err := evidence.Open(filepath.Join(b.settings.State, "evidence"), evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowLog{l, make(chan struct{})}
	b.log = slow
	c := box("a", "web:1")
	const n = 200_000
	b.sensor.during = func(each func(*sekisho.Event)) {
		for range n {
			each(&sekisho.Event{Kind: sekisho.EventOpen, Time: start, Container: c, Path: "/x"})
		}
		each(exec(c, time.Second, "/bin/sh", sekisho.OriginImage))
		close(slow.let)
	}
	st := b.run()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	kept, told, execs := uint64(0), uint64(0), 0
	if _, err := evidence.Read(filepath.Join(b.settings.State, "evidence"), evidence.Query{}, func(e *sekisho.Event) error {
		switch e.Kind {
		case sekisho.EventOpen:
			kept++
		case sekisho.EventLost:
			told += uint64(e.Number)
		case sekisho.EventExec:
			execs++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if told == 0 || kept+told != n || execs != 1 || st.Lost["queue evidence"] != told {
		t.Errorf("%d kept, %d told lost, %d execs, status %v", kept, told, execs, st.Lost)
	}
}

// TestCrash holds that events which a crash found in memory are counted and
// told, and what the kernel went on with meanwhile, by class.
func TestCrash(t *testing.T) {
	b := newBench(t, "mode: audit\n")
	c := box("a", "web:1")
	if st := b.run(exec(c, time.Second, "/bin/sh", sekisho.OriginImage)); b.sensor.marks != (enforce.Marks{1, 1}) || st.Lost["crash"] != 0 {
		t.Errorf("after a stop: %v, lost %v", b.sensor.marks, st.Lost)
	}
	b.now, b.sensor.marks = start.Add(time.Minute), enforce.Marks{10, 7}
	b.sensor.outlived = &enforce.Outlived{Held: []string{"exec", "stop: upper"}, Open: []string{"denial"}, Waited: 1000}
	st := b.run()
	if st.Lost["crash"] != 3 || b.sensor.marks != (enforce.Marks{1, 1}) {
		t.Errorf("lost %v, %v", st.Lost, b.sensor.marks)
	}
	if got := strings.Join(b.told(), ","); got != "gap enforcer was away 2026-11-25T12:00:00Z/2026-11-25T12:01:00Z ,lost events were lost crash " || b.alerts[0].Why != "held: exec, stop: upper; open: denial" || b.alerts[0].Severity != "medium" {
		t.Errorf("told %s", got)
	}
	if g := st.Gaps[len(st.Gaps)-1]; g.Outlived == nil || g.Waited != 1000 || g.Held[0] != "exec" {
		t.Errorf("gap %+v", g)
	}
}

// TestAway holds that the time in which nobody looked is told, with its ends.
func TestAway(t *testing.T) {
	b := newBench(t, "mode: audit\n")
	b.run()
	b.now = start.Add(3 * time.Minute)
	st := b.run()
	if got := strings.Join(b.told(), ","); got != "gap enforcer was away 2026-11-25T12:00:00Z/2026-11-25T12:03:00Z " {
		t.Errorf("told %s", got)
	}
	if len(st.Gaps) != 1 || !st.Gaps[0].Clean {
		t.Errorf("gaps %+v", st.Gaps)
	}
	metrics, err := os.ReadFile(b.settings.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sekisho_enforce_gap_seconds 180\n", `sekisho_enforce_kernel_events_total{class="exec",fate="lost"} 1`, `sekisho_enforce_alerts_total{kind="gap"} 1`} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("metrics lack %s:\n%s", want, metrics)
		}
	}
}

// TestKernelStopped tells what the kernel killed or denied by itself, without
// ordering a second death.
func TestKernelStopped(t *testing.T) {
	b := newBench(t, "mode: enforce\nresponses: [{on: [drift], do: kill}]\n")
	r := &responder{}
	b.respond = r
	c := box("a", "web:1")
	killed := exec(c, time.Second, "/tmp/x", sekisho.OriginUpper)
	killed.Kind, killed.Origin = sekisho.EventKill, sekisho.OriginUpper
	b.run(killed)
	if got := strings.Join(b.told(), ","); got != "drift drift /tmp/x killed" {
		t.Errorf("told %s", got)
	}
	if got := strings.Join(r.steps, ","); got != "seal aaa" {
		t.Errorf("steps %s", got)
	}
}
