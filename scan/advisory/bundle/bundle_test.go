package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/scan/advisory"
)

var day = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// store opens a database directory until the test ends.
func store(t testing.TB, dir string) *advisory.Store {
	t.Helper()
	s, err := advisory.OpenStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// tell makes a feed say that packages have a flaw.
func tell(t testing.TB, s *advisory.Store, info advisory.Info, now time.Time, ecosystem string, packages ...string) {
	t.Helper()
	b, err := s.Begin(info)
	if err != nil {
		t.Fatal(err)
	}
	b.Replace(ecosystem)
	for _, p := range packages {
		id := strings.ToUpper(info.Name) + "-" + p
		if err := b.Record(advisory.Record{ID: id, Ecosystem: ecosystem, Package: p, Status: sekisho.StatusAffected, Ranges: []advisory.Range{{Fixed: "1.0"}}}); err != nil {
			t.Fatal(err)
		}
		if err := b.Detail(advisory.Detail{ID: id, Group: advisory.Group(ecosystem), Title: "flaw of " + p, Modified: now}, advisory.Text{ID: id, Group: advisory.Group(ecosystem), Text: "long"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Commit(advisory.State{Newest: now, Cursors: map[string]string{ecosystem: "x"}}, now); err != nil {
		t.Fatal(err)
	}
}

// packages lists which of some packages are known, with their feeds.
func packages(t testing.TB, dir string) string {
	t.Helper()
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var list []string
	for _, e := range db.Ecosystems() {
		for _, name := range []string{"a", "b", "c", "w"} {
			found, err := db.Find(e, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				list = append(list, f.Feed+":"+e+"/"+name)
			}
		}
	}
	return strings.Join(list, " ")
}

var (
	one   = advisory.Info{Name: "one", Licence: "CC0-1.0"}
	two   = advisory.Info{Name: "two", Licence: "CC-BY-4.0"}
	wolfi = advisory.Info{Name: "wolfi", Licence: "CC-BY-NC-ND-4.0", Restricted: true}
)

// pack returns a bundle of a store, and the feeds that stay.
func pack(t testing.TB, s *advisory.Store, key ed25519.PrivateKey) ([]byte, []string) {
	t.Helper()
	p, err := s.Pack(key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, p, day); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), p.Left
}

func unpack(s *advisory.Store, data []byte, force bool, trusted ...ed25519.PublicKey) (advisory.Unpacked, error) {
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		return advisory.Unpacked{}, err
	}
	defer r.Close()
	return s.Unpack(advisory.Incoming{Manifest: r.Manifest, Trusted: trusted, Open: r.Open, Force: force, Now: day})
}

func generate(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, key
}

// TestAirGap: what is exported here is known there, but for the restricted;
// and only by who trusts the key.
func TestAirGap(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	s, d := store(t, here), store(t, there)
	tell(t, s, one, day, "npm", "a", "b")
	tell(t, s, two, day, "Debian:12", "c")
	tell(t, s, wolfi, day, "Wolfi", "w")
	public, key := generate(t)
	data, left := pack(t, s, key)
	if len(left) != 1 || left[0] != "wolfi" {
		t.Errorf("left out %v", left)
	}
	again, _ := pack(t, s, key)
	if !bytes.Equal(data, again) {
		t.Error("the same database makes two files")
	}
	if _, err := unpack(d, data, false); sekisho.KindOf(err) != sekisho.Forbidden {
		t.Errorf("an unknown key: %v", err)
	}
	other, _ := generate(t)
	if _, err := unpack(d, data, true, other); sekisho.KindOf(err) != sekisho.Forbidden {
		t.Errorf("another key: %v", err)
	}
	u, err := unpack(d, data, false, other, public)
	if err != nil {
		t.Fatal(err)
	}
	if !u.Signer.Equal(public) || len(u.Feeds) != 2 || u.Segments != 6 || u.Known != 0 {
		t.Errorf("%+v", u)
	}
	if got := packages(t, there); got != "two:Debian:12/c one:npm/a one:npm/b" {
		t.Errorf("known there: %s", got)
	}
	if st := d.State("one"); st.Cursors != nil {
		t.Errorf("there the feed remembers what it never read: %+v", st)
	}
	tell(t, d, two, day.Add(time.Hour), "Debian:12", "c") // and goes on by itself
}

// TestOlder: feeds are taken over one by one, never older over newer.
func TestOlder(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	s, d := store(t, here), store(t, there)
	public, key := generate(t)
	tell(t, s, one, day, "npm", "a")
	tell(t, s, two, day, "Debian:12", "b")
	data, _ := pack(t, s, key)
	tell(t, d, one, day.Add(time.Hour), "npm", "a", "b")
	tell(t, d, wolfi, day, "Wolfi", "w")
	u, err := unpack(d, data, false, public)
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Feeds) != 2 || u.Feeds[0].Taken || !u.Feeds[1].Taken || u.Segments != 3 {
		t.Errorf("%+v", u)
	}
	if got, want := packages(t, there), "two:Debian:12/b wolfi:Wolfi/w one:npm/a one:npm/b"; got != want {
		t.Errorf("known: %s, want %s", got, want)
	}
	if u, err = unpack(d, data, true, public); err != nil || !u.Feeds[0].Taken || u.Known != 3 {
		t.Errorf("forced: %+v %v", u, err)
	}
	if got, want := packages(t, there), "two:Debian:12/b wolfi:Wolfi/w one:npm/a"; got != want {
		t.Errorf("forced: %s, want %s", got, want)
	}
}

// tree lists the files of a directory with their content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTampered: whatever is changed on the way, it is refused and the database
// is as it was.
func TestTampered(t *testing.T) {
	s := store(t, t.TempDir())
	public, key := generate(t)
	tell(t, s, one, day, "npm", "a")
	tell(t, s, two, day, "Debian:12", "b")
	data, _ := pack(t, s, key)
	tests := map[string]func(files []file) []file{
		"manifest":            func(f []file) []file { f[0].data[len(f[0].data)-3] ^= 1; return f },
		"signature":           func(f []file) []file { f[0].data[110] ^= 1; return f },
		"segment":             func(f []file) []file { f[2].data[100] ^= 1; return f },
		"segment, last":       func(f []file) []file { f[6].data[9] ^= 1; return f },
		"longer segment":      func(f []file) []file { f[1].data = append(f[1].data, 0); return f },
		"shorter segment":     func(f []file) []file { f[1].data = f[1].data[1:]; return f },
		"segment missing":     func(f []file) []file { return append(f[:3], f[4:]...) },
		"segments swapped":    func(f []file) []file { f[1], f[6] = f[6], f[1]; return f },
		"no manifest":         func(f []file) []file { return f[1:] },
		"manifest not first":  func(f []file) []file { f[0], f[1] = f[1], f[0]; return f },
		"a link as a segment": func(f []file) []file { f[1].kind = tar.TypeSymlink; return f },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := store(t, dir)
			tell(t, d, one, day.Add(-time.Hour), "npm", "a", "b", "c")
			before := tree(t, dir)
			_, err := unpack(d, archive(t, change(files(t, data))), true, public)
			if err == nil {
				t.Fatal("it was taken")
			}
			if k := sekisho.KindOf(err); k != sekisho.Corrupt && k != sekisho.Forbidden && k != sekisho.Invalid {
				t.Errorf("kind %v of %v", k, err)
			}
			after := tree(t, dir)
			if before["manifest"] != after["manifest"] {
				t.Error("the manifest was changed")
			}
			if got := packages(t, dir); got != "one:npm/a one:npm/b one:npm/c" {
				t.Errorf("known: %s", got)
			}
			for name := range after {
				if strings.HasPrefix(name, "work/") {
					t.Errorf("left behind: %s", name)
				}
			}
		})
	}
	for cut := range 20 {
		d := store(t, t.TempDir())
		if _, err := unpack(d, data[:len(data)*cut/20], false, public); err == nil {
			t.Errorf("cut at %d of 20: it was taken", cut)
		}
	}
}

