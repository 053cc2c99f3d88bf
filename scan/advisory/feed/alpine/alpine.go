// Package alpine feeds Alpine Linux's security database: for each branch, which
// version of a source package fixed which flaw. Two documents a branch come in,
// records of "Alpine:3.20" or "Alpine:edge" come out. It is a list of fixes: a
// flaw that is open is not in it.
package alpine

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/alpine/secdb"
	"sekisho/scan/advisory/feed/internal/source"
)

// Branches that are known: v3.first to v3.last, and edge.
const first, last = 2, 22

// repositories of a branch. Some old ones have no community.
var repositories = []string{"main", "community"}

type feed struct{}

// New returns the feed.
func New() advisory.Feed { return feed{} }

// Info describes the feed.
func (feed) Info() advisory.Info {
	return advisory.Info{Name: "alpine", Title: "Alpine secdb", URL: "https://secdb.alpinelinux.org", Licence: "none stated", Ecosystems: []string{"Alpine"}, Default: true}
}

// Update reads the wanted branches whose documents changed. A branch that is
// no longer there stays as it was.
func (feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	next := advisory.State{Validators: maps.Clone(u.State.Validators), Cursors: maps.Clone(u.State.Cursors), Newest: u.State.Newest, Skipped: maps.Clone(u.State.Skipped)}
	if next.Validators == nil {
		next.Validators = map[string]advisory.Validator{}
	}
	if next.Skipped == nil {
		next.Skipped = map[string]int{}
	}
	found := 0
	for _, name := range branches(u.Want) {
		ok, err := branch(ctx, u, &next, name)
		if err != nil {
			return u.State, err
		}
		if ok {
			found++
		}
	}
	if found == 0 {
		return u.State, sekisho.Errorf(sekisho.NotFound, "read %s: none of the wanted branches is there", u.URL)
	}
	return next, nil
}

// branches returns the names of branches to ask for: those that are known,
// three that may have come since, and any that is wanted by name.
func branches(want []string) (names []string) {
	for minor := first; minor <= last+3; minor++ {
		names = append(names, "v3."+strconv.Itoa(minor))
	}
	names = append(names, "edge")
	for _, w := range want {
		group, release, _ := strings.Cut(w, ":")
		if name := "v" + release; group == "Alpine" && number.MatchString(release) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

var number = regexp.MustCompile(`^[0-9]{1,2}\.[0-9]{1,3}$`)

// branch reads the documents of a branch when one of them changed. ok tells
// whether there is such a branch.
func branch(ctx context.Context, u advisory.Update, next *advisory.State, name string) (ok bool, err error) {
	ecosystem := "Alpine:" + strings.TrimPrefix(name, "v")
	if !advisory.Wanted(u.Want, ecosystem) {
		return false, nil
	}
	documents, err := open(ctx, u, name, u.State.Validators)
	if err != nil || documents == nil {
		return false, err
	}
	same := 0
	for _, d := range documents {
		if d.Same {
			same++
		}
	}
	if same == len(documents) {
		return true, documents.close()
	}
	if same > 0 { // what did not change is told anew, too
		if err := documents.close(); err != nil {
			return false, err
		}
		if documents, err = open(ctx, u, name, nil); err != nil || documents == nil {
			return false, err
		}
	}
	var db secdb.Database
	for address, d := range documents {
		if err := db.Read(d); err != nil {
			return false, errors.Join(sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", address, err), documents.close())
		}
		next.Validators[address] = d.Validator
		next.Newest = source.Later(next.Newest, source.Modified(d.Validator, u.Now), u.Now)
	}
	u.Sink.Replace(ecosystem)
	for reason, n := range db.Skipped {
		next.Skipped[ecosystem+": "+reason] = n
	}
	return true, errors.Join(db.Tell(ecosystem, u.Sink), documents.close())
}

// documents of a branch by address.
type documents map[string]*advisory.Document

func (d documents) close() error {
	var err error
	for _, doc := range d {
		err = errors.Join(err, doc.Close())
	}
	return err
}

// open opens the documents of a branch; none when there is no main, or when
// community was there before and is not now: half a branch would look like one
// whose flaws are gone.
func open(ctx context.Context, u advisory.Update, name string, known map[string]advisory.Validator) (documents, error) {
	found := documents{}
	for _, repository := range repositories {
		address := u.URL + "/" + name + "/" + repository + ".json"
		doc, err := u.Client.Get(ctx, address, known[address])
		_, before := u.State.Validators[address]
		if sekisho.KindOf(err) == sekisho.NotFound {
			if repository == repositories[0] || before {
				return nil, found.close()
			}
			continue
		}
		if err != nil {
			return nil, errors.Join(err, found.close())
		}
		found[address] = doc
	}
	return found, nil
}
