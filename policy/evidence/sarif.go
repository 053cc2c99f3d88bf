// Package evidence reads what other tools found, in SARIF 2.1.0 (OASIS), so
// that it can join a decision. A log that proves nothing, because it has no run
// or says that a run failed, is never taken for a clean one.
package evidence

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/policy/fact"
)

// Bounds of a log.
const (
	MaxSize    = 128 << 20 // bytes
	maxResults = 200_000
	maxText    = 400 // bytes of a message or path
)

type log struct {
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool struct {
		Driver     component   `json:"driver"`
		Extensions []component `json:"extensions"`
	} `json:"tool"`
	Invocations []struct {
		Successful *bool     `json:"executionSuccessful"`
		End        time.Time `json:"endTimeUtc"`
	} `json:"invocations"`
	Results *[]result `json:"results"` // absent when the run did not look
	byID    map[string]descriptor
}

type component struct {
	Name            string       `json:"name"`
	Version         string       `json:"version"`
	SemanticVersion string       `json:"semanticVersion"`
	Rules           []descriptor `json:"rules"`
}

type descriptor struct {
	ID            string `json:"id"`
	Configuration struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
	Properties properties `json:"properties"`
}

// properties holds the one property that code hosts agree on. Tools write it
// as a text or a number.
type properties struct {
	Severity score `json:"security-severity"`
}

type score float64

// UnmarshalJSON reads a number or a text with one; what is neither is 0.
func (s *score) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64)
	if err == nil && n >= 0 && n <= 10 {
		*s = score(n)
	}
	return nil
}

type result struct {
	RuleID string `json:"ruleId"`
	Rule   struct {
		ID    string `json:"id"`
		Index *int   `json:"index"`
		Tool  struct {
			Index *int `json:"index"`
		} `json:"toolComponent"`
	} `json:"rule"`
	RuleIndex *int   `json:"ruleIndex"`
	Kind      string `json:"kind"`
	Level     string `json:"level"`
	Baseline  string `json:"baselineState"`
	Message   struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown"`
	} `json:"message"`
	Locations []struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				Line int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
	} `json:"locations"`
	Suppressions []struct {
		Status string `json:"status"`
	} `json:"suppressions"`
	Properties properties `json:"properties"`
}

// Read reads a log; name is for errors.
func Read(r io.Reader, name string) (*fact.Evidence, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > MaxSize {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", name, MaxSize)
	}
	var l log
	if err := json.Unmarshal(trimMark(data), &l); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: not SARIF: %w", name, err)
	}
	if l.Version != "2.1.0" {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: SARIF version %q, want 2.1.0", name, cut(l.Version))
	}
	if len(l.Runs) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: there is no run in it, so it proves nothing", name)
	}
	e := &fact.Evidence{Results: []fact.Result{}}
	for i := range l.Runs {
		if err := add(e, &l.Runs[i]); err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "%s: runs[%d]: %w", name, i, err)
		}
	}
	return e, nil
}

// trimMark removes a byte order mark, which some tools write.
func trimMark(data []byte) []byte {
	if len(data) >= 3 && data[0] == 0xef && data[1] == 0xbb && data[2] == 0xbf {
		return data[3:]
	}
	return data
}

// add joins one run.
func add(e *fact.Evidence, r *run) error {
	d := r.Tool.Driver
	if d.Name == "" {
		return fmt.Errorf("tool.driver.name is missing")
	}
	if d.Version == "" {
		d.Version = d.SemanticVersion
	}
	if !slices.Contains(strings.Split(e.Tool, ", "), d.Name) {
		e.Tool = cut(strings.TrimPrefix(e.Tool+", "+d.Name, ", "))
		e.Version = cut(strings.TrimPrefix(e.Version+", "+d.Version, ", "))
	}
	for _, i := range r.Invocations {
		e.Failed = e.Failed || i.Successful != nil && !*i.Successful
		if !i.End.IsZero() && (e.Time.IsZero() || i.End.Before(e.Time)) { // the oldest run counts
			e.Time = i.End.UTC()
		}
	}
	if r.Results == nil {
		e.Failed = true // SARIF 3.14.23: absent, not empty, when it did not look for any
		return nil
	}
	r.byID = map[string]descriptor{}
	for _, rule := range d.Rules {
		r.byID[rule.ID] = rule
	}
	for i := range *r.Results {
		q := &(*r.Results)[i]
		if len(e.Results) >= maxResults {
			return fmt.Errorf("more than %d results", maxResults)
		}
		if !q.counts() {
			continue
		}
		rule := r.rule(q)
		out := fact.Result{Rule: cut(rule.ID), Level: q.level(rule), Message: cut(q.Message.Text), Score: float64(max(q.Properties.Severity, rule.Properties.Severity))}
		if out.Message == "" {
			out.Message = cut(q.Message.Markdown)
		}
		if len(q.Locations) > 0 {
			p := q.Locations[0].Physical
			out.Path, out.Line = cut(p.Artifact.URI), max(p.Region.Line, 0)
		}
		e.Results = append(e.Results, out)
	}
	return nil
}

// counts reports whether a result stands: it is in the present state and not
// suppressed by all who looked.
func (q *result) counts() bool {
	if q.Baseline == "absent" {
		return false
	}
	for _, s := range q.Suppressions {
		if s.Status == "underReview" || s.Status == "rejected" {
			return true
		}
	}
	return len(q.Suppressions) == 0
}

// level follows SARIF 3.27.10.
func (q *result) level(rule descriptor) string {
	if q.Kind != "" && q.Kind != "fail" {
		return "none"
	}
	for _, l := range []string{q.Level, rule.Configuration.Level} {
		if slices.Contains([]string{"error", "warning", "note", "none"}, l) {
			return l
		}
	}
	return "warning"
}

// rule finds the rule of a result: by index where there is one, else by id.
func (r *run) rule(q *result) descriptor {
	id, index := q.RuleID, q.RuleIndex
	if id == "" {
		id = q.Rule.ID
	}
	if index == nil {
		index = q.Rule.Index
	}
	from := r.Tool.Driver
	if n := q.Rule.Tool.Index; n != nil && *n >= 0 && *n < len(r.Tool.Extensions) {
		from = r.Tool.Extensions[*n]
	}
	if index != nil && *index >= 0 && *index < len(from.Rules) {
		found := from.Rules[*index]
		if id != "" {
			found.ID = id
		}
		return found
	}
	if d, ok := r.byID[id]; ok {
		return d
	}
	return descriptor{ID: id}
}

// cut bounds a text, at a character.
func cut(s string) string {
	if len(s) <= maxText {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
