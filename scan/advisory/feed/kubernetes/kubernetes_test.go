package kubernetes

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

// archive makes the zip file of the shared records that GitHub makes of the
// repository.
func archive(t testing.TB, dir string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	files := tar.NewReader(bytes.NewReader(feedtest.Read(t, "kubernetes/k8s-cve-feed.tar.xz")))
	for {
		h, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := "cve-feed-osv-main/" + path.Base(h.Name)
		if strings.HasPrefix(path.Base(h.Name), "CVE-") {
			name = "cve-feed-osv-main/" + dir + "/" + path.Base(h.Name)
		}
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(f, files); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUpdate(t *testing.T) {
	address := New().Info().URL + "/main.zip"
	c := feedtest.New()
	c.Bytes[address] = archive(t, "vulns")
	sink, state := feedtest.Update(t, New(), c, advisory.State{})
	// 44 records, one of which names no version.
	if sink.NDetails < 43 || sink.NDetails > 44 || !slices.Equal(sink.Replaced, []string{"Kubernetes"}) || state.Newest.IsZero() {
		t.Errorf("%d details, replaced %v, skipped %v", sink.NDetails, sink.Replaced, state.Skipped)
	}
	want := []advisory.Range{{Fixed: "1.24.15"}, {Introduced: "1.25.0", Fixed: "1.25.11"}, {Introduced: "1.26.0", Fixed: "1.26.6"}, {Introduced: "1.27.0", Fixed: "1.27.3"}}
	got := sink.Of("CVE-2023-2727")
	if len(got) != 1 || got[0].Package != "k8s.io/apiserver" || got[0].Ecosystem != "Kubernetes" || !slices.Equal(got[0].Ranges, want) || len(got[0].Aliases) != 0 {
		t.Errorf("got %+v", got)
	}
	if d, _ := sink.Detail1("CVE-2023-2727"); len(d.CVSS) != 1 || d.CVSS[0].Version != "3.1" || d.Title == "" {
		t.Errorf("got %+v", d)
	}
	if sink, _ = feedtest.Update(t, New(), c, state); len(sink.Replaced)+len(sink.Records) != 0 {
		t.Error("nothing changed")
	}
	c.Bytes[address] = archive(t, "elsewhere")
	f := New()
	if _, err := f.Update(t.Context(), advisory.Update{Client: c, URL: f.Info().URL, Sink: sink, Now: feedtest.Now()}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("a repository of another layout: %v", err)
	}
}

func TestStore(t *testing.T) {
	c := feedtest.New()
	c.Bytes[New().Info().URL+"/main.zip"] = archive(t, "vulns")
	feedtest.Store(t, New(), c)
}
