package format

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sekisho"
)

// identity is a UUID (RFC 9562, version 8) of what a report says, its time
// left out.
func identity(r *sekisho.Report) (string, error) {
	data, err := json.Marshal(struct {
		T sekisho.Target
		P []sekisho.Package
	}{r.Target, r.Packages})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

type object = map[string]any

// cyclonedx writes CycloneDX 1.6 as JSON (ECMA-424).
func cyclonedx(w io.Writer, r *sekisho.Report, _ Options) error {
	id, err := identity(r)
	if err != nil {
		return err
	}
	kind := map[string]string{"image": "container", "container": "container"}[r.Target.Kind]
	if kind == "" {
		kind = "application"
	}
	subject := object{"type": kind, "name": r.Target.Reference, "bom-ref": "target"}
	if d := first(string(r.Target.Digest), string(r.Target.ID)); d != "" {
		subject["version"] = d
		subject["hashes"] = []object{{"alg": "SHA-256", "content": strings.TrimPrefix(d, "sha256:")}}
	}
	components := []object{}
	refs := []string{}
	if os := r.Target.OS; os != nil {
		components = append(components, object{"type": "operating-system", "bom-ref": "os", "name": os.ID, "version": os.Version, "description": os.Name})
		refs = append(refs, "os")
	}
	for i, p := range r.Packages {
		c := component(r, p, i)
		refs = append(refs, c["bom-ref"].(string))
		components = append(components, c)
	}
	doc := object{"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:" + id, "version": 1,
		"metadata": object{"timestamp": r.Generated.Format("2006-01-02T15:04:05Z"), "component": subject,
			"tools": object{"components": []object{{"type": "application", "name": r.Tool.Name, "version": r.Tool.Version}}}},
		"components": components, "dependencies": []object{{"ref": "target", "dependsOn": refs}}}
	if v := vulnerabilities(r); len(v) > 0 {
		doc["vulnerabilities"] = v
	}
	return encode(w, doc)
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func ref(p sekisho.Package, i int) string { return fmt.Sprintf("%s#%d", first(p.PURL, p.Name), i) }

func component(r *sekisho.Report, p sekisho.Package, i int) object {
	properties := []object{{"name": "sekisho:type", "value": p.Type}, {"name": "sekisho:found", "value": p.Found}}
	add := func(name, value string) {
		if value != "" {
			properties = append(properties, object{"name": "sekisho:" + name, "value": value})
		}
	}
	add("arch", p.Arch)
	add("source:name", p.Source.Name)
	add("source:version", p.Source.Version)
	add("module", p.Module)
	add("owner", p.Owner)
	if l, ok := layerOf(r, p.Layer); ok {
		add("layer", string(l.DiffID))
		add("instruction", l.Instruction)
	}
	if p.Dev {
		add("dev", "true")
	}
	if p.Changed {
		add("changed", "true")
	}
	if p.NoCode {
		add("no_code", "true")
	}
	c := object{"type": "library", "bom-ref": ref(p, i), "name": p.Name, "version": p.Version, "properties": properties}
	if p.PURL != "" {
		c["purl"] = p.PURL
	}
	if p.Vendor != "" {
		c["supplier"] = object{"name": p.Vendor}
	}
	if p.Licence != "" {
		c["licenses"] = []object{{"expression": p.Licence}}
	}
	occurrences := []object{}
	for _, l := range p.Locations {
		occurrences = append(occurrences, object{"location": l})
	}
	if len(occurrences) > 0 {
		c["evidence"] = object{"occurrences": occurrences}
	}
	return c
}

func vulnerabilities(r *sekisho.Report) (list []object) {
	refs := map[string]string{}
	for i, p := range r.Packages {
		refs[p.PURL] = ref(p, i)
	}
	for _, x := range r.Findings {
		if x.Kind != sekisho.Vulnerability || x.Package == nil {
			continue
		}
		list = append(list, vulnerability(x, refs[x.Package.PURL]))
	}
	return list
}

// vulnerability writes one of CycloneDX's vulnerabilities (1.6).
func vulnerability(x sekisho.Finding, affected string) object {
	o := object{"id": x.ID, "description": x.Title, "affects": []object{{"ref": affected}}, "recommendation": x.Fix}
	ratings := []object{{"severity": string(x.Severity)}}
	if v := x.Vulnerable; v != nil {
		for _, c := range v.CVSS {
			ratings = append(ratings, object{"source": object{"name": c.Source}, "score": c.Score, "method": cvssMethod(c.Version), "vector": c.Vector})
		}
		if len(v.Sources) > 0 {
			o["source"] = object{"name": v.Sources[0].Name, "url": v.Sources[0].URL}
		}
		var cwes []int
		for _, c := range v.CWE {
			if n, err := strconv.Atoi(strings.TrimPrefix(c, "CWE-")); err == nil {
				cwes = append(cwes, n)
			}
		}
		if cwes != nil {
			o["cwes"] = cwes
		}
		if !v.Published.IsZero() {
			o["published"] = v.Published.UTC().Format("2006-01-02T15:04:05Z")
		}
	}
	if x.Suppressed != nil {
		o["analysis"] = object{"state": "not_affected", "detail": x.Suppressed.Reason}
	}
	o["ratings"] = ratings
	return o
}

func cvssMethod(version string) string {
	switch version {
	case "2.0":
		return "CVSSv2"
	case "3.0":
		return "CVSSv3"
	case "3.1":
		return "CVSSv31"
	case "4.0":
		return "CVSSv4"
	}
	return "other"
}

// spdx writes SPDX 2.3 as JSON (ISO/IEC 5962 and its successor).
func spdx(w io.Writer, r *sekisho.Report, _ Options) error {
	id, err := identity(r)
	if err != nil {
		return err
	}
	packages := []object{{"SPDXID": "SPDXRef-Target", "name": r.Target.Reference, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
		"primaryPackagePurpose": "CONTAINER", "versionInfo": first(string(r.Target.Digest), string(r.Target.ID), "unknown")}}
	relations := []object{{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Target"}}
	extracted := map[string]bool{}
	for i, p := range r.Packages {
		name := fmt.Sprintf("SPDXRef-Package-%d", i)
		packages = append(packages, spdxPackage(p, name, extracted))
		relations = append(relations, object{"spdxElementId": "SPDXRef-Target", "relationshipType": "CONTAINS", "relatedSpdxElement": name})
	}
	doc := object{"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": r.Target.Reference,
		"documentNamespace": "https://spdx.org/spdxdocs/sekisho-" + id,
		"creationInfo":      object{"created": r.Generated.Format("2006-01-02T15:04:05Z"), "creators": []string{"Tool: sekisho-" + r.Tool.Version}},
		"packages":          packages, "relationships": relations}
	var others []object
	for _, p := range r.Packages {
		for _, word := range strings.FieldsFunc(p.Licence, func(c rune) bool { return c == ' ' || c == '(' || c == ')' }) {
			if strings.HasPrefix(word, "LicenseRef-") && extracted[word] {
				extracted[word] = false
				others = append(others, object{"licenseId": word, "extractedText": strings.TrimPrefix(word, "LicenseRef-"), "name": word})
			}
		}
	}
	if len(others) > 0 {
		doc["hasExtractedLicensingInfos"] = others
	}
	return encode(w, doc)
}

func spdxPackage(p sekisho.Package, name string, extracted map[string]bool) object {
	o := object{"SPDXID": name, "name": p.Name, "versionInfo": p.Version, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
		"licenseConcluded": "NOASSERTION", "licenseDeclared": first(p.Licence, "NOASSERTION"), "copyrightText": "NOASSERTION"}
	for _, word := range strings.FieldsFunc(p.Licence, func(c rune) bool { return c == ' ' || c == '(' || c == ')' }) {
		if strings.HasPrefix(word, "LicenseRef-") {
			extracted[word] = true
		}
	}
	if p.PURL != "" {
		o["externalRefs"] = []object{{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": p.PURL}}
	}
	if p.Vendor != "" {
		o["supplier"] = "Organization: " + visible(p.Vendor)
	}
	if len(p.Locations) > 0 {
		o["sourceInfo"] = "found in " + strings.Join(p.Locations, ", ")
	}
	return o
}
