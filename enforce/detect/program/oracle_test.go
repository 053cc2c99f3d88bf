package program

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/detect/cond"
	"sekisho/enforce/detect/field"
	"sekisho/enforce/detect/rulefile"
	"sekisho/internal/fixture"
)

// holds is a condition as a closure: the plain evaluator that the graphs are
// compared with, in answers and in time.
type holds func(*field.Context) bool

// naive turns a condition into closures, sharing nothing.
func naive(n *cond.Node, table field.Table) holds {
	var kids []holds
	for _, k := range n.Kids {
		kids = append(kids, naive(k, table))
	}
	switch n.Op {
	case cond.And:
		return func(x *field.Context) bool {
			for _, k := range kids {
				if !k(x) {
					return false
				}
			}
			return true
		}
	case cond.Or:
		return func(x *field.Context) bool {
			for _, k := range kids {
				if k(x) {
					return true
				}
			}
			return false
		}
	case cond.Not:
		return func(x *field.Context) bool { return !kids[0](x) }
	}
	return naiveCheck(n, table)
}

func naiveCheck(n *cond.Node, table field.Table) holds {
	f, arg, problem := table.Find(n.Left.Field, n.Left.Arg, n.Left.HasArg)
	if problem != "" {
		panic(n.Left.Field + " " + problem)
	}
	same := naiveCompare(n, f.Type)
	all := func(x *field.Context) []field.Value {
		if f.Never || !f.Kinds.Has(x.Event.Kind) {
			return nil
		}
		if f.Many(arg) {
			return f.List(x, arg, nil)
		}
		var v field.Value
		if !f.Get(x, arg, &v) {
			return nil
		}
		return []field.Value{v}
	}
	return func(x *field.Context) bool {
		values := all(x)
		switch {
		case n.Cmp == "exists":
			return len(values) > 0
		case n.Modify == "allof":
			return len(values) > 0 && !slices.ContainsFunc(n.Values, func(w string) bool {
				return !slices.ContainsFunc(values, func(v field.Value) bool { return same(v, w) })
			})
		case n.Cmp == "!=" && f.Ends:
			return len(values) > 0 && !slices.ContainsFunc(values, func(v field.Value) bool { return same(v, n.Values[0]) })
		}
		return slices.ContainsFunc(values, func(v field.Value) bool {
			hit := slices.ContainsFunc(n.Values, func(w string) bool { return same(v, w) })
			return hit != (n.Cmp == "!=")
		})
	}
}

// naiveCompare compares a value with a literal, reading the literal each time.
func naiveCompare(n *cond.Node, typ field.Type) func(field.Value, string) bool {
	switch typ {
	case field.Number, field.Time:
		return func(v field.Value, s string) bool {
			w, err := strconv.ParseInt(s, 0, 64)
			if err != nil {
				panic(err)
			}
			switch n.Cmp {
			case "<":
				return v.N < w
			case "<=":
				return v.N <= w
			case ">":
				return v.N > w
			case ">=":
				return v.N >= w
			}
			return v.N == w
		}
	case field.Bool:
		return func(v field.Value, s string) bool { return (v.N != 0) == (s == "true") }
	case field.Address, field.Network:
		return func(v field.Value, s string) bool {
			if p, err := netip.ParsePrefix(s); err == nil {
				return p.Contains(v.IP)
			}
			return v.IP == netip.MustParseAddr(s)
		}
	}
	return func(v field.Value, s string) bool { return naiveText(n.Cmp, v.S, s) }
}

func naiveText(op, v, w string) bool {
	switch op {
	case "contains":
		return strings.Contains(v, w)
	case "icontains":
		return strings.Contains(strings.ToLower(v), strings.ToLower(w))
	case "bcontains":
		raw, _ := hex.DecodeString(w)
		return strings.Contains(v, string(raw))
	case "startswith":
		return strings.HasPrefix(v, w)
	case "endswith":
		return strings.HasSuffix(v, w)
	case "glob":
		return globRegexp(w).MatchString(v)
	case "iglob":
		return regexp.MustCompile("(?i)" + globRegexp(w).String()).MatchString(v)
	case "regex":
		return regexp.MustCompile("^(?s:" + w + ")$").MatchString(v)
	case "pmatch":
		return pathMatch(w, v)
	}
	return v == w
}

