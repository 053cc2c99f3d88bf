// Package dockerfile reads Dockerfiles and judges them without building. What
// enters is the text of one file, what leaves are findings with their lines.
// It refuses files over 1 MiB. What only the build or a policy knows (whether a
// registry is approved, what a variable without a default will be) it leaves
// unjudged.
package dockerfile

import (
	"errors"
	"fmt"
	"strings"

	"sekisho/scan/analyze"
)

// New returns the analyzer of Dockerfiles in directories.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "dockerfile" }
func (reader) Version() int { return 2 }

// Wants knows the usual names, in source trees only: an image's Dockerfile is
// in its history.
func (reader) Wants(f *analyze.File) analyze.Want {
	if f.Root != "directory" || !f.Mode.IsRegular() || len(f.Path) < len("Dockerfile") {
		return analyze.Skip
	}
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	if !isDockerfile(base) && !isIgnore(base) || strings.Contains(f.Path, "node_modules/") {
		return analyze.Skip
	}
	if f.Size > maxSize {
		return analyze.Header // to say so
	}
	return analyze.Whole
}

func isDockerfile(base string) bool {
	for _, name := range []string{"Dockerfile", "Containerfile"} {
		rest, ok := strings.CutPrefix(base, name)
		if !ok {
			continue
		}
		return rest == "" || rest[0] == '.' && !isOther(rest)
	}
	return strings.HasSuffix(base, ".Dockerfile") || strings.HasSuffix(base, ".dockerfile") || strings.HasSuffix(base, ".Containerfile")
}

// isOther knows endings of files about Dockerfiles.
func isOther(end string) bool {
	switch end[strings.LastIndexByte(end, '.'):] {
	case ".dockerignore", ".md", ".txt", ".html", ".json", ".yml", ".yaml", ".py", ".sh", ".go", ".rb", ".lock", ".swp", ".orig", ".rej":
		return true
	}
	return false
}

func isIgnore(base string) bool { return strings.HasSuffix(base, ".dockerignore") }

// Analyze judges one file. Of a .dockerignore it notes what it keeps out.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	if f.Size > maxSize {
		return fmt.Errorf("%d bytes, want at most %d", f.Size, maxSize)
	}
	if isIgnore(f.Base()) {
		if keepsOut(f.Data) {
			out.Facts = append(out.Facts, analyze.Fact{Kind: "dockerignore", Value: ".git .env"})
		}
		return nil
	}
	d, err := parse(f.Data)
	if err != nil {
		return err
	}
	out.Problems = append(out.Problems, d.problems...)
	j := &judge{file: d, path: f.Path}
	if !j.all() {
		return errors.New("no FROM: this is no Dockerfile, or one that only a template completes")
	}
	out.Findings = append(out.Findings, j.findings...)
	return nil
}

// keepsOut reports whether a .dockerignore keeps .git and .env out of the
// build context: by name, or because it lets nothing in but what it names.
func keepsOut(data []byte) bool {
	var git, env bool
	for line := range strings.Lines(string(data)) {
		switch strings.Trim(strings.TrimSpace(line), "/") {
		case "*", "**":
			git, env = true, true
		case ".git", "**/.git", ".git*", "**/.git*":
			git = true
		case ".env", "**/.env", ".env*", "**/.env*", "*.env", "**/*.env":
			env = true
		case ".*", "**/.*":
			git, env = true, true
		case "!.git":
			git = false
		case "!.env":
			env = false
		}
	}
	return git && env
}
