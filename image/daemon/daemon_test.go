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
	"slices"
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

// several answers as an engine whose image is an index of two platforms, and of
// what was attested of one.
func several(wrong string) http.Handler {
	id := func(n int) string { return fmt.Sprintf("sha256:%064d", n) }
	one := func(n int, kind, arch string) string {
		return `{"ID":"` + id(n) + `","Available":true,"Kind":"` + kind + `","ImageData":{"Platform":{"os":"linux","architecture":"` + arch + `"}}}`
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images/", func(w http.ResponseWriter, r *http.Request) {
		arm := strings.Contains(r.URL.Query().Get("platform"), "arm64")
		arch, is := "amd64", id(2)
		if arm {
			arch, is = "arm64", id(3)
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/get"):
			io.WriteString(w, arch)
		case strings.HasSuffix(r.URL.Path, "/history"):
			io.WriteString(w, `[]`)
		case r.URL.Query().Has("manifests"):
			fmt.Fprintf(w, `{"Id":"%s","RepoDigests":["app@%s"],"Os":"linux","Architecture":"amd64","Manifests":[%s,%s,%s]}`, id(1), id(1), one(2, "image", "amd64"), one(3, "image", "arm64"), one(4, "attestation", "unknown"))
		default:
			if wrong != "" {
				is = wrong
			}
			fmt.Fprintf(w, `{"Id":"%s","RepoDigests":["app@%s"],"Os":"linux","Architecture":"%s"}`, is, id(1), arch)
		}
	})
	return mux
}

// TestIndex opens what stands below an index: the digests that are told are
// those of what is read, never those of its neighbour.
func TestIndex(t *testing.T) {
	id := func(n int) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha256:%064d", n)) }
	for name, c := range map[string]struct {
		ref, wrong string
		platform   sekisho.Platform
		want       []sekisho.Digest
		streamed   string
		fails      string
	}{
		"the engine's own":    {ref: "app", want: []sekisho.Digest{id(1), id(1), id(2)}, streamed: "amd64"},
		"by platform":         {ref: "app", platform: sekisho.Platform{OS: "linux", Architecture: "arm64"}, want: []sekisho.Digest{id(3)}, streamed: "arm64"},
		"by manifest":         {ref: string(id(1)) + "@" + string(id(3)), want: []sekisho.Digest{id(3)}, streamed: "arm64"},
		"the own by manifest": {ref: string(id(1)) + "@" + string(id(2)), want: []sekisho.Digest{id(1), id(1), id(2)}, streamed: "amd64"},
		"an attestation":      {ref: string(id(1)) + "@" + string(id(4)), fails: "no image sha256:"},
		"another one":         {ref: string(id(1)) + "@" + string(id(9)), fails: "no image sha256:"},
		"twice a platform":    {ref: string(id(1)) + "@" + string(id(3)), wrong: string(id(5)), fails: "the engine takes"},
	} {
		server := httptest.NewServer(several(c.wrong))
		var got string
		img, err := daemon.Open(t.Context(), c.ref, daemon.Options{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://"), Platform: c.platform, Save: saved(&got)})
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", name, err, c.fails)
			}
			server.Close()
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		digests := append([]sekisho.Digest{img.ID}, img.Also...)
		if img.Digest != "" {
			digests = append([]sekisho.Digest{img.Digest}, digests...)
		}
		slices.Sort(digests)
		if err := img.Stream(t.Context(), func(image.Layer) error { return nil }); err != nil || got != c.streamed || !slices.Equal(slices.Compact(digests), slices.Compact(c.want)) {
			t.Errorf("%s: %v, streamed %q, digests %v, want %v", name, err, got, digests, c.want)
		}
		server.Close()
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
