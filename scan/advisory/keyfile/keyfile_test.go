package keyfile

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
)

func TestRoundTrip(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	private, err := EncodePrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := EncodePublic(public)
	if err != nil {
		t.Fatal(err)
	}
	gotKey, err := Private(private, "k")
	if err != nil || !gotKey.Equal(key) {
		t.Errorf("private: %v", err)
	}
	gotPublic, err := Public(pub, "k")
	if err != nil || !gotPublic.Equal(public) {
		t.Errorf("public: %v", err)
	}
	for name, err := range map[string]error{
		"public for private": second(Private(pub, "k")),
		"private for public": second(Public(private, "k")),
		"twice":              second(Public(append(bytes.Clone(pub), pub...), "k")),
		"not PEM":            second(Public([]byte("x"), "k")),
		"cut":                second(Private(bytes.Replace(private, []byte("MC4C"), []byte("MC4D"), 1), "k")),
	} {
		if sekisho.KindOf(err) != sekisho.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestOpenSSL: keys of openssl are ours, and ours are its.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command(openssl, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
		return out
	}
	private, public, rsa := filepath.Join(dir, "key.pem"), filepath.Join(dir, "pub.pem"), filepath.Join(dir, "rsa.pem")
	run("genpkey", "-algorithm", "ed25519", "-out", private)
	run("pkey", "-in", private, "-pubout", "-out", public)
	run("genpkey", "-algorithm", "rsa", "-out", rsa)
	key, err := Private(read(t, private), private)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := Public(read(t, public), public)
	if err != nil || !pub.Equal(key.Public()) {
		t.Errorf("public: %v", err)
	}
	if _, err := Private(read(t, rsa), rsa); err == nil || !strings.Contains(err.Error(), "want an Ed25519 key") {
		t.Errorf("an RSA key: %v", err)
	}
	ours, err := EncodePrivate(key)
	if err != nil || !bytes.Equal(ours, read(t, private)) {
		t.Errorf("our form of the key differs: %v\n%s", err, ours)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func FuzzKeys(f *testing.F) {
	public, key, _ := ed25519.GenerateKey(nil)
	a, _ := EncodePrivate(key)
	b, _ := EncodePublic(public)
	f.Add(a)
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := Private(data, "k"); err == nil && len(k) != ed25519.PrivateKeySize {
			t.Errorf("a key of %d bytes", len(k))
		}
		if k, err := Public(data, "k"); err == nil && len(k) != ed25519.PublicKeySize {
			t.Errorf("a key of %d bytes", len(k))
		}
	})
}
