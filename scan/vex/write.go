package vex

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/policy/exception"
)

// Options are what a document needs besides the report.
type Options struct {
	Format     string            // openvex, csaf or cyclonedx; empty is openvex
	Exceptions *exception.File   // the user's own judgement, may be nil
	Subject    exception.Subject // the image, for exceptions that are for some only
	Author     string            // whose word the document is
	Namespace  string            // of the author, an address; CSAF wants it
	Product    string            // PURL of what was scanned, where the report does not tell
	Undecided  bool              // findings that nobody judged are under investigation, else left out
	Now        time.Time
	Tool       sekisho.Tool
}

// Formats lists what Write can write.
func Formats() []string { return []string{"openvex", "csaf", "cyclonedx"} }

// Write writes what the user judged of a report's vulnerabilities. A flaw whose
// functions are not in the program counts as judged. The same judgement gives
// the same document, but for its date.
func Write(w io.Writer, r *sekisho.Report, o Options) error {
	if o.Author == "" {
		return sekisho.Errorf(sekisho.Usage, "a VEX document needs an author")
	}
	o.Product = cmp.Or(o.Product, product(r))
	if o.Product != "" {
		if _, ok := parsePURL(o.Product); !ok {
			return sekisho.Errorf(sekisho.Usage, "product %q is no PURL", o.Product)
		}
	}
	j := judge(r, o)
	var doc any
	switch o.Format {
	case "", "openvex":
		doc = j.openVEX()
	case "csaf":
		if u, err := url.Parse(o.Namespace); err != nil || u.Scheme == "" {
			return sekisho.Errorf(sekisho.Usage, "CSAF wants the author's namespace, as https://example.com")
		}
		doc = j.csaf()
	case "cyclonedx":
		doc = j.cycloneDX()
	default:
		return sekisho.Errorf(sekisho.Usage, "VEX format %q: want one of %s", o.Format, strings.Join(Formats(), ", "))
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("write VEX: %w", err)
	}
	return nil
}

// product is the PURL of a scanned image: of type oci when it has a digest and
// a name. The tag is left out: it may move, and readers want all qualifiers met.
func product(r *sekisho.Report) string {
	t := newTarget(r)
	if t.repository == "" || r.Target.Digest == "" {
		return ""
	}
	p := packageURL{kind: "oci", name: t.repository[strings.LastIndexByte(t.repository, '/')+1:], version: string(r.Target.Digest),
		qualifiers: map[string]string{"repository_url": t.repository}}
	if _, arch, ok := strings.Cut(r.Target.Platform, "/"); ok {
		p.qualifiers["arch"], _, _ = strings.Cut(arch, "/")
	}
	return p.String()
}

// judged is one statement to be written.
type judged struct {
	ID, Status, Justification, Impact, Action string
	Aliases, Packages                         []string // sorted
}

type judgement struct {
	Options
	statements []judged
}

// judge gathers the statements, sorted, one for each vulnerability and reason.
func judge(r *sekisho.Report, o Options) *judgement {
	j := &judgement{Options: o}
	for i := range r.Findings {
		x := &r.Findings[i]
		if x.Kind != sekisho.Vulnerability || x.Package == nil || x.Package.PURL == "" {
			continue
		}
		s, ok := verdict(x, o)
		if !ok {
			continue
		}
		s.ID, s.Aliases = x.ID, slices.Sorted(slices.Values(x.Aliases))
		at := slices.IndexFunc(j.statements, func(t judged) bool {
			return t.ID == s.ID && t.Status == s.Status && t.Justification == s.Justification && t.Impact == s.Impact && t.Action == s.Action
		})
		if at < 0 {
			at, j.statements = len(j.statements), append(j.statements, s)
		}
		j.statements[at].Packages = append(j.statements[at].Packages, x.Package.PURL)
	}
	for i := range j.statements {
		s := &j.statements[i]
		slices.Sort(s.Packages)
		s.Packages = slices.Compact(s.Packages)
	}
	slices.SortFunc(j.statements, func(a, b judged) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Status, b.Status), slices.Compare(a.Packages, b.Packages))
	})
	return j
}

// verdict is what the user, or the program's functions, say of a finding. An
// exception without a judgement accepts a risk that is real.
func verdict(x *sekisho.Finding, o Options) (judged, bool) {
	if o.Exceptions != nil {
		if e := o.Exceptions.Covering(x, o.Subject, o.Now); e != nil && e.VEX != nil {
			v := e.VEX
			impact := v.Impact
			if v.Status == sekisho.StatusNotAffected {
				impact = cmp.Or(impact, e.Reason)
			}
			return judged{Status: v.Status, Justification: v.Justification, Impact: impact, Action: v.Action}, true
		} else if e != nil {
			return judged{Status: sekisho.StatusAffected, Action: e.Reason}, true
		}
	}
	if s := x.Suppressed; s != nil && s.By == "symbols" {
		return judged{Status: sekisho.StatusNotAffected, Justification: s.Reason, Impact: "The functions that hold the flaw are not in the program."}, true
	}
	return judged{Status: sekisho.StatusInvestigated}, o.Undecided && x.Suppressed == nil
}

