// Package java reads Java archives: jar, war, ear and their kin, also nested
// and shaded ones, by pom.properties, manifest and file name. Archives are
// untrusted: depth, count and expanded bytes are bounded.
package java

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "java" }
func (reader) Version() int { return 1 }

// Wants knows archives by their extension.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 5 || !f.Mode.IsRegular() {
		return analyze.Skip
	}
	if archive(p) {
		return analyze.Whole
	}
	if strings.HasSuffix(p, "gradle.lockfile") {
		return analyze.Whole
	}
	return analyze.Skip
}

func archive(p string) bool {
	i := len(p) - 4
	if p[i] != '.' {
		return false
	}
	switch p[i+1:] {
	case "jar", "war", "ear", "par", "sar", "jpi", "hpi", "kar", "rar":
		return p[i+1:] != "rar" || strings.Contains(p, "jca")
	}
	return false
}

// Bounds of one archive with all that is nested in it.
const (
	maxDepth  = 5
	maxBytes  = 1 << 30 // expanded, of nested archives
	maxInner  = 128 << 20
	maxCount  = 5000 // nested archives
	maxMember = 100_000
	maxText   = 1 << 20
)

// budget is what may still be spent on an archive.
type budget struct{ bytes, count int64 }

// Analyze reads one archive or lock file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	if strings.HasSuffix(f.Path, "gradle.lockfile") {
		gradle(f.Data, out)
		return nil
	}
	return jar(f.Data, f.Path, 0, &budget{maxBytes, maxCount}, out)
}

// gradle reads lines of group:artifact:version=configurations.
func gradle(data []byte, out *analyze.Result) {
	for line := range bytes.Lines(data) {
		spec, _, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		parts := strings.Split(spec, ":")
		if ok && len(parts) == 3 && parts[0] != "" && parts[0][0] != '#' {
			out.Packages = append(out.Packages, pack(id{parts[0], parts[1], parts[2]}, sekisho.Declared))
		}
	}
}

// id is what names a Maven artifact.
type id struct{ group, artifact, version string }

func pack(i id, how string) sekisho.Package {
	name := i.artifact
	if i.group != "" {
		name = i.group + ":" + i.artifact
	}
	return sekisho.Package{Name: name, Version: i.version, Type: "maven", Found: how, PURL: purl.New("maven", i.group, i.artifact, i.version)}
}

// jar reads one archive at the location, and those in it.
func jar(data []byte, location string, depth int, left *budget, out *analyze.Result) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("%s: %w", inner(location), err)
	}
	if len(z.File) > maxMember {
		return fmt.Errorf("%s: more than %d members", inner(location), maxMember)
	}
	var poms []id
	var manifest map[string]string
	license := ""
	for _, m := range z.File {
		switch name := m.Name; {
		case strings.HasSuffix(name, "/pom.properties") && strings.HasPrefix(name, "META-INF/maven/"):
			if i := properties(text(m)); i.artifact != "" && i.version != "" {
				poms = append(poms, i)
			}
		case name == "META-INF/MANIFEST.MF":
			manifest = headers(text(m))
		case (name == "META-INF/LICENSE" || name == "META-INF/LICENSE.txt") && license == "":
			license = licence.Detect(text(m))
		case len(name) > 4 && archive(name):
			if err := nested(m, location, depth, left, out); err != nil {
				out.Problem(err.Error())
			}
		}
	}
	add(poms, manifest, location, license, out)
	return nil
}

func inner(location string) string {
	_, in, ok := strings.Cut(location, "!/")
	if ok {
		return in
	}
	return path.Base(location)
}

func nested(m *zip.File, location string, depth int, left *budget, out *analyze.Result) error {
	at := location + "!/" + m.Name
	size := int64(min(m.UncompressedSize64, 1<<40))
	switch {
	case depth+1 >= maxDepth:
		return fmt.Errorf("%s: archives nest more than %d deep", inner(at), maxDepth)
	case size > maxInner:
		return fmt.Errorf("%s: %d bytes, want at most %d", inner(at), size, maxInner)
	case left.count == 0 || size > left.bytes:
		return fmt.Errorf("%s: the archives in it expand too far", inner(at))
	}
	left.count--
	r, err := m.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", inner(at), err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	left.bytes -= int64(len(data))
	if err != nil {
		return fmt.Errorf("%s: %w", inner(at), err)
	}
	if int64(len(data)) > size {
		return fmt.Errorf("%s: it is larger than it says", inner(at))
	}
	return jar(data, at, depth+1, left, out)
}