// globRegexp is a pattern without sets as a regular expression.
func globRegexp(pattern string) *regexp.Regexp {
	var b strings.Builder
	for _, c := range pattern {
		switch c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return regexp.MustCompile("^(?s:" + b.String() + ")$")
}

// dice makes random conditions and events from few words, so that they meet.
type dice struct{ *rand.Rand }

func (d dice) pick(list ...string) string { return list[d.IntN(len(list))] }

func (d dice) word() string {
	return d.pick("bash", "sh", "nginx", "/etc/passwd", "/etc/", "/usr/bin/", "/usr/bin/bash", "passwd", "-c", "etc", "curl", "/dev/tcp/", "runner", "x", "run", "b", "/home/a/.ssh/id", ".ssh", "ab", "/e*", "*sh", "/???/passwd")
}

func (d dice) condition(depth int) string {
	if depth == 0 || d.IntN(4) == 0 {
		return d.check()
	}
	switch d.IntN(5) {
	case 0:
		return "not (" + d.condition(depth-1) + ")"
	case 1, 2:
		return "(" + d.condition(depth-1) + " or " + d.condition(depth-1) + ")"
	}
	return d.condition(depth-1) + " and (" + d.condition(depth-1) + ")"
}

func (d dice) check() string {
	list := func(f func() string) string {
		out := []string{}
		for range 1 + d.IntN(3) {
			out = append(out, f())
		}
		return "(" + strings.Join(out, ", ") + ")"
	}
	switch d.IntN(9) {
	case 0:
		return "evt.type in " + list(func() string { return d.pick("execve", "openat", "connect", "unlinkat", "sendto", "rename") })
	case 1:
		return d.pick("proc.pid", "fd.num", "evt.rawres", "fd.sport", "fd.port", "proc.vpid", "user.uid") + d.pick(" = ", " != ", " >= ", " < ", " > ", " <= ") + d.pick("0", "1", "3", "80", "443", "-2")
	case 2:
		return d.pick("fd.ip", "fd.sip", "fd.cip", "fd.rip") + d.pick(" = ", " != ") + d.pick("10.0.0.1", "1.2.3.4", "127.0.0.1")
	case 3:
		return d.pick("fd.net", "fd.snet", "fd.rnet") + d.pick(" = ", " != ") + d.pick("10.0.0.0/8", "127.0.0.0/8", "1.2.3.4/32")
	case 4:
		return d.pick("evt.is_open_write", "evt.is_open_read", "container.privileged", "proc.is_exe_upper_layer") + d.pick(" = ", " != ") + d.pick("true", "false")
	case 5:
		return d.text() + " exists"
	case 6:
		return d.text() + d.pick(" in ", " in ", " pmatch ", " intersects ") + list(d.word)
	case 7:
		return d.text() + d.pick(" contains ", " startswith ", " endswith ", " = ", " != ") + d.pick("", "oneof "+list(d.word)+" or "+d.text()+" = ") + d.word()
	}
	return d.text() + d.pick(" contains ", " icontains ", " startswith ", " endswith ", " = ", " != ", " glob ", " iglob ", " = ", " startswith ") + d.word()
}

func (d dice) text() string {
	return d.pick("proc.name", "proc.name", "proc.pname", "proc.cmdline", "proc.args", "proc.aname", "proc.aname[2]", "proc.exepath", "fd.name", "fd.name", "fd.directory", "fd.filename", "fd.type", "container.id", "container.image.repository", "evt.arg.flags", "evt.arg.path", "evt.arg.newpath", "user.name", "fd.sip.name", "proc.env[A]", "proc.acmdline", "k8s.ns.name")
}

func (d dice) process(depth int) *sekisho.Process {
	p := &sekisho.Process{PID: d.IntN(4), InnerPID: d.IntN(3), Name: d.pick("bash", "sh", "nginx", "curl", "x", "runner", ""), Path: d.pick("/usr/bin/bash", "/x", ""), Directory: "/etc", UID: uint32(d.IntN(2)), Started: time.Unix(int64(1+d.IntN(9)), 0),
		Origin: d.pick(sekisho.OriginImage, sekisho.OriginUpper), Env: []string{"A=" + d.word()}}
	for range d.IntN(4) {
		p.Args = append(p.Args, d.word())
	}
	if depth > 0 && d.IntN(4) > 0 {
		p.Parent = d.process(depth - 1)
	}
	return p
}

func (d dice) event() *sekisho.Event {
	kinds := []sekisho.EventKind{sekisho.EventExec, sekisho.EventOpen, sekisho.EventConnect, sekisho.EventUnlink, sekisho.EventRename, sekisho.EventSend, sekisho.EventAccept}
	e := &sekisho.Event{Seq: 1, Time: time.Unix(100, 0), Kind: kinds[d.IntN(len(kinds))], Result: int64(d.IntN(5) - 2), Flags: uint64(d.IntN(4)) | uint64(d.IntN(2))<<6, File: d.IntN(4)}
	if d.IntN(9) > 0 {
		e.Process = d.process(3)
	}
	if d.IntN(3) > 0 {
		e.Container = &sekisho.Container{ID: "0123456789abcdef", Name: "n", Image: d.pick("nginx:1", "x/bash@sha256:00", ""), Privileged: d.IntN(2) == 0}
	}
	if d.IntN(4) > 0 {
		e.Path, e.Other = d.word(), d.word()
	}
	if d.IntN(4) > 0 {
		port := func() netip.AddrPort {
			if d.IntN(5) == 0 {
				return netip.AddrPort{}
			}
			return netip.AddrPortFrom(netip.MustParseAddr(d.pick("10.0.0.1", "1.2.3.4", "127.0.0.1", "::1")), uint16([]int{0, 80, 443}[d.IntN(3)]))
		}
		e.Net = &sekisho.EventConn{Protocol: d.pick("tcp", "udp"), Local: port(), Remote: port(), Name: d.pick("", "etc")}
	}
	return e
}

// TestOracle holds that the graphs and the plain evaluator agree on random
// rules and events.
func TestOracle(t *testing.T) {
	table, types := field.NewTable(), field.NewTypes()
	held := 0
	for round := range uint64(8) {
		d := dice{rand.New(rand.NewPCG(round, 7))}
		var rules []Rule
		var plain []holds
		for i := range 70 {
			text := d.condition(4)
			n, err := cond.Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			rules = append(rules, Rule{Name: fmt.Sprint(i, ": ", text), Condition: n})
			plain = append(plain, naive(n, table))
		}
		p, notes := Compile(rules, table, types)
		for _, n := range notes {
			t.Fatalf("%s: %v", rules[n.Rule].Name, n.Err)
		}
		m := p.NewMatcher(nil, "")
		var x field.Context
		for range 200 {
			e := d.event()
			got := m.Match(e)
			for i, h := range plain {
				x.Reset(e, p.Type(e))
				want := h(&x)
				if slices.Contains(got, i) != want {
					t.Fatalf("round %d, rule %s: the graph says %v, the plain evaluator %v, for %+v", round, rules[i].Name, !want, want, e)
				}
				if want {
					held++
				}
			}
		}
	}
	if held < 2000 {
		t.Errorf("rules held %d times only: the test compares next to nothing", held)
	}
}

// publicRules compiles all public rules, those that are disabled too.
func publicRules(t testing.TB) (*Program, []Rule) {
	t.Helper()
	l := rulefile.New()
	for _, name := range []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"} {
		data, err := os.ReadFile(filepath.Join(fixture.Dir(t, "../rules/falco"), name))
		if err != nil {
			t.Fatal(err)
		}
		l.Add(name, data)
	}
	var in []Rule
	for _, r := range l.Rules() {
		in = append(in, Rule{r.Name, r.Condition, r.SkipUnknown})
	}
	p, notes := Compile(in, field.NewTable(), field.NewTypes())
	for _, n := range notes {
		t.Fatal(n.Err)
	}
	return p, in
}

