package scan

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"sekisho"
	"sekisho/image"
	"sekisho/scan/ecosystem/osrelease"
	"sekisho/scan/ecosystem/repository"
	"sekisho/scan/squash"
)

// found is a package with the layer and the file that it came from.
type found struct {
	sekisho.Package
	layer int
}

// report gathers what a container sees.
func (s *scanner) report(ctx context.Context, tree *squash.Tree) *sekisho.Report {
	r := &sekisho.Report{Schema: sekisho.ReportSchema, Generated: s.Now.UTC(), Tool: s.Tool}
	r.Target = s.target()
	r.Target.OS = distribution(tree)
	r.Target.Repositories = repositories(tree)
	packages := s.packages(tree)
	licence(tree, packages)
	identify(r.Target.OS, packages)
	markCodeless(tree, s.results, packages)
	installed := map[string]int{}
	for _, p := range packages {
		if osPackage(p.Type) {
			installed[p.Type+":"+p.Name] = p.layer
		}
	}
	packages = dropOwned(tree, s.key, installed, packages)
	packages = dropUninstalled(packages)
	r.Packages = s.finish(packages, r.Target.Layers)
	r.Findings = s.findings(ctx, tree, r.Target.Layers, installed)
	r.Problems = s.allProblems(tree, r.Target.Layers)
	s.programs(tree)
	return r
}

// programs hands over the functions of programs that a container sees.
func (s *scanner) programs(tree *squash.Tree) {
	for _, f := range tree.Files {
		if s.Programs != nil && !f.Hidden && f.Symbols.Known() {
			s.Programs(f.Path, f.Symbols)
		}
	}
}

func (s *scanner) target() sekisho.Target {
	img := s.img
	t := sekisho.Target{Kind: img.Kind, Reference: img.Reference, Digest: img.Digest, ID: img.ID, Platform: img.Platform.String(), Layers: []sekisho.Layer{}}
	for _, p := range img.Platforms {
		t.Platforms = append(t.Platforms, p.String())
	}
	if c := img.Config; img.Kind != image.KindDirectory {
		t.Config = &sekisho.RunConfig{User: c.Config.User, Entrypoint: s.cleanAll(c.Config.Entrypoint), Cmd: s.cleanAll(c.Config.Cmd), WorkingDir: c.Config.WorkingDir}
		for p := range c.Config.ExposedPorts {
			t.Config.Ports = append(t.Config.Ports, p)
		}
		slices.Sort(t.Config.Ports)
		t.Config.Labels = s.labels(c.Config.Labels)
		if c.Created != nil {
			t.Created = c.Created.UTC().Format("2006-01-02T15:04:05Z")
		}
	}
	for i, l := range img.Layers {
		t.Layers = append(t.Layers, sekisho.Layer{Index: i, DiffID: cmp.Or(l.DiffID, s.results[i].Summary.DiffID), Digest: l.Digest,
			Size: s.results[i].Summary.Size, Instruction: s.clean(l.CreatedBy), Writable: l.Writable})
	}
	return t
}

// labels are the image's, without secrets.
func (s *scanner) labels(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for name, value := range in {
		out[s.clean(name)] = s.clean(value)
	}
	return out
}

func (s *scanner) cleanAll(list []string) []string {
	out := []string{}
	for _, text := range list {
		out = append(out, s.clean(text))
	}
	return out
}

// distribution picks the best description of the distribution: os-release as
// os-release(5) orders its places, else whatever a file tells.
func distribution(tree *squash.Tree) *sekisho.OS {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		if f, ok := tree.Find(name); ok && f.OS != nil {
			return supported(*f.OS)
		}
	}
	for _, f := range tree.Files {
		if !f.Hidden && f.OS != nil && f.OS.ID != "" {
			return supported(*f.OS)
		}
	}
	return nil
}

