package scan

import (
	"slices"

	"sekisho/scan/layer"
	"sekisho/scan/squash"
)

// markCodeless marks distribution packages none of whose files is code. Where
// not one of a package's files is in the image nothing is known: a database
// without its files tells nothing about them.
func markCodeless(tree *squash.Tree, layers []*layer.Result, packages []found) {
	place := map[string]int{}
	for i, p := range packages {
		if osPackage(p.Type) {
			place[p.Type+":"+p.Name] = i
		}
	}
	for _, f := range tree.Files {
		if f.Hidden {
			continue
		}
		for _, o := range f.Owns {
			if i, ok := place[o.Package]; ok && len(o.Paths) > 0 {
				packages[i].NoCode = anyOf(layers, o.Paths, func(l *layer.Result) []uint64 { return l.NonDirs }) &&
					!anyOf(layers, o.Paths, func(l *layer.Result) []uint64 { return l.Code })
			}
		}
	}
}

// anyOf reports whether one of the paths is in one of the layers' sets.
func anyOf(layers []*layer.Result, paths []uint64, set func(*layer.Result) []uint64) bool {
	for _, l := range layers {
		sorted := set(l)
		for _, h := range paths {
			if _, ok := slices.BinarySearch(sorted, h); ok {
				return true
			}
		}
	}
	return false
}
