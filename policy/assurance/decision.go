package assurance

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
)

// Decision tells the verdict in full: every reason, what every control said,
// and the exceptions that concern the image. Words are keys and parameters;
// Describe puts them into a language.
func (v *Verdict) Decision() *sekisho.Decision {
	d := &sekisho.Decision{Result: v.Result, Policies: []sekisho.PolicyResult{}, Reasons: []sekisho.Reason{}, Controls: []sekisho.ControlResult{},
		Exceptions: []sekisho.ExceptionUse{}}
	var names []string
	for _, p := range v.policies {
		names = append(names, p.policy.Name)
		d.Policies = append(d.Policies, sekisho.PolicyResult{Name: p.policy.Name, Version: p.policy.Version, Mode: p.policy.Mode, Result: p.result})
		for n := p.span.from; n < p.span.to; n++ {
			j := &v.judgements[n]
			reasons := v.reasons(j)
			excepted := int(j.excepted)
			if j.accepted >= 0 {
				excepted, reasons = excepted+len(reasons), nil
			}
			d.Reasons = append(d.Reasons, reasons...)
			d.Controls = append(d.Controls, sekisho.ControlResult{Policy: p.policy.Name, Control: j.control.name, Result: j.result(), Effect: j.control.effect,
				Wants: j.control.wants, Looked: j.looked, Reasons: len(reasons), Excepted: excepted, Satisfies: list(j.control.common.Satisfies)})
		}
	}
	d.Policy = strings.Join(names, ", ")
	d.Exceptions = append(d.Exceptions, v.uses()...)
	return d
}

func list(l []string) []string { return append([]string{}, l...) }

// reasons are all that a control has against the image.
func (v *Verdict) reasons(j *judgement) (out []sekisho.Reason) {
	c := j.control
	out = make([]sekisho.Reason, 0, j.reasons())
	base := sekisho.Reason{Policy: c.policy, Control: c.name, Effect: c.effect, Owner: c.owner}
	for _, n := range v.numbers[j.findings.from:j.findings.to] {
		out = append(out, v.ofFinding(base, n, sekisho.ControlFail, "fail", c))
	}
	for _, n := range v.packages[j.packages.from:j.packages.to] {
		out = append(out, v.ofPackage(base, n))
	}
	for _, n := range v.unknowns[j.unknown.from:j.unknown.to] {
		out = append(out, v.ofFinding(base, n, sekisho.ControlNotAssessed, "unrated", c))
	}
	for _, d := range j.details {
		out = append(out, ofDetail(base, d))
	}
	for i := range out {
		if c.wants != "" {
			out[i].Params["wants"] = c.wants // tells controls of one name apart
		}
		if out[i].Result == sekisho.ControlNotAssessed && c.unknown == sekisho.Allow {
			out[i].Effect = sekisho.Note
		}
	}
	return out
}

// ofFinding is the reason that a finding is.
func (v *Verdict) ofFinding(r sekisho.Reason, n int32, result, key string, c *prepared) sekisho.Reason {
	f := &v.index.image.Findings[n]
	r.Result, r.Finding = result, f.Fingerprint
	r.Key, r.FixKey = "policy."+c.name+"."+key, "policy.fix.finding"
	if f.Kind == sekisho.Vulnerability && c.name == "malware" {
		r.Key = "policy.malware.package"
	}
	r.Params = make(map[string]string, 8)
	r.Params["id"] = f.ID
	if c.most != "" {
		r.Params["want_maximum"] = c.most
	}
	evidence := make([]string, 1, 10)
	evidence[0] = f.ID
	if f.Kind == sekisho.Vulnerability {
		evidence = ratings(evidence, f)
		vulnerability(&r, f)
	} else {
		r.Params["fix"], r.Params["title"], r.Params["path"] = f.Fix, f.Title, f.Location.Path
		if f.Fix == "" {
			r.FixKey = "check." + f.ID + ".fix"
		}
		if f.Evidence != "" {
			evidence = append(evidence, f.Evidence)
		}
	}
	if f.Location.Path != "" {
		evidence = append(evidence, place(f.Location.Path, f.Location.Line))
	}
	if e := f.Expired; e != nil {
		r.Params["expired"] = e.Until.Format(time.DateOnly)
	}
	r.Evidence = strings.Join(evidence, ", ")
	return r
}

// ratings is what speaks for the weight of a vulnerability.
func ratings(out []string, f *sekisho.Finding) []string {
	if p := f.Package; p != nil {
		out = append(out, p.Name+" "+p.Version)
	}
	out = append(out, string(f.Severity))
	if f.Vulnerable == nil {
		return out
	}
	if s, ok := score(f.CVSS); ok {
		out = append(out, "CVSS "+strconv.FormatFloat(s, 'f', 1, 64))
	}
	if f.EPSS != nil {
		out = append(out, "EPSS "+strconv.FormatFloat(f.EPSS.Score*100, 'f', 1, 64)+"%")
	}
	if f.KEV != nil {
		out = append(out, "KEV "+f.KEV.Added)
	}
	if !f.Published.IsZero() {
		out = append(out, "published "+f.Published.Format(time.DateOnly))
	}
	if len(f.FixedIn) > 0 {
		out = append(out, "fixed in "+strings.Join(f.FixedIn, ", "))
	}
	return out
}

