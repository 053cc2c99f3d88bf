package assurance

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/policy/exception"
	"sekisho/policy/source"
)

// rootUserControl: the process does not start as root.
type rootUserControl struct {
	Numeric    bool `yaml:"numeric"`
	MinimumUID int  `yaml:"minimum_uid"`
}

func (c *rootUserControl) ready() error { return between("minimum_uid", c.MinimumUID, 0, 1<<31-1) }

func (c *rootUserControl) judge(x *Index, r *request, j *judgement) {
	j.looked = 1
	user, from := x.image.User, "image"
	if w := r.Workload; w != nil {
		if w.User != nil && *w.User != "" {
			user, from = w.User, "workload"
		}
		if w.RunAsNonRoot != nil && *w.RunAsNonRoot && c.MinimumUID == 0 && !c.Numeric {
			return // the platform refuses to start it as root
		}
	}
	if user == nil {
		j.missing("user")
		return
	}
	name, _, _ := strings.Cut(*user, ":")
	uid, err := strconv.ParseUint(name, 10, 32)
	switch {
	case name == "" || name == "root" || err == nil && uid == 0:
		j.fail("fail", "user", *user, "from", "@policy.from."+from)
	case err != nil && (c.Numeric || c.MinimumUID > 0):
		j.fail("name", "user", *user, "from", "@policy.from."+from)
	case err == nil && uid < uint64(c.MinimumUID):
		j.fail("uid", "user", *user, "from", "@policy.from."+from, "minimum", strconv.Itoa(c.MinimumUID))
	}
}

// capabilitiesControl: the workload adds no capability that is not allowed.
type capabilitiesControl struct {
	Allowed []string `yaml:"allowed"`
	Denied  []string `yaml:"denied"`
	DropAll bool     `yaml:"drop_all"`
}

func (c *capabilitiesControl) ready() error {
	if len(c.Allowed) > 0 && len(c.Denied) > 0 {
		return fmt.Errorf("want allowed or denied, not both")
	}
	c.Allowed, c.Denied = capabilities(c.Allowed), capabilities(c.Denied)
	return nil
}

// capabilities are compared without CAP_ and in capitals.
func capabilities(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, capability(s))
	}
	return out
}

func capability(s string) string { return strings.TrimPrefix(strings.ToUpper(s), "CAP_") }

func (c *capabilitiesControl) judge(_ *Index, r *request, j *judgement) {
	w := j.workload(r)
	if w == nil {
		return
	}
	if w.Privileged != nil && *w.Privileged {
		j.fail("privileged")
	}
	if w.AddCapabilities == nil {
		j.missing("add_capabilities")
	}
	j.looked = len(w.AddCapabilities)
	for _, s := range w.AddCapabilities {
		name := capability(s)
		bad := !slices.Contains(c.Allowed, name)
		if len(c.Denied) > 0 {
			bad = slices.Contains(c.Denied, name) || name == "ALL"
		}
		if bad {
			j.fail("fail", "capability", name)
		}
	}
	if !c.DropAll {
		return
	}
	if w.DropCapabilities == nil {
		j.missing("drop_capabilities")
	} else if !slices.ContainsFunc(w.DropCapabilities, func(s string) bool { return capability(s) == "ALL" }) {
		j.fail("drop")
	}
}

// privilegedControl: the container is not privileged.
type privilegedControl struct{}

func (privilegedControl) ready() error { return nil }

func (privilegedControl) judge(_ *Index, r *request, j *judgement) {
	if w := j.workload(r); w != nil {
		j.looked = 1
		if j.yes(w.Privileged, "privileged") {
			j.fail("fail")
		}
	}
}

// escalationControl: no process can gain more rights than its parent.
type escalationControl struct{}

func (escalationControl) ready() error { return nil }

func (escalationControl) judge(_ *Index, r *request, j *judgement) {
	if w := j.workload(r); w != nil {
		j.looked = 1
		if j.yes(w.PrivilegeEscalation, "privilege_escalation") {
			j.fail("fail")
		}
	}
}

// hostAccessControl: the workload stays out of the host's namespaces and
// files.
type hostAccessControl struct {
	Allowed      []string `yaml:"allowed"`
	AllowedPaths []string `yaml:"allowed_paths"`
}

func (c *hostAccessControl) ready() error {
	for _, a := range c.Allowed {
		if !slices.Contains([]string{"network", "pid", "ipc"}, a) {
			return source.Wrong("allowed", a, "network", "pid", "ipc")
		}
	}
	for _, p := range c.AllowedPaths {
		if _, err := path.Match(p, ""); err != nil || !strings.HasPrefix(p, "/") {
			return fmt.Errorf("allowed_paths: %q is no pattern of an absolute path", p)
		}
	}
	return nil
}