// sum hashes what the document says, for ids that stay the same as long as it
// does.
func (j *judgement) sum() [32]byte {
	data, err := json.Marshal([]any{j.Author, j.Product, j.statements})
	if err != nil {
		data = nil // texts always can be written
	}
	return sha256.Sum256(data)
}

func (j *judgement) time() string { return j.Now.UTC().Format(time.RFC3339) }

func (j *judgement) openVEX() openVEXDocument {
	d := openVEXDocument{Context: "https://openvex.dev/ns/v0.2.0", ID: fmt.Sprintf("https://openvex.dev/docs/public/vex-%x", j.sum()), Author: j.Author,
		Timestamp: j.time(), Version: json.RawMessage("1"), Tooling: strings.TrimSpace(j.Tool.Name + " " + j.Tool.Version), Statements: []openVEXStatement{}}
	for _, s := range j.statements {
		out := openVEXStatement{Vulnerability: openVEXVulnerability{Name: s.ID, Aliases: s.Aliases}, Status: s.Status, Justification: s.Justification,
			Impact: s.Impact, Action: s.Action}
		var parts []openVEXProduct
		for _, p := range s.Packages {
			parts = append(parts, openVEXProduct{ID: p, Identifiers: map[string]string{"purl": p}})
		}
		if j.Product != "" {
			parts = []openVEXProduct{{ID: j.Product, Identifiers: map[string]string{"purl": j.Product}, Subcomponents: parts}}
		}
		out.Products = parts
		d.Statements = append(d.Statements, out)
	}
	return d
}

type object = map[string]any

