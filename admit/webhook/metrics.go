package webhook

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho/admit"
	"sekisho/admit/webhook/object"
)

// buckets are upper bounds in seconds.
var buckets = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// maxSeries bounds the counters, whose labels come in part from requests.
const maxSeries = 500

// metrics are counters and one histogram in Prometheus' text format 0.0.4.
type metrics struct {
	mu        sync.Mutex
	counters  map[string]float64
	histogram [len(buckets) + 1]uint64
	sum       float64
	total     uint64
}

// count adds one to a counter; labels are pairs of name and value.
func (m *metrics) count(name string, labels ...string) {
	var b strings.Builder
	b.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		if i == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", labels[i], cut(labels[i+1], 100))
	}
	if len(labels) > 1 {
		b.WriteByte('}')
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counters == nil {
		m.counters = map[string]float64{}
	}
	if _, ok := m.counters[b.String()]; ok || len(m.counters) < maxSeries {
		m.counters[b.String()]++
	}
}

// took notes how long a request took.
func (m *metrics) took(d time.Duration) {
	i, _ := slices.BinarySearch(buckets[:], d.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.histogram[i]++
	m.sum += d.Seconds()
	m.total++
}

func (m *metrics) decided(a *admit.Answer, r *object.Request) {
	m.count("sekisho_admit_decisions_total", "result", a.Result, "kind", r.Kind.Kind)
}

func (m *metrics) resolved(err error, _ time.Duration) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.count("sekisho_admit_lookups_total", "result", result)
}

// write writes them, with gauges of others.
func (m *metrics) write(w io.Writer, gauges map[string]float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	family := ""
	for _, list := range []struct {
		kind   string
		values map[string]float64
	}{{"counter", m.counters}, {"gauge", gauges}} {
		for _, name := range slices.Sorted(maps.Keys(list.values)) {
			if f, _, _ := strings.Cut(name, "{"); f != family {
				family = f
				fmt.Fprintf(w, "# TYPE %s %s\n", family, list.kind)
			}
			fmt.Fprintf(w, "%s %v\n", name, list.values[name])
		}
	}
	fmt.Fprintln(w, "# TYPE sekisho_admit_seconds histogram")
	sum := uint64(0)
	for i, n := range m.histogram {
		sum += n
		bound := "+Inf"
		if i < len(buckets) {
			bound = fmt.Sprint(buckets[i])
		}
		fmt.Fprintf(w, "sekisho_admit_seconds_bucket{le=%q} %d\n", bound, sum)
	}
	fmt.Fprintf(w, "sekisho_admit_seconds_sum %v\nsekisho_admit_seconds_count %d\n", m.sum, m.total)
}
