package key

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"
)

// TestKeyKinds: every kind of key signs and verifies, and no other's does.
func TestKeyKinds(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []any{ed, rsaKey, p384} {
		private, err := NewPrivate(k)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := private.Sign(rand.Reader, []byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := private.Public.PEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePublic(data)
		if err != nil || len(again) != 1 || again[0].Fingerprint != private.Public.Fingerprint {
			t.Fatalf("%T: %+v %v", k, again, err)
		}
		if again[0].Verify([]byte("message"), sig) != nil || again[0].Verify([]byte("massage"), sig) == nil || stranger.Public.Verify([]byte("message"), sig) == nil {
			t.Errorf("%T verifies wrongly", k)
		}
		sealed, err := private.PEM(rand.Reader, []byte("hush"))
		if err != nil {
			t.Fatal(err)
		}
		opened, err := ParsePrivate(sealed, func() ([]byte, error) { return []byte("hush"), nil })
		if err != nil || opened.Public.Fingerprint != private.Public.Fingerprint {
			t.Errorf("%T: sealed and opened: %v", k, err)
		}
	}
	if weak, err := rsa.GenerateKey(rand.Reader, 1024); err == nil {
		if _, err := NewPublic(weak.Public()); err == nil {
			t.Error("RSA of 1024 bits was taken")
		}
	}
}

// FuzzKey: no file of keys makes its reader panic or work for long.
func FuzzKey(f *testing.F) {
	private, err := Generate(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	for _, password := range []string{"", "hush"} {
		data, err := private.PEM(rand.Reader, []byte(password))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	public, err := private.Public.PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(public)
	f.Fuzz(func(t *testing.T, data []byte) {
		ParsePublic(data)
		ParsePrivate(data, func() ([]byte, error) { return nil, errors.New("none") })
	})
}
