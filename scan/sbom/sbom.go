// Package sbom reads bills of materials: CycloneDX as JSON, SPDX as JSON or
// tag-value, and our own document. What comes out is a report of packages, as
// a scan would give it.
package sbom

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"strings"

	"sekisho"
	"sekisho/scan/ecosystem/osrelease"
)

// MaxSize bounds a file in bytes.
const MaxSize = 256 << 20

// Read reads a bill of materials; name is for errors and the report.
func Read(r io.Reader, name string) (*sekisho.Report, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "read %s: %w", name, err)
	}
	if len(data) > MaxSize {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", name, MaxSize)
	}
	report, err := parse(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, err)
	}
	if report.Target.OS == nil {
		report.Target.OS = system(report.Packages)
	}
	if os := report.Target.OS; os != nil {
		os.SupportedUntil, os.Extended = cmp.Or(os.SupportedUntil, osrelease.SupportedUntil(*os)), osrelease.Extended(*os)
	}
	report.Target.Kind, report.Target.Reference = "sbom", "sbom:"+name
	return report, nil
}

func parse(data []byte) (*sekisho.Report, error) {
	text := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("SPDXVersion:")):
		return tagValue(data)
	case bytes.HasPrefix(text, []byte("<")):
		return cyclonedxXML(data)
	}
	var head struct{ Schema, BomFormat, SPDXVersion string }
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, position(data, err)
	}
	switch {
	case head.Schema == sekisho.ReportSchema:
		var r sekisho.Report
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, position(data, err)
		}
		return &sekisho.Report{Target: sekisho.Target{OS: r.Target.OS, Platform: r.Target.Platform, Repositories: r.Target.Repositories}, Packages: r.Packages}, nil
	case head.BomFormat == "CycloneDX":
		var b bom
		if err := json.Unmarshal(data, &b); err != nil {
			return nil, position(data, err)
		}
		return b.report(), nil
	case strings.HasPrefix(head.SPDXVersion, "SPDX-2"):
		return spdxJSON(data)
	}
	return nil, sekisho.Errorf(sekisho.Invalid, "neither CycloneDX, nor SPDX 2, nor %s", sekisho.ReportSchema)
}

// position adds the line to an error of encoding/json.
func position(data []byte, err error) error {
	var offset int64
	switch e := err.(type) {
	case *json.SyntaxError:
		offset = e.Offset
	case *json.UnmarshalTypeError:
		offset = e.Offset
	default:
		return err
	}
	line := 1 + bytes.Count(data[:min(int64(len(data)), offset)], []byte("\n"))
	return sekisho.Errorf(sekisho.Invalid, "line %d: %w", line, err)
}

// bom is the part of CycloneDX that matters here, as JSON and XML.
type bom struct {
	XMLName    xml.Name    `json:"-" xml:"bom"`
	Components []component `json:"components" xml:"components>component"`
}

type component struct {
	Type       string      `json:"type" xml:"type,attr"`
	Group      string      `json:"group" xml:"group"`
	Name       string      `json:"name" xml:"name"`
	Version    string      `json:"version" xml:"version"`
	PURL       string      `json:"purl" xml:"purl"`
	Licences   []licences  `json:"licenses" xml:"-"`
	Properties []property  `json:"properties" xml:"properties>property"`
	Components []component `json:"components" xml:"components>component"`
	Evidence   struct {
		Occurrences []struct {
			Location string `json:"location" xml:"location"`
		} `json:"occurrences" xml:"occurrences>occurrence"`
	} `json:"evidence" xml:"evidence"`
	Supplier struct {
		Name string `json:"name" xml:"name"`
	} `json:"supplier" xml:"supplier"`
}

type licences struct {
	Expression string `json:"expression"`
	License    struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name" xml:"name,attr"`
	Value string `json:"value" xml:",chardata"`
}

func cyclonedxXML(data []byte) (*sekisho.Report, error) {
	var b bom
	d := xml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&b); err != nil {
		return nil, err
	}
	return b.report(), nil
}

func (b *bom) report() *sekisho.Report {
	r := &sekisho.Report{}
	var add func(list []component, depth int)
	add = func(list []component, depth int) {
		for _, c := range list {
			if c.Type == "operating-system" {
				r.Target.OS = &sekisho.OS{ID: c.Name, Version: c.Version, Name: strings.TrimSpace(c.Name + " " + c.Version)}
			} else if c.PURL != "" || c.Version != "" && c.Type != "file" {
				r.Packages = append(r.Packages, c.pack())
			}
			if depth < 32 {
				add(c.Components, depth+1)
			}
		}
	}
	add(b.Components, 0)
	return r
}

