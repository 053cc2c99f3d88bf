package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"

	"sekisho"
	"sekisho/internal/fixture/notaryca"
	"sekisho/internal/fixture/sigstoreca"
)

// tb lets fixtures end a script.
type tb struct{ *testscript.TestScript }

func (tb) Helper()             {}
func (t tb) Fatal(args ...any) { t.Fatalf("%s", fmt.Sprint(args...)) }

// notary is "notary IMAGE@DIGEST": beside the image goes a Notary Project
// signature whose certificate expired an hour ago, with a timestamp of before
// that. Files: ca.pem, tsa.pem, and lists of revoked certificates: none.crl,
// revoked.crl, and later.crl, by which the key was good when it signed.
func notary(ts *testscript.TestScript, _ bool, args []string) {
	now, t := time.Now().Truncate(time.Second), tb{ts}
	ca, tsa := notaryca.New(t, "company ca"), notaryca.NewStamper(t, now.Add(-10*time.Hour))
	ref, err := name.NewDigest(args[0], name.Insecure)
	ts.Check(err)
	data, leaf := ca.Sign(sekisho.Digest(ref.DigestStr()), notaryca.Signing{From: now.Add(-20 * time.Hour), To: now.Add(-time.Hour), Stamper: tsa, Points: []string{"http://crl.example.com"}})
	ts.Check(refer(ref, "application/vnd.cncf.notary.signature", notaryca.Signing{}.MediaType(), data))
	of := tsa.Revokes(nil)
	for file, list := range map[string][]byte{"none.crl": ca.Revokes(nil), "revoked.crl": ca.Revokes(nil, notaryca.Row(leaf, time.Time{})), "later.crl": ca.Revokes(nil, notaryca.Row(leaf, now.Add(-2*time.Hour)))} {
		both := append(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list}), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: of})...)
		ts.Check(os.WriteFile(ts.MkAbs(file), both, 0o644))
	}
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca.PEM(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("tsa.pem"), tsa.PEM(), 0o644))
}

// refer puts a blob beside an image, as a referrer.
func refer(image name.Digest, artifactType, mediaType string, data []byte) error {
	desc, err := remote.Get(image)
	if err != nil {
		return err
	}
	const emptyType = "application/vnd.oci.empty.v1+json"
	describe := func(m string, b []byte) v1.Descriptor {
		return v1.Descriptor{MediaType: types.MediaType(m), Size: int64(len(b)), Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(b))}}
	}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": artifactType,
		"config": describe(emptyType, []byte("{}")), "layers": []v1.Descriptor{describe(mediaType, data)}, "subject": desc.Descriptor})
	return errors.Join(err,
		remote.WriteLayer(image.Context(), static.NewLayer(data, types.MediaType(mediaType))),
		remote.WriteLayer(image.Context(), static.NewLayer([]byte("{}"), emptyType)),
		remote.Put(image.Context().Digest(describe("", manifest).Digest.String()), raw(manifest)))
}

// raw is a manifest as it is.
type raw []byte

func (r raw) RawManifest() ([]byte, error)        { return r, nil }
func (r raw) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// sigstoreKey is under what a script has its own sigstore.
const sigstoreKey = "sigstore"

// keyless is "keyless IDENTITY IMAGE@DIGEST TYPE FILE", or "keyless root FILE":
// an identity of one issuer signs the predicate in the file without a key of its
// own, as "cosign attest --type TYPE --predicate FILE" does, and puts the bundle
// beside the image; or the trusted root goes into a file.
func keyless(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sigstoreKey).(func() *sigstoreca.Sigstore)()
	if args[0] == "root" {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), s.Root(), 0o644))
		return
	}
	ts.Check(attestAs(s, args[0], args[1], args[2], []byte(ts.ReadFile(args[3]))))
}

// attestAs lets an identity sign a predicate about an image.
func attestAs(s *sigstoreca.Sigstore, identity, image, predicateType string, predicate []byte) error {
	ref, err := name.NewDigest(image, name.Insecure)
	if err != nil {
		return err
	}
	statement, err := json.Marshal(map[string]any{"_type": "https://in-toto.io/Statement/v1", "predicateType": predicateType, "predicate": json.RawMessage(bytes.TrimSpace(predicate)),
		"subject": []any{map[string]any{"name": ref.Context().Name(), "digest": map[string]string{"sha256": strings.TrimPrefix(ref.DigestStr(), "sha256:")}}}})
	if err != nil {
		return err
	}
	const bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	return refer(ref, bundle, bundle, s.Attest(identity, "https://issuer.example.com", statement, time.Now().Add(5*time.Minute)))
}
