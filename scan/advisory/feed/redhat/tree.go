package redhat

import (
	"net/url"
	"regexp"
	"strings"

	"sekisho/scan/advisory/feed/internal/source"
)

// Why a product of a statement is left out.
const (
	skipContainer = "container" // an image, matched by its digest and not by its packages
	skipOther     = "other"     // not an rpm: an archive, a module of a language
	skipProduct   = "product"   // no CPE says where the package comes from
	skipModule    = "module"    // the module has no stream
	skipDebug     = "debug"     // debuginfo and debugsource hold no code that runs
	skipBuild     = "build"     // one build is not affected, which follows from the others' being named
)

// component is one package of one product.
type component struct {
	cpe     string
	major   string // of Red Hat Enterprise Linux, empty when nothing tells
	name    string
	source  bool
	module  string // name:stream
	arch    string
	version string // epoch:version-release, empty for whatever version
}

// tree resolves product ids.
type tree struct {
	cpe   map[string]string    // of products
	purl  map[string]string    // of components, empty for those without
	edges map[string][2]string // id: component, of
}

func grow(d *document) *tree {
	t := &tree{cpe: map[string]string{}, purl: map[string]string{}, edges: make(map[string][2]string, len(d.Tree.Relationships))}
	for _, b := range d.Tree.Branches {
		t.branch(b)
	}
	for _, p := range d.Tree.Products {
		t.product(p)
	}
	for _, r := range d.Tree.Relationships {
		t.edges[r.Full.ID] = [2]string{r.Component, r.Of}
	}
	return t
}

func (t *tree) branch(b branch) {
	if b.Product != nil {
		t.product(*b.Product)
	}
	for _, sub := range b.Branches {
		t.branch(sub)
	}
}

func (t *tree) product(p product) {
	if p.Helper.CPE != "" {
		t.cpe[p.ID] = p.Helper.CPE
	}
	if p.Helper.CPE == "" || p.Helper.PURL != "" {
		t.purl[p.ID] = p.Helper.PURL
	}
}

// resolve returns the component that an id stands for, or why there is none.
// A component may be part of a module that is part of a product.
func (t *tree) resolve(id string) (component, string) {
	edge, ok := t.edges[id]
	if !ok {
		return component{}, skipProduct
	}
	c, skip := t.component(edge[0])
	if skip != "" {
		return component{}, skip
	}
	of := edge[1]
	for range 8 {
		if c.cpe = t.cpe[of]; c.cpe != "" {
			break
		}
		edge, ok := t.edges[of]
		if !ok {
			return component{}, skipProduct
		}
		if c.module == "" {
			c.module = moduleOf(t.purl[edge[0]], edge[0])
		}
		of = edge[1]
	}
	if !strings.HasPrefix(c.cpe, "cpe:/") {
		return component{}, skipProduct
	}
	if c.module != "" && !strings.Contains(c.module, ":") {
		return component{}, skipModule
	}
	if !c.source && (strings.HasSuffix(c.name, "-debuginfo") || strings.HasSuffix(c.name, "-debugsource")) {
		return component{}, skipDebug
	}
	c.major = major(c.cpe, c.version)
	return c, ""
}

// component reads a component by its package URL, or by its id where it has
// none: then it is the name of a source package, in a module or not.
func (t *tree) component(id string) (component, string) {
	purl, known := t.purl[id]
	switch {
	case !known:
		return component{}, skipProduct
	case purl == "" && strings.Contains(id, "/"):
		module, name, _ := strings.Cut(id, "/")
		if !strings.Contains(module, ":") || strings.Contains(name, "/") {
			return component{}, skipContainer
		}
		return component{name: name, source: true, module: stream(module)}, ""
	case purl == "":
		return component{name: id, source: true}, plainName(id)
	case strings.HasPrefix(purl, "pkg:oci/"):
		return component{}, skipContainer
	}
	rest, ok := strings.CutPrefix(purl, "pkg:rpm/redhat/")
	if !ok {
		return component{}, skipOther
	}
	return rpm(rest)
}

// rpm reads name[@version][?qualifiers] of a package URL (purl, types rpm).
func rpm(rest string) (component, string) {
	rest, query, _ := strings.Cut(rest, "?")
	name, version, _ := strings.Cut(rest, "@")
	name, version = unescape(name), unescape(version)
	c := component{name: name}
	epoch := ""
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "arch":
			c.arch = unescape(value)
		case "epoch":
			epoch = unescape(value)
		case "rpmmod":
			if c.module = stream(unescape(value)); c.module == "" {
				return component{}, skipModule
			}
		}
	}
	if c.arch == "src" {
		c.source, c.arch = true, ""
	}
	if strings.Contains(version, "-") { // "rhel8" is no version but a stream
		c.version = source.EVR(epoch, contextHash.ReplaceAllString(version, "$1"), "")
	}
	return c, plainName(name)
}

// contextHash is what ends the release of a module's build: the hash of the streams
// that the module was built against (Fedora Modularity, "context"). One build
// of a module makes packages of several contexts, under one number; the hashes
// have no order.
var contextHash = regexp.MustCompile(`(\.module[+_]el[0-9.]+\+[0-9]+)\+[0-9a-f]{8}(?:\.[0-9]+)?$`)

func plainName(name string) string {
	if name == "" || strings.ContainsAny(name, "/: \t\n") {
		return skipOther
	}
	return ""
}

// stream returns name:stream of name:stream:version:context.
func stream(s string) string {
	name, rest, ok := strings.Cut(s, ":")
	stream, _, _ := strings.Cut(rest, ":")
	if !ok || name == "" || stream == "" {
		return ""
	}
	return name + ":" + stream
}

// moduleOf returns the stream of a module that stands in the tree itself.
func moduleOf(purl, id string) string {
	if rest, ok := strings.CutPrefix(purl, "pkg:rpmmod/redhat/"); ok {
		rest, _, _ = strings.Cut(rest, "?")
		return stream(strings.Replace(unescape(rest), "@", ":", 1))
	}
	return stream(id)
}

func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}
