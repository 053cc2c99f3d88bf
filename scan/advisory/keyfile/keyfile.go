// Package keyfile reads and writes the Ed25519 keys that sign advisory
// databases: PEM files as openssl genpkey -algorithm ed25519 makes them, PKCS #8
// (RFC 8410) for private keys and SubjectPublicKeyInfo for public ones. It
// refuses other kinds of keys, encrypted ones, and files with more than one.
package keyfile

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"sekisho"
)

// MaxSize bounds a file in bytes.
const MaxSize = 64 << 10

const privateType, publicType = "PRIVATE KEY", "PUBLIC KEY"

// Private reads a private key; name is for errors.
func Private(data []byte, name string) (ed25519.PrivateKey, error) {
	der, err := block(data, name, privateType)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "read key %s: %w", name, err)
	}
	k, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, other(name, key)
	}
	return k, nil
}

// Public reads a public key; name is for errors.
func Public(data []byte, name string) (ed25519.PublicKey, error) {
	der, err := block(data, name, publicType)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "read key %s: %w", name, err)
	}
	k, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, other(name, key)
	}
	return k, nil
}

func other(name string, key any) error {
	return sekisho.Errorf(sekisho.Usage, "read key %s: %T, want an Ed25519 key", name, key).WithHint("openssl genpkey -algorithm ed25519")
}

func block(data []byte, name, kind string) ([]byte, error) {
	b, rest := pem.Decode(data)
	switch {
	case b == nil:
		return nil, sekisho.Errorf(sekisho.Usage, "read key %s: not in PEM form", name)
	case b.Type != kind:
		return nil, sekisho.Errorf(sekisho.Usage, "read key %s: it holds a %q, want a %q", name, b.Type, kind)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, sekisho.Errorf(sekisho.Usage, "read key %s: more than one key", name)
	}
	return b.Bytes, nil
}

// EncodePrivate returns the PEM form of a private key.
func EncodePrivate(k ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: privateType, Bytes: der}), nil
}

// EncodePublic returns the PEM form of a public key.
func EncodePublic(k ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicType, Bytes: der}), nil
}

// Name returns what people compare keys by: the first 16 hexadecimal digits.
func Name(k ed25519.PublicKey) string { return hex.EncodeToString(k[:min(8, len(k))]) }
