// Package key reads keys in PEM and signs and verifies with them as cosign
// does: ECDSA, RSA and Ed25519, public keys as a key management service exports
// them, private keys in PKCS #8 or as cosign encrypts them. It refuses keys that
// are too weak to mean anything, or so large that they cost too much.
package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"sekisho"
)

// MaxFile bounds a file of keys in bytes.
const MaxFile = 1 << 20

// minRSA and maxRSA bound the modulus of an RSA key in bits.
const minRSA, maxRSA = 2048, 8192

// Public is a public key.
type Public struct {
	Key         crypto.PublicKey
	Fingerprint string // sha256: and the hash of the key in DER (SubjectPublicKeyInfo, RFC 5280, 4.1.2.7)
}

// NewPublic takes a key that is strong enough.
func NewPublic(k crypto.PublicKey) (Public, error) {
	switch k := k.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return Public{}, sekisho.Errorf(sekisho.Invalid, "public key: the curve is %s, want P-256, P-384 or P-521", k.Curve.Params().Name)
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return Public{}, sekisho.Errorf(sekisho.Invalid, "public key: RSA of %d bits, want %d to %d", n, minRSA, maxRSA)
		}
	case ed25519.PublicKey:
	default:
		return Public{}, sekisho.Errorf(sekisho.Invalid, "public key of type %T, want ECDSA, RSA or Ed25519", k)
	}
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return Public{}, sekisho.Errorf(sekisho.Invalid, "public key: %w", err)
	}
	return Public{Key: k, Fingerprint: fmt.Sprintf("sha256:%x", sha256.Sum256(der))}, nil
}

// ParsePublic reads all public keys of a PEM file: PUBLIC KEY, and RSA PUBLIC
// KEY (PKCS #1). Certificates are no keys: who trusts one trusts its dates.
func ParsePublic(data []byte) (list []Public, err error) {
	if len(data) > MaxFile {
		return nil, sekisho.Errorf(sekisho.Invalid, "public key: more than %d bytes", MaxFile)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		var k crypto.PublicKey
		switch block.Type {
		case "PUBLIC KEY":
			k, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			k, err = x509.ParsePKCS1PublicKey(block.Bytes)
		default:
			return nil, sekisho.Errorf(sekisho.Invalid, "a PEM block %q is no public key", block.Type).WithHint("want -----BEGIN PUBLIC KEY-----")
		}
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "public key: %w", err)
		}
		p, err := NewPublic(k)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "no public key in PEM").WithHint("want -----BEGIN PUBLIC KEY-----")
	}
	return list, nil
}

// PEM writes the key.
func (p Public) PEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// errSignature is why a signature does not hold.
var errSignature = errors.New("the signature is not of this key, or not over this content")

// Verify checks a signature over a message: with SHA-256 as cosign's keys do,
// else with the hash that goes with the key's curve; RSA with PKCS #1 1.5 or
// PSS; Ed25519 over the message, else over its SHA-512 (Ed25519ph).
func (p Public) Verify(message, sig []byte) error {
	ok := false
	switch k := p.Key.(type) {
	case *ecdsa.PublicKey:
		for _, h := range []crypto.Hash{crypto.SHA256, curveHash(k)} {
			ok = ok || ecdsa.VerifyASN1(k, sum(h, message), sig)
		}
	case *rsa.PublicKey:
		digest := sum(crypto.SHA256, message)
		ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, digest, sig) == nil || rsa.VerifyPSS(k, crypto.SHA256, digest, sig, nil) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, message, sig) || ed25519.VerifyWithOptions(k, sum(crypto.SHA512, message), sig, &ed25519.Options{Hash: crypto.SHA512}) == nil
	}
	if !ok {
		return errSignature
	}
	return nil
}

func curveHash(k *ecdsa.PublicKey) crypto.Hash {
	switch k.Curve {
	case elliptic.P384():
		return crypto.SHA384
	case elliptic.P521():
		return crypto.SHA512
	}
	return crypto.SHA256
}

func sum(h crypto.Hash, message []byte) []byte {
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}

// Private is a private key.
type Private struct {
	signer crypto.Signer
	Public Public
}

// NewPrivate takes a key that is strong enough.
func NewPrivate(k any) (Private, error) {
	s, ok := k.(crypto.Signer)
	if !ok {
		return Private{}, sekisho.Errorf(sekisho.Invalid, "private key of type %T, want ECDSA, RSA or Ed25519", k)
	}
	p, err := NewPublic(s.Public())
	return Private{s, p}, err
}

// Generate makes an ECDSA key on P-256.
func Generate(random io.Reader) (Private, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return Private{}, fmt.Errorf("make a key: %w", err)
	}
	return NewPrivate(k)
}

// Sign signs a message as cosign does: SHA-256 with ECDSA (ASN.1) or RSA
// (PKCS #1 1.5), Ed25519 over the message itself.
func (p Private) Sign(random io.Reader, message []byte) ([]byte, error) {
	var sig []byte
	var err error
	if _, ok := p.Public.Key.(ed25519.PublicKey); ok {
		sig, err = p.signer.Sign(random, message, crypto.Hash(0))
	} else {
		sig, err = p.signer.Sign(random, sum(crypto.SHA256, message), crypto.SHA256)
	}
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sig, nil
}
