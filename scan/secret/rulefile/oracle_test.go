package rulefile_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp/syntax"
	"strings"
	"testing"

	"sekisho/internal/literal"
	"sekisho/internal/siphash"
	"sekisho/scan/analyze"
	"sekisho/scan/content"
	"sekisho/scan/secret"
	"sekisho/scan/secret/rulefile"
)

const gitleaksModule = "github.com/zricethezav/gitleaks/v8@v8.30.1"

// gitleaks builds the oracle outside of the project and returns the program
// and its own configuration.
func gitleaks(t *testing.T) (program string, config []byte) {
	t.Helper()
	bin := t.TempDir()
	run := func(args ...string) []byte {
		cmd := exec.Command("go", args...)
		cmd.Dir = bin
		cmd.Env = append(cmd.Environ(), "GOBIN="+bin, "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("go %v: %v", args, err)
			}
			t.Skipf("no gitleaks to compare with: go %v: %v", args, err)
		}
		return out
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(run("mod", "download", "-json", gitleaksModule), &module); err != nil {
		t.Fatal(err)
	}
	run("install", gitleaksModule)
	config, err := os.ReadFile(filepath.Join(module.Dir, "config", "gitleaks.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, "gitleaks"), config
}

// sample draws a text that an expression matches. What may be left out is: the
// letters that gitleaks allows around a name are none that a name has.
func sample(r *rand.Rand, re *syntax.Regexp) string {
	var b strings.Builder
	times := func(low, high int) {
		for range low + r.IntN(high-low+1) {
			b.WriteString(sample(r, re.Sub[0]))
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		var chars []rune
		for i := 0; i < len(re.Rune); i += 2 {
			for c := max(re.Rune[i], '!'); c <= min(re.Rune[i+1], '~'); c++ {
				chars = append(chars, c)
			}
		}
		if len(chars) == 0 {
			return " "
		}
		b.WriteRune(chars[r.IntN(len(chars))])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte("abcdefghkmnp23456789"[r.IntN(20)])
	case syntax.OpPlus:
		times(10, 12)
	case syntax.OpStar, syntax.OpQuest:
	case syntax.OpRepeat:
		if re.Min == 0 {
			break
		}
		high := re.Max
		if high < 0 {
			high = re.Min + 3
		}
		times(re.Min, min(high, re.Min+30))
	case syntax.OpAlternate:
		return sample(r, re.Sub[r.IntN(len(re.Sub))])
	default:
		for _, s := range re.Sub {
			b.WriteString(sample(r, s))
		}
	}
	return b.String()
}

// place is a line of a file.
type place struct {
	file string
	line int
}

func find(t *testing.T, dir string, configs ...secret.Config) map[place]string {
	t.Helper()
	e, err := secret.New(siphash.Key{}, configs...)
	if err != nil {
		t.Fatal(err)
	}
	set, err := literal.New(e.Literals())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[place]string{}
	s := e.NewScanner()
	for _, d := range entries {
		data, err := os.ReadFile(filepath.Join(dir, d.Name()))
		if err != nil {
			t.Fatal(err)
		}
		s.Begin(secret.File{Path: d.Name()}, data)
		set.Scan(data, s.Hit)
		list, _ := s.End()
		for _, x := range list {
			found[place{d.Name(), x.Location.Line}] += x.ID + " "
		}
	}
	return found
}

// leak is what gitleaks found.
type leak struct {
	RuleID, File       string
	StartLine, EndLine int
}

// elsewhere puts the files in which gitleaks found something where it does not
// look, or not in one pass, and returns those in which we find nothing there.
func elsewhere(t *testing.T, dir string, want []leak) (missed []string) {
	e, err := secret.New(siphash.Key{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := content.New(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	look := func(name string, data []byte) {
		var out analyze.Result
		if err := a.Analyze(&analyze.File{Path: name, Size: int64(len(data)), Data: data}, &out); err != nil {
			t.Fatal(err)
		}
		for _, x := range out.Findings {
			found[x.Location.Path] = true
			found[fmt.Sprint(x.Location.Path, ":", x.Location.Line)] = true
		}
	}
	var packed, jar, log bytes.Buffer
	zipped, squeezed := zip.NewWriter(&jar), gzip.NewWriter(&packed)
	archive := tar.NewWriter(squeezed)
	lines := map[string]int{} // of each file in the log
	line, logs := 1, 0
	names := map[string]bool{}
	for _, w := range want {
		name := filepath.Base(w.File)
		if names[name] {
			continue
		}
		names[name] = true
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		broad := []byte{0xff, 0xfe}
		for _, b := range data {
			broad = append(broad, b, 0)
		}
		look("wide/"+name, broad)
		f, err := zipped.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(data)
		archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o600, Typeflag: tar.TypeReg})
		archive.Write(data)
		for range 2000 {
			log.WriteString("2026-11-24T10:00:00Z INFO request served in 12 ms by worker 17\n")
		}
		lines[name] = line + 2000
		log.Write(data)
		line += 2000 + bytes.Count(data, []byte{'\n'})
		if log.Len() > 40<<20 {
			look(fmt.Sprint("app.conf.", logs), log.Bytes())
			log.Reset()
			for n, l := range lines {
				if at := fmt.Sprint("app.conf.", logs, ":"); !found[fmt.Sprint(at, l)] && !found[fmt.Sprint(at, l+1)] && !found[fmt.Sprint(at, l+2)] {
					missed = append(missed, "log: "+n)
				}
			}
			clear(lines)
			line, logs = 1, logs+1
		}
	}
	for _, c := range []io.Closer{archive, squeezed, zipped} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	look("a.tar.gz", packed.Bytes())
	look("a.jar", jar.Bytes())
	for name := range names {
		for _, at := range []string{"wide/", "a.tar.gz!/", "a.jar!/"} {
			if !found[at+name] {
				missed = append(missed, at+name)
			}
		}
	}
	if logs == 0 {
		t.Error("no log of 40 MB was made")
	}
	return missed
}

// TestRecallOfGitleaks draws secrets from gitleaks' own rules, lets gitleaks
// look for them, and wants that we find all that it finds: with its rules read
// by us, and with our own.
func TestRecallOfGitleaks(t *testing.T) {
	program, config := gitleaks(t)
	theirs, err := rulefile.Read("gitleaks.toml", config)
	if err != nil {
		t.Fatal(err)
	}
	if len(theirs.Rules) < 200 {
		t.Fatalf("%d rules of gitleaks, want more than 200", len(theirs.Rules))
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(7, 6))
	for _, rule := range theirs.Rules {
		if rule.Regex == "" {
			continue
		}
		tree, err := syntax.Parse(rule.Regex, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			text := strings.Map(func(c rune) rune {
				if c > '~' {
					return 'x'
				}
				return c
			}, sample(r, tree))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.conf", rule.ID, i)), []byte("# settings\n"+text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(program, "dir", dir, "--report-format", "json", "--report-path", report, "--no-banner", "--exit-code", "0", "--log-level", "error")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gitleaks: %v: %s", err, out)
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var want []leak
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) < 1500 {
		t.Fatalf("gitleaks found %d secrets in what was drawn from its rules, want at least 1500", len(want))
	}
	withTheirs, withOurs := find(t, dir, theirs), find(t, dir)
	missedTheirs, missedOurs := 0, map[string]int{}
	for _, w := range want {
		name := filepath.Base(w.File)
		seen := func(found map[place]string, id string) bool {
			for line := w.StartLine - 1; line <= w.EndLine+1; line++ {
				if ids, ok := found[place{name, line}]; ok && (id == "" || strings.Contains(ids, id)) {
					return true
				}
			}
			return false
		}
		if !seen(withTheirs, "") {
			missedTheirs++
			t.Logf("with gitleaks' rules, missed: %s in %s", w.RuleID, name)
		}
		if !seen(withOurs, "") {
			missedOurs[w.RuleID]++
		}
	}
	total := 0
	for id, n := range missedOurs {
		t.Logf("with our rules, missed: %s, %d times", id, n)
		total += n
	}
	if missedTheirs > 0 || total > 0 {
		t.Errorf("missed: %d with gitleaks' rules, %d with ours", missedTheirs, total)
	}
	if missed := elsewhere(t, dir, want); len(missed) > 0 {
		t.Errorf("missed in UTF-16, tar.gz, jar or a log of 40 MB: %v", missed)
	}
	t.Logf("gitleaks found %d; with its rules we miss %d, with ours %d", len(want), missedTheirs, total)
}

func FuzzRead(f *testing.F) {
	f.Add("x.yaml", []byte("rules:\n  - id: a\n    keywords: [abc]\n    regex: 'abc[0-9]{3}'\nallow:\n  - paths: ['x']\n    reason: y\n"))
	f.Add("x.toml", []byte("[[rules]]\nid = \"a\"\nregex = '''abc(d|e)+f{2,3}'''\nsecretGroup = 1\n[[rules.allowlists]]\nstopwords = [\"q\"]\n[allowlist]\nregexes = ['''z''']\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		c, err := rulefile.Read(name, data)
		if err != nil || len(data) > 4096 {
			return
		}
		e, err := secret.New(siphash.Key{}, c)
		if err != nil {
			return
		}
		s := e.NewScanner()
		text := []byte("abc123 abcdeff password=\"x9Kd02mQpL4xZt\"")
		s.Begin(secret.File{Path: "a.env"}, text)
		for i, l := range e.Literals() {
			if len(l.Text) <= len(text) {
				s.Hit(int32(i), 0)
			}
		}
		s.End()
	})
}