func (c *hostAccessControl) judge(_ *Index, r *request, j *judgement) {
	w := j.workload(r)
	if w == nil {
		return
	}
	j.looked = 3 + len(w.HostPaths)
	for _, n := range []struct {
		name  string
		value *bool
	}{{"network", w.HostNetwork}, {"pid", w.HostPID}, {"ipc", w.HostIPC}} {
		if !slices.Contains(c.Allowed, n.name) && j.yes(n.value, "host_"+n.name) {
			j.fail("fail", "what", n.name)
		}
	}
	if w.HostPaths == nil {
		j.missing("host_paths")
	}
	for _, p := range w.HostPaths {
		clean := path.Clean("/" + p)
		if !slices.ContainsFunc(c.AllowedPaths, func(pattern string) bool { return exception.Match(pattern, clean) }) {
			j.fail("path", "path", clean)
		}
	}
}

// readOnlyControl: the root file system cannot be written.
type readOnlyControl struct{}

func (readOnlyControl) ready() error { return nil }

func (readOnlyControl) judge(_ *Index, r *request, j *judgement) {
	if w := j.workload(r); w != nil {
		j.looked = 1
		if w.ReadOnlyRoot == nil {
			j.missing("read_only_root")
		} else if !*w.ReadOnlyRoot {
			j.fail("fail")
		}
	}
}

// labelsControl: labels are there, or not there.
type labelsControl struct {
	Of       string            `yaml:"of"`
	Required map[string]string `yaml:"required"`
	Denied   map[string]string `yaml:"denied"`
	required [][2]string
	denied   [][2]string
}

func (c *labelsControl) ready() error {
	if c.Of != "" && c.Of != "image" && c.Of != "workload" {
		return source.Wrong("of", c.Of, "image", "workload")
	}
	if len(c.Required)+len(c.Denied) == 0 {
		return fmt.Errorf("want required or denied, labels with a pattern for each value")
	}
	c.required, c.denied = pairs(c.Required), pairs(c.Denied)
	for _, p := range slices.Concat(c.required, c.denied) {
		if err := globs("labels", []string{p[1]}); err != nil {
			return err
		}
	}
	return nil
}

func (c *labelsControl) judge(x *Index, r *request, j *judgement) {
	labels, key := x.image.Labels, "labels"
	if c.Of == "workload" {
		w := j.workload(r)
		if w == nil {
			return
		}
		labels, key = w.Labels, "workload_labels"
	}
	if labels == nil {
		j.missing(key)
		return
	}
	j.looked = len(labels)
	for _, p := range c.required {
		value, ok := labels[p[0]]
		switch {
		case !ok:
			j.fail("fail", "label", p[0])
		case !match(p[1], value):
			j.fail("value", "label", p[0], "value", value, "wanted", p[1])
		}
	}
	for _, p := range c.denied {
		if value, ok := labels[p[0]]; ok && match(p[1], value) {
			j.fail("denied", "label", p[0], "value", value)
		}
	}
}

// exceptionsControl: exceptions that are used keep to rules of their own.
type exceptionsControl struct {
	MaxDays  int  `yaml:"max_days"`
	Approver bool `yaml:"approver"`
	Maximum  *int `yaml:"maximum"`
}

func (c *exceptionsControl) ready() error {
	if c.MaxDays == 0 && !c.Approver && c.Maximum == nil {
		return fmt.Errorf("want max_days, approver or maximum")
	}
	return between("max_days", c.MaxDays, 0, 3650)
}

func (c *exceptionsControl) judge(x *Index, r *request, j *judgement) {
	var used []sekisho.ExceptionUse
	for _, u := range uses(x, r) {
		if u.State == sekisho.ExceptionInForce {
			used = append(used, u)
		}
	}
	j.looked = len(used)
	for _, u := range used {
		if c.Approver && u.Approver == "" {
			j.fail("approver", "what", u.What)
		}
		if c.MaxDays > 0 && (u.Until.IsZero() || u.Until.Sub(r.Now).Hours() > float64(24*c.MaxDays)) {
			j.fail("long", "what", u.What, "days", strconv.Itoa(c.MaxDays))
		}
	}
	if c.Maximum != nil && len(used) > *c.Maximum {
		j.fail("many", "count", strconv.Itoa(len(used)), "maximum", strconv.Itoa(*c.Maximum))
	}
}