type file struct {
	name string
	data []byte
	kind byte
}

// files takes a bundle apart.
func files(t testing.TB, data []byte) (list []file) {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, file{h.Name, content, tar.TypeReg})
	}
}

// archive puts one together.
func archive(t testing.TB, list []file) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, f := range list {
		h := &tar.Header{Name: f.name, Size: int64(len(f.data)), Mode: 0o644, Typeflag: f.kind}
		if f.kind == tar.TypeSymlink {
			h.Size, h.Linkname, f.data = 0, "/etc/passwd", nil
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestForged: even who is trusted with advisories writes nothing outside.
func TestForged(t *testing.T) {
	public, key := generate(t)
	s := store(t, t.TempDir())
	tell(t, s, one, day, "npm", "a")
	p, err := s.Pack(key)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := bytes.Cut(p.Manifest, []byte("\n"))
	size := fmt.Sprintf(" %d ", p.Segments[0].Size)
	for name, change := range map[string][2]string{ // of the first segment's line, or of the head
		"parent":          {"details one ", "details ../../one "},
		"kind":            {"details one ", "status one "},
		"kind, parent":    {"details one ", "../x one "},
		"sum, parent":     {p.Segments[0].SHA256, "../../" + p.Segments[0].SHA256[6:]},
		"sum, short":      {p.Segments[0].SHA256, "abcdef"},
		"other feed":      {"details one ", "details two "},
		"no feed":         {"details one ", "details  "},
		"negative":        {size, " -1 "},
		"huge":            {size, " 1125899906842624 "},
		"feed, parent":    {`"name":"one"`, `"name":"../../one"`},
		"feed, too":       {`"feeds":[`, `"feeds":[{"name":"../../../tmp/x"},`},
		"another form":    {`sekisho.advisories/v1`, `sekisho.advisories/v9`},
		"no segment line": {"details one ", "details"},
	} {
		forged := bytes.Replace(body, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(forged, body) {
			t.Fatalf("%s: nothing to forge in\n%s", name, body)
		}
		dir := t.TempDir()
		d := store(t, dir)
		before := len(tree(t, dir))
		opened := 0
		_, err = d.Unpack(advisory.Incoming{Manifest: sign(key, forged), Trusted: []ed25519.PublicKey{public}, Now: day, Open: func(advisory.SegmentInfo) (io.ReadCloser, error) {
			opened++
			return nil, errors.New("not to be read")
		}})
		if k := sekisho.KindOf(err); err == nil || k != sekisho.Corrupt && k != sekisho.Invalid || opened > 0 {
			t.Errorf("%s: %v, %d opened", name, err, opened)
		}
		if len(tree(t, dir)) != before {
			t.Errorf("%s: files were written", name)
		}
	}
}

// sign writes the first line of a manifest.
func sign(key ed25519.PrivateKey, body []byte) []byte {
	return fmt.Appendf(nil, "sekisho-advisories 1 ed25519 %x %s\n%s", []byte(key.Public().(ed25519.PublicKey)), base64.StdEncoding.EncodeToString(ed25519.Sign(key, body)), body)
}

func FuzzReader(f *testing.F) {
	s := store(f, f.TempDir())
	tell(f, s, one, day, "npm", "a")
	data, _ := pack(f, s, nil)
	f.Add(data)
	f.Add(archive(f, files(f, data)[:1]))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		rc, err := r.Open(advisory.SegmentInfo{Kind: "records", Feed: "x", Part: "npm", SHA256: strings.Repeat("0", 64)})
		if err == nil {
			_, _ = io.Copy(io.Discard, rc)
		}
	})
}
