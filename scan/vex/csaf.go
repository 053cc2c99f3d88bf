package vex

import (
	"fmt"
	"slices"
	"strings"

	"sekisho"
)

// csafDocument is the part of the Common Security Advisory Framework 2.0 that
// says which products stand how (section 3.2 and, for VEX, 4.5).
type csafDocument struct {
	Document struct {
		Category  string `json:"category"`
		Version   string `json:"csaf_version"`
		Publisher struct {
			Name string `json:"name"`
		} `json:"publisher"`
		Tracking struct {
			ID      string `json:"id"`
			Current string `json:"current_release_date"`
		} `json:"tracking"`
	} `json:"document"`
	Tree struct {
		Branches      []csafBranch       `json:"branches"`
		Products      []csafProduct      `json:"full_product_names"`
		Groups        []csafGroup        `json:"product_groups"`
		Relationships []csafRelationship `json:"relationships"`
	} `json:"product_tree"`
	Vulnerabilities []csafVulnerability `json:"vulnerabilities"`
}

type csafBranch struct {
	Branches []csafBranch `json:"branches"`
	Product  *csafProduct `json:"product"`
}

type csafProduct struct {
	ID     string `json:"product_id"`
	Helper struct {
		PURL   string   `json:"purl"`
		PURLs  []string `json:"purls"` // of 2.1
		CPE    string   `json:"cpe"`
		Hashes []struct {
			Files []struct {
				Algorithm string `json:"algorithm"`
				Value     string `json:"value"`
			} `json:"file_hashes"`
		} `json:"hashes"`
	} `json:"product_identification_helper"`
}

type csafGroup struct {
	ID       string   `json:"group_id"`
	Products []string `json:"product_ids"`
}

type csafRelationship struct {
	Category  string      `json:"category"`
	Product   csafProduct `json:"full_product_name"`
	Reference string      `json:"product_reference"`
	RelatesTo string      `json:"relates_to_product_reference"`
}

type csafVulnerability struct {
	CVE string `json:"cve"`
	IDs []struct {
		Text string `json:"text"`
	} `json:"ids"`
	Status       map[string][]string `json:"product_status"`
	Flags        []csafRemark        `json:"flags"`
	Threats      []csafRemark        `json:"threats"`
	Remediations []csafRemark        `json:"remediations"`
}

// csafRemark is a flag, a threat or a remediation for some products, or for all
// where none are named.
type csafRemark struct {
	Label    string   `json:"label"`
	Category string   `json:"category"`
	Details  string   `json:"details"`
	Products []string `json:"product_ids"`
	Groups   []string `json:"group_ids"`
}

func csaf(data []byte) (*Document, error) {
	var raw csafDocument
	if err := decode(data, &raw); err != nil {
		return nil, err
	}
	head := raw.Document
	switch {
	case !strings.HasPrefix(head.Version, "2."):
		return nil, formatError("document.csaf_version", "%q, want 2.0 or 2.1", head.Version)
	case !strings.HasPrefix(head.Category, "csaf_"):
		return nil, formatError("document.category", "%q, want csaf_vex or csaf_security_advisory", head.Category)
	}
	d := &Document{Format: "csaf", ID: head.Tracking.ID, Author: head.Publisher.Name}
	var err error
	if d.Time, err = date("document.tracking.current_release_date", head.Tracking.Current); err != nil {
		return nil, err
	}
	t := csafTree{products: map[string]Product{}, groups: map[string][]string{}}
	if err := t.branches(raw.Tree.Branches, 0); err != nil {
		return nil, err
	}
	for _, p := range raw.Tree.Products {
		t.products[p.ID] = Product{IDs: p.ids()}
	}
	for _, g := range raw.Tree.Groups {
		t.groups[g.ID] = g.Products
	}
	for _, r := range raw.Tree.Relationships {
		t.relate(r)
	}
	for i, v := range raw.Vulnerabilities {
		list, err := t.statements(v, fmt.Sprintf("vulnerabilities[%d]", i))
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			s.Time = d.Time
			d.Statements = append(d.Statements, s)
		}
	}
	return d, nil
}

