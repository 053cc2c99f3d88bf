package java

import (
	"bytes"
	"cmp"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
)

// pom is what a project file says, as far as it concerns us.
type pom struct {
	own, parent  id
	licences     []string // names
	addresses    []string
	properties   map[string]string
	dependencies []dependency
	managed      map[[2]string]string // versions by group and artifact
}

type dependency struct {
	id
	scope string
}

const maxDependencies = 20_000

// parsePom reads a project file. Nothing beyond it is read: what a parent in
// another file would tell stays unknown.
func parsePom(data []byte) pom {
	p := pom{properties: map[string]string{}, managed: map[[2]string]string{}}
	var d dependency
	walk(data, func(path []byte, text string) {
		switch string(path) {
		case "project/groupId":
			p.own.group = text
		case "project/artifactId":
			p.own.artifact = text
		case "project/version":
			p.own.version = text
		case "project/parent/groupId":
			p.parent.group = text
		case "project/parent/artifactId":
			p.parent.artifact = text
		case "project/parent/version":
			p.parent.version = text
		case "project/licenses/license/name":
			p.licences = append(p.licences, text)
		case "project/licenses/license/url":
			p.addresses = append(p.addresses, text)
		case "project/dependencies/dependency":
			if len(p.dependencies) < maxDependencies {
				p.dependencies = append(p.dependencies, d)
			}
			d = dependency{}
		case "project/dependencyManagement/dependencies/dependency":
			p.managed[[2]string{d.group, d.artifact}] = d.version
			d = dependency{}
		default:
			if name, ok := bytes.CutPrefix(path, []byte("project/properties/")); ok && len(p.properties) < maxDependencies {
				p.properties[string(name)] = text
				return
			}
			d.field(path, text)
		}
	})
	return p
}

// field takes what is directly in a dependency.
func (d *dependency) field(path []byte, text string) {
	i := bytes.LastIndexByte(path, '/')
	if i < 0 || !bytes.Equal(path[:i], []byte("project/dependencies/dependency")) && !bytes.Equal(path[:i], []byte("project/dependencyManagement/dependencies/dependency")) {
		return
	}
	switch string(path[i+1:]) {
	case "groupId":
		d.group = text
	case "artifactId":
		d.artifact = text
	case "version":
		d.version = text
	case "scope":
		d.scope = text
	}
}

// id is the project's own name, with what it takes from its parent.
func (p *pom) id() id {
	return id{word(p.value(cmp.Or(p.own.group, p.parent.group))), word(p.value(p.own.artifact)), word(p.value(cmp.Or(p.own.version, p.parent.version)))}
}

// value fills in ${names}; it is empty when one is unknown.
func (p *pom) value(s string) string {
	for range 8 { // properties of properties
		from := strings.Index(s, "${")
		if from < 0 {
			return s
		}
		name, rest, ok := strings.Cut(s[from+2:], "}")
		value := p.property(name)
		if !ok || value == "" || len(s)+len(value) > 4*maxWord {
			return ""
		}
		s = s[:from] + value + rest
	}
	return ""
}

func (p *pom) property(name string) string {
	switch strings.TrimPrefix(name, "pom.") {
	case "project.version", "version":
		return cmp.Or(p.own.version, p.parent.version)
	case "project.groupId", "groupId":
		return cmp.Or(p.own.group, p.parent.group)
	case "project.artifactId", "artifactId":
		return p.own.artifact
	case "project.parent.version", "parent.version":
		return p.parent.version
	case "project.parent.groupId", "parent.groupId":
		return p.parent.group
	}
	return p.properties[name]
}

// licence joins the project's licences: Maven means that any may be chosen.
func (p *pom) licence() string {
	var list []string
	for i := range max(len(p.licences), len(p.addresses)) {
		l := ""
		if i < len(p.addresses) {
			l = spdx(p.addresses[i])
		}
		if l == "" && i < len(p.licences) {
			l = spdx(p.licences[i])
		}
		if l != "" && len(list) < 8 && !contains(list, l) {
			list = append(list, l)
		}
	}
	return strings.Join(list, " OR ")
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// declared reports the direct dependencies of a project whose versions the
// file itself tells.
func declared(data []byte, out *analyze.Result) {
	p := parsePom(data)
	for _, d := range p.dependencies {
		version := cmp.Or(d.version, p.managed[[2]string{d.group, d.artifact}])
		i := id{word(p.value(d.group)), word(p.value(d.artifact)), word(p.value(version))}
		if i.group == "" || i.artifact == "" || i.version == "" || strings.ContainsAny(i.version, "[(,") {
			continue
		}
		q := i.pack(sekisho.Declared)
		q.Dev = d.scope == "test"
		out.Packages = append(out.Packages, q)
	}
}
