package rulefile_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/draw"
)

const trivyModule = "github.com/aquasecurity/trivy@v0.70.0"

// trivyRules reads the expressions of Trivy's rules from its source: Trivy
// itself takes too long to build for a test.
func trivyRules(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", trivyModule)
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	var module struct{ Dir string }
	if err != nil || json.Unmarshal(out, &module) != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("download %s: %v", trivyModule, err)
		}
		t.Skipf("no rules of Trivy to compare with: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(module.Dir, "pkg/fanal/secret/builtin-rules.go"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	named := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\s*(\\w+)\\s*=\\s*`([^`]*)`").FindAllStringSubmatch(text, -1) {
		named[m[1]] = m[2]
	}
	rules := map[string]string{}
	for _, m := range regexp.MustCompile(`ID:\s+"([^"]+)"[\s\S]*?Regex:\s+MustCompile\w*\(([^\n]*)\),\n`).FindAllStringSubmatch(text, -1) {
		if expr := trivyExpression(m[2], named); expr != "" {
			rules[m[1]] = expr
		}
	}
	return rules
}

// trivyExpression evaluates what stands in the source: texts and names, joined
// or formatted.
func trivyExpression(source string, named map[string]string) string {
	if inner, ok := strings.CutPrefix(source, "fmt.Sprintf("); ok {
		parts := strings.SplitN(inner, "`", 3)
		if len(parts) < 3 {
			return ""
		}
		var args []any
		for a := range strings.SplitSeq(strings.Trim(parts[2], "), "), ",") {
			args = append(args, named[strings.TrimSpace(a)])
		}
		return fmt.Sprintf(parts[1], args...)
	}
	var b strings.Builder
	for _, p := range regexp.MustCompile("`([^`]*)`|(\\w+)").FindAllStringSubmatch(source, -1) {
		b.WriteString(p[1] + named[p[2]])
	}
	if strings.HasPrefix(b.String(), "?P<") { // its helper adds the brackets
		return "(" + b.String() + ")"
	}
	return b.String()
}

// TestRecallOfTrivy draws secrets from Trivy's own rules and wants that we find
// them.
func TestRecallOfTrivy(t *testing.T) {
	rules := trivyRules(t)
	if len(rules) < 80 {
		t.Fatalf("%d rules of Trivy, want at least 80", len(rules))
	}
	// A dot in it stands for any character: what is drawn is no host of Slack,
	// and Trivy does not find it either.
	delete(rules, "slack-web-hook")
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	var names []string
	for id := range rules {
		names = append(names, id)
	}
	slices.Sort(names)
	var files []string
	for _, id := range names {
		tree, err := syntax.Parse(rules[id], syntax.Perl)
		if err != nil {
			t.Fatalf("%s: %v: %s", id, err, rules[id])
		}
		for i := range 6 {
			name := fmt.Sprintf("%s-%d.conf", id, i)
			if err := os.WriteFile(filepath.Join(dir, name), []byte("# settings\n"+draw.Text(r, tree)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, name)
		}
	}
	found := map[string]bool{}
	for p := range find(t, dir) {
		found[p.file] = true
	}
	missed := 0
	for _, name := range files {
		if !found[name] {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			missed++
			t.Errorf("missed: %s: %q", name, data)
		}
	}
	t.Logf("%d secrets drawn from %d rules of Trivy, %d missed", len(files), len(rules), missed)
}
