package secret

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/internal/literal"
	"sekisho/internal/siphash"
)

// Version changes when the same bytes would give other findings.
const Version = 4

// Engine is a set of rules made ready. It may be used by several goroutines.
type Engine struct {
	forms    []*form
	files    []*form // rules about a path alone
	literals []literal.Literal
	targets  [][]target // by literal
	key      siphash.Key
	allows   []allow
	disabled map[string]bool
	only     bool // no rules of our own
}

// target is what a literal leads to.
type target struct {
	form int32 // -1: the generic look at assignments
	near bool
}

// New makes an engine of our own rules and of further ones, which win over
// ours of the same id. Values are told apart by a hash with the key, so that
// one secret in many layers is one secret without anyone learning it.
func New(key siphash.Key, configs ...Config) (*Engine, error) {
	rules := builtin()
	e := &Engine{key: key, disabled: map[string]bool{}}
	for _, c := range configs {
		if c.Only {
			rules, e.only = nil, true
		}
	}
	for _, c := range configs {
		for _, id := range c.Disable {
			e.disabled[id] = true
		}
		for _, r := range c.Rules {
			rules = slices.DeleteFunc(rules, func(b Rule) bool { return b.ID == r.ID && b.Origin != r.Origin })
			rules = append(rules, r)
		}
		for _, a := range c.Allows {
			ready, err := a.compile()
			if err != nil {
				return nil, err
			}
			e.allows = append(e.allows, ready)
		}
	}
	index := map[string]int{}
	for _, r := range rules {
		if e.disabled[r.ID] {
			continue
		}
		if err := e.add(r, index); err != nil {
			return nil, err
		}
	}
	if !e.only {
		for _, k := range genericKeys {
			e.watch(k, true, target{form: -1, near: true}, index)
		}
	}
	return e, nil
}

