package vuln

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/policy/evidence"
	"sekisho/policy/fact"
)

// trivy reads Trivy's report (SchemaVersion 2), as its format cosign-vuln has it.
func (f *Found) trivy(raw json.RawMessage) error {
	type rating struct {
		V2, V3, V40 float64
	}
	var doc struct {
		Results []struct {
			Target          string `json:"Target"`
			Vulnerabilities []struct {
				ID         string   `json:"VulnerabilityID"`
				Vendor     []string `json:"VendorIDs"`
				Package    string   `json:"PkgName"`
				Path       string   `json:"PkgPath"`
				Installed  string   `json:"InstalledVersion"`
				Fixed      string   `json:"FixedVersion"`
				Status     string   `json:"Status"`
				Severity   string   `json:"Severity"`
				Title      string   `json:"Title"`
				Identifier struct {
					PURL string `json:"PURL"`
				} `json:"PkgIdentifier"`
				CVSS map[string]struct {
					V2  float64 `json:"V2Score"`
					V3  float64 `json:"V3Score"`
					V40 float64 `json:"V40Score"`
				} `json:"CVSS"`
				Published when `json:"PublishedDate"`
			} `json:"Vulnerabilities"`
		} `json:"Results"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return bad("result of Trivy: %w", err)
	}
	for _, r := range doc.Results {
		for _, v := range r.Vulnerabilities {
			x := sekisho.Finding{ID: v.ID, Aliases: nonEmpty(v.Vendor...), Severity: severity(v.Severity), Title: v.Title, FixedIn: nonEmpty(strings.Split(v.Fixed, ",")...), Status: status(v.Status),
				Package: &sekisho.PackageRef{Name: v.Package, Version: v.Installed, PURL: v.Identifier.PURL}, Location: sekisho.Location{Path: text(v.Path)},
				Vulnerable: &sekisho.Vulnerable{Published: v.Published.Time}}
			for _, source := range slices.Sorted(maps.Keys(v.CVSS)) {
				c := rating(v.CVSS[source])
				for version, score := range map[string]float64{"2.0": c.V2, "3.1": c.V3, "4.0": c.V40} {
					x.CVSS = scored(x.CVSS, text(source), version, score)
				}
			}
			slices.SortFunc(x.CVSS, order)
			if err := f.add(x); err != nil {
				return err
			}
		}
	}
	return nil
}

func scored(list []sekisho.CVSS, source, version string, score float64) []sekisho.CVSS {
	if score <= 0 || score > 10 {
		return list
	}
	return append(list, sekisho.CVSS{Source: source, Version: version, Score: score})
}

func order(a, b sekisho.CVSS) int {
	if n := strings.Compare(a.Source, b.Source); n != 0 {
		return n
	}
	return strings.Compare(a.Version, b.Version)
}

// status is Trivy's word for what a vendor says.
func status(word string) string {
	switch word {
	case sekisho.StatusFixed, sekisho.StatusAffected, sekisho.StatusNotAffected, sekisho.StatusInvestigated, sekisho.StatusDeferred, sekisho.StatusWontFix, sekisho.StatusEndOfLife:
		return word
	}
	return ""
}

// grypeKnown is what Grype knows of a vulnerability under one of its names.
type grypeKnown struct {
	ID   string `json:"id"`
	CVSS []struct {
		Source  string `json:"source"`
		Version string `json:"version"`
		Vector  string `json:"vector"`
		Metrics struct {
			Base float64 `json:"baseScore"`
		} `json:"metrics"`
	} `json:"cvss"`
	EPSS []struct {
		Score      float64 `json:"epss"`
		Percentile float64 `json:"percentile"`
		Date       string  `json:"date"`
	} `json:"epss"`
	Exploited []struct {
		Added      string `json:"dateAdded"`
		Due        string `json:"dueDate"`
		Action     string `json:"requiredAction"`
		Ransomware string `json:"knownRansomwareCampaignUse"`
	} `json:"knownExploited"`
}

// grypeReport is Grype's JSON, of the schemas 5 and 6 of its database.
type grypeReport struct {
	Matches []struct {
		Vulnerability struct {
			grypeKnown
			Severity string `json:"severity"`
			Fix      struct {
				Versions []string `json:"versions"`
				State    string   `json:"state"`
			} `json:"fix"`
		} `json:"vulnerability"`
		Related  []grypeKnown `json:"relatedVulnerabilities"`
		Artifact struct {
			Name      string `json:"name"`
			Version   string `json:"version"`
			PURL      string `json:"purl"`
			Locations []struct {
				Path string `json:"path"`
			} `json:"locations"`
		} `json:"artifact"`
	} `json:"matches"`
	Descriptor struct {
		DB struct {
			Built     when                       `json:"built"` // schema 5
			Providers map[string]json.RawMessage `json:"providers"`
			Status    struct {
				Built when `json:"built"` // schema 6
			} `json:"status"`
		} `json:"db"`
	} `json:"descriptor"`
}

// grype reads Grype's report.
func (f *Found) grype(raw json.RawMessage) error {
	var doc grypeReport
	if err := json.Unmarshal(raw, &doc); err != nil {
		return bad("result of Grype: %w", err)
	}
	for _, at := range []when{doc.Descriptor.DB.Built, doc.Descriptor.DB.Status.Built} {
		if f.Database.IsZero() {
			f.Database = at.Time
		}
	}
	for _, kind := range []string{fact.KEV, fact.EPSS} {
		if doc.Descriptor.DB.Providers[kind] != nil {
			f.Assessed = append(f.Assessed, kind)
		}
	}
	for _, m := range doc.Matches {
		v, a := m.Vulnerability, m.Artifact
		x := sekisho.Finding{ID: v.ID, Severity: severity(v.Severity), FixedIn: nonEmpty(v.Fix.Versions...), Package: &sekisho.PackageRef{Name: a.Name, Version: a.Version, PURL: a.PURL}, Vulnerable: &sekisho.Vulnerable{}}
		if v.Fix.State == "wont-fix" {
			x.Status = sekisho.StatusWontFix
		}
		if len(a.Locations) > 0 {
			x.Location.Path = text(strings.TrimPrefix(a.Locations[0].Path, "/"))
		}
		for _, k := range append([]grypeKnown{v.grypeKnown}, m.Related...) {
			if k.ID != v.ID {
				x.Aliases = append(x.Aliases, nonEmpty(k.ID)...)
			}
			for _, c := range k.CVSS {
				x.CVSS = scored(x.CVSS, text(c.Source), text(c.Version), c.Metrics.Base)
			}
			for _, e := range k.EPSS {
				if x.EPSS == nil || e.Score > x.EPSS.Score {
					x.EPSS = &sekisho.EPSS{Score: e.Score, Percentile: e.Percentile, Date: text(e.Date)}
				}
			}
			for _, e := range k.Exploited {
				x.KEV = &sekisho.KEV{Added: text(e.Added), Due: text(e.Due), Action: text(e.Action), Ransomware: strings.EqualFold(e.Ransomware, "known")}
			}
		}
		if err := f.add(x); err != nil {
			return err
		}
	}
	return nil
}

// cyclonedx reads the vulnerabilities of a bill of materials (CycloneDX 1.4 and
// later). What its maker analysed as harmless is there and does not count.
func (f *Found) cyclonedx(raw json.RawMessage) error {
	type component struct {
		Ref        string      `json:"bom-ref"`
		Name       string      `json:"name"`
		Group      string      `json:"group"`
		Version    string      `json:"version"`
		PURL       string      `json:"purl"`
		Components []component `json:"components"`
	}
	var doc struct {
		Components      []component `json:"components"`
		Vulnerabilities *[]struct {
			ID      string `json:"id"`
			Ratings []struct {
				Source struct {
					Name string `json:"name"`
				} `json:"source"`
				Score    float64 `json:"score"`
				Severity string  `json:"severity"`
				Method   string  `json:"method"`
			} `json:"ratings"`
			Published when `json:"published"`
			Analysis  struct {
				State  string `json:"state"`
				Detail string `json:"detail"`
			} `json:"analysis"`
			Affects []struct {
				Ref string `json:"ref"`
			} `json:"affects"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return bad("result in CycloneDX: %w", err)
	}
	if doc.Vulnerabilities == nil {
		return bad("result in CycloneDX: it has no list of vulnerabilities, so nobody looked")
	}
	byRef := map[string]*component{}
	for list := doc.Components; len(list) > 0; {
		c := list[0]
		list = append(list[1:], c.Components...)
		byRef[c.Ref] = &c
	}
	for _, v := range *doc.Vulnerabilities {
		x := sekisho.Finding{ID: v.ID, Vulnerable: &sekisho.Vulnerable{Published: v.Published.Time}}
		for _, r := range v.Ratings {
			if s := severity(r.Severity); s.Rank() > x.Severity.Rank() {
				x.Severity = s
			}
			switch source := text(r.Source.Name); { // Grype writes these in the place of ratings
			case source == "FIRST" && r.Method == "other" && r.Score >= 0 && r.Score <= 1:
				x.EPSS = &sekisho.EPSS{Score: r.Score}
			case strings.HasPrefix(source, "CISA KEV"):
				x.KEV = &sekisho.KEV{}
			case strings.HasPrefix(r.Method, "CVSS"):
				x.CVSS = scored(x.CVSS, source, versionOf(r.Method), r.Score)
			}
		}
		if slices.Contains([]string{"not_affected", "false_positive", "resolved", "resolved_with_pedigree"}, v.Analysis.State) {
			x.Suppressed = &sekisho.Suppressed{Reason: text(v.Analysis.State + " " + v.Analysis.Detail), By: "vex " + f.Name}
		}
		if len(v.Affects) == 0 {
			v.Affects = append(v.Affects, struct {
				Ref string `json:"ref"`
			}{})
		}
		for _, a := range v.Affects {
			one := x
			if c := byRef[a.Ref]; c != nil && a.Ref != "" {
				one.Package = &sekisho.PackageRef{Name: strings.TrimPrefix(c.Group+"/"+c.Name, "/"), Version: c.Version, PURL: c.PURL}
			}
			if err := f.add(one); err != nil {
				return err
			}
		}
	}
	return nil
}

