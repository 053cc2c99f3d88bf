package coverage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit/coverage"
	"sekisho/audit"
)

func digest(n int) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha256:%064x", n)) }

// TestState tells what was judged from what was not, and joins the digests of
// one image.
func TestState(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	log := coverage.NewLog(func(d sekisho.Digest) string {
		if d == digest(1) || d == digest(11) { // manifest and configuration
			return "one"
		}
		return ""
	})
	entry := func(action, result, container string, d sekisho.Digest, at time.Duration) {
		details := map[string]string{"digest": string(d)}
		if container != "" {
			details["container"] = container
		}
		log.Add(&audit.Entry{Time: start.Add(at), Action: action, Result: result, Gate: "runc", Details: details, Policies: []string{"p@1"}})
	}
	entry("admit", sekisho.Allow, "", digest(1), -time.Hour)
	entry("create", sekisho.Warn, "known", digest(2), -time.Minute)
	entry("start", sekisho.Deny, "forced", digest(3), -time.Second)
	entry("start", sekisho.Allow, "later", digest(4), -time.Minute)
	entry("start", sekisho.Deny, "later", digest(4), time.Hour) // a later attempt, while it runs
	entry("admit", sekisho.Allow, "", digest(5), -time.Hour)
	entry("admit", sekisho.Deny, "", digest(5), -time.Minute)
	entry("exec", sekisho.Allow, "execed", digest(6), 0)
	for name, c := range map[string]struct {
		id   string
		d    []sekisho.Digest
		want string
	}{
		"the image by another digest": {"x", []sekisho.Digest{digest(11)}, coverage.Image},
		"the container itself":        {"known", []sekisho.Digest{digest(2)}, coverage.Judged},
		"denied and yet running":      {"forced", []sekisho.Digest{digest(3)}, coverage.Denied},
		"denied only later":           {"later", []sekisho.Digest{digest(4)}, coverage.Judged},
		"an image that was denied":    {"y", []sekisho.Digest{digest(5)}, coverage.Denied},
		"what is no start":            {"execed", []sekisho.Digest{digest(6)}, coverage.Unjudged},
		"nobody":                      {"z", []sekisho.Digest{digest(7)}, coverage.Unjudged},
		"no image":                    {"w", nil, coverage.Unknown},
		"a sandbox":                   {"s1", []sekisho.Digest{digest(9)}, coverage.Sandbox},
		"a sandbox that was judged":   {"s2", []sekisho.Digest{digest(1)}, coverage.Image},
		"a sandbox that was denied":   {"s3", []sekisho.Digest{digest(5)}, coverage.Denied},
		"a sandbox of no image":       {"s4", nil, coverage.Unknown},
		"the second of several names": {"v", []sekisho.Digest{digest(8), digest(1)}, coverage.Image},
	} {
		l := log.State(coverage.Container{ID: c.id, Digests: c.d, Started: start, Sandbox: strings.Contains(name, "sandbox")})
		if l.State != c.want {
			t.Errorf("%s: it is %s, want %s", name, l.State, c.want)
		}
		if l.Alert() != (c.want != coverage.Judged && c.want != coverage.Image && c.want != coverage.Sandbox) {
			t.Errorf("%s: alert %v", name, l.Alert())
		}
	}
}