func (e *Engine) add(r Rule, index map[string]int) error {
	if err := r.check(); err != nil {
		return sekisho.Errorf(sekisho.Usage, "%s: %w", r.Origin, err)
	}
	f := &form{Rule: r}
	for _, a := range r.Allows {
		ready, err := a.compile()
		if err != nil {
			return sekisho.Errorf(sekisho.Usage, "%s: rule %s: %w", r.Origin, r.ID, err)
		}
		f.allows = append(f.allows, ready)
	}
	if r.Path != "" {
		f.path = regexp.MustCompile(r.Path)
	}
	if r.Regex == "" && r.Check == "" {
		e.files = append(e.files, f)
		return nil
	}
	at := int32(len(e.forms))
	e.forms = append(e.forms, f)
	text := strings.ReplaceAll(r.Regex, `\`, "")
	for _, k := range r.keys() {
		fold := len(r.Near) > 0 || r.Origin != "" || strings.Contains(r.Regex, "(?i)") || !strings.Contains(text, k)
		e.watch(k, fold, target{at, len(r.Near) > 0}, index)
	}
	return nil
}

func (e *Engine) watch(key string, fold bool, t target, index map[string]int) {
	name := fmt.Sprint(fold, strings.ToLower(key))
	if !fold {
		name = fmt.Sprint(fold, key)
	}
	i, ok := index[name]
	if !ok {
		i = len(e.literals)
		index[name] = i
		e.literals = append(e.literals, literal.Literal{Text: []byte(key), Fold: fold})
		e.targets = append(e.targets, nil)
	}
	e.targets[i] = append(e.targets[i], t)
}

// Literals returns what a file must be searched for; the index is the id that
// Hit takes.
func (e *Engine) Literals() []literal.Literal { return e.literals }

// Strong tells of each literal whether it may lead to something in a file that
// is not text.
func (e *Engine) Strong() []bool {
	list := make([]bool, len(e.targets))
	for i, targets := range e.targets {
		for _, t := range targets {
			list[i] = list[i] || !t.near
		}
	}
	return list
}

// Rules lists the rules, our own first.
func (e *Engine) Rules() []Rule {
	var list []Rule
	for _, f := range slices.Concat(e.forms, []*form{databaseForm, brokerForm, genericForm, passwordForm}, e.files) {
		list = append(list, f.Rule)
	}
	return list
}

// File is what is known of a file besides its bytes.
type File struct {
	Path   string
	Binary bool // not text: only what has a form of its own counts
}

// Scanner looks into one file after the other. It is not for several
// goroutines.
type Scanner struct {
	*Engine
	file     File
	public   bool // what anyone can download: weak kinds do not count
	data     []byte
	found    []candidate
	spent    []int // bytes that each rule's expression has looked at
	exceeded map[string]bool

	assignments int // looked at closely
}

// candidate is a match before doubles are sorted out.
type candidate struct {
	form       *form
	value      span
	shown      string // the part of it that is no secret
	confidence Confidence
	severity   sekisho.Severity
}

// Confidence says how sure a finding is.
type Confidence = string

// The confidences.
const (
	Sure     Confidence = "high"
	Likely   Confidence = "medium"
	Possible Confidence = "low"
)

// Bounds per file.
const (
	maxFindings = 1000
	minBudget   = 2 << 20 // bytes that one rule's expression may look at
)

// NewScanner returns a scanner.
func (e *Engine) NewScanner() *Scanner {
	return &Scanner{Engine: e, spent: make([]int, len(e.forms))}
}

// Begin starts a file.
func (s *Scanner) Begin(f File, data []byte) {
	s.file, s.data, s.found, s.exceeded = f, data, s.found[:0], nil
	s.assignments = 0
	s.public = public(f.Path)
	clear(s.spent)
}

// Hit tells that a literal begins at a place of the data.
func (s *Scanner) Hit(id int32, at int) {
	if len(s.found) >= maxFindings {
		return
	}
	after := at + len(s.literals[id].Text)
	for _, t := range s.targets[id] {
		switch {
		case t.form < 0:
			s.generic(at, after)
		case t.near:
			s.near(s.forms[t.form], t.form, at, after)
		default:
			s.token(s.forms[t.form], t.form, at, after)
		}
	}
}

// afford charges a rule for bytes to look at. Text made of nothing but keys
// must not cost more than a few looks at the whole of it.
func (s *Scanner) afford(i int32, n int) bool {
	s.spent[i] += n
	if s.spent[i] <= max(minBudget, len(s.data)/2) {
		return true
	}
	if s.exceeded == nil {
		s.exceeded = map[string]bool{}
	}
	s.exceeded[s.forms[i].ID] = true
	return false
}

func (s *Scanner) token(f *form, i int32, at, after int) {
	if f.path != nil && !f.path.MatchString(s.file.Path) {
		return
	}
	if f.Regex == "" {
		s.structure(f, i, at)
		return
	}
	if !f.Loose && !begins(s.data, at) {
		return
	}
	f.compile()
	from := at
	if f.Loose {
		from = max(0, at-f.before)
	}
	upto := min(len(s.data), at+f.after)
	cost := upto - from
	if !f.Loose {
		cost = 64 // it fails early
	}
	if !s.afford(i, cost) {
		return
	}
	window := s.data[from:upto]
	if !f.Loose {
		if m := f.re.FindSubmatchIndex(window); m != nil {
			s.match(f, from, m)
		}
		return
	}
	for _, m := range f.re.FindAllSubmatchIndex(window, 16) {
		if from+m[0] < after && at < from+m[1] {
			s.match(f, from, m)
		}
	}
}

// match takes what an expression matched.
func (s *Scanner) match(f *form, from int, m []int) {
	whole := span{from + m[0], from + m[1]}
	value := whole
	if g := 2 * f.Group; g > 0 && g+1 < len(m) && m[g] >= 0 {
		value = span{from + m[g], from + m[g+1]}
	} else if len(m) > 2 {
		for g := 2; g+1 < len(m); g += 2 {
			if m[g] >= 0 {
				value = span{from + m[g], from + m[g+1]}
				break
			}
		}
	} else if !f.Loose && f.Origin == "" && value.upto < len(s.data) && isWord(s.data[value.upto]) && isWord(s.data[value.upto-1]) {
		return // part of something longer
	}
	s.take(f, value, whole, Sure)
}

func (s *Scanner) near(f *form, i int32, at, after int) {
	if s.file.Binary || s.public || after-at < 6 && !wordStart(s.data, at) || f.path != nil && !f.path.MatchString(s.file.Path) {
		return
	}
	f.compile()
	if s.assigned(f, i, after) {
		return
	}
	for _, from := range wrapped(s.data, after) {
		upto := min(len(s.data), from+f.after)
		if !s.afford(i, upto-from) {
			return
		}
		if m := f.re.FindIndex(s.data[from:upto]); m != nil && from+m[1] < len(s.data) && isQuote(s.data[from+m[1]]) {
			value := span{from, from + m[1]}
			s.take(f, value, value, Likely)
			return
		}
	}
}

// assigned takes the value that is assigned to the name, and reports whether
// there is one of the right form.
func (s *Scanner) assigned(f *form, i int32, after int) bool {
	value, _, ok := assignment(s.data, after)
	if !ok || value.upto-value.from < 8 {
		return false
	}
	upto := min(len(s.data), value.from+f.after)
	if !s.afford(i, upto-value.from) {
		return true
	}
	sure := Likely
	m := f.re.FindIndex(s.data[value.from:upto])
	if m == nil && s.data[value.from-1] == '=' { // the value itself may begin with one
		value.from--
		sure = Possible
		m = f.re.FindIndex(s.data[value.from:upto])
	}
	if m == nil || !ends(s.data, value.from+m[1]) {
		return false
	}
	value.upto = value.from + m[1]
	s.take(f, value, value, sure)
	return true
}

// wordStart reports whether a name's word begins at i: apiKey has one at K.
func wordStart(data []byte, i int) bool {
	if i == 0 {
		return true
	}
	last := data[i-1]
	letter := last|0x20 >= 'a' && last|0x20 <= 'z'
	return !letter || last >= 'a' && data[i] >= 'A' && data[i] <= 'Z' || i >= 2 && data[i-2] == '\\'
}

// take applies a rule's further conditions to a value.
func (s *Scanner) take(f *form, value, match span, sure Confidence) {
	v := s.data[value.from:value.upto]
	if len(v) == 0 || f.Entropy > 0 && Entropy(v) < f.Entropy || f.Origin == "" && example(v) || s.allowed(f.ID, f.allows, value, match) {
		return
	}
	if f.Check == "stub-settings" && s.commented(value.from) {
		return
	}
	verdict := sure
	if f.Check != "" {
		if verdict = judge(f.Check, v, s.file.Path, sure); verdict == "" {
			return
		}
	}
	s.keep(candidate{form: f, value: value, shown: shown(f, v), confidence: verdict, severity: f.Severity})
}

// allowed reports whether somebody said that this is no secret.
func (s *Scanner) allowed(id string, list []allow, value, match span) bool {
	for i := range list {
		a := &list[i]
		if len(a.Rules) > 0 && !slices.Contains(a.Rules, id) {
			continue
		}
		if a.holds(s.file.Path, s.data[value.from:value.upto], s.data[match.from:match.upto], s.line(match)) {
			return true
		}
	}
	return false
}

// commented reports whether a place is in a comment of XML.
func (s *Scanner) commented(at int) bool {
	before := s.data[max(0, at-8<<10):at]
	return bytes.LastIndex(before, []byte("<!--")) > bytes.LastIndex(before, []byte("-->"))
}

// line returns the line that a match begins on, at most 1000 bytes on each
// side.
func (s *Scanner) line(m span) []byte {
	low, high := max(0, m.from-1000), min(len(s.data), m.upto+1000)
	if i := bytes.LastIndexByte(s.data[low:m.from], '\n'); i >= 0 {
		low += i + 1
	}
	if i := bytes.IndexByte(s.data[m.upto:high], '\n'); i >= 0 {
		high = m.upto + i
	}
	return s.data[low:high]
}

func (s *Scanner) keep(c candidate) {
	if s.public && WeakInPublic(c.form.ID) || s.disabled[c.form.ID] {
		return
	}
	if len(s.allows) > 0 && s.allowed(c.form.ID, s.allows, c.value, c.value) {
		return
	}
	if c.confidence == Possible && c.severity.Rank() > sekisho.Low.Rank() {
		c.severity = sekisho.Low
	}
	s.found = append(s.found, c)
}

// shown returns the part of a token that its issuer gives to all of them.
func shown(f *form, v []byte) string {
	if len(f.Near) > 0 || f.Loose || f.Origin != "" {
		return ""
	}
	for _, k := range f.keys() {
		if n := len(k); n <= 12 && n*3 <= len(v) && strings.EqualFold(string(v[:n]), k) {
			return string(v[:n])
		}
	}
	return ""
}

// Fingerprint changes when the rules do.
func (e *Engine) Fingerprint() string {
	sum := sha256.New()
	for _, a := range e.allows {
		fmt.Fprintf(sum, "%+v\n", a.Allow)
	}
	fmt.Fprintln(sum, slices.Sorted(maps.Keys(e.disabled)))
	for _, f := range slices.Concat(e.forms, e.files) {
		fmt.Fprintf(sum, "%+v\n", f.Rule)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
