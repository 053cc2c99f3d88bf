package match

import (
	"maps"
	"slices"
	"strings"

	"sekisho/scan/advisory"
)

// subject is what a feed says something about: a flaw, by its id, among those
// of a group of ecosystems.
type subject struct{ feed, group, id string }

func (v *verdict) subject() subject {
	return subject{v.feed, advisory.Group(v.record.Ecosystem), v.record.ID}
}

// flaws sorts what speaks against each package into flaws, without those that
// the vendor clears.
func (m *matcher) flaws() map[int][]flaw {
	all := make(map[int][]flaw, len(m.verdicts))
	for at, list := range m.verdicts {
		all[at] = slices.DeleteFunc(flaws(m.outspoken(at, list)), func(f flaw) bool { _, bad := f.decisive(); return !bad })
	}
	return all
}

// learn looks up what is said about all flaws: by each feed, all at once, so
// that each part of its file is read once; first by those whose records they
// are, who may know the CVE, then by those who know CVEs.
func (m *matcher) learn(all map[int][]flaw) error {
	asked, cves := map[subject]bool{}, map[string]bool{}
	note := func(id string) {
		if strings.HasPrefix(id, "CVE-") {
			cves[id] = true
		}
	}
	for _, list := range all {
		for _, f := range list {
			for i := range f.verdicts {
				asked[f.verdicts[i].subject()] = true
			}
			for _, id := range f.ids {
				note(id)
			}
		}
	}
	if err := m.lookUp(asked); err != nil {
		return err
	}
	for _, d := range m.details {
		for _, id := range d.Aliases {
			note(id)
		}
	}
	asked = map[subject]bool{}
	for _, feed := range m.Enrich {
		for id := range cves {
			asked[subject{feed, "", id}] = true
		}
	}
	return m.lookUp(asked)
}

// lookUp asks feed by feed and keeps the answers.
func (m *matcher) lookUp(asked map[subject]bool) error {
	ids := map[[2]string][]string{}
	for s := range asked {
		ids[[2]string{s.feed, s.group}] = append(ids[[2]string{s.feed, s.group}], s.id)
	}
	for _, of := range slices.SortedFunc(maps.Keys(ids), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) }) {
		list := ids[of]
		slices.Sort(list)
		err := m.db.Details(of[0], of[1], list, func(i int, d advisory.Detail) { m.details[subject{of[0], of[1], list[i]}] = &d })
		if err != nil {
			return err
		}
	}
	return nil
}
