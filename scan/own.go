package scan

import (
	"path"
	"slices"
	"strings"

	"sekisho"
	"sekisho/internal/siphash"
	"sekisho/scan/squash"
)

// claim is an OS package's word that it put a file there.
type claim struct {
	owner string // "deb:openssl"
	layer int    // that brought the list
}

// dropOwned removes language packages whose file belongs to an OS package: the
// OS package stands for them. A file that a later layer changed differs from
// what the OS package put there, so it stays and names its owner.
func dropOwned(tree *squash.Tree, key siphash.Key, installed map[string]int, packages []found) []found {
	wanted := map[uint64][]int{}
	for i, p := range packages {
		if osPackage(p.Type) {
			continue
		}
		for _, name := range aliases(tree, container(p.Locations[0])) {
			h := key.Sum(name)
			wanted[h] = append(wanted[h], i)
		}
	}
	owners := owners(tree, installed, wanted)
	if len(owners) == 0 {
		return packages
	}
	kept := packages[:0:0]
	for i, p := range packages {
		c, owned := owners[i]
		if owned && p.layer <= c.layer {
			continue
		}
		if owned {
			p.Owner = c.owner
		}
		kept = append(kept, p)
	}
	return kept
}

// owners returns who put the things there whose hashed paths are wanted.
func owners(tree *squash.Tree, installed map[string]int, wanted map[uint64][]int) map[int]claim {
	owners := map[int]claim{}
	if len(installed) == 0 || len(wanted) == 0 {
		return owners
	}
	for _, f := range tree.Files {
		if f.Hidden {
			continue
		}
		for _, o := range f.Owns {
			at, ok := installed[o.Package]
			if !ok {
				continue // removed, its list left behind
			}
			for _, h := range o.Paths {
				for _, i := range wanted[h] {
					owners[i] = claim{o.Package, at}
				}
			}
		}
	}
	return owners
}

// container returns the file that a location is in: "a.jar" of "a.jar!/b.jar".
func container(location string) string {
	name, _, _ := strings.Cut(location, "!/")
	return name
}

// aliases returns the names under which a package manager may list a file:
// where /bin, /lib … are links into /usr, lists still name the old path.
func aliases(tree *squash.Tree, name string) []string {
	list := []string{name}
	if real, ok := tree.Resolve(name); ok && real != name {
		list = append(list, real)
	}
	short, ok := strings.CutPrefix(name, "usr/")
	if !ok {
		return list
	}
	if real, ok := tree.Resolve(short); ok && real == name {
		list = append(list, short)
	}
	return list
}

// dropUninstalled removes what a lock file declares and nobody installed, where
// the tree that the lock file describes is there to tell.
func dropUninstalled(packages []found) []found {
	trees := map[string]bool{} // type and directory with something installed below
	for _, p := range packages {
		if p.Found != sekisho.Installed {
			continue
		}
		for _, l := range p.Locations {
			if i := strings.Index(l, "node_modules/"); i >= 0 && p.Type == "npm" {
				trees["npm "+path.Clean("/"+l[:i])] = true
			}
			if i := strings.Index(l, "vendor/composer/"); i >= 0 && p.Type == "composer" {
				trees["composer "+path.Clean("/"+l[:i])] = true
			}
		}
	}
	return slices.DeleteFunc(packages, func(p found) bool {
		return p.Found == sekisho.Declared && trees[p.Type+" "+path.Dir(path.Clean("/"+p.Locations[0]))]
	})
}
