package runtime

import (
	"io"
	"path/filepath"
	"slices"
	"time"

	"sekisho"
	"sekisho/policy/source"
)

// What to do with what has no image of its own.
const (
	Judge = "judge" // as an image of which nothing is known
	Allow = "allow"
	Deny  = "deny"
)

// Config is runtime.yaml.
type Config struct {
	Runtime      string   `yaml:"runtime"`      // the runtime that is guarded, an absolute path
	Socket       string   `yaml:"socket"`       // of sekisho admit node serve; when left out, this process decides
	Docker       []string `yaml:"docker"`       // the engine's data directories; /var/lib/docker when left out
	Containerd   string   `yaml:"containerd"`   // its address
	Storage      []string `yaml:"storage"`      // where CRI-O and Podman keep images and containers; /var/lib/containers/storage when left out
	Deadline     string   `yaml:"deadline"`     // of one decision; 5s when left out
	OnError      string   `yaml:"on_error"`     // deny (when left out) or allow: what happens without an answer
	Exec         string   `yaml:"exec"`         // allow (when left out) or deny: further processes in containers
	Builds       string   `yaml:"builds"`       // judge (when left out) or allow: the steps of BuildKit inside Docker
	Unidentified string   `yaml:"unidentified"` // judge (when left out) or allow: containers made from no image

	deadline time.Duration
}

// Within is the deadline of one decision.
func (c *Config) Within() time.Duration { return c.deadline }

// ParseConfig reads runtime.yaml.
func ParseConfig(r io.Reader, name string) (*Config, error) {
	c := &Config{}
	if err := source.Strict(r, name, c); err != nil {
		return nil, err
	}
	for _, word := range []struct {
		field string
		value *string
		want  []string
	}{{"on_error", &c.OnError, []string{Deny, Allow}}, {"exec", &c.Exec, []string{Allow, Deny}}, {"builds", &c.Builds, []string{Judge, Allow}}, {"unidentified", &c.Unidentified, []string{Judge, Allow}}} {
		if *word.value == "" {
			*word.value = word.want[0]
		}
		if !slices.Contains(word.want, *word.value) {
			return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, source.Wrong(word.field, *word.value, word.want...))
		}
	}
	if !filepath.IsAbs(c.Runtime) {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: runtime %q: want the absolute path of the runtime that is guarded", name, c.Runtime)
	}
	if c.deadline = 5 * time.Second; c.Deadline != "" {
		d, err := time.ParseDuration(c.Deadline)
		if err != nil || d <= 0 || d > 10*time.Minute {
			return nil, sekisho.Errorf(sekisho.Invalid, "%s: deadline %q: want a duration of at most 10m, as 5s", name, c.Deadline)
		}
		c.deadline = d
	}
	if len(c.Docker) == 0 {
		c.Docker = []string{"/var/lib/docker"}
	}
	return c, nil
}