// ordinary are events that no public rule holds for, and that are none of
// those that the look-ups are chosen by.
func ordinary() map[string]*sekisho.Event {
	root := &sekisho.Process{PID: 1, Name: "entrypoint", Path: "/entrypoint", Args: []string{"entrypoint", "start"}, Directory: "/", Started: time.Unix(1, 0)}
	p := &sekisho.Process{PID: 10, ParentPID: 1, InnerPID: 7, Name: "myserver", Path: "/usr/local/bin/myserver", Args: []string{"myserver", "--port", "8080", "--config", "/etc/myserver.yaml"},
		Directory: "/app", UID: 1000, Parent: root, Started: time.Unix(2, 0), Origin: sekisho.OriginImage, LoginUID: 1<<32 - 1}
	base := sekisho.Event{Seq: 5, Time: time.Unix(100, 0), Process: p, Container: &sekisho.Container{ID: strings.Repeat("0a1b2c3d", 8), Name: "web", Image: "docker.io/library/web:1.25"}}
	of := func(kind sekisho.EventKind, call string, change func(*sekisho.Event)) *sekisho.Event {
		e := base
		e.Kind, e.Syscall = kind, call
		change(&e)
		return &e
	}
	return map[string]*sekisho.Event{
		"execve":     of(sekisho.EventExec, "execve", func(e *sekisho.Event) {}),
		"openat":     of(sekisho.EventOpen, "openat", func(e *sekisho.Event) { e.Path, e.Result, e.File = "/usr/share/zoneinfo/UTC", 9, 9 }),
		"openat (w)": of(sekisho.EventOpen, "openat", func(e *sekisho.Event) { e.Path, e.Result, e.File, e.Flags = "/app/data/queue.db", 9, 9, 0o102 }),
		"connect": of(sekisho.EventConnect, "connect", func(e *sekisho.Event) {
			e.File, e.Net = 9, &sekisho.EventConn{Protocol: "tcp", Local: netip.MustParseAddrPort("10.0.0.2:40000"), Remote: netip.MustParseAddrPort("10.0.0.9:5432")}
		}),
		"unlinkat": of(sekisho.EventUnlink, "unlinkat", func(e *sekisho.Event) { e.Path = "/app/data/queue.db-journal" }),
	}
}

