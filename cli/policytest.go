package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/exception"
	"sekisho/policy/fact"
)

func (a *app) policyTestCommand() *cobra.Command {
	t := a.texts.Text
	update := false
	cmd := &cobra.Command{Use: "test DIR", Short: t("cli.policy.test"), Long: t("cli.policy.test.long"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error { return a.policyTest(args[0], update) }}
	cmd.Flags().BoolVar(&update, "update", false, t("cli.flag.update"))
	return cmd
}

// Files of a test.
const (
	testFacts      = "facts.yaml"
	testDecision   = "decision.yaml"
	testPolicy     = "policy.yaml"
	testExceptions = "exceptions.yaml"
	maxTestFile    = 64 << 20 // bytes
)

// policyTest runs every folder below dir that has facts.
func (a *app) policyTest(dir string, update bool) error {
	var cases []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == testFacts {
			cases = append(cases, filepath.Dir(path))
		}
		return err
	})
	if err != nil {
		return sekisho.Errorf(sekisho.Usage, "look for tests: %w", err)
	}
	if len(cases) == 0 {
		return sekisho.Errorf(sekisho.Usage, "%s: no folder in it has a %s", dir, testFacts).WithHint("docs/policy.md describes tests of policies")
	}
	bad := 0
	for _, c := range cases {
		diff, err := a.policyCase(dir, c, update)
		switch {
		case err != nil:
			return err
		case diff != "":
			bad++
			fmt.Fprintf(a.Stdout, "FAIL %s\n%s", visible(c), visible(diff))
		default:
			fmt.Fprintf(a.Stdout, "ok   %s\n", visible(c))
		}
	}
	if bad > 0 {
		return sekisho.Errorf(sekisho.Denied, "%s", a.texts.Text("cli.policy.failed", "count", bad, "all", len(cases)))
	}
	return nil
}

// expected is what a test wants of a decision. Controls may name some of them;
// reasons must name all, if they are there at all.
type expected struct {
	Result   string            `json:"result"`
	Controls map[string]string `json:"controls,omitempty"`
	Reasons  *[]expectedReason `json:"reasons,omitempty"`
}

type expectedReason struct {
	Control  string `json:"control"`
	Result   string `json:"result,omitempty"`   // fail when left out
	Evidence string `json:"evidence,omitempty"` // a part of it
}

func (a *app) policyCase(root, dir string, update bool) (string, error) {
	set, err := casePolicies(root, dir)
	if err != nil {
		return "", err
	}
	facts, err := caseFacts(dir)
	if err != nil {
		return "", err
	}
	var accepted *exception.File
	if _, err := os.Stat(filepath.Join(dir, testExceptions)); err == nil {
		if accepted, err = a.exceptions(filepath.Join(dir, testExceptions)); err != nil {
			return "", err
		}
	}
	d := assurance.Evaluate(set, assurance.Prepare(&facts.Image, accepted), &facts.Request).Decision()
	assurance.Describe(d, a.texts)
	name := filepath.Join(dir, testDecision)
	if update {
		return "", os.WriteFile(name, expectedFile(d), 0o644)
	}
	var want expected
	if err := strictYAML(name, &want); err != nil {
		return "", err
	}
	return difference(&want, d), nil
}

// casePolicies opens policy*.yaml of the folder, or of the nearest above it.
func casePolicies(root, dir string) (*assurance.Set, error) {
	for at := dir; ; at = filepath.Dir(at) {
		list, err := filepath.Glob(filepath.Join(at, "policy*.yaml"))
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Usage, "look for policies: %w", err)
		}
		if len(list) > 0 {
			return openPolicies(list)
		}
		if at == root || at == filepath.Dir(at) {
			return nil, sekisho.Errorf(sekisho.Usage, "%s: neither it nor a folder above has a %s", dir, testPolicy)
		}
	}
}

