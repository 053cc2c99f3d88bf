package signature

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"sekisho"
	"sekisho/admit/signature/predicate"
	"sekisho/admit/signature/vuln"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
)

// Signer is who signed, in a word: the identity, or the key's fingerprint.
func (v *Verified) Signer() string { return cmp.Or(v.Identity, v.Key) }

// Fill sets the facts of an image that signatures prove: who signed it, how it
// was built, that a bill of materials lies beside it. What was looked for and
// not found becomes an empty list, not a missing one.
func (r *Result) Fill(i *fact.Image, levels map[string]int) {
	i.Signatures, i.Provenance = []fact.Signature{}, []fact.Provenance{}
	for _, v := range r.Signatures() {
		if v.Signer() == "" {
			continue // a level of verification lets it pass without knowing whose it is: that proves nothing
		}
		s := fact.Signature{Key: v.Key, Identity: v.Identity, Issuer: v.Issuer, Time: v.Time, Revocation: v.Revocation, Failed: strings.Join(v.Failed, ",")}
		if !slices.Contains(i.Signatures, s) { // the same in several forms
			i.Signatures = append(i.Signatures, s)
		}
	}
	for _, v := range r.Verified {
		switch predicate.Kind(v.Predicate) {
		case "slsa":
			p, err := predicate.Provenance(v.Predicate, v.Statement.Predicate)
			if err != nil {
				r.Refused = append(r.Refused, Refused{v.Where, v.Form, err.Error()})
				continue
			}
			p.Signer, p.Level = v.Signer(), levels[p.Builder]
			if !slices.Contains(i.Provenance, p) {
				i.Provenance = append(i.Provenance, p)
			}
		case "sbom":
			yes := true
			i.SBOM = &yes
		}
	}
	// A registry lists in any order; equal facts are to be equal.
	slices.SortFunc(i.Signatures, func(a, b fact.Signature) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Identity, b.Identity), a.Time.Compare(b.Time))
	})
	slices.SortFunc(i.Provenance, func(a, b fact.Provenance) int {
		return cmp.Or(cmp.Compare(a.Signer, b.Signer), cmp.Compare(a.Builder, b.Builder), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Commit, b.Commit))
	})
}

// Scanned reads the facts of the newest scan that another scanner made and that
// was attested; whose word counts say patterns of what the attestation calls the
// scanner. Such facts are of vulnerabilities alone.
func (r *Result) Scanned(scanners []string) (fact.Image, *Verified, error) {
	return r.newest("vuln", func(v *Verified) (fact.Image, error) {
		f, err := vuln.Read(v.Statement.Predicate)
		if err == nil && v.Subject != r.Digest {
			err = sekisho.Errorf(sekisho.Invalid, "a vulnerability attestation of an index does not tell which platform was scanned")
		}
		if err == nil && !scope.Any(scanners, f.URI) {
			err = sekisho.Errorf(sekisho.NotFound, "the scanner %s is not among those in trust (scanners)", f.URI)
		}
		if err != nil {
			return fact.Image{}, err
		}
		return f.Image(r.Digest, v.Signer()), nil
	})
}

// Scan reads the facts of the newest scan that was attested; which attestation
// it was is returned too. One of the image's manifest and one of an index above
// it count alike.
func (r *Result) Scan() (fact.Image, *Verified, error) {
	return r.newest("scan", func(v *Verified) (fact.Image, error) {
		return predicate.Facts(v.Statement.Predicate, v.Subject, r.Digest)
	})
}

// errNoScan is that nobody who is trusted has attested a scan.
var errNoScan = errors.New("no scan attestation that is trusted")

// newest reads attestations of a kind and returns the newest facts, else why
// the last one that cannot be read is none.
func (r *Result) newest(kind string, read func(*Verified) (fact.Image, error)) (fact.Image, *Verified, error) {
	var best fact.Image
	var from *Verified
	var why error = sekisho.Errorf(sekisho.NotFound, "%w", errNoScan)
	for n := range r.Verified {
		v := &r.Verified[n]
		if predicate.Kind(v.Predicate) != kind {
			continue
		}
		i, err := read(v)
		if err != nil {
			why = err
			continue
		}
		if from == nil || i.Scanned != nil && (best.Scanned == nil || i.Scanned.After(*best.Scanned)) {
			best, from = i, v
		}
	}
	if from == nil {
		return best, nil, why
	}
	return best, from, nil
}
