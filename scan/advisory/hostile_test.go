package advisory

import (
	"path/filepath"
	"testing"
)

// FuzzManifest reads what a signer could sign by mistake.
func FuzzManifest(f *testing.F) {
	s := SegmentInfo{Kind: KindRecords, Feed: "osv", Part: "npm\n\"", SHA256: string(make([]byte, 64)), Size: 1, Keys: 2, Values: 3}
	for i := range 64 {
		s.SHA256 = s.SHA256[:i] + "a" + s.SHA256[i+1:]
	}
	f.Add(`{"schema":"sekisho.advisories/v1","feeds":[{"name":"osv"}]}` + "\n" + s.line() + "\n")
	f.Fuzz(func(t *testing.T, body string) {
		m, err := parseBody(body)
		if err != nil {
			return
		}
		for _, s := range m.Segments {
			if !filepath.IsLocal(filepath.FromSlash(s.File())) || len(filepath.Base(s.File())) > 200 {
				t.Fatalf("%q leads out of the directory", s.File())
			}
			back, err := parseSegment(s.line())
			if err != nil || back != s {
				t.Fatalf("%+v, want %+v; %v", back, s, err)
			}
		}
	})
}
