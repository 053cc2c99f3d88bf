// Package java reads Java archives (jar, war, ear and their kin), with what is
// nested in them or was shaded into them, and the lock files and project files
// of Maven and Gradle. What enters are files, what leaves are Maven
// artifacts; archives that are too large to be held are read as they stream by.
// Archives are untrusted: their depth, count, members and expanded
// bytes are bounded, and what lies about its size or overlaps is refused.
package java

import (
	"strings"
	"sync"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
)

// New returns the reader.
func New() analyze.Analyzer { return &reader{} }

// reader keeps inflaters for reuse.
type reader struct{ inflaters sync.Pool }

func (*reader) Name() string { return "java" }
func (*reader) Version() int { return 4 }

// kind of file that is read.
type kind uint8

const (
	nothing kind = iota
	archive
	projectFile // pom.xml
	properties  // pom.properties of an unpacked archive
	gradleLock
	gradleVerification
)

const maxText = 16 << 20 // bytes of a file that is not an archive

// Wants knows archives by their extension and their first bytes; an executable
// jar may begin with a script.
func (*reader) Wants(f *analyze.File) analyze.Want {
	if !f.Mode.IsRegular() {
		return analyze.Skip
	}
	switch kindOf(f.Path) {
	case nothing:
		return analyze.Skip
	case archive:
		if len(f.Head) < 4 || !(f.Head[0] == 'P' && f.Head[1] == 'K' || f.Head[0] == '#' && f.Head[1] == '!') {
			return analyze.Skip
		}
		if f.Size > analyze.MaxWhole {
			return analyze.Stream
		}
		return analyze.Whole
	}
	if f.Size > maxText {
		return analyze.Skip
	}
	return analyze.Whole
}

func kindOf(path string) kind {
	if isArchive(path) {
		return archive
	}
	if len(path) < 7 || path[len(path)-4] != '.' && path[len(path)-1] != 'e' && path[len(path)-1] != 's' {
		return nothing
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	switch base {
	case "pom.xml":
		if strings.Contains(path, "META-INF/") {
			return nothing
		}
		return projectFile
	case "pom.properties":
		if strings.Contains(path, "META-INF/maven/") {
			return properties
		}
	case "gradle.lockfile", "buildscript-gradle.lockfile":
		return gradleLock
	case "verification-metadata.xml":
		if strings.HasSuffix(path, "gradle/verification-metadata.xml") {
			return gradleVerification
		}
	default:
		if strings.HasSuffix(base, ".lockfile") && strings.HasSuffix(path[:len(path)-len(base)], "gradle/dependency-locks/") {
			return gradleLock
		}
	}
	return nothing
}

// isArchive knows the extensions of Java archives.
func isArchive(path string) bool {
	n := len(path)
	if n < 5 {
		return false
	}
	if path[n-4] == '.' {
		switch path[n-3:] {
		case "jar", "war", "ear", "par", "sar", "jpi", "hpi", "kar", "nar", "aar", "rar", "JAR", "WAR", "EAR":
			return true
		}
	}
	return n > 5 && path[n-5:] == ".lpkg"
}

// Analyze reads one file.
func (r *reader) Analyze(f *analyze.File, out *analyze.Result) error {
	switch kindOf(f.Path) {
	case archive:
		return r.archive(f.Path, f.Data, out)
	case projectFile:
		declared(f.Data, out)
	case properties:
		if p := parseProperties(f.Data); p.artifact != "" && p.version != "" {
			out.Packages = append(out.Packages, p.pack(sekisho.Embedded))
		}
	case gradleLock:
		readGradleLock(f.Data, out)
	case gradleVerification:
		readVerification(f.Data, out)
	}
	return nil
}

// id names a Maven artifact.
type id struct{ group, artifact, version string }

func (i id) pack(found string) sekisho.Package {
	name := i.artifact
	if i.group != "" {
		name = i.group + ":" + i.artifact
	}
	return sekisho.Package{Name: name, Version: i.version, Type: "maven", PURL: purl.New("maven", i.group, i.artifact, i.version), Found: found}
}
