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

// covers reports whether what the feed remembers is of the same source and of
// all that is wanted now. Where more is wanted, a document that has not changed
// must be read again.
func (a *asked) covers(j job) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.list[j.info.Name]
	if !ok || last.URL != j.info.URL {
		return false
	}
	if len(last.Want) == 0 {
		return true
	}
	for _, w := range j.want {
		if !slices.ContainsFunc(last.Want, func(had string) bool { return had == w || had == advisory.Group(w) }) {
			return false
		}
	}
	return len(j.want) > 0
}

// note keeps what was asked with success.
func (a *asked) note(j job) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list[j.info.Name] = question{j.info.URL, j.want}
	return writeJSON(a.name, a.list)
}
