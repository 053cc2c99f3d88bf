package update

import (
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sekisho/scan/advisory"
)

// checksName is the file, beside the database, of when feeds were asked.
const checksName = "checks.json"

// Check is how a feed's last updates went.
type Check struct {
	URL     string    `json:"url"`
	Want    []string  `json:"want,omitempty"`   // ecosystems of the last good one; none for all
	Checked time.Time `json:"checked"`          // when it was asked last
	Good    time.Time `json:"good,omitzero"`    // when it last answered well
	Records int       `json:"records"`          // at that time
	Error   string    `json:"error,omitempty"`  // why it did not answer well since
	Failed  int       `json:"failed,omitempty"` // times in a row
}

// checks are those of all feeds.
type checks struct {
	mu   sync.Mutex
	name string
	list map[string]Check
}

// Checks returns how the last updates of feeds went, by name.
func Checks(dir string) (map[string]Check, error) {
	c, err := readChecks(dir)
	if err != nil {
		return nil, err
	}
	return c.list, nil
}

func readChecks(dir string) (*checks, error) {
	c := &checks{name: filepath.Join(dir, checksName), list: map[string]Check{}}
	if err := readJSON(c.name, &c.list); err != nil {
		return nil, err
	}
	if c.list == nil { // the file said null
		c.list = map[string]Check{}
	}
	return c, nil
}

// covers reports whether what the feed remembers is of the same source and of
// all that is wanted now. Where more is wanted, a document that has not changed
// must be read again.
func (c *checks) covers(j job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.list[j.info.Name]
	if !ok || last.Good.IsZero() || last.URL != j.url {
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

// note keeps how an update went, beside what other processes noted meanwhile.
func (c *checks) note(j job, r Result, at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, err := readChecks(filepath.Dir(c.name)); err == nil {
		c.list = now.list
	}
	k := c.list[j.info.Name]
	k.Checked = at.UTC()
	if r.Err != nil {
		k.Error, k.Failed = r.Err.Error(), k.Failed+1
		if k.URL == "" {
			k.URL = j.url
		}
	} else {
		k = Check{URL: j.url, Want: j.want, Checked: k.Checked, Good: k.Checked, Records: r.Records}
	}
	c.list[j.info.Name] = k
	return writeJSON(c.name, c.list)
}
