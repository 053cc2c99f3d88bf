package scan

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/squash"
)

// findings gathers what files and the configuration tell. What a later layer
// hides still counts for secrets and malware: who has the image has the layer.
func (s *scanner) findings(ctx context.Context, tree *squash.Tree, layers []sekisho.Layer, installed map[string]int) []sekisho.Finding {
	list := []sekisho.Finding{}
	contexts := ignored(tree)
	for _, f := range tree.Files {
		for _, x := range f.Findings {
			if x.ID == "SKS-DKF-020" && contexts[path.Dir(f.Path)] {
				continue // the context was copied without what must stay out
			}
			if f.Hidden && x.Kind != sekisho.Secret && x.Kind != sekisho.Malware {
				continue
			}
			x.Location.Path = cmp.Or(x.Location.Path, f.Path)
			x.Location.Hidden = f.Hidden
			x = place(x, layers, f.Layer)
			s.origin(ctx, &x.Location)
			list = append(list, x)
		}
	}
	list = s.dropPublished(tree, installed, list)
	list = merge(append(list, s.configured(layers)...), layers)
	list = append(list, s.misconfigurations(tree, layers)...)
	for i := range list {
		if x := &list[i]; x.Kind != sekisho.Secret {
			x.Evidence = s.clean(x.Evidence)
		}
		list[i].Fingerprint = Fingerprint(list[i])
		list[i].Same = ""
	}
	return list
}

// ignored lists the directories whose .dockerignore keeps .git and .env out of
// the build context.
func ignored(tree *squash.Tree) map[string]bool {
	dirs := map[string]bool{}
	for _, f := range tree.Files {
		for _, fact := range f.Facts {
			if fact.Kind == "dockerignore" && fact.Value == ".git .env" {
				dirs[path.Dir(f.Path)] = true
			}
		}
	}
	return dirs
}

// origin names the commit of an entry of a repository.
func (s *scanner) origin(ctx context.Context, l *sekisho.Location) {
	if s.img.Origin == nil {
		return
	}
	path, commit, current := s.img.Origin(ctx, l.Path)
	l.Path, l.Commit, l.Layer, l.Instruction = path, commit, "", ""
	l.Hidden = !current && !l.Changed
}

func place(x sekisho.Finding, layers []sekisho.Layer, at int) sekisho.Finding {
	if at >= 0 && at < len(layers) {
		l := layers[at]
		x.Location.Layer, x.Location.Instruction, x.Location.Changed = l.DiffID, l.Instruction, l.Writable
	}
	return x
}

// Fingerprint names a finding by what it is and where, not by layer or line,
// so that it survives a rebuild.
func Fingerprint(x sekisho.Finding) string {
	parts := []string{x.Kind, x.ID, x.Location.Path, x.Evidence}
	if x.Package != nil {
		parts = append(parts, x.Package.Name, x.Package.Version)
	}
	if n := len(x.Same); n >= 4 {
		parts = append(parts, x.Same[n-4:]) // another secret in the same place is another finding
	}
	for i, p := range parts {
		parts[i] = strconv.Itoa(len(p)) + ":" + p
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:12])
}

func (s *scanner) allProblems(tree *squash.Tree, layers []sekisho.Layer) []sekisho.Problem {
	list := slices.Clone(s.problems)
	for i, r := range s.results {
		for _, p := range r.Problems {
			p.Layer = layers[i].DiffID
			list = append(list, p)
		}
	}
	for _, f := range tree.Files {
		for _, m := range f.Problems {
			list = append(list, sekisho.Problem{Path: f.Path, Layer: layers[f.Layer].DiffID, Message: m})
		}
	}
	return append([]sekisho.Problem{}, list...)
}