// caseFacts reads the facts of a test; those of a report come first.
func caseFacts(dir string) (*fact.Facts, error) {
	var file struct {
		Report string `json:"report"` // a scan's JSON beside it
		fact.Facts
	}
	name := filepath.Join(dir, testFacts)
	if err := strictYAML(name, &file); err != nil {
		return nil, err
	}
	if file.Report != "" {
		report, err := openReport(filepath.Join(dir, filepath.Base(file.Report)))
		if err != nil {
			return nil, err
		}
		file.Image = fact.FromReport(report)
		if err := strictYAML(name, &file); err != nil { // what the test says wins
			return nil, err
		}
	}
	if file.Now.IsZero() {
		return nil, sekisho.Errorf(sekisho.Usage, "%s: now is missing: say at what time it is judged, as now: 2026-11-24T00:00:00Z", name)
	}
	return &file.Facts, nil
}

// strictYAML reads a YAML file by the names of JSON; an unknown field is an
// error.
func strictYAML(name string, into any) error {
	f, err := os.Open(name)
	if err != nil {
		return sekisho.Errorf(sekisho.Usage, "read test: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTestFile+1))
	if err != nil || len(data) > maxTestFile {
		return sekisho.Errorf(sekisho.Usage, "read test %s: %w", name, cmp.Or(err, errors.New("too large")))
	}
	data, err = fact.JSON(data)
	if err != nil {
		return sekisho.Errorf(sekisho.Usage, "%s: %w", name, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return sekisho.Errorf(sekisho.Usage, "%s: %w", name, err)
	}
	return nil
}

// expectedFile writes what a decision is, for --update.
func expectedFile(d *sekisho.Decision) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "result: %s\ncontrols:\n", d.Result)
	for _, name := range controlNames(d) {
		fmt.Fprintf(&b, "  %s: %s\n", name, controlResult(d, name))
	}
	b.WriteString("reasons:\n")
	for _, x := range d.Reasons {
		fmt.Fprintf(&b, "  - {control: %s, result: %s, evidence: %q}\n", x.Control, x.Result, x.Evidence)
	}
	if len(d.Reasons) == 0 {
		b.Truncate(b.Len() - 1)
		b.WriteString(" []\n")
	}
	return b.Bytes()
}

func controlNames(d *sekisho.Decision) (names []string) {
	for _, c := range d.Controls {
		if !slices.Contains(names, c.Control) {
			names = append(names, c.Control)
		}
	}
	return names
}

// controlResult is the worst result of the controls of one name.
func controlResult(d *sekisho.Decision, name string) (worst string) {
	order := []string{"", sekisho.ControlNotApplicable, sekisho.ControlPass, sekisho.ControlManual, sekisho.ControlNotAssessed, sekisho.ControlError, sekisho.ControlFail}
	for _, c := range d.Controls {
		if c.Control == name && slices.Index(order, c.Result) > slices.Index(order, worst) {
			worst = c.Result
		}
	}
	return worst
}

// difference tells what a decision has other than what is wanted: - is wanted
// and not there, + is there and not wanted.
func difference(want *expected, d *sekisho.Decision) string {
	var b strings.Builder
	line := func(sign, format string, args ...any) {
		fmt.Fprintf(&b, "  %s "+format+"\n", append([]any{sign}, args...)...)
	}
	if want.Result != d.Result {
		line("-", "result: %s", want.Result)
		line("+", "result: %s", d.Result)
	}
	names := controlNames(d)
	for name := range want.Controls {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if w, ok := want.Controls[name]; ok && w != controlResult(d, name) {
			line("-", "control %s: %s", name, w)
			line("+", "control %s: %s", name, cmp.Or(controlResult(d, name), "is not in the policy"))
		}
	}
	if want.Reasons == nil {
		return b.String()
	}
	left := slices.Clone(d.Reasons)
	for _, w := range *want.Reasons {
		result := cmp.Or(w.Result, sekisho.ControlFail)
		i := slices.IndexFunc(left, func(x sekisho.Reason) bool {
			return x.Control == w.Control && x.Result == result && strings.Contains(x.Evidence, w.Evidence)
		})
		if i < 0 {
			line("-", "reason %s %s: %s", w.Control, result, w.Evidence)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, x := range left {
		line("+", "reason %s %s: %s (%s)", x.Control, x.Result, x.Evidence, x.Message)
	}
	return b.String()
}
