package settings

import (
	"slices"
	"strings"

	"sekisho"
)

// Service names what a container is an instance of: its workload where an
// orchestrator names one, else its image. Profiles, responses and the cap on
// responses go by it.
func Service(c *sekisho.Container) string {
	switch w := c.Workload; {
	case w.Platform == "kubernetes", w.Platform == "compose", w.Platform == "ecs":
		return w.String()
	case c.Image != "":
		return "image:" + c.Image
	case c.ImageID != "":
		return "image:" + string(c.ImageID)
	}
	return "container:" + c.Name
}

// Treatment is what the settings say about one container.
type Treatment struct {
	Mode   string // "" when they do not speak of it
	Drift  []string
	Stop   []string
	Ignore bool
}

// For returns what the settings say about a container.
func (s *Settings) For(c *sekisho.Container) Treatment {
	t := Treatment{Drift: s.Drift, Stop: s.Stop}
	for _, w := range s.Workloads {
		if w.Workload != "" && !Glob(w.Workload, c.Workload.String()) && !Glob(w.Workload, c.Name) || w.Image != "" && !Glob(w.Image, c.Image) {
			continue
		}
		t.Mode, t.Ignore = w.Mode, w.Ignore
		if w.Drift != nil {
			t.Drift = w.Drift
		}
		if w.Stop != nil {
			t.Stop = w.Stop
		}
		break
	}
	return t
}

// Respond returns the hardest response to an alert: Alert when none fits.
func (s *Settings) Respond(on, rule, severity string, c *sekisho.Container) string {
	do := Alert
	for _, r := range s.Responses {
		if len(r.On) > 0 && !slices.Contains(r.On, on) || r.Severity != "" && Rank(severity) < Rank(r.Severity) ||
			len(r.Rules) > 0 && !slices.ContainsFunc(r.Rules, func(p string) bool { return Glob(p, rule) }) ||
			r.Workload != "" && (c == nil || !Glob(r.Workload, c.Workload.String()) && !Glob(r.Workload, c.Name)) {
			continue
		}
		if hardness(r.Do) > hardness(do) {
			do = r.Do
		}
	}
	return do
}

// Answers says whether any response but an alert may follow a rule.
func (s *Settings) Answers(on, rule, severity string) bool {
	return slices.ContainsFunc(s.Responses, func(r Response) bool {
		return r.Do != Alert && (len(r.On) == 0 || slices.Contains(r.On, on)) && (r.Severity == "" || Rank(severity) >= Rank(r.Severity)) &&
			(len(r.Rules) == 0 || slices.ContainsFunc(r.Rules, func(p string) bool { return Glob(p, rule) }))
	})
}

func hardness(do string) int {
	return slices.Index([]string{Alert, Kill, Quarantine, Pause, Stop}, do)
}

// Rank orders severities; -1 for a word that is none.
func Rank(severity string) int { return slices.Index(severities, severity) }

// Glob matches a text in which * stands for anything, also for nothing.
func Glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