func (j *judgement) cycloneDX() object {
	sum := j.sum()
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, version 8
	metadata := object{"timestamp": j.time(), "authors": []object{{"name": j.Author}},
		"tools": object{"components": []object{{"type": "application", "name": cmp.Or(j.Tool.Name, "sekisho"), "version": j.Tool.Version}}}}
	if j.Product != "" {
		metadata["component"] = object{"bom-ref": j.Product, "type": "container", "name": nameOf(j.Product), "purl": j.Product}
	}
	components, flaws, seen := []object{}, []object{}, map[string]bool{}
	for _, s := range j.statements {
		affects := []object{}
		for _, p := range s.Packages {
			affects = append(affects, object{"ref": p})
			if !seen[p] {
				seen[p] = true
				u, _ := parsePURL(p)
				components = append(components, object{"bom-ref": p, "type": "library", "name": nameOf(p), "version": u.version, "purl": p})
			}
		}
		flaw := object{"id": s.ID, "analysis": analysis(s), "affects": affects}
		if references := []object{}; len(s.Aliases) > 0 {
			for _, a := range s.Aliases {
				references = append(references, object{"id": a, "source": object{"name": source(a)}})
			}
			flaw["references"] = references
		}
		flaws = append(flaws, flaw)
	}
	return object{"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"serialNumber": fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		"metadata":     metadata, "components": components, "vulnerabilities": flaws}
}

func nameOf(id string) string {
	u, _ := parsePURL(id)
	return cmp.Or(strings.TrimPrefix(u.namespace+"/"+u.name, "/"), id)
}

// source names who gave an id out.
func source(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	return cmp.Or(map[string]string{"CVE": "CVE", "GHSA": "GitHub", "GO": "Go", "DSA": "Debian", "RHSA": "Red Hat", "USN": "Ubuntu"}[prefix], prefix)
}

// analysis words a statement as CycloneDX does. Where its list of
// justifications has none that means the same, the detail tells.
func analysis(s judged) object {
	state := map[string]string{sekisho.StatusNotAffected: "not_affected", sekisho.StatusFixed: "resolved", sekisho.StatusAffected: "exploitable",
		sekisho.StatusInvestigated: "in_triage"}[s.Status]
	justification := map[string]string{"component_not_present": "code_not_present", "vulnerable_code_not_present": "code_not_present",
		"vulnerable_code_not_in_execute_path": "code_not_reachable", "inline_mitigations_already_exist": "protected_by_mitigating_control"}[s.Justification]
	out := object{"state": state}
	if justification != "" {
		out["justification"] = justification
	}
	detail := cmp.Or(s.Impact, s.Action)
	if justification == "" && s.Justification != "" {
		detail = strings.TrimSuffix(s.Justification+": "+detail, ": ")
	}
	if detail != "" {
		out["detail"] = detail
	}
	return out
}

func (j *judgement) csaf() object {
	t := csafWriter{ids: map[string]string{}}
	flaws := []object{}
	for _, s := range j.statements {
		flaws = append(flaws, t.vulnerability(j, s))
	}
	flaws = merged(flaws)
	sum := j.sum()
	tree := object{"full_product_names": t.products}
	if len(t.relationships) > 0 {
		tree["relationships"] = t.relationships
	}
	doc := object{"document": object{
		"category": "csaf_vex", "csaf_version": "2.0", "title": "VEX of " + cmp.Or(nameOf(j.Product), "packages"), "lang": "en",
		"publisher": object{"category": "user", "name": j.Author, "namespace": j.Namespace},
		"tracking": object{"id": fmt.Sprintf("vex-%x", sum[:8]), "status": "final", "version": "1", "current_release_date": j.time(), "initial_release_date": j.time(),
			"revision_history": []object{{"number": "1", "date": j.time(), "summary": "Initial version."}},
			"generator":        object{"engine": object{"name": cmp.Or(j.Tool.Name, "sekisho"), "version": cmp.Or(j.Tool.Version, "unknown")}}}}}
	if len(t.products) > 0 {
		doc["product_tree"], doc["vulnerabilities"] = tree, flaws
	}
	return doc
}

// csafWriter numbers products as they come.
type csafWriter struct {
	ids           map[string]string // by PURL
	products      []object
	relationships []object
}

func (t *csafWriter) product(id string) string {
	if known, ok := t.ids[id]; ok {
		return known
	}
	short := fmt.Sprintf("P-%d", len(t.ids)+1)
	t.ids[id] = short
	t.products = append(t.products, object{"product_id": short, "name": id, "product_identification_helper": object{"purl": id}})
	return short
}

// part returns the product that is a package inside the product.
func (t *csafWriter) part(whole, id string) string {
	part := t.product(id)
	if whole == "" {
		return part
	}
	whole = t.product(whole)
	both := whole + ":" + part
	if t.ids[both] == "" {
		t.ids[both] = both
		t.relationships = append(t.relationships, object{"category": "default_component_of", "product_reference": part, "relates_to_product_reference": whole,
			"full_product_name": object{"product_id": both, "name": id + " in " + nameOf(purlOf(t.ids, whole))}})
	}
	return both
}

func purlOf(ids map[string]string, short string) string {
	for id, s := range ids {
		if s == short {
			return id
		}
	}
	return short
}

func (t *csafWriter) vulnerability(j *judgement, s judged) object {
	var parts []string
	for _, p := range s.Packages {
		parts = append(parts, t.part(j.Product, p))
	}
	field := map[string]string{sekisho.StatusNotAffected: "known_not_affected", sekisho.StatusFixed: "fixed", sekisho.StatusAffected: "known_affected",
		sekisho.StatusInvestigated: "under_investigation"}[s.Status]
	out := object{"notes": []object{{"category": "general", "text": cmp.Or(s.Impact, s.Action, s.Status)}}, "product_status": object{field: parts}}
	other := []object{}
	for _, id := range append([]string{s.ID}, s.Aliases...) {
		if out["cve"] == nil && isCVE(id) {
			out["cve"] = id
			continue
		}
		other = append(other, object{"system_name": source(id), "text": id})
	}
	if len(other) > 0 {
		out["ids"] = other
	}
	if s.Justification != "" {
		out["flags"] = []object{{"label": s.Justification, "product_ids": parts}}
	}
	if s.Impact != "" && s.Status == sekisho.StatusNotAffected {
		out["threats"] = []object{{"category": "impact", "details": s.Impact, "product_ids": parts}}
	}
	if s.Status == sekisho.StatusAffected {
		out["remediations"] = []object{{"category": "workaround", "details": s.Action, "product_ids": parts}}
	}
	return out
}

// isCVE reports whether an id has the form that CSAF wants (section 3.2.3.2).
func isCVE(id string) bool {
	year, number, ok := strings.Cut(strings.TrimPrefix(id, "CVE-"), "-")
	return ok && strings.HasPrefix(id, "CVE-") && len(year) == 4 && len(number) >= 4 && strings.Trim(year+number, "0123456789") == ""
}

// merged makes one entry of those of one CVE, which CSAF wants once (section
// 6.1.23).
func merged(list []object) []object {
	var out []object
	at := map[string]int{}
	for _, v := range list {
		cve, _ := v["cve"].(string)
		i, ok := at[cve]
		if cve == "" || !ok {
			at[cve] = len(out)
			out = append(out, v)
			continue
		}
		for field, ids := range v["product_status"].(object) {
			status := out[i]["product_status"].(object)
			have, _ := status[field].([]string)
			status[field] = slices.Compact(slices.Sorted(slices.Values(append(have, ids.([]string)...))))
		}
		for _, field := range []string{"flags", "threats", "remediations"} {
			have, _ := out[i][field].([]object)
			more, _ := v[field].([]object)
			if len(have)+len(more) > 0 {
				out[i][field] = append(have, more...)
			}
		}
	}
	return out
}
