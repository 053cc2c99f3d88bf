package java

import (
	"bytes"
	"cmp"
	"strings"

	"sekisho"
	"sekisho/scan/licence"
)

// content is what one archive says about itself and what is in it.
type content struct {
	location string
	manifest headers
	inner    []described // artifacts, by the directory of their description
	licence  []byte      // a licence's text
}

// described is an artifact that a description names.
type described struct {
	dir string // META-INF/maven/group/artifact
	id
	fromPom id // what pom.xml says, where pom.properties is missing
	licence string
}

// add takes a member's bytes, which are valid during the call.
func (c *content) add(m found, text []byte) {
	switch m.sort {
	case manifestMember:
		c.manifest = parseManifest(text)
	case propertiesMember:
		d := c.at(m.name)
		d.id = parseProperties(text)
	case pomMember:
		p := parsePom(text)
		d := c.at(m.name)
		d.fromPom, d.licence = p.id(), p.licence()
	case licenceMember:
		if c.licence == nil {
			c.licence = bytes.Clone(text[:min(len(text), 64<<10)])
		}
	}
}

func (c *content) at(name []byte) *described {
	dir := string(name[:bytes.LastIndexByte(name, '/')])
	for i := range c.inner {
		if c.inner[i].dir == dir {
			return &c.inner[i]
		}
	}
	c.inner = append(c.inner, described{dir: dir})
	return &c.inner[len(c.inner)-1]
}

// packages names the archive and what was shaded into it. The archive itself
// is the description that fits its file name, or the only one unless the
// manifest speaks of something else; else what its manifest and file name say.
func (c *content) packages() []sekisho.Package {
	stem, version := fileName(c.location)
	var list []sekisho.Package
	base := c.location[strings.LastIndexByte(c.location, '/')+1:]
	main := -1
	seen := map[id]bool{}
	for _, d := range c.inner {
		i := d.resolve()
		if i.artifact == "jrt-fs" { // a part of the JDK
			return list
		}
		if i.artifact == "" || i.version == "" || seen[i] {
			continue
		}
		seen[i] = true
		p := i.pack(sekisho.Embedded)
		p.Locations, p.Licence = []string{c.location}, d.licence
		list = append(list, p)
		if fits(base, i.artifact) && (main < 0 || len(i.artifact) > len(list[main].Name)-strings.IndexByte(list[main].Name, ':')-1) {
			main = len(list) - 1
		}
	}
	if main < 0 && len(list) == 1 && !c.stranger(c.inner) {
		main = 0
	}
	if main >= 0 {
		list[main].Licence = cmp.Or(list[main].Licence, c.ownLicence())
		list[0], list[main] = list[main], list[0]
		return list
	}
	i := c.guess(stem, version)
	if i.artifact == "jrt-fs" { // a part of the JDK
		return list
	}
	if i.artifact == "" || i.version == "" || i.group == "" && len(list) > 0 {
		return list
	}
	p := i.pack(sekisho.Embedded)
	p.Locations, p.Licence = []string{c.location}, c.ownLicence()
	return append([]sekisho.Package{p}, list...)
}

// stranger reports whether a single description is that of something shaded in:
// the manifest names another bundle, with another version.
func (c *content) stranger(list []described) bool {
	name := cmp.Or(c.manifest.symbolic(), word(c.manifest["Automatic-Module-Name"]))
	version := c.manifest.version()
	if name == "" || !dotted(version) {
		return false
	}
	name = strings.ReplaceAll(name, "-", ".")
	for _, d := range list {
		i := d.resolve()
		if i.artifact == "" || i.version == "" {
			continue
		}
		if sameNumbers(version, i.version) || strings.Contains(name, strings.ReplaceAll(i.artifact, "-", ".")) ||
			i.group != "" && (strings.HasPrefix(name, strings.ReplaceAll(i.group, "-", ".")) || strings.HasPrefix(i.group, name)) {
			return false
		}
	}
	return true
}

