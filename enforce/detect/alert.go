package detect

import (
	"hash/maphash"
	"time"

	"sekisho"
	"sekisho/enforce/detect/field"
	"sekisho/enforce/detect/rulefile"
)

// Alert is what a rule says of one event, or of several of one cause.
type Alert struct {
	Rule      string             `json:"rule"`
	Priority  rulefile.Priority  `json:"priority"`
	Time      time.Time          `json:"time"`  // of the first event
	Last      time.Time          `json:"last"`  // of the last
	Count     int                `json:"count"` // events that this stands for
	Output    string             `json:"output"`
	Fields    []Pair             `json:"fields"`
	Tags      []string           `json:"tags"`
	MITRE     []string           `json:"mitre"`
	Container *sekisho.Container `json:"container,omitempty"`
	Tree      []*sekisho.Process `json:"tree"` // the process, then its ancestors
	Event     *sekisho.Event     `json:"event,omitempty"`
	Note      string             `json:"note,omitempty"` // key of a text: repeated, demoted, demoted.sum
	Demoted   bool               `json:"demoted,omitempty"`
}

// Limits are when alerts fold and when a rule is noisy. The zero value has
// sensible ones.
type Limits struct {
	Window  time.Duration // alerts of one cause within it are one; 5 minutes
	Budget  int           // alerts of a rule and a container within Period; 20
	Period  time.Duration // 1 hour
	Entries int           // causes and budgets that are kept; 4096
}

// Notes of an alert.
const (
	NoteRepeated = "detect.note.repeated"    // sums up what was folded
	NoteDemoted  = "detect.note.demoted"     // the rule is over its budget here; this is said once
	NoteSum      = "detect.note.demoted.sum" // how many were not shown
)

// Counts of a detector. Events = those seen; Matches = Alerts + Folded +
// Demoted, for each rule and in all.
type Counts struct {
	Events, Matches, Alerts, Folded, Demoted uint64
	Rules                                    map[string]RuleCounts
}

// RuleCounts are those of one rule.
type RuleCounts struct{ Matches, Alerts, Folded, Demoted uint64 }

// Detector turns events into alerts. It serves one goroutine.
type Detector struct {
	set     *Set
	matcher *Matcher
	limits  Limits
	seed    maphash.Seed
	causes  map[cause]*folded
	budgets map[owner]*budget
	counts  Counts
	perRule []RuleCounts
	out     []Alert
}

type owner struct {
	rule      int
	container string
}

type cause struct {
	owner
	lineage uint64
}

// folded is a cause within its window.
type folded struct {
	alert Alert
	more  int
	until time.Time
}

// budget is what a rule may still say of a container.
type budget struct {
	left    int
	hidden  int
	alert   Alert // the first that was over it
	until   time.Time
	demoted bool
}

// NewDetector returns a detector; users may be nil.
func NewDetector(s *Set, l Limits, users field.Users, host string) *Detector {
	if l.Window <= 0 {
		l.Window = 5 * time.Minute
	}
	if l.Budget <= 0 {
		l.Budget = 20
	}
	if l.Period <= 0 {
		l.Period = time.Hour
	}
	if l.Entries <= 0 {
		l.Entries = 4096
	}
	return &Detector{set: s, matcher: s.NewMatcher(users, host), limits: l, seed: maphash.MakeSeed(), causes: map[cause]*folded{}, budgets: map[owner]*budget{}, perRule: make([]RuleCounts, len(s.Rules))}
}

// Observe judges an event and returns what there is to say now. Alerts of a
// cause that was told within the window are counted; Flush tells the count.
// The slice is valid until the next call.
func (d *Detector) Observe(now time.Time, e *sekisho.Event) []Alert {
	d.counts.Events++
	d.out = d.out[:0]
	for _, rule := range d.matcher.Match(e) {
		d.match(now, rule, e)
	}
	return d.out
}

func (d *Detector) match(now time.Time, rule int, e *sekisho.Event) {
	d.counts.Matches++
	c := &d.perRule[rule]
	c.Matches++
	who := owner{rule: rule}
	if e.Container != nil {
		who.container = e.Container.ID
	}
	key := cause{who, d.lineage(e)}
	if f := d.causes[key]; f != nil && now.Before(f.until) {
		f.more++
		f.alert.Last = e.Time
		d.counts.Folded++
		c.Folded++
		return
	} else if f != nil {
		d.close(key, f)
	}
	if len(d.causes) >= d.limits.Entries {
		d.evict(now)
	}
	b := d.budget(now, who)
	if b.left == 0 {
		d.over(b, rule, e)
		d.counts.Demoted++
		c.Demoted++
		return
	}
	b.left--
	a := d.alert(rule, e)
	d.causes[key] = &folded{alert: a, until: now.Add(d.limits.Window)}
	d.counts.Alerts++
	c.Alerts++
	d.out = append(d.out, a)
}