// repositories lists what files tell of where packages come from, each once.
func repositories(tree *squash.Tree) (list []string) {
	for _, f := range tree.Files {
		for _, fact := range f.Facts {
			if fact.Kind == repository.Fact && !f.Hidden {
				list = append(list, fact.Value)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func supported(os sekisho.OS) *sekisho.OS {
	os.SupportedUntil = cmp.Or(os.SupportedUntil, osrelease.SupportedUntil(os))
	os.Extended = osrelease.Extended(os)
	return &os
}

// packages lists what visible files tell. A package of a database that every
// layer rewrites belongs to the layer that first had it.
func (s *scanner) packages(tree *squash.Tree) []found {
	older := map[string][]squash.Placed{} // by path, lowest layer first
	for _, f := range tree.Files {
		if f.Hidden && len(f.Packages) > 0 {
			older[f.Path] = append(older[f.Path], f)
		}
	}
	var list []found
	for _, f := range tree.Files {
		if f.Hidden || len(f.Packages) == 0 {
			continue
		}
		origins := map[string]int{}
		for i, p := range f.Packages {
			if len(older[f.Path]) > 0 && i == 0 {
				origins = origin(f, older[f.Path])
			}
			if len(p.Locations) == 0 {
				p.Locations = []string{f.Path}
			}
			at, ok := origins[p.PURL]
			if !ok {
				at = f.Layer
			}
			list = append(list, found{p, at})
		}
	}
	return list
}

// origin returns, for the packages of a file, the lowest layer from which on
// every version of the file had them.
func origin(f squash.Placed, older []squash.Placed) map[string]int {
	at := map[string]int{}
	for _, p := range f.Packages {
		at[p.PURL] = f.Layer
	}
	above := f.Layer
	for _, o := range slices.Backward(older) {
		for _, p := range o.Packages {
			if l, ok := at[p.PURL]; ok && l == above {
				at[p.PURL] = o.Layer
			}
		}
		above = o.Layer
	}
	return at
}

// licence fills in licences that files beside the database tell.
func licence(tree *squash.Tree, packages []found) {
	licences := map[string]string{}
	for _, f := range tree.Files {
		if f.Hidden {
			continue
		}
		for _, l := range f.Licences {
			licences[l.Package] = l.Licence
		}
	}
	for i := range packages {
		if p := &packages[i]; p.Licence == "" {
			p.Licence = licences[p.Type+":"+p.Name]
		}
	}
}

// identify completes the PURLs of distribution packages: their namespace and
// distro qualifier are known once the distribution is.
func identify(os *sekisho.OS, packages []found) {
	if os == nil {
		return
	}
	namespace, distro := osrelease.PURL(*os)
	for i := range packages {
		if p := &packages[i]; osPackage(p.Type) {
			p.PURL = withDistro(p.PURL, p.Type, namespace, distro)
		}
	}
}

func osPackage(kind string) bool {
	switch kind {
	case "deb", "apk", "rpm", "alpm", "opkg":
		return true
	}
	return false
}

func withDistro(purl, kind, namespace, distro string) string {
	rest, ok := strings.CutPrefix(purl, "pkg:"+kind+"/")
	if !ok {
		return purl
	}
	head, query, _ := strings.Cut(rest, "?")
	if namespace != "" && !strings.Contains(head, "/") {
		head = namespace + "/" + head
	}
	var qualifiers []string
	if query != "" {
		qualifiers = strings.Split(query, "&")
	}
	if distro != "" {
		qualifiers = append(qualifiers, "distro="+distro)
	}
	slices.Sort(qualifiers)
	purl = "pkg:" + kind + "/" + head
	if len(qualifiers) > 0 {
		purl += "?" + strings.Join(qualifiers, "&")
	}
	return purl
}

// finish makes one package of those with one PURL and names their layers.
func (s *scanner) finish(packages []found, layers []sekisho.Layer) []sekisho.Package {
	slices.SortStableFunc(packages, func(a, b found) int {
		return cmp.Or(strings.Compare(a.PURL, b.PURL), rank(a.Found)-rank(b.Found), a.layer-b.layer)
	})
	list := []sekisho.Package{}
	for _, p := range packages {
		if n := len(list) - 1; n >= 0 && list[n].PURL == p.PURL {
			last := &list[n]
			last.Locations = append(last.Locations, p.Locations...)
			last.Licence = cmp.Or(last.Licence, p.Licence)
			last.Owner = cmp.Or(last.Owner, p.Owner)
			last.Dev = last.Dev && p.Dev
			continue
		}
		p.Layer, p.Changed = layers[p.layer].DiffID, layers[p.layer].Writable
		list = append(list, p.Package)
	}
	for i := range list {
		slices.Sort(list[i].Locations)
		list[i].Locations = slices.Compact(list[i].Locations)
	}
	return list
}

func rank(how string) int {
	return slices.Index([]string{sekisho.Installed, sekisho.Embedded, sekisho.Declared}, how)
}
