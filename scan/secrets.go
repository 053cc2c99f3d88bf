package scan

import (
	"cmp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/image"
	"sekisho/scan/misconfig"
	"sekisho/scan/secret"
	"sekisho/scan/squash"
)

// dropPublished removes secrets that are no secrets because anyone can install
// the package that the file belongs to. What names a service's key stays, and
// so does what stands in a file under /etc, which people fill in, or in one
// that a later layer changed.
func (s *scanner) dropPublished(tree *squash.Tree, installed map[string]int, list []sekisho.Finding) []sekisho.Finding {
	wanted := map[uint64][]int{}
	at := map[sekisho.Digest]int{}
	for i, r := range s.results {
		at[r.Summary.DiffID] = i
	}
	for i, x := range list {
		name := container(x.Location.Path)
		if x.Kind != sekisho.Secret || !secret.WeakInPublic(x.ID) || strings.HasPrefix(name, "etc/") {
			continue
		}
		for _, n := range aliases(tree, name) {
			h := s.key.Sum(n)
			wanted[h] = append(wanted[h], i)
		}
	}
	owned := owners(tree, installed, wanted)
	i := -1
	return slices.DeleteFunc(list, func(x sekisho.Finding) bool {
		i++
		c, ok := owned[i]
		return ok && at[x.Location.Layer] <= c.layer
	})
}

// configured looks for secrets in what an image is configured with: variables,
// labels, and the instructions with their build arguments.
func (s *scanner) configured(layers []sekisho.Layer) []sekisho.Finding {
	if s.Text == nil || s.img.Kind != image.KindImage && s.img.Kind != image.KindContainer {
		return nil
	}
	var list []sekisho.Finding
	look := func(what, text string, l *sekisho.Layer) {
		for _, x := range s.Text(text) {
			x.Location = sekisho.Location{Instruction: s.clean(what)}
			if l != nil {
				x.Location.Layer = l.DiffID
			}
			list = append(list, x)
		}
	}
	c := s.img.Config
	for _, e := range c.Config.Env {
		name, _, _ := strings.Cut(e, "=")
		look("ENV "+name, e, nil)
	}
	for _, name := range sorted(c.Config.Labels) {
		look("LABEL "+name, name+"="+c.Config.Labels[name], nil)
	}
	for _, words := range [][]string{c.Config.Entrypoint, c.Config.Cmd} {
		look("CMD", strings.Join(words, " "), nil)
	}
	at := 0
	for _, h := range c.History {
		var l *sekisho.Layer
		if !h.EmptyLayer && at < len(layers) {
			l = &layers[at]
			at++
		}
		look(h.CreatedBy, h.CreatedBy+"\n"+h.Comment, l)
	}
	return list
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// clean masks secrets in a text of the image that the report shows.
func (s *scanner) clean(text string) string {
	text = misconfig.Scrub(text)
	if s.Mask != nil {
		text = s.Mask(text)
	}
	return text
}

// merge makes one finding of a secret that is in several places. The first
// place is one that a container sees, if there is any.
func merge(list []sekisho.Finding, layers []sekisho.Layer) []sekisho.Finding {
	order := map[sekisho.Digest]int{}
	for i, l := range layers {
		order[l.DiffID] = i
	}
	slices.SortStableFunc(list, func(a, b sekisho.Finding) int {
		return cmp.Or(flag(a.Location.Hidden)-flag(b.Location.Hidden), flag(a.Location.Path == "")-flag(b.Location.Path == ""), strings.Count(a.Location.Path, "!/")-strings.Count(b.Location.Path, "!/"),
			order[a.Location.Layer]-order[b.Location.Layer], strings.Compare(a.Location.Path, b.Location.Path), a.Location.Line-b.Location.Line)
	})
	at := map[string]int{}
	kept := list[:0:0]
	for _, x := range list {
		key := x.Kind + "\x00" + x.ID + "\x00" + x.Same
		i, ok := at[key]
		if x.Same == "" || !ok {
			at[key] = len(kept)
			kept = append(kept, x)
			continue
		}
		first := &kept[i]
		if x.Severity.Rank() > first.Severity.Rank() {
			first.Severity, first.Confidence = x.Severity, x.Confidence
		}
		if n := len(first.Places); n < maxPlaces && x.Location != first.Location && (n == 0 || first.Places[n-1] != x.Location) {
			first.Places = append(first.Places, x.Location)
		}
	}
	return kept
}

// maxPlaces bounds how many further places of one finding are listed.
const maxPlaces = 100

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
