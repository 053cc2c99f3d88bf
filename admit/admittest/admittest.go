// Package admittest has what tests of gates need: facts about images in memory
// and a log of decisions that can be looked at and made to fail.
package admittest

import (
	"errors"
	"fmt"
	"sync"

	"sekisho"
	"sekisho/audit"
	"sekisho/policy/fact"
)

// Digest is the nth digest.
func Digest(n int) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha256:%064x", n)) }

// Image is one that was looked at for everything, and nothing was found.
func Image(d sekisho.Digest) *fact.Image {
	return &fact.Image{Digest: d, Assessed: fact.Assessable(), Packages: []sekisho.Package{}, Findings: []sekisho.Finding{}}
}

// Vulnerability is one of the package openssl 3.0.1 that has a fix.
func Vulnerability(id string, severity sekisho.Severity) sekisho.Finding {
	return sekisho.Finding{Kind: sekisho.Vulnerability, ID: id, Severity: severity, Status: sekisho.StatusAffected,
		Package: &sekisho.PackageRef{Name: "openssl", Version: "3.0.1"}, Vulnerable: &sekisho.Vulnerable{}, FixedIn: []string{"3.0.2"}}
}

// Facts implements admit.Facts in memory. The zero value knows nothing.
type Facts struct {
	mu     sync.Mutex
	images map[sekisho.Digest]*fact.Image
	turn   map[sekisho.Digest]int
	reads  int
}

// Keep keeps what is known of images, in the place of what was.
func (f *Facts) Keep(images ...*fact.Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.images == nil {
		f.images, f.turn = map[sekisho.Digest]*fact.Image{}, map[sekisho.Digest]int{}
	}
	for _, i := range images {
		f.images[i.Digest] = i
		f.turn[i.Digest]++
	}
}

// Version implements admit.Facts.
func (f *Facts) Version(d sekisho.Digest) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.images[d] == nil {
		return ""
	}
	return fmt.Sprintf("%s-%d", d, f.turn[d])
}

// Image implements admit.Facts.
func (f *Facts) Image(d sekisho.Digest) (*fact.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if i := f.images[d]; i != nil {
		return i, nil
	}
	return nil, sekisho.Errorf(sekisho.NotFound, "unknown")
}

// Reads is how often facts were asked for.
func (f *Facts) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// Log implements admit.Log in memory.
type Log struct {
	mu      sync.Mutex
	entries []audit.Entry
	broken  bool
}

// Append implements admit.Log.
func (l *Log) Append(e ...audit.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return errors.New("the disk is full")
	}
	l.entries = append(l.entries, e...)
	return nil
}

// Break makes the log fail, or work again.
func (l *Log) Break(broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

// Entries are those that were noted since the last Clear.
func (l *Log) Entries() []audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]audit.Entry(nil), l.entries...)
}

// Clear forgets what was noted.
func (l *Log) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// Find is the first entry of an action, or nil.
func (l *Log) Find(action string) *audit.Entry {
	for _, e := range l.Entries() {
		if e.Action == action {
			return &e
		}
	}
	return nil
}
