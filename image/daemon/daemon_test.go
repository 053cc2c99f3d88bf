package daemon_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/image"
	"sekisho/image/daemon"
)

const inspect = `{"Id":"sha256:%064d","RepoDigests":["app@sha256:%064d"],"Os":"linux","Architecture":"amd64","Created":"2026-01-02T03:04:05Z",
"Config":{"User":"app"},"RootFS":{"Layers":["sha256:%064d","sha256:%064d"]}}`

const history = `[{"CreatedBy":"CMD [\"x\"]","Size":0},{"CreatedBy":"COPY b /","Size":5},{"CreatedBy":"COPY a /","Size":7}]`

// engine answers as Docker does for one image, app.
func engine() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images/app/json", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, inspect, 1, 2, 3, 4) })
	mux.HandleFunc("GET /images/app/history", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, history) })
	mux.HandleFunc("GET /images/app/get", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "what docker save writes") })
	mux.HandleFunc("GET /images/broken/json", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") })
	mux.HandleFunc("GET /images/lost/json", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"No such image: lost"}`)
	})
	return mux
}

// saved is an archive that is read to its end.
func saved(got *string) func(io.Reader) *image.Image {
	return func(r io.Reader) *image.Image {
		img := &image.Image{}
		img.Stream = func(_ context.Context, visit func(image.Layer) error) error {
			data, err := io.ReadAll(r)
			*got = string(data)
			img.Layers = []image.Layer{{CreatedBy: "saved"}}
			return err
		}
		return img
	}
}

func TestOpen(t *testing.T) {
	server := httptest.NewServer(engine())
	defer server.Close()
	var got string
	o := daemon.Options{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://"), Save: saved(&got)}
	img, err := daemon.Open(t.Context(), "app", o)
	if err != nil {
		t.Fatal(err)
	}
	if img.Reference != "docker:app" || img.Platform.String() != "linux/amd64" || img.Config.Config.User != "app" || img.Digest != sekisho.Digest(fmt.Sprintf("sha256:%064d", 2)) {
		t.Errorf("got %+v", img)
	}
	if len(img.Layers) != 2 || img.Layers[0].CreatedBy != "COPY a /" || img.Layers[1].CreatedBy != "COPY b /" {
		t.Errorf("layers %+v", img.Layers)
	}
	if err := img.Stream(t.Context(), func(image.Layer) error { return nil }); err != nil || got != "what docker save writes" || img.Layers[0].CreatedBy != "saved" {
		t.Errorf("streamed %q, %v, %+v", got, err, img.Layers)
	}
	if !daemon.Has(t.Context(), "app", o) || daemon.Has(t.Context(), "lost", o) {
		t.Error("Has is wrong")
	}
}

func TestErrors(t *testing.T) {
	server := httptest.NewServer(engine())
	defer server.Close()
	here := "tcp://" + strings.TrimPrefix(server.URL, "http://")
	for _, c := range []struct {
		host, ref string
		platform  sekisho.Platform
		kind      sekisho.Kind
		want      string
	}{
		{here, "lost", sekisho.Platform{}, sekisho.NotFound, "No such image: lost"},
		{here, "nowhere", sekisho.Platform{}, sekisho.NotFound, "404"},
		{here, "../../containers", sekisho.Platform{}, sekisho.NotFound, "404"},
		{here, "broken", sekisho.Platform{}, sekisho.Internal, "answer of Docker"},
		{here, "app", sekisho.Platform{OS: "linux", Architecture: "arm64"}, sekisho.NotFound, "not for linux/arm64"},
		{"unix://" + filepath.Join(t.TempDir(), "no.sock"), "app", sekisho.Platform{}, sekisho.Unavailable, "no Docker at"},
		{"ssh://host", "app", sekisho.Platform{}, sekisho.Usage, "ssh is not supported"},
		{"nonsense", "app", sekisho.Platform{}, sekisho.Usage, "want unix:///PATH"},
	} {
		_, err := daemon.Open(t.Context(), c.ref, daemon.Options{Host: c.host, Platform: c.platform})
		if err == nil || sekisho.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v (kind %d), want %q (kind %d)", c.ref, c.host, err, sekisho.KindOf(err), c.want, c.kind)
		}
	}
}

// TestSocket speaks with an engine over a socket, TestCertificates with one
// that wants to know who asks.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: engine()}}
	server.Start()
	defer server.Close()
	if img, err := daemon.Open(t.Context(), "app", daemon.Options{Host: "unix://" + path}); err != nil || len(img.Layers) != 2 {
		t.Errorf("got %+v, %v", img, err)
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	pair := certificate(t, dir)
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	server := httptest.NewUnstartedServer(engine())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	host := "tcp://" + strings.TrimPrefix(server.URL, "https://")
	if img, err := daemon.Open(t.Context(), "app", daemon.Options{Host: host, CertPath: dir}); err != nil || len(img.Layers) != 2 {
		t.Errorf("with certificates: %+v, %v", img, err)
	}
	if _, err := daemon.Open(t.Context(), "app", daemon.Options{Host: host}); err == nil {
		t.Error("without certificates: no error")
	}
	if _, err := daemon.Open(t.Context(), "app", daemon.Options{Host: host, CertPath: t.TempDir()}); sekisho.KindOf(err) != sekisho.Usage {
		t.Errorf("with an empty directory of certificates: %v", err)
	}
}

// certificate makes one that signs itself, and writes what DOCKER_CERT_PATH
// holds.
func certificate(t *testing.T, dir string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for name, data := range map[string][]byte{"ca.pem": public, "cert.pem": public, "key.pem": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(public, bytes.Clone(secret))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
