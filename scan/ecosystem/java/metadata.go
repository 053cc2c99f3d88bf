package java

import (
	"bytes"
	"strings"
)

// parseProperties reads a pom.properties.
func parseProperties(data []byte) (i id) {
	for line := range bytes.Lines(data) {
		key, value, ok := bytes.Cut(line, []byte("="))
		if !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		switch string(bytes.TrimSpace(key)) {
		case "groupId":
			i.group = word(value)
		case "artifactId":
			i.artifact = word(value)
		case "version":
			i.version = word(value)
		}
	}
	return i
}

const maxWord = 256 // bytes of a name or version

// word is a name or version, or nothing where it cannot be one: a template
// that nobody filled in, a text.
func word[T string | []byte](s T) string {
	if len(s) == 0 || len(s) > maxWord || strings.ContainsAny(string(s), " \t\r\n${}@<>\"'/\\:") {
		return ""
	}
	return string(s)
}

// headers are those lines of a manifest's main section that name the archive.
type headers map[string]string

var known = map[string]bool{
	"Implementation-Title": true, "Implementation-Version": true, "Implementation-Vendor-Id": true,
	"Specification-Title": true, "Specification-Version": true,
	"Bundle-SymbolicName": true, "Bundle-Version": true, "Bundle-License": true, "Automatic-Module-Name": true,
	"Group-Id": true, "Short-Name": true, "Plugin-Version": true, "Plugin-License-Name": true, // Jenkins
	"Extension-Name": true,
}

// parseManifest reads the main section. A line that begins with a space
// continues the one before (JAR File Specification, "Manifest Specification").
func parseManifest(data []byte) headers {
	h := headers{}
	key := ""
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' {
			if key != "" && len(h[key]) < 16<<10 {
				h[key] += string(line[1:])
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if key = string(name); !ok || !known[key] {
			key = ""
			continue
		}
		h[key] = string(bytes.TrimPrefix(value, []byte(" ")))
	}
	return h
}

// symbolic is the bundle's name without its directives.
func (h headers) symbolic() string {
	name, _, _ := strings.Cut(h["Bundle-SymbolicName"], ";")
	return word(strings.TrimSpace(name))
}

// implementation is the version that the archive's makers give it, when it
// looks like one. Others of the manifest's versions are reworded or of an API.
func (h headers) implementation() string {
	for _, key := range []string{"Plugin-Version", "Implementation-Version"} {
		v, _, _ := strings.Cut(strings.TrimSpace(h[key]), " ")
		if v = word(v); dotted(v) {
			return v
		}
	}
	return ""
}

// version is the first of the manifest's versions that is one.
func (h headers) version() string {
	for _, key := range []string{"Plugin-Version", "Implementation-Version", "Bundle-Version", "Specification-Version"} {
		v, _, _ := strings.Cut(strings.TrimSpace(h[key]), " ")
		if v = word(v); v != "" && strings.ContainsAny(v, "0123456789") {
			return v
		}
	}
	return ""
}

// fileName takes apart name-1.2.3-classifier.jar. OSGi writes name_1.2.3.
func fileName(location string) (stem, version string) {
	base := location[strings.LastIndexByte(location, '/')+1:]
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		base = base[:i]
	}
	best := -1
	for i := len(base) - 2; i > 0; i-- {
		if (base[i] == '-' || base[i] == '_') && digit(base[i+1]) && !snapshot(base[i+1:]) {
			if best = i; dotted(base[i+1:]) {
				break
			}
		}
	}
	if best < 0 {
		return base, ""
	}
	return base[:best], unclassified(base[best+1:])
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// dotted reports whether s begins as 1.2 does.
func dotted(s string) bool {
	i := 0
	for i < len(s) && digit(s[i]) {
		i++
	}
	return i > 0 && i+1 < len(s) && s[i] == '.' && digit(s[i+1])
}

// snapshot reports whether s is only the time and count that Maven puts behind
// the version of a snapshot: 20200131.120000-1.
func snapshot(s string) bool {
	day, rest, _ := strings.Cut(s, ".")
	clock, _, _ := strings.Cut(rest, "-")
	return len(day) == 8 && len(clock) == 6 && digits(day) && digits(clock) || len(s) < 4 && digits(s)
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// unclassified cuts off what says which of several archives of a version this
// is.
func unclassified(version string) string {
	for _, c := range []string{"-sources", "-javadoc", "-tests", "-test", "-all", "-shaded", "-jar-with-dependencies", "-with-dependencies", "-bundle", "-exec", "-linux-", "-osx-", "-windows-", "-uber", "-standalone", "-runner", "-boot"} {
		if i := strings.Index(version, c); i > 0 {
			version = version[:i]
		}
	}
	return word(version)
}
