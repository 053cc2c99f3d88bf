// Package content looks inside every file once: one search for the literals of
// all engines (secrets, signatures, rules), then each engine decides. The
// bytes of a file enter, findings leave. Archives are opened in memory to a
// bounded depth; what could not be opened is a problem, never silence.
package content

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"sync"

	"sekisho"
	"sekisho/internal/literal"
	"sekisho/scan/analyze"
	"sekisho/scan/secret"
)

// Analyzer is the one that sees every file.
type Analyzer struct {
	secrets *secret.Engine
	malware Malware
	text    search // for text
	binary  search // for all else
	wide    search // for text that was UTF-16: secrets only
	version int
	pool    sync.Pool  // *session
	big     sync.Mutex // held while much of an archive is in memory
}

// Malware is what looks for malware: the rules of one or several engines.
type Malware interface {
	Literals() []literal.Literal
	NewScanner() MalwareScanner
	Fingerprint() string // changes when answers may
}

// MalwareScanner looks into one file after the other.
type MalwareScanner interface {
	Hit(id int32, at int)
	Matches(path string, data []byte, out *analyze.Result)
}

// search is a set of literals; those of secrets come first.
type search struct {
	set    *literal.Set
	ids    []int32 // of the engine that a literal belongs to
	border int32   // first literal of malware
}

func newSearch(secrets []literal.Literal, wanted []bool, malware []literal.Literal) (s search, err error) {
	var list []literal.Literal
	for i, l := range secrets {
		if wanted == nil || wanted[i] {
			list = append(list, l)
			s.ids = append(s.ids, int32(i))
		}
	}
	s.border = int32(len(list))
	for i, l := range malware {
		list = append(list, l)
		s.ids = append(s.ids, int32(i))
	}
	if s.set, err = literal.New(list); err != nil {
		return s, fmt.Errorf("make the search for literals: %w", err)
	}
	return s, nil
}

// New returns the analyzer. Either engine may be nil.
func New(secrets *secret.Engine, malware Malware) (*Analyzer, error) {
	a := &Analyzer{secrets: secrets, malware: malware}
	var keys, signs []literal.Literal
	var strong []bool
	sum := fnv.New32a()
	if secrets != nil {
		keys, strong = secrets.Literals(), secrets.Strong()
		fmt.Fprint(sum, secret.Version, secrets.Fingerprint())
	}
	if malware != nil {
		signs = malware.Literals()
		io.WriteString(sum, malware.Fingerprint())
	}
	var err error
	if a.text, err = newSearch(keys, nil, signs); err != nil {
		return nil, err
	}
	if a.binary, err = newSearch(keys, strong, signs); err != nil {
		return nil, err
	}
	if a.wide = a.text; malware != nil {
		if a.wide, err = newSearch(keys, nil, nil); err != nil {
			return nil, err
		}
	}
	a.version = int(sum.Sum32())
	return a, nil
}

// Name implements analyze.Analyzer.
func (a *Analyzer) Name() string { return "content" }

// Version implements analyze.Analyzer. It follows the rules.
func (a *Analyzer) Version() int { return a.version }

// Wants implements analyze.Analyzer: every file that has bytes.
func (a *Analyzer) Wants(f *analyze.File) analyze.Want {
	switch {
	case f.Size == 0 || !f.Mode.IsRegular():
		return analyze.Skip
	case f.Size > analyze.MaxWhole:
		return analyze.Stream
	}
	return analyze.Whole
}

// session is the memory of one file's look.
type session struct {
	*Analyzer
	secret   *secret.Scanner
	scanner  MalwareScanner
	narrowed []byte // a file in UTF-16, made UTF-8
	depths   [maxDepth + 1]depth
	expanded int64
	limit    int64 // of expanded
	members  int
	locked   bool
}

func (a *Analyzer) session() *session {
	s, _ := a.pool.Get().(*session)
	if s == nil {
		s = &session{Analyzer: a}
		if a.secrets != nil {
			s.secret = a.secrets.NewScanner()
		}
		if a.malware != nil {
			s.scanner = a.malware.NewScanner()
		}
	}
	s.expanded, s.members, s.limit = 0, 0, maxExpanded
	return s
}

