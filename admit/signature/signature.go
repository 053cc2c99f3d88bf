// Package signature verifies what was signed about an image: cosign's
// signatures and bundles, Notary Project signatures and in-toto attestations,
// by keys, identities and certificate authorities that the operator trusts. A
// place where signatures lie and an image's digests go in; what holds, and why
// the rest does not, comes out. Nothing is asked of a network but the place
// itself, nothing is left out in silence, and all of it is bounded.
package signature

import (
	"context"
	"crypto"
	"slices"
	"time"

	"sekisho"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/key"
	"sekisho/admit/signature/keyless"
	"sekisho/admit/signature/notation"
	"sekisho/admit/signature/predicate"
	"sekisho/image/oci"
)

// Source is where what was signed about an image lies: a repository of a
// registry, an OCI layout, files.
type Source interface {
	// Referrers lists the manifests that refer to one, and whether these are all.
	Referrers(ctx context.Context, d sekisho.Digest) (list []oci.Descriptor, whole bool, err error)
	// Manifest reads a manifest by tag or digest.
	Manifest(ctx context.Context, at string) ([]byte, oci.Descriptor, error)
	// Blob reads a blob of at most limit bytes and checks its digest.
	Blob(ctx context.Context, d oci.Descriptor, limit int64) ([]byte, error)
}

// Subject is the image in question.
type Subject struct {
	Repository string           // where it lies, as registry/path; empty when not known
	Digests    []sekisho.Digest // of its manifest, then of indexes that lead to it: a signature over one is over it
	Manifests  [][]byte         // their content, where it is known
}

// Trust says whose signatures count.
type Trust struct {
	Keys           []key.Public
	Identities     []keyless.Identity
	Root           *keyless.Verifier // needed for identities; with keys, it shows when they signed
	Notation       *notation.Trust   // nil for none
	SameRepository bool              // a signature made in another repository does not count
}

// The forms of what was signed.
const (
	FormSimple      = "simple"      // cosign's simple signing
	FormBundle      = "bundle"      // a sigstore bundle
	FormNotation    = "notation"    // the Notary Project's
	FormAttestation = "attestation" // DSSE in cosign's .att
)

// Verified is one signature that holds.
type Verified struct {
	Form      string         `json:"form"`
	Predicate string         `json:"predicate,omitempty"` // type of the statement; empty for a plain signature
	Key       string         `json:"key,omitempty"`       // sha256: fingerprint of the public key
	Identity  string         `json:"identity,omitempty"`
	Issuer    string         `json:"issuer,omitempty"`
	Time      time.Time      `json:"time,omitzero"` // as a log or timestamp shows
	Subject   sekisho.Digest `json:"subject"`       // what was signed: the manifest or an index above
	Reference string         `json:"reference,omitempty"`
	Where     string         `json:"where"` // tag or digest, and number of the layer

	Revocation string   `json:"revocation,omitempty"` // of the certificate: good, unknown or irrevocable; empty where nobody looks
	Failed     []string `json:"failed,omitempty"`     // checks that failed and that the level of verification only logs
	Logged     []string `json:"logged,omitempty"`     // the same with their reasons

	Statement *envelope.Statement `json:"-"`
	Payload   []byte              `json:"-"` // that was signed

	by crypto.PublicKey
}

// Refused is something that lies beside the image and does not count.
type Refused struct {
	Where  string `json:"where"`
	Form   string `json:"form"`
	Reason string `json:"reason"`
}

// Result is all that was found.
type Result struct {
	Digest   sekisho.Digest `json:"digest"`
	Verified []Verified     `json:"verified"`
	Refused  []Refused      `json:"refused"`
}

// Bounds of one verification: how many manifests are read, how many layers of
// one, how many bytes in all, how many signatures are tried. Who may write to
// the registry may fill it; a signature behind these bounds is not found, and
// that is said.
const maxManifests, maxLayers, maxBytes, maxChecks = 256, 128, 256 << 20, 1024

// Verify looks at everything that lies beside the image. An error means that
// the place could not be read; that nothing holds is not an error.
func Verify(ctx context.Context, src Source, s Subject, t *Trust, now time.Time) (*Result, error) {
	if len(s.Digests) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "verify signatures: no digest")
	}
	v := &verification{src: src, subject: s, trust: t, now: now, bytes: maxBytes, checks: maxChecks, manifests: maxManifests,
		result: &Result{Digest: s.Digests[0], Verified: []Verified{}, Refused: []Refused{}}}
	for _, d := range s.Digests {
		if err := d.Validate(); err != nil {
			return nil, err
		}
		if err := v.referrers(ctx, d); err != nil {
			return nil, err
		}
		if err := v.tags(ctx, d); err != nil {
			return nil, err
		}
	}
	return v.result, nil
}

// File is a bundle or a DSSE envelope that came another way than beside the
// image.
type File struct {
	Name string
	Data []byte
}

// VerifyFiles looks at files that are said to be about the image.
func VerifyFiles(ctx context.Context, files []File, s Subject, t *Trust, now time.Time) (*Result, error) {
	if len(s.Digests) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "verify signatures: the digest of the image's manifest is not known")
	}
	v := &verification{subject: s, trust: t, now: now, result: &Result{Digest: s.Digests[0], Verified: []Verified{}, Refused: []Refused{}}}
	for _, f := range files {
		form := FormBundle
		if _, err := envelope.Parse(f.Data); err == nil {
			form = FormAttestation
		}
		if err := v.try(ctx, form, oci.Descriptor{}, f.Data, f.Name); err != nil {
			v.refuse(f.Name, form, err)
		}
	}
	return v.result, nil
}

// Add adds what was found elsewhere about the same image.
func (r *Result) Add(o *Result) {
	r.Verified, r.Refused = append(r.Verified, o.Verified...), append(r.Refused, o.Refused...)
}

type verification struct {
	src       Source
	subject   Subject
	trust     *Trust
	now       time.Time
	bytes     int64 // left to read
	checks    int   // left to try
	manifests int   // left to read
	result    *Result
}

func (v *verification) refuse(where, form string, err error) {
	v.result.Refused = append(v.result.Refused, Refused{where, form, err.Error()})
}

// Signatures are those that hold, of plain signatures only.
func (r *Result) Signatures() []Verified {
	return slices.DeleteFunc(slices.Clone(r.Verified), func(v Verified) bool { return v.Predicate != "" })
}

// Attestations are those that hold, of one kind: scan, slsa, sbom, vuln, vex.
func (r *Result) Attestations(kind string) []Verified {
	return slices.DeleteFunc(slices.Clone(r.Verified), func(v Verified) bool { return predicate.Kind(v.Predicate) != kind })
}
