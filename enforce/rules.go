package enforce

import (
	"time"

	"sekisho"
	"sekisho/enforce/detect"
	"sekisho/enforce/detect/field"
	"sekisho/enforce/detect/rulefile"
	"sekisho/enforce/settings"
)

// detector hands the detection rules to the enforcer. A rule that is answered
// by a response is looked at once more for every event, since alerts of one
// cause fold, and what is to be killed is to be killed each time.
type detector struct {
	*detect.Detector
	set    *detect.Set // of rules that somebody answers
	acting *detect.Matcher
}

// NewRules makes the rules of the settings ready.
func NewRules(s *settings.Settings, users field.Users, host string, sources ...detect.Source) (Rules, *detect.Set, error) {
	disabled := func(name string) bool {
		for _, p := range s.Rules.Disabled {
			if settings.Glob(p, name) {
				return true
			}
		}
		return false
	}
	set, err := detect.Load(detect.Options{Enabled: func(name string, on bool) bool { return on && !disabled(name) }}, sources...)
	if err != nil {
		return nil, nil, err
	}
	d := &detector{Detector: detect.NewDetector(set, detect.Limits{}, users, host)}
	d.set = set.Only(func(r detect.Rule) bool { return s.Answers(settings.OnRule, r.Name, Severity(r.Priority)) })
	for _, r := range d.set.Rules {
		if r.Enabled {
			d.acting = d.set.NewMatcher(users, host)
			break
		}
	}
	return d, set, nil
}

// Observe implements Rules.
func (d *detector) Observe(now time.Time, e *sekisho.Event) (list []Match) {
	for _, a := range d.Detector.Observe(now, e) {
		list = append(list, matchOf(&a))
	}
	if d.acting == nil {
		return list
	}
	for _, i := range d.acting.Match(e) {
		r := &d.set.Rules[i]
		told := false
		for _, m := range list {
			told = told || m.Rule == r.Name && m.Note == ""
		}
		if !told {
			list = append(list, Match{Rule: r.Name, Severity: Severity(r.Priority), Folded: true})
		}
	}
	return list
}

// Flush implements Rules.
func (d *detector) Flush(now time.Time) (list []Match) {
	for _, a := range d.Detector.Flush(now) {
		list = append(list, matchOf(&a))
	}
	return list
}

func matchOf(a *detect.Alert) Match {
	return Match{Rule: a.Rule, Severity: Severity(a.Priority), Output: a.Output, Tags: a.Tags, Count: a.Count, Note: a.Note, Event: a.Event}
}

// Severity is the word for a priority of a rule.
func Severity(p rulefile.Priority) string {
	switch { // emergency, alert, critical; error; warning; notice, info, debug
	case p <= 2:
		return "critical"
	case p == 3:
		return "high"
	case p == 4:
		return "medium"
	}
	return "low"
}