// TestPublicOracle holds that both evaluators agree on the public rules.
func TestPublicOracle(t *testing.T) {
	p, rules := publicRules(t)
	table := field.NewTable()
	var plain []holds
	for _, r := range rules {
		plain = append(plain, naive(r.Condition, table))
	}
	m := p.NewMatcher(nil, "")
	var x field.Context
	d := dice{rand.New(rand.NewPCG(1, 2))}
	for range 3000 {
		e := d.event()
		got := m.Match(e)
		for i, h := range plain {
			x.Reset(e, p.Type(e))
			if want := h(&x); slices.Contains(got, i) != want {
				t.Fatalf("rule %s: the graph says %v, the plain evaluator %v, for %+v", rules[i].Name, !want, want, e)
			}
		}
	}
}

// TestNoAllocations holds that an event that matches nothing allocates nothing.
func TestNoAllocations(t *testing.T) {
	p, _ := publicRules(t)
	for name, e := range ordinary() {
		m := p.NewMatcher(nil, "")
		if n := len(m.Match(e)); n > 0 {
			t.Errorf("%s: %d rules hold for an ordinary event", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { m.Match(e) }); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// BenchmarkMatch measures all 93 public rules on events that match nothing,
// beside the plain evaluator, which tries the rules of the event's type only.
// On a busy machine the fastest batch tells more than the mean.
func BenchmarkMatch(b *testing.B) {
	p, rules := publicRules(b)
	table := field.NewTable()
	needs := p.Needs()
	for name, e := range ordinary() {
		m := p.NewMatcher(nil, "")
		b.Run(name+"/graph", func(b *testing.B) { batches(b, func() { m.Match(e) }) })
		var plain []holds
		for i, r := range rules {
			if slices.ContainsFunc(needs[i], func(t field.EventType) bool { return t.Name == p.Type(e) }) {
				plain = append(plain, naive(r.Condition, table))
			}
		}
		var x field.Context
		b.Run(name+"/plain", func(b *testing.B) {
			batches(b, func() {
				x.Reset(e, p.Type(e))
				for _, h := range plain {
					h(&x)
				}
			})
		})
	}
}

func batches(b *testing.B, f func()) {
	b.ReportAllocs()
	best := time.Hour
	for b.Loop() {
		start := time.Now()
		for range 100 {
			f()
		}
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best.Nanoseconds())/100, "ns/event")
}