// vulnerability says what a control minds of a vulnerability, and how to get
// rid of it.
func vulnerability(r *sekisho.Reason, f *sekisho.Finding) {
	p := f.Package
	if p == nil {
		p = &sekisho.PackageRef{}
	}
	r.Params["package"] = p.Name
	switch {
	case r.Control == "severity":
		r.Params["severity"] = "@severity." + string(cmp.Or(f.Severity, sekisho.Unknown))
	case f.Vulnerable == nil:
	case r.Control == "cvss":
		if s, ok := score(f.CVSS); ok {
			r.Params["cvss"] = strconv.FormatFloat(s, 'f', 1, 64)
		}
	case r.Control == "epss" && f.EPSS != nil:
		r.Params["epss"] = strconv.FormatFloat(f.EPSS.Score, 'g', 3, 64)
	case r.Control == "kev" && f.KEV != nil:
		r.Params["added"] = f.KEV.Added
	}
	switch {
	case len(f.FixedIn) > 0:
		r.FixKey, r.Params["fixed"] = "policy.fix.upgrade", strings.Join(f.FixedIn, ", ")
		if f.Vulnerable != nil && f.Upgrade != "" {
			r.Params["fixed"] = f.Upgrade
		}
	case f.Status == sekisho.StatusWontFix || f.Status == sekisho.StatusEndOfLife:
		r.FixKey = "policy.fix.never"
	default:
		r.FixKey = "policy.fix.none"
	}
}

func (v *Verdict) ofPackage(r sekisho.Reason, n int32) sekisho.Reason {
	p := &v.index.image.Packages[n]
	r.Result, r.Key, r.FixKey = sekisho.ControlFail, "policy."+r.Control+".fail", "policy."+r.Control+".fix"
	r.Params = map[string]string{"package": p.Name, "version": p.Version, "licence": p.Licence}
	evidence := []string{p.Name + " " + p.Version, p.Type}
	if p.Licence != "" {
		evidence = append(evidence, p.Licence)
	}
	r.Evidence = strings.Join(append(evidence, p.Locations[:min(1, len(p.Locations))]...), ", ")
	return r
}

// ofDetail is a reason about no finding.
func ofDetail(r sekisho.Reason, d detail) sekisho.Reason {
	r.Result, r.Params = d.result, map[string]string{}
	var shown []string
	for i := 0; i+1 < len(d.params); i += 2 {
		r.Params[d.params[i]] = d.params[i+1]
		if value := d.params[i+1]; value != "" && !strings.HasPrefix(value, "@") {
			shown = append(shown, d.params[i]+"="+value)
		}
	}
	r.Evidence = strings.Join(shown, ", ")
	if e, ok := r.Params["evidence"]; ok {
		r.Evidence = e
	}
	switch {
	case d.key == "rule":
		r.Key, r.FixKey = "policy.rule.fail", "policy.rule.fix"
		if r.Params["message"] == "" && r.Params["message_ja"] == "" {
			r.Key = "policy.rule.false"
		}
	case d.key != "":
		r.Key, r.FixKey = "policy."+r.Control+"."+d.key, "policy."+r.Control+".fix"
	case d.result == sekisho.ControlError:
		r.Key, r.FixKey = "policy.error", "policy.error.fix"
	default:
		r.Key, r.FixKey = "policy.missing", "policy.missing.fix"
		if name := strings.TrimPrefix(r.Params["fact"], "@fact."); slices.Contains(repairable(), name) {
			r.FixKey = "fact." + name + ".fix"
		}
	}
	return r
}

// repairable are the facts for which the catalogue says how to get them.
func repairable() []string {
	return []string{"vulnerabilities", "kev", "epss", "feeds", "uncovered", "base", "reference", "created", "evidence_time", "signatures", "provenance", "approvals", "tag_immutable"}
}

// uses lists the exceptions that concern the image, with what they cover.
func (v *Verdict) uses() []sekisho.ExceptionUse {
	out := uses(v.index, v.request)
	for n := range v.judgements {
		j := &v.judgements[n]
		for i := range out {
			e := &v.index.exceptions.Exceptions[out[i].Number]
			if e.Control == j.control.name && (e.Policy == "" || e.Policy == j.control.policy) {
				out[i].Count += j.reasons()
			}
		}
	}
	return slices.DeleteFunc(out, func(u sekisho.ExceptionUse) bool { return u.Count == 0 })
}

// uses lists the exceptions that are for the image, with the findings that
// each covers.
func uses(x *Index, r *request) (out []sekisho.ExceptionUse) {
	counts, fixed := map[int32]int{}, map[int32]int{}
	for n, list := range x.covered {
		for _, e := range list {
			counts[e]++
			if len(x.image.Findings[n].FixedIn) > 0 {
				fixed[e]++
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(counts)) {
		e := &x.exceptions.Exceptions[n]
		if !r.concern[n] {
			continue
		}
		// One that ends with a fix has ended when all that it covers have one.
		state := e.Ended(r.Now, counts[n] == fixed[n])
		out = append(out, sekisho.ExceptionUse{Number: int(n), What: e.What(), Reason: e.Reason, Owner: e.Owner, Approver: e.Approver, Until: e.Until.Time, State: state, Count: counts[n]})
	}
	for _, n := range x.concerned {
		if e := &x.exceptions.Exceptions[n]; e.Control != "" && r.concern[n] {
			out = append(out, sekisho.ExceptionUse{Number: int(n), What: e.What(), Reason: e.Reason, Owner: e.Owner, Approver: e.Approver, Until: e.Until.Time, State: e.Ended(r.Now, false)})
		}
	}
	return out
}
