package trust

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"sekisho/admit/signature/key"
	"sekisho/internal/fixture/sigstoreca"
)

func files(t testing.TB) map[string][]byte {
	k, err := key.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := k.Public.PEM()
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"dir/release.pub": pub, "dir/root.json": sigstoreca.New(t).Root(), "/etc/abs.pub": pub}
}

func TestParse(t *testing.T) {
	have := files(t)
	read := func(name string, _ int64) ([]byte, error) {
		if data, ok := have[name]; ok {
			return data, nil
		}
		return nil, os.ErrNotExist
	}
	s, err := Parse([]byte(`
keys: [release.pub, /etc/abs.pub]
identities:
- {issuer: "https://token.actions.githubusercontent.com", subject_regexp: "https://github.com/us/.*"}
root: root.json
builders: [{id: "https://example.com/builder", level: 3}]
same_repository: true
`), "dir/trust.yaml", read)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Keys) != 2 || len(s.Identities) != 1 || s.Root == nil || s.Levels["https://example.com/builder"] != 3 || !s.SameRepository {
		t.Errorf("%+v", s)
	}
	for text, want := range map[string]string{
		"":                                      "nobody is trusted",
		"keys: []":                              "nobody is trusted",
		"keys: [none.pub]":                      "not exist",
		"keys: [root.json]":                     "no public key",
		"key: [release.pub]":                    `1:1] unknown field "key"`,
		"keys: [release.pub]\nx: 1":             "2:1]",
		"identities: [{issuer: i, subject: s}]": "go together",
		"root: root.json":                       "nobody is trusted",
		"identities: [{subject: s}]\nroot: root.json":                               "want issuer",
		"identities: [{issuer: i, subject: s, subject_regexp: s}]\nroot: root.json": "either subject or",
		"identities: [{issuer: i, subject_regexp: '('}]\nroot: root.json":           "subject_regexp",
		"identities: [{issuer: i, subject: s}]\nroot: release.pub":                  "trusted root",
		"notation: {identities: ['*']}":                                             "want ca",
		"notation: {ca: [release.pub], identities: ['*']}":                          "certificates in PEM",
		"keys: [release.pub]\nbuilders: [{id: x, level: 9}]":                        "level from 1 to 3",
	} {
		if _, err := Parse([]byte(text), "dir/trust.yaml", read); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

// FuzzTrust: no file makes its reader panic, and one that names no file that is
// there trusts nobody.
func FuzzTrust(f *testing.F) {
	f.Add([]byte("keys: [a]\nidentities: [{issuer: i, subject: s}]\nroot: r\nnotation: {ca: [c], identities: ['x509.subject: C=JP, ST=T, O=x']}\n"))
	f.Add([]byte("builders: [{id: b, level: 1}]\nsame_repository: true\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := Parse(data, "trust.yaml", func(string, int64) ([]byte, error) { return nil, os.ErrNotExist }); err == nil {
			t.Errorf("trust in nobody: %+v", s)
		}
	})
}