func (d *Detector) budget(now time.Time, who owner) *budget {
	b := d.budgets[who]
	if b != nil && now.Before(b.until) {
		return b
	}
	if b != nil {
		d.settle(b)
	}
	if len(d.budgets) >= d.limits.Entries {
		d.forget(now)
	}
	b = &budget{left: d.limits.Budget, until: now.Add(d.limits.Period)}
	d.budgets[who] = b
	return b
}

// over notes an alert that the budget does not allow: the first is told, as of
// the lowest priority and with a note, the others are counted.
func (d *Detector) over(b *budget, rule int, e *sekisho.Event) {
	b.hidden++
	if b.demoted {
		b.alert.Last = e.Time
		return
	}
	b.demoted = true
	b.alert = d.alert(rule, e)
	b.alert.Demoted, b.alert.Note, b.alert.Priority = true, NoteDemoted, rulefile.Priority(len(rulefile.Priorities())-1)
	d.out = append(d.out, b.alert)
}

// settle tells how many alerts a budget hid, but for the one that was told.
func (d *Detector) settle(b *budget) {
	if b.hidden > 1 {
		a := b.alert
		a.Count, a.Note = b.hidden-1, NoteSum
		d.out = append(d.out, a)
	}
}

// close tells how many alerts a cause folded.
func (d *Detector) close(key cause, f *folded) {
	delete(d.causes, key)
	if f.more > 0 {
		a := f.alert
		a.Count, a.Note = f.more, NoteRepeated
		d.out = append(d.out, a)
	}
}

// Flush returns the counts of windows and budgets that have ended; call it now
// and then, and with a far time at the end. The slice is valid until the next
// call.
func (d *Detector) Flush(now time.Time) []Alert {
	d.out = d.out[:0]
	d.expire(now)
	return d.out
}

func (d *Detector) expire(now time.Time) {
	for key, f := range d.causes {
		if !now.Before(f.until) {
			d.close(key, f)
		}
	}
	for who, b := range d.budgets {
		if !now.Before(b.until) {
			d.settle(b)
			delete(d.budgets, who)
		}
	}
}

// evict makes room for causes: what has ended, else all of them, told.
func (d *Detector) evict(now time.Time) {
	d.expire(now)
	if len(d.causes) < d.limits.Entries {
		return
	}
	for key, f := range d.causes {
		d.close(key, f)
	}
}

func (d *Detector) forget(now time.Time) {
	d.expire(now)
	if len(d.budgets) < d.limits.Entries {
		return
	}
	for who, b := range d.budgets {
		d.settle(b)
		delete(d.budgets, who)
	}
}

const maxTree = 32

// alert makes the alert of an event.
func (d *Detector) alert(rule int, e *sekisho.Event) Alert {
	r := &d.set.Rules[rule]
	a := Alert{Rule: r.Name, Priority: r.Priority, Time: e.Time, Last: e.Time, Count: 1, Tags: r.Tags, MITRE: r.MITRE, Container: e.Container, Event: e}
	a.Output, a.Fields = d.matcher.Output(rule, e)
	for p := e.Process; p != nil && len(a.Tree) < maxTree; p = p.Parent {
		a.Tree = append(a.Tree, p)
	}
	return a
}

const foldDepth = 4 // processes of a line that tell causes apart

// lineage is a hash of the programs of a process and its nearest ancestors:
// the same tools run again and again are one cause, whatever their pids.
func (d *Detector) lineage(e *sekisho.Event) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	for p, n := e.Process, 0; p != nil && n < foldDepth; p, n = p.Parent, n+1 {
		h.WriteString(p.Name)
		h.WriteByte(0)
		h.WriteString(p.Path)
		h.WriteByte(0)
	}
	return h.Sum64()
}

// Counts returns the counters.
func (d *Detector) Counts() Counts {
	c := d.counts
	c.Rules = map[string]RuleCounts{}
	for i, r := range d.perRule {
		if r.Matches > 0 {
			c.Rules[d.set.Rules[i].Name] = r
		}
	}
	return c
}
