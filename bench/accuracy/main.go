// Command accuracy measures how far sekisho agrees with those who know better
// or have judged longer: the distributions' own tools, govulncheck and
// osv-scanner, each on the same advisories. It prints a table and every
// disagreement by class, and ends with 1 when somebody knows of a flaw that
// sekisho misses without a reason that is written here.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	l := &lab{}
	only := flag.String("only", "", "measure one of: debsecan, dnf, govulncheck, osv-scanner (default: all)")
	flag.StringVar(&l.data, "data", "../shared/data", "advisories and package databases")
	flag.StringVar(&l.sekisho, "sekisho", "./sekisho", "the program that is measured")
	flag.StringVar(&l.tools, "tools", filepath.Join(os.TempDir(), "sekisho-accuracy"), "where tools are built, and kept")
	flag.IntVar(&l.examples, "examples", 3, "how many of each class of disagreement are shown")
	flag.Parse()
	if err := l.run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

// lab is where it is measured.
type lab struct {
	data, sekisho, tools, dir string
	examples, unexplained     int
	agreed                    int
	classes                   []string // disagreements, as lines
}

func (l *lab) run(only string) error {
	var err error
	for _, p := range []*string{&l.data, &l.sekisho, &l.tools} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if l.dir, err = os.MkdirTemp("", "accuracy-"); err != nil {
		return err
	}
	defer os.RemoveAll(l.dir)
	fmt.Println("| ground truth | on | both | only theirs | only ours | unexplained |\n|---|---|--:|--:|--:|--:|")
	for _, m := range []struct {
		name    string
		measure func() error
	}{{"debsecan", l.debsecan}, {"dnf", l.dnf}, {"govulncheck", l.govulncheck}, {"osv-scanner", l.osvScanner}} {
		if only != "" && only != m.name {
			continue
		}
		if err := m.measure(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	fmt.Println("\n| disagreement | who | how many | for example |\n|---|---|--:|---|")
	for _, line := range l.classes {
		fmt.Println(line)
	}
	if l.unexplained > 0 {
		return fmt.Errorf("%d answers of others that sekisho misses without a known reason", l.unexplained)
	}
	return nil
}

// set holds "package id" pairs.
type set map[string]bool

// compare prints a row. why names the reason of a disagreement, "" when none is
// known.
func (l *lab) compare(tool, on string, theirs, ours set, why func(key string, mine bool) string) {
	both, classes, bad := 0, map[[2]string][]string{}, 0
	for key := range theirs {
		if ours[key] {
			both++
			continue
		}
		class := why(key, false)
		if class == "" {
			class = "**unexplained**"
			bad++
		}
		classes[[2]string{class, tool}] = append(classes[[2]string{class, tool}], key)
	}
	for key := range ours {
		if theirs[key] {
			continue
		}
		class := why(key, true)
		if class == "" {
			class = "**unexplained**"
		}
		classes[[2]string{class, "sekisho"}] = append(classes[[2]string{class, "sekisho"}], key)
	}
	l.unexplained, l.agreed = l.unexplained+bad, l.agreed+both
	fmt.Printf("| %s | %s | %d | %d | %d | %d |\n", tool, on, both, len(theirs)-both, len(ours)-both, bad)
	for _, c := range slices.SortedFunc(maps.Keys(classes), func(a, b [2]string) int { return strings.Compare(a[1]+a[0], b[1]+b[0]) }) {
		keys := slices.Sorted(slices.Values(classes[c]))
		l.classes = append(l.classes, fmt.Sprintf("| %s: %s | only %s | %d | %s |", on, c[0], c[1], len(keys), strings.Join(keys[:min(l.examples, len(keys))], "; ")))
	}
}

// finding is what is read of sekisho's findings.
type finding struct {
	ID, Status, Reachable string
	Aliases, Advisories   []string
	Package               struct{ Name, Version, PURL string }
	Match                 struct{ Record, Ecosystem, Note string }
	Location              struct{ Path string }
}

func (f *finding) names() []string {
	return append(append([]string{f.ID, f.Match.Record}, f.Aliases...), f.Advisories...)
}

// database builds one from a mirror.
func (l *lab) database(name, mirror string, feeds ...string) (string, error) {
	dir := filepath.Join(l.dir, name)
	args := append([]string{"advisory", "update", "-q", "--db", dir, "--from", mirror}, feeds...)
	if out, err := exec.Command(l.sekisho, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("sekisho %v: %w: %s", args, err, out)
	}
	return dir, nil
}

// scan returns the vulnerabilities of a target.
func (l *lab) scan(db, target string) ([]finding, error) {
	cmd := exec.Command(l.sekisho, "scan", target, "-q", "--no-cache", "--kind", "vulnerability", "--format", "json", "--db", db)
	var fail strings.Builder
	cmd.Stderr = &fail
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("sekisho scan %s: %w: %s", target, err, fail.String())
	}
	var doc struct{ Findings []finding }
	if err := json.Unmarshal(out, &doc); err != nil {
		return nil, err
	}
	return doc.Findings, nil
}

// tool returns a program of the PATH, or one that is built from a version of a
// Go module.
func (l *lab) tool(name, module string) (string, error) {
	if module == "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("there is no %s: apt-get install it", name)
		}
		return path, nil
	}
	path := filepath.Join(l.tools, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, l.golang("", "install", module)
}

// golang runs the go command; what it installs comes among the tools.
func (l *lab) golang(dir string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOBIN="+l.tools, "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w: %s", args, err, out)
	}
	return nil
}

// files writes files below a directory.
func files(dir string, list map[string]string) error {
	for name, text := range list {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// told adds what a program wrote about its failure.
func told(err error) error {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return fmt.Errorf("%w: %s", err, e.Stderr)
	}
	return err
}