// sameNumbers reports whether one version's numbers begin with the other's:
// bundles write 4.2.0.RELEASE for 4.2.
func sameNumbers(a, b string) bool {
	a, b = numbers(a), numbers(b)
	return a != "" && b != "" && (strings.HasPrefix(a+".", b+".") || strings.HasPrefix(b+".", a+"."))
}

func numbers(v string) string {
	end := strings.IndexFunc(v, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		v = v[:end]
	}
	return strings.Trim(v, ".")
}

// resolve prefers pom.properties; pom.xml fills in what it lacks.
func (d described) resolve() id {
	return id{cmp.Or(d.group, d.fromPom.group), cmp.Or(d.artifact, d.fromPom.artifact), cmp.Or(d.id.version, d.fromPom.version)}
}

// fits reports whether a file of that name is the artifact's.
func fits(base, artifact string) bool {
	rest, ok := strings.CutPrefix(base, artifact)
	return ok && rest != "" && (rest[0] == '.' || (rest[0] == '-' || rest[0] == '_') && len(rest) > 1 && digit(rest[1]))
}

// ownLicence is the licence of the archive: what its manifest names, else the
// text in it.
func (c *content) ownLicence() string {
	for _, key := range []string{"Bundle-License", "Plugin-License-Name"} {
		name, _, _ := strings.Cut(c.manifest[key], ";")
		name, _, _ = strings.Cut(name, ",")
		if name = strings.Trim(strings.TrimSpace(name), `"`); name != "" {
			if l := spdx(name); l != "" {
				return l
			}
		}
	}
	if c.licence == nil {
		return ""
	}
	return licence.Detect(c.licence)
}

// spdx turns a licence's name or address into an expression.
func spdx(name string) string {
	address := strings.TrimSuffix(strings.ToLower(name), "/")
	if rest, ok := strings.CutPrefix(address, "http"); ok {
		rest = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(rest, "s"), "://"), "www.")
		return addresses[strings.TrimSuffix(strings.TrimSuffix(rest, ".html"), ".txt")]
	}
	return licence.SPDX(name)
}

// guess names an archive without a description.
func (c *content) guess(stem, version string) id {
	h := c.manifest
	i := id{artifact: word(stem), version: h.implementation()}
	if i.version == "" || strings.HasPrefix(version, i.version) || strings.HasPrefix(i.version, version) && dotted(version) {
		i.version = version // as Maven writes it
	}
	if !dotted(i.version) {
		i.version = cmp.Or(h.version(), i.version)
	}
	if name := word(h["Short-Name"]); name != "" && h["Plugin-Version"] != "" { // Jenkins
		i.artifact = name
	}
	i.group = cmp.Or(groupOf(i.artifact), group(h["Group-Id"]), groupFrom(h.symbolic(), i.artifact), group(h["Implementation-Vendor-Id"]),
		groupFrom(word(h["Automatic-Module-Name"]), i.artifact))
	return i
}

// group is a name that can be one of a group: two words with a dot.
func group(name string) string {
	if name = word(strings.TrimSpace(name)); !strings.Contains(strings.Trim(name, "."), ".") {
		return ""
	}
	return name
}

// groupOf looks up artifacts that are often shipped without any description.
func groupOf(artifact string) string {
	if g, ok := groups[artifact]; ok {
		return g
	}
	for _, p := range groupsByPrefix {
		if strings.HasPrefix(artifact, p.prefix) {
			return p.group
		}
	}
	return ""
}

// groupFrom takes the group out of a bundle's or module's name, which usually
// is the group, a dot and the artifact, or its last word.
func groupFrom(name, artifact string) string {
	if rest, ok := strings.CutSuffix(name, "."+artifact); ok {
		return group(rest)
	}
	i := strings.LastIndexByte(name, '.')
	if name == artifact && i > 0 { // Eclipse
		return group(name[:i])
	}
	if i < 0 {
		return ""
	}
	last, plain := strings.ToLower(name[i+1:]), strings.ToLower(strings.TrimRight(artifact, "0123456789"))
	last = strings.TrimRight(last, "0123456789")
	if last != "" && (plain == last || strings.HasSuffix(plain, "-"+last) || strings.HasSuffix(plain, "."+last)) {
		return group(name[:i])
	}
	return ""
}