// versionOf is the version of CVSS in CycloneDX's words: CVSSv31 is 3.1.
func versionOf(method string) string {
	switch method {
	case "CVSSv2":
		return "2.0"
	case "CVSSv3":
		return "3.0"
	case "CVSSv31":
		return "3.1"
	case "CVSSv4":
		return "4.0"
	}
	return ""
}

// vulnerabilityID is how a rule of SARIF begins; Grype writes the package behind.
var vulnerabilityID = regexp.MustCompile(`^(?:CVE-[0-9]{4}-[0-9]{4,12}|GHSA(?:-[0-9a-z]{4}){3})`)

// sarif reads a log whose rules are vulnerabilities; how bad one is tells its
// score, else its level.
func (f *Found) sarif(raw json.RawMessage) error {
	e, err := evidence.Read(bytes.NewReader(raw), "vulnerability attestation: result")
	if err != nil {
		return err
	}
	if e.Failed {
		return bad("result in SARIF: its run failed or did not look")
	}
	for _, r := range e.Results {
		x := sekisho.Finding{ID: r.Rule, Title: r.Message, Location: sekisho.Location{Path: r.Path, Line: r.Line}, Vulnerable: &sekisho.Vulnerable{}}
		if id := vulnerabilityID.FindString(r.Rule); id != "" {
			if pkg, ok := strings.CutPrefix(r.Rule[len(id):], "-"); ok && pkg != "" {
				x.Package = &sekisho.PackageRef{Name: pkg}
			}
			x.ID = id
		}
		switch {
		case r.Score > 0:
			x.Severity, x.CVSS = rated(r.Score), scored(nil, f.Name, "", r.Score)
		case r.Level == "error":
			x.Severity = sekisho.High
		case r.Level == "warning":
			x.Severity = sekisho.Medium
		case r.Level == "note":
			x.Severity = sekisho.Low
		default:
			continue // level none: nothing that stands against the image
		}
		if err := f.add(x); err != nil {
			return err
		}
	}
	return nil
}