// csafTree is the product tree, by product id.
type csafTree struct {
	products map[string]Product
	groups   map[string][]string
}

func (t *csafTree) branches(list []csafBranch, depth int) error {
	if depth > maxDepth {
		return formatError("product_tree.branches", "more than %d deep", maxDepth)
	}
	for _, b := range list {
		if b.Product != nil {
			t.products[b.Product.ID] = Product{IDs: b.Product.ids()}
		}
		if err := t.branches(b.Branches, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p csafProduct) ids() []string {
	var list []string
	for _, id := range append(p.Helper.PURLs, p.Helper.PURL, p.Helper.CPE) {
		if id != "" {
			list = append(list, id)
		}
	}
	for _, h := range p.Helper.Hashes {
		for _, f := range h.Files {
			if f.Algorithm == "sha256" {
				list = append(list, "sha256:"+f.Value)
			}
		}
	}
	return list
}

// relate adds a product that is part of another one (section 3.2.2.4). A part
// of a part is a part of the whole.
func (t *csafTree) relate(r csafRelationship) {
	part, whole := t.products[r.Reference], t.products[r.RelatesTo]
	p := Product{IDs: whole.IDs, Subcomponents: [][]string{part.IDs}}
	if len(part.Subcomponents) > 0 {
		p.Subcomponents = part.Subcomponents
	}
	if len(r.Product.Helper.PURL) > 0 {
		p.Subcomponents = [][]string{r.Product.ids()}
	}
	t.products[r.Product.ID] = p
}

// statements turns one vulnerability into statements, one for each status and
// reason.
func (t *csafTree) statements(v csafVulnerability, where string) ([]Statement, error) {
	ids := names(v.CVE)
	for _, id := range v.IDs {
		ids = append(ids, names(id.Text)...)
	}
	if len(ids) == 0 {
		return nil, formatError(where, "neither cve nor ids")
	}
	flags, impacts, actions := t.remarks(v.Flags, ""), t.remarks(v.Threats, "impact"), t.remarks(v.Remediations, "")
	var list []Statement
	for _, c := range []struct{ field, status string }{
		{"known_affected", sekisho.StatusAffected}, {"first_affected", sekisho.StatusAffected}, {"last_affected", sekisho.StatusAffected},
		{"under_investigation", sekisho.StatusInvestigated}, {"first_fixed", sekisho.StatusFixed}, {"fixed", sekisho.StatusFixed},
		{"known_not_affected", sekisho.StatusNotAffected},
	} {
		at := map[[3]string]int{} // place in list by reasons
		for _, id := range v.Status[c.field] {
			p, known := t.products[id]
			if !known {
				return nil, formatError(where+".product_status."+c.field, "product %q is not in the product tree", id)
			}
			s := Statement{IDs: ids, Status: c.status}
			switch c.status {
			case sekisho.StatusNotAffected:
				s.Justification, s.Impact = flags.of(id), impacts.of(id)
			case sekisho.StatusAffected:
				s.Action = actions.of(id)
			}
			key := [3]string{s.Justification, s.Impact, s.Action}
			i, ok := at[key]
			if !ok {
				i = len(list)
				at[key], list = i, append(list, s)
			}
			list[i].Products = append(list[i].Products, p)
		}
	}
	return list, nil
}

// remarks are texts by product id; those for all products are under "".
type remarks map[string]string

func (t *csafTree) remarks(list []csafRemark, category string) remarks {
	out := remarks{}
	for _, r := range list {
		if category != "" && r.Category != category {
			continue
		}
		text := r.Label
		if text == "" {
			text = r.Details
		}
		products := slices.Clone(r.Products)
		for _, g := range r.Groups {
			products = append(products, t.groups[g]...)
		}
		if len(products) == 0 {
			products = []string{""}
		}
		for _, p := range products {
			if out[p] == "" {
				out[p] = text
			}
		}
	}
	return out
}

func (r remarks) of(id string) string {
	if text, ok := r[id]; ok {
		return text
	}
	return r[""]
}