// Analyze implements analyze.Analyzer.
func (a *Analyzer) Analyze(f *analyze.File, r *analyze.Result) error {
	s := a.session()
	defer s.unlock()
	s.look(f.Path, f.Data, 0, r)
	a.pool.Put(s) // not after a panic
	return nil
}

func (s *session) unlock() {
	if s.locked {
		s.locked = false
		s.big.Unlock()
	}
}

// look shows one file's bytes to all engines, and what it holds after them.
func (s *session) look(name string, data []byte, depth int, r *analyze.Result) {
	kind := classify(data)
	if s.secret != nil {
		s.secret.Begin(secret.File{Path: name, Binary: kind == binary}, data)
	}
	search := &s.Analyzer.text
	if kind != plain {
		search = &s.Analyzer.binary
	}
	search.set.Scan(data, func(id int32, at int) {
		switch {
		case id >= search.border:
			s.scanner.Hit(search.ids[id], at)
		case kind != wide:
			s.secret.Hit(search.ids[id], at)
		}
	})
	from := len(r.Findings)
	if s.secret != nil {
		s.secrets(name, data, kind, r)
	}
	raw := len(r.Findings)
	if s.scanner != nil {
		s.scanner.Matches(name, data, r)
		for i := range r.Findings[raw:] {
			r.Findings[raw+i].Location.Path = name
		}
	}
	if s.unpack(name, data, depth, r) { // its members were looked at one by one
		r.Findings = slices.Delete(r.Findings, from, raw)
	}
}

func (s *session) secrets(name string, data []byte, kind class, r *analyze.Result) {
	if kind == wide {
		s.narrowed = narrow(s.narrowed[:0], data)
		s.find(name, s.narrowed, false)
	}
	found, problems := s.secret.End()
	for _, x := range found {
		x.Location.Path = name
		r.Findings = append(r.Findings, x)
	}
	for _, p := range problems {
		r.Problem(inside(name) + p)
	}
}

// class of bytes.
type class uint8

const (
	plain class = iota
	binary
	wide // UTF-16
)

// classify tells text from programs and the like: a zero byte near the
// beginning means binary, unless every other byte is one.
func classify(data []byte) class {
	head := data[:min(len(data), 4096)]
	zero := bytes.IndexByte(head, 0)
	if zero < 0 {
		return plain
	}
	if len(head) >= 2 && (head[0] == 0xff && head[1] == 0xfe || head[0] == 0xfe && head[1] == 0xff) {
		return wide
	}
	var even, odd int
	for i, b := range head {
		if b == 0 {
			if i%2 == 0 {
				even++
			} else {
				odd++
			}
		}
	}
	if half := len(head) / 2; half >= 4 && (even > half*3/4 && odd < half/20 || odd > half*3/4 && even < half/20) {
		return wide
	}
	return binary
}

// narrow makes UTF-8 of UTF-16 (RFC 2781). Characters beyond ASCII become a
// question mark each: no secret needs them.
func narrow(out, data []byte) []byte {
	low := 0
	if data[0] == 0xfe && data[1] == 0xff || data[0] == 0 && data[1] != 0 {
		low = 1
	}
	for i := 0; i+1 < len(data); i += 2 {
		b, high := data[i+low], data[i+1-low]
		if high != 0 || b >= 0x80 {
			b = '?'
		}
		out = append(out, b)
	}
	return out
}

// find looks for secrets only.
func (s *session) find(name string, data []byte, isBinary bool) {
	s.secret.Begin(secret.File{Path: name, Binary: isBinary}, data)
	search := &s.wide
	search.set.Scan(data, func(id int32, at int) { s.secret.Hit(search.ids[id], at) })
}

// Text looks for secrets in a piece of text that is no file: a variable, a
// label, an instruction.
func (a *Analyzer) Text(text string) []sekisho.Finding {
	if a.secrets == nil {
		return nil
	}
	s := a.session()
	defer a.pool.Put(s)
	s.find("", []byte(text), false)
	found, _ := s.secret.End()
	return found
}

// Mask returns a text with the secrets in it masked.
func (a *Analyzer) Mask(text string) string {
	if a.secrets == nil {
		return text
	}
	s := a.session()
	defer a.pool.Put(s)
	s.find("", []byte(text), false)
	masked := string(s.secret.Masked())
	s.secret.End()
	return masked
}
