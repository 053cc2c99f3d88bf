package fetch

import (
	"bytes"
	"compress/gzip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
	"sekisho/internal/feedserver"
	"sekisho/scan/advisory"
)

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMirror: a directory and a web server with the same files give the same.
func TestMirror(t *testing.T) {
	const base = "https://secdb.alpinelinux.org"
	files := map[string]string{
		"alpine/v3.22/main.json":                 "by feed",
		"secdb.alpinelinux.org/v3.22/main.json":  "by host, second",
		"secdb.alpinelinux.org/edge/main.json":   "by host",
		"other.example/list%2Fa.json":            "escaped",
		"other.example/list/a.json":              "plain",
		"other.example/query?page=1&size=2":      "page 1",
		"secdb.alpinelinux.org/v3.22/dir/x.json": "x",
		"alpine/with space.json":                 "space",
	}
	dir, s := t.TempDir(), feedserver.New(t)
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		s.Put(name, []byte(content))
	}
	s.Put("other.example/query", []byte("page 1")) // a server sees the query apart
	tests := []struct {
		url, want string
		kind      sekisho.Kind
	}{
		{base + "/v3.22/main.json", "by feed", 0},
		{base + "/edge/main.json", "by host", 0},
		{base + "/with%20space.json", "space", 0},
		{"https://other.example/list/a.json", "plain", 0},
		{"https://other.example/query?page=1&size=2", "page 1", 0},
		{base + "/v3.22/community.json", "", sekisho.NotFound},
		{base + "/v3.22/dir", "", sekisho.NotFound},
		{base + "/v3.22/main.json/more", "", sekisho.NotFound},
	}
	c, _ := client(t, Options{})
	for _, from := range []string{dir, dir + "/", "file://" + dir, s.URL} {
		m := Mirror(c, from, "alpine", base)
		for _, tt := range tests {
			d, err := m.Get(t.Context(), tt.url, advisory.Validator{})
			if sekisho.KindOf(err) != tt.kind || (err == nil) != (tt.kind == 0) {
				t.Errorf("%s from %s: %v", tt.url, from, err)
				continue
			}
			if err != nil {
				continue
			}
			if got := string(read(t, d)); got != tt.want {
				t.Errorf("%s from %s: %q, want %q", tt.url, from, got, tt.want)
			}
			if again := get(t, m, tt.url, d.Validator); !again.Same {
				t.Errorf("%s from %s: read again without a change", tt.url, from)
			}
		}
	}
}

// TestMirrorOfFamily: feeds of one bucket may share a directory; the place that
// had a document is asked first for the next.
func TestMirrorOfFamily(t *testing.T) {
	const base = "https://storage.example/bucket"
	s := feedserver.New(t)
	s.Put("/osv/npm/all.zip", []byte("family"))
	s.Put("/storage.example/bucket/npm/modified_id.csv", []byte("host"))
	c, _ := client(t, Options{})
	m := Mirror(c, s.URL, "osv-npm", base)
	for range 2 {
		if got := string(read(t, get(t, m, base+"/npm/all.zip", advisory.Validator{}))); got != "family" {
			t.Errorf("got %q", got)
		}
	}
	if n := len(s.Requests("/osv-npm/npm/all.zip")); n != 1 {
		t.Errorf("asked %d times where it is not", n)
	}
	if got := string(read(t, get(t, m, base+"/npm/modified_id.csv", advisory.Validator{}))); got != "host" {
		t.Errorf("got %q", got)
	}
}

// TestLogin: the password goes to its host, and nowhere else.
func TestLogin(t *testing.T) {
	s, other := feedserver.New(t), feedserver.New(t)
	s.Put("/x", []byte("x"))
	other.Put("/x", []byte("x"))
	c, _ := client(t, Options{})
	l, plain := Login(c, strings.Replace(s.URL, "http://", "http://user:secret@", 1)+"/base")
	if plain != s.URL+"/base" {
		t.Errorf("address %s", plain)
	}
	read(t, get(t, l, s.URL+"/x", advisory.Validator{}))
	read(t, get(t, l, other.URL+"/x", advisory.Validator{}))
	if h := s.Requests("/x")[0].Header.Get("Authorization"); h != "Basic dXNlcjpzZWNyZXQ=" {
		t.Errorf("Authorization %q", h)
	}
	if h := other.Requests("/x")[0].Header.Get("Authorization"); h != "" {
		t.Errorf("the other host got %q", h)
	}
	_, err := l.Get(t.Context(), s.URL+"/missing", advisory.Validator{})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	s.Fail("/x", feedserver.Fault{Location: other.URL + "/y"})
	if _, err := l.Get(t.Context(), s.URL+"/x", advisory.Validator{}); err == nil || other.Requests("/y")[0].Header.Get("Authorization") != "" {
		t.Errorf("redirected: %v", err)
	}
}

func TestMirrorStaysInside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "mirror"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, _ := client(t, Options{})
	m := Mirror(c, filepath.Join(dir, "mirror"), "feed", "https://host.example")
	for _, url := range []string{"https://host.example/../../secret", "https://host.example/%2e%2e/%2e%2e/secret", "https://host.example/..%2f..%2fsecret", "https://../secret"} {
		if d, err := m.Get(t.Context(), url, advisory.Validator{}); err == nil {
			t.Errorf("%s was read: %q", url, read(t, d))
		}
	}
}

// FuzzMirror: no address leads out of the mirror's directory.
func FuzzMirror(f *testing.F) {
	dir := f.TempDir()
	m := Mirror(nil, filepath.Join(dir, "mirror"), "feed", "https://host.example/base").(*mirror)
	for _, u := range []string{"https://host.example/base/x", "https://host.example/base/../../x", "https://host.example/%2e%2e/x", "https://host.example/base/a%2fb?c=d/../../..", "//x", "https://../x", ""} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, address string) {
		places, err := m.places(address)
		if err != nil {
			return
		}
		for _, p := range places {
			u, err := url.Parse(p)
			if err != nil {
				t.Fatalf("%q: %v", p, err)
			}
			rel, err := filepath.Rel(filepath.Join(dir, "mirror"), u.Path)
			if err != nil || !filepath.IsLocal(rel) {
				t.Errorf("%q leads to %q", address, u.Path)
			}
		}
	})
}
