package enforce

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// metrics writes the status in the text format of Prometheus, for the textfile
// collector of its node exporter: the enforcer opens no port.
func metrics(s *Status) []byte {
	var b strings.Builder
	head := func(name, kind, help string) { fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	head("sekisho_enforce_up_timestamp_seconds", "gauge", "When the enforcer last wrote this.")
	fmt.Fprintf(&b, "sekisho_enforce_up_timestamp_seconds %d\n", s.Alive.Unix())
	head("sekisho_enforce_events_total", "counter", "Events that reached the enforcer.")
	fmt.Fprintf(&b, "sekisho_enforce_events_total %d\n", s.Events)
	head("sekisho_enforce_kernel_events_total", "counter", "Events in the kernel: seen is the sum of the other fates.")
	for _, class := range slices.Sorted(maps.Keys(s.Kernel)) {
		c := s.Kernel[class]
		for _, f := range []struct {
			fate string
			n    uint64
		}{{"seen", c.Seen}, {"filtered", c.Filtered}, {"submitted", c.Submitted}, {"lost", c.Lost}} {
			fmt.Fprintf(&b, "sekisho_enforce_kernel_events_total{class=%q,fate=%q} %d\n", label(class), f.fate, f.n)
		}
	}
	counts := func(name, help, by string, m map[string]uint64) {
		head(name, "counter", help)
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "%s{%s=%q} %d\n", name, by, label(k), m[k])
		}
	}
	counts("sekisho_enforce_lost_total", "Events, orders and files that were lost.", "class", s.Lost)
	counts("sekisho_enforce_alerts_total", "Alerts.", "kind", s.Alerts)
	counts("sekisho_enforce_responses_total", "Responses.", "response", s.Responses)
	head("sekisho_enforce_queue_length", "gauge", "What waits.")
	for _, k := range slices.Sorted(maps.Keys(s.Queues)) {
		fmt.Fprintf(&b, "sekisho_enforce_queue_length{queue=%q} %d\n", label(k), s.Queues[k])
	}
	head("sekisho_enforce_containers", "gauge", "Running containers by mode and effective state.")
	by := map[[2]string]int{}
	for _, c := range s.Containers {
		if c.Ended.IsZero() {
			by[[2]string{c.Mode, c.State}]++
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(by), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) }) {
		fmt.Fprintf(&b, "sekisho_enforce_containers{mode=%q,state=%q} %d\n", k[0], k[1], by[k])
	}
	head("sekisho_enforce_canary_ok", "gauge", "1 when the last canary was stopped.")
	head("sekisho_enforce_canary_timestamp_seconds", "gauge", "When it was tried.")
	for _, p := range s.Proofs {
		ok := 0
		if p.State == Enforcing {
			ok = 1
		}
		fmt.Fprintf(&b, "sekisho_enforce_canary_ok{attempt=%q} %d\nsekisho_enforce_canary_timestamp_seconds{attempt=%q} %d\n", label(p.Attempt), ok, label(p.Attempt), p.Time.Unix())
	}
	head("sekisho_enforce_gap_seconds", "gauge", "How long nobody looked before this run.")
	gap := time.Duration(0)
	if n := len(s.Gaps); n > 0 {
		gap = s.Gaps[n-1].To.Sub(s.Gaps[n-1].From)
	}
	fmt.Fprintf(&b, "sekisho_enforce_gap_seconds %.0f\n", gap.Seconds())
	return []byte(b.String())
}

// label leaves what %q and Prometheus write alike.
func label(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
}
