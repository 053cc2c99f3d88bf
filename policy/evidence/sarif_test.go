package evidence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho/policy/evidence"
	"sekisho/policy/fact"
)

const sample = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL","semanticVersion":"2.20.1",
"rules":[{"id":"js/xss","defaultConfiguration":{"level":"error"},"properties":{"security-severity":"7.8"}},{"id":"js/style"}]}},
"invocations":[{"executionSuccessful":true,"endTimeUtc":"2026-11-20T10:00:00Z"}],
"results":[{"ruleId":"js/xss","ruleIndex":0,"message":{"text":"Cross-site scripting"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/a.js"},"region":{"startLine":7}}}]},
{"ruleId":"js/style","message":{"text":"no rule level, no own level"}},
{"ruleId":"js/style","level":"note","message":{"text":"accepted"},"suppressions":[{"kind":"inSource"}]},
{"ruleId":"js/style","message":{"text":"gone"},"baselineState":"absent"},
{"ruleId":"js/xss","kind":"pass","message":{"text":"looked and fine"}},
{"ruleId":"js/xss","level":"error","message":{"text":"not yet accepted"},"suppressions":[{"kind":"external","status":"underReview"}]}]}]}`

func TestRead(t *testing.T) {
	got, err := evidence.Read(strings.NewReader("\xef\xbb\xbf"+sample), "x.sarif")
	if err != nil {
		t.Fatal(err)
	}
	want := &fact.Evidence{Tool: "CodeQL", Version: "2.20.1", Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), Results: []fact.Result{
		{Rule: "js/xss", Level: "error", Score: 7.8, Message: "Cross-site scripting", Path: "src/a.js", Line: 7},
		{Rule: "js/style", Level: "warning", Message: "no rule level, no own level"},
		{Rule: "js/xss", Level: "none", Score: 7.8, Message: "looked and fine"},
		{Rule: "js/xss", Level: "error", Score: 7.8, Message: "not yet accepted"},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestProvesNothing wants a log that does not show that somebody looked not to
// be taken for a clean one.
func TestProvesNothing(t *testing.T) {
	for in, want := range map[string]string{
		`{"version":"2.1.0","runs":[]}`:   "proves nothing",
		`{"version":"2.0.0","runs":[{}]}`: "want 2.1.0",
		`{"runs":1}`:                      "not SARIF",
		``:                                "not SARIF",
		`{"version":"2.1.0","runs":[{"tool":{}}]}`: "tool.driver.name",
	} {
		if _, err := evidence.Read(strings.NewReader(in), "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", in, err, want)
		}
	}
	for _, in := range []string{
		`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"a"}}}]}`,
		`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"a"}},"invocations":[{"executionSuccessful":false}],"results":[]}]}`,
	} {
		if e, err := evidence.Read(strings.NewReader(in), "x"); err != nil || !e.Failed {
			t.Errorf("%s: got %+v, %v; want a run that failed", in, e, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := evidence.Read(strings.NewReader(string(data)), "x")
		if err == nil && e.Tool == "" {
			t.Error("evidence of nobody")
		}
	})
}
