// Package rulefile reads rules for secrets from files: sekisho.secrets.yaml,
// our own form, and gitleaks' TOML configuration. The bytes of a file enter, a
// secret.Config leaves; a field that it does not know is an error with its
// line, and a rule that would never match anything is one too.
package rulefile

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/pelletier/go-toml/v2"

	"sekisho"
	"sekisho/scan/secret"
)

// MaxSize bounds a file of rules in bytes.
const MaxSize = 8 << 20

// Read reads a file of rules; the name tells the form: .toml is gitleaks'.
func Read(name string, data []byte) (secret.Config, error) {
	if len(data) > MaxSize {
		return secret.Config{}, sekisho.Errorf(sekisho.Usage, "%s: %d bytes, want at most %d", name, len(data), MaxSize)
	}
	if path.Ext(name) == ".toml" {
		return gitleaks(name, data)
	}
	return own(name, data)
}

type ownFile struct {
	Rules []struct {
		ID       string   `yaml:"id"`
		Title    string   `yaml:"title"`
		Severity string   `yaml:"severity"`
		Keywords []string `yaml:"keywords"`
		Near     []string `yaml:"near"`
		Regex    string   `yaml:"regex"`
		Group    int      `yaml:"group"`
		Entropy  float64  `yaml:"entropy"`
		Path     string   `yaml:"path"`
	} `yaml:"rules"`
	Disable []string `yaml:"disable"`
	Allow   []struct {
		Rules   []string `yaml:"rules"`
		Paths   []string `yaml:"paths"`
		Regexes []string `yaml:"regexes"`
		Words   []string `yaml:"words"`
		Reason  string   `yaml:"reason"`
	} `yaml:"allow"`
}

func own(name string, data []byte) (secret.Config, error) {
	var f ownFile
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.DisallowUnknownField()); err != nil {
		return secret.Config{}, sekisho.Errorf(sekisho.Usage, "%s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	c := secret.Config{Disable: f.Disable}
	for i, r := range f.Rules {
		severity := sekisho.Severity(strings.ToLower(r.Severity))
		if severity == "" {
			severity = sekisho.High
		}
		if severity.Rank() == 0 {
			return c, sekisho.Errorf(sekisho.Usage, "%s: rules[%d]: severity %q: want critical, high, medium or low", name, i, r.Severity)
		}
		if r.ID == "" {
			return c, sekisho.Errorf(sekisho.Usage, "%s: rules[%d]: want an id", name, i)
		}
		if r.Regex != "" && len(r.Near) == 0 && len(r.Keywords) == 0 {
			return c, sekisho.Errorf(sekisho.Usage, "%s: rule %s: want keywords (of 3 letters or more, one of which every such secret or its line has) or near", name, r.ID)
		}
		c.Rules = append(c.Rules, secret.Rule{ID: r.ID, Type: secret.Custom, Title: r.Title, Severity: severity, Keys: r.Keywords, Near: r.Near,
			Regex: r.Regex, Group: r.Group, Entropy: r.Entropy, Path: r.Path, Loose: true, Origin: name})
	}
	for i, a := range f.Allow {
		if a.Reason == "" {
			return c, sekisho.Errorf(sekisho.Usage, "%s: allow[%d]: want a reason", name, i)
		}
		c.Allows = append(c.Allows, secret.Allow{Rules: a.Rules, Paths: a.Paths, Regexes: a.Regexes, Stop: a.Words})
	}
	return c, nil
}

type allowlist struct {
	Description string   `toml:"description"`
	Condition   string   `toml:"condition"`
	Paths       []string `toml:"paths"`
	RegexTarget string   `toml:"regexTarget"`
	Regexes     []string `toml:"regexes"`
	StopWords   []string `toml:"stopwords"`
	Commits     []string `toml:"commits"`
	TargetRules []string `toml:"targetRules"`
}

type leaksFile struct {
	Title       string `toml:"title"`
	Description string `toml:"description"`
	MinVersion  string `toml:"minVersion"`
	Extend      struct {
		UseDefault    bool     `toml:"useDefault"`
		Path          string   `toml:"path"`
		URL           string   `toml:"url"`
		DisabledRules []string `toml:"disabledRules"`
	} `toml:"extend"`
	Allowlist  *allowlist  `toml:"allowlist"`
	Allowlists []allowlist `toml:"allowlists"`
	Rules      []struct {
		ID          string   `toml:"id"`
		Description string   `toml:"description"`
		Regex       string   `toml:"regex"`
		SecretGroup int      `toml:"secretGroup"`
		Entropy     float64  `toml:"entropy"`
		Path        string   `toml:"path"`
		Keywords    []string `toml:"keywords"`
		Tags        []string `toml:"tags"`
		SkipReport  bool     `toml:"skipReport"`
		Required    []struct {
			ID            string `toml:"id"`
			WithinLines   *int   `toml:"withinLines"`
			WithinColumns *int   `toml:"withinColumns"`
		} `toml:"required"`
		Allowlist  *allowlist  `toml:"allowlist"`
		Allowlists []allowlist `toml:"allowlists"`
	} `toml:"rules"`
}

// gitleaks reads the configuration of gitleaks 8.
func gitleaks(name string, data []byte) (secret.Config, error) {
	var f leaksFile
	d := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return secret.Config{}, sekisho.Errorf(sekisho.Usage, "%s: %s", name, position(err))
	}
	if f.Extend.Path != "" || f.Extend.URL != "" {
		return secret.Config{}, sekisho.Errorf(sekisho.Usage, "%s: extend.path and extend.url are not followed", name).WithHint("give both files: --secret-rules A.toml --secret-rules B.toml")
	}
	c := secret.Config{Only: !f.Extend.UseDefault, Disable: f.Extend.DisabledRules}
	for _, a := range both(f.Allowlist, f.Allowlists) {
		c.Allows = append(c.Allows, a.ours())
	}
	for _, r := range f.Rules {
		if len(r.Required) > 0 || r.SkipReport {
			return c, sekisho.Errorf(sekisho.Usage, "%s: rule %s: rules that require other rules are not supported", name, r.ID)
		}
		rule := secret.Rule{ID: r.ID, Title: r.Description, Type: secret.Custom, Severity: sekisho.High, Keys: r.Keywords, Regex: r.Regex, Group: r.SecretGroup,
			Entropy: r.Entropy, Path: r.Path, Loose: true, Origin: name}
		if r.Regex != "" {
			rule.Keys = longer(r.Regex, r.Keywords)
		}
		for _, a := range both(r.Allowlist, r.Allowlists) {
			rule.Allows = append(rule.Allows, a.ours())
		}
		c.Rules = append(c.Rules, rule)
	}
	return c, nil
}

func position(err error) string {
	var decode *toml.DecodeError
	var strict *toml.StrictMissingError
	switch {
	case errors.As(err, &decode):
		line, column := decode.Position()
		return fmt.Sprintf("line %d, column %d: %s", line, column, decode.Error())
	case errors.As(err, &strict):
		return strict.String()
	}
	return err.Error()
}

func both(one *allowlist, many []allowlist) []allowlist {
	if one != nil {
		return append([]allowlist{*one}, many...)
	}
	return many
}

func (a allowlist) ours() secret.Allow {
	target := a.RegexTarget
	if target == "secret" {
		target = ""
	}
	return secret.Allow{Rules: a.TargetRules, Paths: a.Paths, Regexes: a.Regexes, Target: target, Stop: a.StopWords, All: strings.EqualFold(a.Condition, "and")}
}
