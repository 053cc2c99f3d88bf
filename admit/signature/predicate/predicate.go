// Package predicate reads and writes what attestations say: how an image was
// built (SLSA), what a scan found, that a bill of materials or VEX is there. It
// is given statements whose signatures hold, and turns them into facts that a
// policy can judge.
package predicate

import (
	"encoding/json"
	"strings"

	"sekisho"
	"sekisho/policy/fact"
)

// The predicate types that are known.
const (
	ScanV1       = "https://sekisho.dev/scan/v1"
	SLSAv02      = "https://slsa.dev/provenance/v0.2"
	SLSAv1       = "https://slsa.dev/provenance/v1"
	CycloneDX    = "https://cyclonedx.org/bom"
	SPDX         = "https://spdx.dev/Document"
	Vuln         = "https://cosign.sigstore.dev/attestation/vuln/v1"
	OpenVEX      = "https://openvex.dev/ns"
	vulnV02      = "https://in-toto.io/attestation/vulns"
	maxPredicate = 24 << 20 // bytes
)

// Kind is the short word for a predicate type: scan, slsa, sbom, vuln, vex, or
// empty.
func Kind(predicateType string) string {
	t := strings.TrimSuffix(predicateType, "/")
	switch {
	case t == ScanV1:
		return "scan"
	case t == SLSAv02 || t == SLSAv1:
		return "slsa"
	case t == CycloneDX || strings.HasPrefix(t, CycloneDX+"/") || t == SPDX || strings.HasPrefix(t, SPDX+"/"):
		return "sbom"
	case t == Vuln || strings.HasPrefix(t, vulnV02):
		return "vuln"
	case t == OpenVEX || strings.HasPrefix(t, OpenVEX+"/"):
		return "vex"
	}
	return ""
}

// Detect finds the predicate type of a document: which bill of materials, which
// version of provenance.
func Detect(kind string, doc []byte) (string, error) {
	var d struct {
		BOMFormat       string          `json:"bomFormat"`
		SPDXVersion     string          `json:"spdxVersion"`
		Context         any             `json:"@context"`
		Statements      json.RawMessage `json:"statements"`
		BuildDefinition json.RawMessage `json:"buildDefinition"`
		Builder         json.RawMessage `json:"builder"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return "", sekisho.Errorf(sekisho.Usage, "predicate: %w", err)
	}
	context, _ := d.Context.(string)
	switch {
	case kind == "sbom" && d.BOMFormat == "CycloneDX":
		return CycloneDX, nil
	case kind == "sbom" && strings.HasPrefix(d.SPDXVersion, "SPDX-"):
		return SPDX, nil
	case kind == "vex" && strings.HasPrefix(context, OpenVEX) && d.Statements != nil:
		return context, nil
	case kind == "slsa" && d.BuildDefinition != nil:
		return SLSAv1, nil
	case kind == "slsa" && d.Builder != nil:
		return SLSAv02, nil
	}
	return "", sekisho.Errorf(sekisho.Usage, "the document is no predicate of the kind %q", kind).WithHint("sbom: CycloneDX or SPDX in JSON; vex: OpenVEX; slsa: the predicate of provenance v0.2 or v1, without the statement round it")
}

type material struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// Provenance reads SLSA provenance v0.2 or v1.
func Provenance(predicateType string, doc []byte) (fact.Provenance, error) {
	var p struct {
		// v0.2
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Invocation struct {
			ConfigSource material `json:"configSource"`
		} `json:"invocation"`
		Materials []material `json:"materials"`
		// v1
		BuildDefinition struct {
			External struct {
				Workflow struct {
					Repository string `json:"repository"`
				} `json:"workflow"`
				Source     json.RawMessage `json:"source"`
				Repository string          `json:"repository"`
			} `json:"externalParameters"`
			Dependencies []material `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	}
	if len(doc) > maxPredicate {
		return fact.Provenance{}, sekisho.Errorf(sekisho.Invalid, "provenance: more than %d bytes", maxPredicate)
	}
	if err := json.Unmarshal(doc, &p); err != nil {
		return fact.Provenance{}, sekisho.Errorf(sekisho.Invalid, "provenance: %w", err)
	}
	f := fact.Provenance{Builder: p.Builder.ID}
	from := append([]material{p.Invocation.ConfigSource}, p.Materials...)
	if predicateType == SLSAv1 {
		d := p.BuildDefinition
		f.Builder = p.RunDetails.Builder.ID
		var source string
		if json.Unmarshal(d.External.Source, &source) != nil { // an object in some build types
			var m material
			if json.Unmarshal(d.External.Source, &m) == nil {
				source = m.URI
			}
		}
		from = append([]material{{URI: first(d.External.Workflow.Repository, source, d.External.Repository)}}, d.Dependencies...)
	}
	f.Source, f.Commit = origin(from)
	if f.Builder == "" {
		return f, sekisho.Errorf(sekisho.Invalid, "provenance: it names no builder")
	}
	return f, nil
}

// origin is the repository that a build started from, and its commit: the first
// source is meant, and the commit is that of the material with the same
// repository.
func origin(list []material) (source, commit string) {
	for _, m := range list {
		repository := Repository(m.URI)
		if source == "" {
			source = repository
		}
		if c := first(m.Digest["gitCommit"], m.Digest["sha1"]); source != "" && repository == source && c != "" {
			return source, c
		}
	}
	return source, ""
}

// Repository is the URI of a repository without the version control system
// before it (SPDX download location), and without the revision and ".git"
// behind it.
func Repository(uri string) string {
	uri, _, _ = strings.Cut(strings.TrimPrefix(uri, "git+"), "#")
	return strings.TrimSuffix(withoutRevision(uri), ".git")
}

// withoutRevision cuts what stands behind an @ of the path, not of the user.
func withoutRevision(uri string) string {
	if i := strings.LastIndexByte(uri, '@'); i > strings.LastIndex(uri, "://")+2 && strings.Contains(uri[:i], "/") && !strings.HasPrefix(uri, "pkg:") {
		if host := strings.Index(uri, "://"); host < 0 || strings.Contains(uri[host+3:i], "/") {
			uri = uri[:i]
		}
	}
	return uri
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
