package vex

import (
	"encoding/json"
	"fmt"
	"slices"

	"sekisho"
)

// openVEXDocument is the document of the OpenVEX specification 0.2.0, section
// "Data structure"; of 0.0.1, where products and vulnerabilities were texts,
// too.
type openVEXDocument struct {
	Context    string             `json:"@context"`
	ID         string             `json:"@id"`
	Author     string             `json:"author"`
	Role       string             `json:"role,omitempty"`
	Timestamp  string             `json:"timestamp"`
	Updated    string             `json:"last_updated,omitempty"`
	Version    json.RawMessage    `json:"version"`
	Tooling    string             `json:"tooling,omitempty"`
	Statements []openVEXStatement `json:"statements"`
}

type openVEXStatement struct {
	Vulnerability openVEXVulnerability `json:"vulnerability"`
	Timestamp     string               `json:"timestamp,omitempty"`
	Updated       string               `json:"last_updated,omitempty"`
	Products      []openVEXProduct     `json:"products,omitempty"`
	Subcomponents []openVEXProduct     `json:"subcomponents,omitempty"` // of 0.0.1: of all products
	Status        string               `json:"status"`
	Notes         string               `json:"status_notes,omitempty"`
	Justification string               `json:"justification,omitempty"`
	Impact        string               `json:"impact_statement,omitempty"`
	Action        string               `json:"action_statement,omitempty"`
}

type openVEXVulnerability struct {
	ID      string   `json:"@id,omitempty"`
	Name    string   `json:"name,omitempty"`
	Aliases []string `json:"aliases,omitempty"`
}

// UnmarshalJSON takes a text for a name.
func (v *openVEXVulnerability) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &v.Name)
	}
	type plain openVEXVulnerability
	return json.Unmarshal(data, (*plain)(v))
}

type openVEXProduct struct {
	ID            string            `json:"@id,omitempty"`
	Identifiers   map[string]string `json:"identifiers,omitempty"` // purl, cpe22, cpe23
	Hashes        map[string]string `json:"hashes,omitempty"`      // by algorithm
	Subcomponents []openVEXProduct  `json:"subcomponents,omitempty"`
}

// UnmarshalJSON takes a text for an id.
func (p *openVEXProduct) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &p.ID)
	}
	type plain openVEXProduct
	return json.Unmarshal(data, (*plain)(p))
}

func (p openVEXProduct) ids() []string {
	var list []string
	if p.ID != "" {
		list = append(list, p.ID)
	}
	for _, s := range p.Identifiers {
		list = append(list, s)
	}
	for name, hash := range p.Hashes {
		if name == "sha-256" || name == "sha256" {
			list = append(list, "sha256:"+hash)
		}
	}
	slices.Sort(list)
	return list
}

// statuses are the four of OpenVEX, in our words, which are the same.
func statuses() []string {
	return []string{sekisho.StatusNotAffected, sekisho.StatusAffected, sekisho.StatusFixed, sekisho.StatusInvestigated}
}

// Justifications are OpenVEX's reasons for not_affected, which CSAF shares.
func Justifications() []string {
	return []string{"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}
}

func openVEX(data []byte) (*Document, error) {
	var raw openVEXDocument
	if err := decode(data, &raw); err != nil {
		return nil, err
	}
	d := &Document{Format: "openvex", ID: raw.ID, Author: raw.Author}
	if raw.Author == "" {
		return nil, formatError("author", "missing")
	}
	var err error
	if d.Time, err = date("timestamp", raw.Timestamp); err != nil {
		return nil, err
	}
	for i, s := range raw.Statements {
		where := fmt.Sprintf("statements[%d]", i)
		out, err := s.statement(where)
		if err != nil {
			return nil, err
		}
		if out.Time.IsZero() {
			out.Time = d.Time
		}
		d.Statements = append(d.Statements, out)
	}
	return d, nil
}

func (s openVEXStatement) statement(where string) (Statement, error) {
	out := Statement{Status: s.Status, Justification: s.Justification, Impact: s.Impact, Action: s.Action}
	v := s.Vulnerability
	out.IDs = names(append([]string{v.Name, v.ID}, v.Aliases...)...)
	switch {
	case len(out.IDs) == 0:
		return out, formatError(where+".vulnerability", "no name")
	case !slices.Contains(statuses(), s.Status):
		return out, formatError(where+".status", "%q is none of %v", s.Status, statuses())
	case s.Justification != "" && !slices.Contains(Justifications(), s.Justification):
		return out, formatError(where+".justification", "%q is none of %v", s.Justification, Justifications())
	}
	if out.Impact == "" {
		out.Impact = s.Notes
	}
	text := s.Updated
	if text == "" {
		text = s.Timestamp
	}
	var err error
	if out.Time, err = date(where+".timestamp", text); err != nil {
		return out, err
	}
	for _, p := range s.Products {
		product := Product{IDs: p.ids()}
		for _, c := range append(p.Subcomponents, s.Subcomponents...) {
			product.Subcomponents = append(product.Subcomponents, c.ids())
		}
		out.Products = append(out.Products, product)
	}
	return out, nil
}