// text reads a small member, nothing when it is too large or broken.
func text(m *zip.File) []byte {
	if m.UncompressedSize64 > maxText {
		return nil
	}
	r, err := m.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxText))
	if err != nil {
		return nil
	}
	return data
}

func properties(data []byte) (i id) {
	for line := range bytes.Lines(data) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if !ok {
			continue
		}
		switch strings.TrimSpace(key) {
		case "groupId":
			i.group = strings.TrimSpace(value)
		case "artifactId":
			i.artifact = strings.TrimSpace(value)
		case "version":
			i.version = strings.TrimSpace(value)
		}
	}
	return i
}

// headers reads a manifest's main section; a line that begins with a space
// continues the one before (JAR file specification, "Manifest specification").
func headers(data []byte) map[string]string {
	h := map[string]string{}
	last := ""
	for line := range bytes.Lines(data) {
		s := strings.TrimRight(string(line), "\r\n")
		if s == "" {
			break
		}
		if s[0] == ' ' {
			if len(h[last]) < 64<<10 {
				h[last] += s[1:]
			}
			continue
		}
		key, value, ok := strings.Cut(s, ":")
		if ok {
			last = key
			h[last] = strings.TrimSpace(value)
		}
	}
	return h
}

var fileVersion = regexp.MustCompile(`^(.+?)[-_](\d[\w.+-]*?)(?:-(?:sources|javadoc|tests|jar-with-dependencies|all|shaded|bin))?$`)

// add names the archive and what was shaded into it. The archive itself is the
// pom.properties that fits its file name, or the only one; else what the
// manifest says; else what the file name says.
func add(poms []id, manifest map[string]string, location, license string, out *analyze.Result) {
	base := strings.TrimSuffix(path.Base(location), path.Ext(location))
	stem, version := base, ""
	if m := fileVersion.FindStringSubmatch(base); m != nil {
		stem, version = m[1], m[2]
	}
	main := len(poms) == 1
	for _, p := range poms {
		main = main || p.artifact == stem || strings.HasPrefix(base, p.artifact+"-")
		q := pack(p, sekisho.Embedded)
		q.Locations = []string{location}
		q.Licence = license
		out.Packages = append(out.Packages, q)
	}
	if main {
		return
	}
	i := fromManifest(manifest, stem, version)
	if i.artifact == "" || i.version == "" {
		return
	}
	q := pack(i, sekisho.Embedded)
	q.Locations, q.Licence = []string{location}, license
	if u := manifest["Bundle-License"]; q.Licence == "" && u != "" {
		u, _, _ = strings.Cut(u, ";")
		u, _, _ = strings.Cut(u, ",")
		q.Licence = licence.SPDX(strings.Trim(u, `"`))
	}
	out.Packages = append(out.Packages, q)
}

var clean = regexp.MustCompile(`^[\w][\w.+-]*$`)

func fromManifest(h map[string]string, stem, version string) id {
	i := id{group: h["Implementation-Vendor-Id"], artifact: stem, version: version}
	symbolic, _, _ := strings.Cut(h["Bundle-SymbolicName"], ";")
	if i.group == "" && strings.Contains(symbolic, ".") {
		i.group = strings.TrimSuffix(strings.TrimSuffix(symbolic, stem), ".")
		if i.group == symbolic {
			i.group = symbolic[:strings.LastIndexByte(symbolic, '.')]
		}
	}
	if g, ok := groups[stem]; ok {
		i.group = g
	}
	for _, key := range []string{"Implementation-Version", "Bundle-Version", "Specification-Version"} {
		if v := strings.TrimSpace(h[key]); i.version == "" && v != "" && v[0] >= '0' && v[0] <= '9' {
			i.version, _, _ = strings.Cut(v, " ")
		}
	}
	if !clean.MatchString(i.group) {
		i.group = ""
	}
	return i
}
