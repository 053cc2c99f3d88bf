package key

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"

	"sekisho"
)

// The forms of a private key.
const (
	pkcs8Type  = "PRIVATE KEY"
	ecType     = "EC PRIVATE KEY"
	rsaType    = "RSA PRIVATE KEY"
	sealedType = "ENCRYPTED SIGSTORE PRIVATE KEY"
	cosignType = "ENCRYPTED COSIGN PRIVATE KEY" // before cosign 2
)

// maxCost bounds the memory of scrypt, 128·N·r bytes, and maxP its repetitions:
// a file must not say how much of the machine it takes.
const maxCost, maxP = 256 << 20, 4

// sealed is a private key as cosign encrypts it.
type sealed struct {
	KDF struct {
		Name   string `json:"name"`
		Params struct {
			N int `json:"N"`
			R int `json:"r"`
			P int `json:"p"`
		} `json:"params"`
		Salt []byte `json:"salt"`
	} `json:"kdf"`
	Cipher struct {
		Name  string `json:"name"`
		Nonce []byte `json:"nonce"`
	} `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

// ParsePrivate reads a private key in PEM. The password is asked for when the
// key is encrypted.
func ParsePrivate(data []byte, password func() ([]byte, error)) (Private, error) {
	if len(data) > MaxFile {
		return Private{}, sekisho.Errorf(sekisho.Invalid, "private key: more than %d bytes", MaxFile)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return Private{}, sekisho.Errorf(sekisho.Invalid, "no private key in PEM").WithHint("make one: sekisho keys generate")
	}
	var k any
	var err error
	switch block.Type {
	case pkcs8Type:
		k, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case ecType:
		k, err = x509.ParseECPrivateKey(block.Bytes)
	case rsaType:
		k, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case sealedType, cosignType:
		k, err = open(block.Bytes, password)
	default:
		return Private{}, sekisho.Errorf(sekisho.Invalid, "a PEM block %q is no private key that can be read", block.Type)
	}
	if err != nil {
		return Private{}, sekisho.Errorf(sekisho.Invalid, "private key: %w", err)
	}
	return NewPrivate(k)
}

func open(data []byte, password func() ([]byte, error)) (any, error) {
	var s sealed
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	p := s.KDF.Params
	switch {
	case s.KDF.Name != "scrypt" || s.Cipher.Name != "nacl/secretbox" || len(s.Cipher.Nonce) != 24:
		return nil, fmt.Errorf("encrypted with %q and %q, want scrypt and nacl/secretbox", s.KDF.Name, s.Cipher.Name)
	case p.N <= 1 || p.R <= 0 || p.P <= 0 || p.P > maxP || p.R > maxCost/128 || p.N > maxCost/128/p.R:
		return nil, fmt.Errorf("scrypt with N=%d, r=%d, p=%d: more work than allowed", p.N, p.R, p.P)
	}
	secret, err := password()
	if err != nil {
		return nil, err
	}
	derived, err := scrypt.Key(secret, s.KDF.Salt, p.N, p.R, p.P, 32)
	if err != nil {
		return nil, err
	}
	der, ok := secretbox.Open(nil, s.Ciphertext, (*[24]byte)(s.Cipher.Nonce), (*[32]byte)(derived))
	if !ok {
		return nil, errors.New("the password is wrong")
	}
	return x509.ParsePKCS8PrivateKey(der)
}

// PEM writes the key: encrypted as cosign does, or, without a password, open.
func (p Private) PEM(random io.Reader, password []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.signer)
	if err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	if len(password) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: pkcs8Type, Bytes: der}), nil
	}
	var s sealed
	s.KDF.Name, s.Cipher.Name = "scrypt", "nacl/secretbox"
	s.KDF.Params.N, s.KDF.Params.R, s.KDF.Params.P = 1<<16, 8, 1
	s.KDF.Salt, s.Cipher.Nonce = make([]byte, 32), make([]byte, 24)
	for _, b := range [][]byte{s.KDF.Salt, s.Cipher.Nonce} {
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("write private key: %w", err)
		}
	}
	derived, err := scrypt.Key(password, s.KDF.Salt, s.KDF.Params.N, s.KDF.Params.R, s.KDF.Params.P, 32)
	if err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	s.Ciphertext = secretbox.Seal(nil, der, (*[24]byte)(s.Cipher.Nonce), (*[32]byte)(derived))
	doc, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: doc}), nil
}