func (c component) pack() sekisho.Package {
	p := sekisho.Package{Name: c.Name, Version: c.Version, PURL: c.PURL, Vendor: c.Supplier.Name, Found: sekisho.Declared, Type: "generic"}
	fromPURL(&p)
	for _, l := range c.Licences {
		p.Licence = join(p.Licence, l.Expression+l.License.ID+l.License.Name)
	}
	for _, o := range c.Evidence.Occurrences {
		p.Locations = append(p.Locations, o.Location)
	}
	for _, x := range c.Properties {
		switch x.Name {
		case "sekisho:type":
			p.Type = x.Value
		case "sekisho:found":
			p.Found = x.Value
		case "sekisho:arch":
			p.Arch = x.Value
		case "sekisho:source:name":
			p.Source.Name = x.Value
		case "sekisho:source:version":
			p.Source.Version = x.Value
		case "sekisho:module":
			p.Module = x.Value
		case "sekisho:owner":
			p.Owner = x.Value
		case "sekisho:layer":
			p.Layer = sekisho.Digest(x.Value)
		case "sekisho:dev":
			p.Dev = x.Value == "true"
		case "sekisho:changed":
			p.Changed = x.Value == "true"
		case "sekisho:no_code":
			p.NoCode = x.Value == "true"
		}
	}
	return p
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " AND " + b
}

// fromPURL takes what a package URL tells and the document did not.
func fromPURL(p *sekisho.Package) {
	rest, ok := strings.CutPrefix(p.PURL, "pkg:")
	if !ok {
		return
	}
	head, query, _ := strings.Cut(rest, "?")
	kind, _, _ := strings.Cut(head, "/")
	p.Type = strings.ToLower(kind)
	values, err := url.ParseQuery(query)
	if err != nil {
		return
	}
	p.Arch = values.Get("arch")
	if up := values.Get("upstream"); up != "" && p.Source.Name == "" {
		name, version, _ := strings.Cut(up, "@")
		p.Source = sekisho.Source{Name: strings.TrimSuffix(name, ".src.rpm"), Version: version}
	}
}

type spdxPackage struct {
	Name                  string
	VersionInfo           string
	LicenseDeclared       string
	LicenseConcluded      string
	Supplier              string
	PrimaryPackagePurpose string
	ExternalRefs          []struct{ ReferenceType, ReferenceLocator string }
}

func spdxJSON(data []byte) (*sekisho.Report, error) {
	var doc struct{ Packages []spdxPackage }
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, position(data, err)
	}
	return spdxReport(doc.Packages), nil
}

func spdxReport(list []spdxPackage) *sekisho.Report {
	r := &sekisho.Report{}
	for _, s := range list {
		if s.PrimaryPackagePurpose == "OPERATING-SYSTEM" {
			r.Target.OS = &sekisho.OS{ID: s.Name, Version: s.VersionInfo, Name: strings.TrimSpace(s.Name + " " + s.VersionInfo)}
			continue
		}
		p := sekisho.Package{Name: s.Name, Version: s.VersionInfo, Type: "generic", Found: sekisho.Declared}
		for _, x := range s.ExternalRefs {
			if x.ReferenceType == "purl" {
				p.PURL = x.ReferenceLocator
			}
		}
		if p.PURL == "" && (s.PrimaryPackagePurpose == "CONTAINER" || p.Version == "") {
			continue
		}
		fromPURL(&p)
		for _, l := range []string{s.LicenseDeclared, s.LicenseConcluded} {
			if p.Licence == "" && l != "NOASSERTION" && l != "NONE" {
				p.Licence = l
			}
		}
		p.Vendor = strings.TrimPrefix(strings.TrimPrefix(s.Supplier, "Organization: "), "Person: ")
		if p.Vendor == "NOASSERTION" {
			p.Vendor = ""
		}
		r.Packages = append(r.Packages, p)
	}
	return r
}

// tagValue reads the lines of SPDX's oldest form.
func tagValue(data []byte) (*sekisho.Report, error) {
	var list []spdxPackage
	for line := range bytes.Lines(data) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), ": ")
		if !ok {
			continue
		}
		if key == "PackageName" {
			list = append(list, spdxPackage{Name: value})
		}
		if len(list) == 0 {
			continue
		}
		p := &list[len(list)-1]
		switch key {
		case "PackageVersion":
			p.VersionInfo = value
		case "PackageLicenseDeclared":
			p.LicenseDeclared = value
		case "PackageLicenseConcluded":
			p.LicenseConcluded = value
		case "PackageSupplier":
			p.Supplier = value
		case "PrimaryPackagePurpose":
			p.PrimaryPackagePurpose = value
		case "ExternalRef":
			if w := strings.Fields(value); len(w) == 3 {
				p.ExternalRefs = append(p.ExternalRefs, struct{ ReferenceType, ReferenceLocator string }{w[1], w[2]})
			}
		}
	}
	return spdxReport(list), nil
}
