package update

import (
	"path/filepath"
	"slices"
	"sync"

	"sekisho/scan/advisory"
)

// askedName is the file, beside the database, of what feeds were asked for.
const askedName = "asked.json"

// question is what a feed's last good update was about.
type question struct {
	URL  string   `json:"url"`
	Want []string `json:"want,omitempty"` // ecosystems; none for all
}

// asked are the questions to all feeds.
type asked struct {
	mu   sync.Mutex
	name string
	list map[string]question
}

// readAsked reads them. A file that cannot be read costs reading everything
// once more.
func readAsked(dir string) *asked {
	a := &asked{name: filepath.Join(dir, askedName)}
	if err := readJSON(a.name, &a.list); err != nil || a.list == nil {
		a.list = map[string]question{}
	}
	return a
}

// split tells apart what of a job's wants the feed remembers and what is new.
// Where the source is another one, or another release of an ecosystem that was
// wanted is, everything is new: a document that has not changed must be read
// again for it, and what it replaces is the whole ecosystem.
func (a *asked) split(j job) (known, fresh []string, all bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.list[j.info.Name]
	switch {
	case !ok || last.URL != j.info.URL || len(last.Want) > 0 && len(j.want) == 0:
		return nil, j.want, true
	case len(last.Want) == 0:
		return j.want, nil, false
	}
	for _, w := range j.want {
		covered := func(had string) bool { return had == w || had == advisory.Group(w) }
		sibling := func(had string) bool { return advisory.Group(had) == advisory.Group(w) }
		switch {
		case slices.ContainsFunc(last.Want, covered):
			known = append(known, w)
		case slices.ContainsFunc(last.Want, sibling):
			return nil, j.want, true
		default:
			fresh = append(fresh, w)
		}
	}
	return known, fresh, false
}

// note keeps what was asked with success.
func (a *asked) note(j job) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list[j.info.Name] = question{j.info.URL, j.want}
	return writeJSON(a.name, a.list)
}
