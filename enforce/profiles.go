package enforce

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/enforce/profile"
	"sekisho/enforce/settings"
	"sekisho/internal/atomicfile"
)

// maxLearners bounds the workloads that are learned at once.
const maxLearners = 4096

// proposed is the directory, below that of the profiles, of what was new.
const proposed = "proposed"

// loaded is a profile of the directory, ready to judge.
type loaded struct {
	*profile.Profile
	matcher *profile.Matcher
	path    string
	changed time.Time
	size    int64
}

// profiles is the directory of profiles and those who learn.
type profiles struct {
	dir       string
	observed  []string
	mu        sync.Mutex
	byPath    map[string]*loaded
	learners  map[string]*learner // by service
	proposals map[string]*learner // by name of the profile
	broken    map[string]string   // files that are none, and why
}

type learner struct {
	*profile.Learner
	name  string
	dirty bool
	full  bool
}

func openProfiles(dir string, observed []string) (*profiles, error) {
	p := &profiles{dir: dir, observed: observed, byPath: map[string]*loaded{}, learners: map[string]*learner{}, proposals: map[string]*learner{}, broken: map[string]string{}}
	if err := os.MkdirAll(filepath.Join(dir, proposed), 0o750); err != nil {
		return nil, fmt.Errorf("open profiles: %w", err)
	}
	_, err := p.reload()
	return p, err
}

// reload reads files that changed; true says that some did. A file that is
// broken keeps what it was before, and is told.
func (p *profiles) reload() (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return false, fmt.Errorf("read profiles: %w", err)
	}
	news := false
	present := map[string]bool{}
	for _, d := range entries {
		if d.IsDir() || filepath.Ext(d.Name()) != ".yaml" {
			continue
		}
		path := filepath.Join(p.dir, d.Name())
		present[path] = true
		changed, err := p.load(path)
		if err != nil {
			p.broken[path] = err.Error()
			continue
		}
		news = news || changed
	}
	for path := range p.byPath {
		if !present[path] {
			delete(p.byPath, path)
			news = true
		}
	}
	return news, nil
}

func (p *profiles) load(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if old := p.byPath[path]; old != nil && old.changed.Equal(info.ModTime()) && old.size == info.Size() {
		return false, nil
	}
	doc, err := ReadProfile(path)
	if err != nil {
		return false, err
	}
	m, err := doc.Compile()
	if err != nil {
		return false, err
	}
	delete(p.broken, path)
	p.byPath[path] = &loaded{Profile: doc, matcher: m, path: path, changed: info.ModTime(), size: info.Size()}
	return true, nil
}

// ReadProfile reads a profile's file.
func ReadProfile(path string) (*profile.Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open profile: %w", err)
	}
	defer f.Close()
	return profile.Parse(f, path)
}

// find returns the profile of a container: by its image first, then by what it
// is an instance of. One that is still learned judges nothing.
func (p *profiles) find(service string, c *sekisho.Container) (*profile.Profile, *profile.Matcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *loaded
	for _, l := range p.byPath {
		image := slices.ContainsFunc(l.Images, func(d sekisho.Digest) bool { return d == c.ImageDigest && d != "" || d == c.ImageID && d != "" })
		named := l.Workload != "" && (l.Workload == service || l.Workload == c.Workload.String())
		switch {
		case !named && (l.Workload != "" || !image):
			continue
		case best == nil, image && !slices.Contains(best.Images, cmp.Or(c.ImageDigest, c.ImageID)):
			best = l
		}
	}
	if best == nil {
		return nil, nil
	}
	if best.Mode == profile.Learn {
		return best.Profile, nil
	}
	return best.Profile, best.matcher
}

// stops are the kinds that profiles in mode enforce cover; with all, those in
// mode audit too.
func (p *profiles) stops(all bool) (kinds []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, kind := range settings.Stoppable() {
		for _, l := range p.byPath {
			if (l.Mode == profile.Enforce || all && l.Mode == profile.Audit) && l.Covers(kind) {
				kinds = append(kinds, kind)
				break
			}
		}
	}
	return kinds
}

// learn lets an event widen what is being learned about a service.
func (p *profiles) learn(service string, ev *sekisho.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.learners[service]
	if l == nil {
		if len(p.learners) >= maxLearners {
			return
		}
		l = p.resume(FileName(service), service, p.dir)
		l.Observes(p.observed)
		p.learners[service] = l
	}
	l.Observe(ev)
	l.dirty = true
}

// resume goes on with what an earlier run learned.
func (p *profiles) resume(name, service, dir string) *learner {
	doc, err := ReadProfile(filepath.Join(dir, name+".yaml"))
	if err != nil || doc.Mode != profile.Learn || doc.Workload != service {
		return &learner{Learner: profile.NewLearner(name, service), name: name}
	}
	return &learner{Learner: profile.Resume(doc), name: name}
}

// propose keeps what is new about a workload, beside its profile.
func (p *profiles) propose(name, service string, ev *sekisho.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.proposals[name]
	if l == nil {
		if len(p.proposals) >= maxLearners {
			return
		}
		l = p.resume(name, service, filepath.Join(p.dir, proposed))
		p.proposals[name] = l
	}
	l.Observe(ev)
	l.dirty = true
}

func (p *profiles) observeLost(ev *sekisho.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.learners {
		l.Observe(ev)
	}
}

// save writes what was learned since the last time. Learned profiles never
// replace one that is in another mode: that one was promoted by somebody.
func (p *profiles) save() (full []string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.learners {
		err = errors.Join(err, p.write(l, filepath.Join(p.dir, l.name+".yaml")))
		if l.full {
			full = append(full, l.name)
			l.full = false
		}
	}
	for _, l := range p.proposals {
		err = errors.Join(err, p.write(l, filepath.Join(p.dir, proposed, l.name+".yaml")))
	}
	return full, err
}

func (p *profiles) write(l *learner, path string) error {
	if !l.dirty {
		return nil
	}
	old, err := ReadProfile(path)
	if err == nil && old.Mode != profile.Learn {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // somebody is editing it
	}
	doc, full := l.Profile()
	l.full = full
	if err := WriteProfile(path, doc); err != nil {
		return err
	}
	l.dirty = false
	return nil
}

// WriteProfile replaces a profile's file at once, durably.
func WriteProfile(path string, doc *profile.Profile) error {
	return atomicfile.StreamDurable(path, 0o640, doc.Write)
}

// ProposalPath is where what is new about a profile is proposed.
func ProposalPath(dir, name string) string { return filepath.Join(dir, proposed, name+".yaml") }

// FileName makes a file's name of a service: what may not stand in one becomes
// a dash, and a piece of its hash keeps two services apart.
func FileName(service string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, service)
	clean = strings.Trim(clean, "-.")
	if clean == service && len(clean) <= 100 {
		return clean
	}
	sum := sha256.Sum256([]byte(service))
	return clean[:min(len(clean), 100)] + "-" + hex.EncodeToString(sum[:4])
}
