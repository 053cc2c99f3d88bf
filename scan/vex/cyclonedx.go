package vex

import (
	"fmt"
	"strings"

	"sekisho"
)

// cycloneDXDocument is the part of CycloneDX 1.4 to 1.6 that is about
// vulnerabilities (JSON reference, "vulnerabilities").
type cycloneDXDocument struct {
	Serial   string `json:"serialNumber"`
	Metadata struct {
		Timestamp string                  `json:"timestamp"`
		Component *cycloneDXComponent     `json:"component"`
		Authors   []struct{ Name string } `json:"authors"`
		Supplier  struct{ Name string }   `json:"supplier"`
		Maker     struct{ Name string }   `json:"manufacturer"`
	} `json:"metadata"`
	Components      []cycloneDXComponent     `json:"components"`
	Vulnerabilities []cycloneDXVulnerability `json:"vulnerabilities"`
}

type cycloneDXComponent struct {
	Ref        string               `json:"bom-ref"`
	PURL       string               `json:"purl"`
	CPE        string               `json:"cpe"`
	Components []cycloneDXComponent `json:"components"`
}

type cycloneDXVulnerability struct {
	ID         string `json:"id"`
	References []struct {
		ID string `json:"id"`
	} `json:"references"`
	Updated  string `json:"updated"`
	Analysis *struct {
		State         string   `json:"state"`
		Justification string   `json:"justification"`
		Response      []string `json:"response"`
		Detail        string   `json:"detail"`
		First         string   `json:"firstIssued"`
		Last          string   `json:"lastUpdated"`
	} `json:"analysis"`
	Affects []struct {
		Ref      string `json:"ref"`
		Versions []struct {
			Version string `json:"version"`
			Range   string `json:"range"`
			Status  string `json:"status"`
		} `json:"versions"`
	} `json:"affects"`
}

func cycloneDX(data []byte) (*Document, error) {
	var raw cycloneDXDocument
	if err := decode(data, &raw); err != nil {
		return nil, err
	}
	if len(raw.Vulnerabilities) == 0 {
		return nil, ErrOther
	}
	m := raw.Metadata
	d := &Document{Format: "cyclonedx", ID: raw.Serial, Author: m.Supplier.Name}
	if d.Author == "" {
		d.Author = m.Maker.Name
	}
	if d.Author == "" && len(m.Authors) > 0 {
		d.Author = m.Authors[0].Name
	}
	var err error
	if d.Time, err = date("metadata.timestamp", m.Timestamp); err != nil {
		return nil, err
	}
	refs := map[string][]string{}
	if m.Component != nil {
		refer(refs, []cycloneDXComponent{*m.Component}, 0)
	}
	refer(refs, raw.Components, 0)
	for i, v := range raw.Vulnerabilities {
		if v.Analysis == nil || v.Analysis.State == "" {
			continue // listed, not judged
		}
		s, err := v.statement(fmt.Sprintf("vulnerabilities[%d]", i), refs)
		if err != nil {
			return nil, err
		}
		if s.Time.IsZero() {
			s.Time = d.Time
		}
		d.Statements = append(d.Statements, s)
	}
	return d, nil
}

// refer notes what components refer to.
func refer(refs map[string][]string, list []cycloneDXComponent, depth int) {
	for _, c := range list {
		var ids []string
		for _, id := range []string{c.PURL, c.CPE} {
			if id != "" {
				ids = append(ids, id)
			}
		}
		if c.Ref != "" && len(ids) > 0 {
			refs[c.Ref] = ids
		}
		if depth < maxDepth {
			refer(refs, c.Components, depth+1)
		}
	}
}

func (v cycloneDXVulnerability) statement(where string, refs map[string][]string) (Statement, error) {
	a := v.Analysis
	s := Statement{IDs: names(v.ID), Justification: a.Justification, Impact: a.Detail, Action: strings.Join(a.Response, ", ")}
	for _, r := range v.References {
		s.IDs = append(s.IDs, names(r.ID)...)
	}
	status, ok := map[string]string{
		"resolved": sekisho.StatusFixed, "resolved_with_pedigree": sekisho.StatusFixed, "exploitable": sekisho.StatusAffected,
		"in_triage": sekisho.StatusInvestigated, "false_positive": sekisho.StatusNotAffected, "not_affected": sekisho.StatusNotAffected,
	}[a.State]
	switch {
	case len(s.IDs) == 0:
		return s, formatError(where+".id", "missing")
	case !ok:
		return s, formatError(where+".analysis.state", "%q is not one of CycloneDX", a.State)
	}
	s.Status = status
	for _, text := range []string{a.Last, a.First, v.Updated} {
		t, err := date(where, text)
		if err != nil {
			return s, err
		}
		if s.Time.IsZero() {
			s.Time = t
		}
	}
	for _, at := range v.Affects {
		ids := resolve(at.Ref, refs)
		if len(at.Versions) == 0 {
			s.Products = append(s.Products, Product{IDs: ids})
			continue
		}
		for _, version := range at.Versions { // a range names no version: it cannot be told who is meant
			if version.Version != "" && version.Status != "unaffected" {
				s.Products = append(s.Products, Product{IDs: withVersion(ids, version.Version)})
			}
		}
	}
	return s, nil
}

// resolve follows a bom-ref, or a BOM-Link urn:cdx:SERIAL/VERSION#BOM-REF.
func resolve(ref string, refs map[string][]string) []string {
	if ids, ok := refs[ref]; ok {
		return ids
	}
	if rest, ok := strings.CutPrefix(ref, "urn:cdx:"); ok {
		_, ref, _ = strings.Cut(rest, "#")
		if ids, ok := refs[ref]; ok {
			return ids
		}
		if strings.HasPrefix(ref, "pkg%3A") || strings.HasPrefix(ref, "pkg%3a") {
			ref = unescape(ref)
		}
	}
	return []string{ref}
}

// withVersion gives a version to the PURLs that have none, and keeps those
// that have this one.
func withVersion(ids []string, version string) []string {
	var list []string
	for _, id := range ids {
		p, ok := parsePURL(id)
		if !ok || p.version != "" && !p.sameVersion(version) {
			continue
		}
		p.version = version
		list = append(list, p.String())
	}
	return list
}
