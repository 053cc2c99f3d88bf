// Package repository reads which repositories the packages of an image come
// from, where the vendor leaves word of it: Red Hat's content manifests, and
// the extras that Amazon Linux 2 switched on. Files come in, facts of kind
// "repository" come out; it refuses names that no repository has.
package repository

import (
	"encoding/json"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
)

// Fact is the kind of the facts.
const Fact = "repository"

// Bounds of a file: bytes, repositories.
const (
	maxFile  = 8 << 20
	maxNames = 1000
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "repository" }
func (reader) Version() int { return 1 }

func (reader) Wants(f *analyze.File) analyze.Want {
	if !f.Mode.IsRegular() || f.Size > maxFile {
		return analyze.Skip
	}
	if manifest(f.Path) || extras(f.Path) {
		return analyze.Whole
	}
	return analyze.Skip
}

// manifest tells Red Hat's content manifests, of its older build service and
// of Konflux.
func manifest(path string) bool {
	if !strings.HasSuffix(path, ".json") {
		return false
	}
	for _, dir := range []string{"root/buildinfo/content_manifests/", "usr/share/buildinfo/"} {
		if name, ok := strings.CutPrefix(path, dir); ok && !strings.Contains(name, "/") {
			return true
		}
	}
	return false
}

// extras tells what yum knows of the topics of Amazon Linux 2: one file of
// repositories, which amazon-linux-extras writes.
func extras(path string) bool { return path == "etc/yum.repos.d/amzn2-extras.repo" }

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	read := contentSets
	if extras(f.Path) {
		read = topics
	}
	list, err := read(f.Data)
	if err != nil {
		return err
	}
	for i, name := range list {
		if i == maxNames {
			out.Problem("more than 1000 repositories; the rest is left out")
			break
		}
		if proper(name) {
			out.Facts = append(out.Facts, analyze.Fact{Kind: Fact, Value: name})
		}
	}
	return nil
}

// contentSets reads a content manifest.
func contentSets(data []byte) ([]string, error) {
	var doc struct {
		Sets []string `json:"content_sets"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "read content manifest: %w", err)
	}
	return doc.Sets, nil
}

// topics reads the sections of a file of yum's (yum.conf(5)) that are switched
// on and named after a topic.
func topics(data []byte) (list []string, err error) {
	section, enabled := "", false
	end := func() {
		if enabled && strings.HasPrefix(section, "amzn2extra-") && !strings.HasSuffix(section, "-source") && !strings.HasSuffix(section, "-debuginfo") {
			list = append(list, section)
		}
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			end()
			section, enabled = line[1:len(line)-1], true
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == "enabled" {
			enabled = strings.TrimSpace(value) == "1"
		}
	}
	end()
	return list, nil
}

// proper reports whether a repository may be called so.
func proper(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return name != "" && len(name) <= 200
}
