// Package trust reads trust.yaml, the file that says whose signatures count:
// keys, identities with the root that vouches for them, and authorities of the
// Notary Project. The files that it names are read beside it. Anything that is
// not understood to the last field is refused with its line and column.
package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/key"
	"sekisho/admit/signature/keyless"
	"sekisho/admit/signature/notation"
)

// MaxSize bounds the file in bytes, maxFiles the files that it names, and
// maxIdentities whom it names.
const MaxSize, maxFiles, maxIdentities = 1 << 20, 128, 256

// Set is a file that was read.
type Set struct {
	signature.Trust
	Levels   map[string]int // SLSA build levels by builder id
	Scanners []string       // patterns of scanners whose attested findings count as a scan
}

type file struct {
	Keys           []string   `yaml:"keys"`       // files in PEM
	Identities     []Identity `yaml:"identities"` // of certificates
	Root           string     `yaml:"root"`       // sigstore's trusted_root.json
	Notation       *store     `yaml:"notation"`
	Builders       []builder  `yaml:"builders"`
	Scanners       []string   `yaml:"scanners"` // patterns of the predicate's scanner.uri
	SameRepository bool       `yaml:"same_repository"`
}

// Identity is who may sign without a key of their own.
type Identity struct {
	Issuer        string `yaml:"issuer"`
	Subject       string `yaml:"subject"`
	SubjectRegexp string `yaml:"subject_regexp"`
}

type store struct {
	CA               []string          `yaml:"ca"` // files in PEM
	SigningAuthority []string          `yaml:"signing_authority"`
	TSA              []string          `yaml:"tsa"`
	CRL              []string          `yaml:"crl"` // files in PEM or DER
	Online           bool              `yaml:"online"`
	Identities       []string          `yaml:"identities"`
	Level            string            `yaml:"level"`
	Override         map[string]string `yaml:"override"`
	VerifyTimestamp  string            `yaml:"verify_timestamp"`
}

type builder struct {
	ID    string `yaml:"id"`
	Level int    `yaml:"level"`
}

// Read opens a file that the file names; limit is in bytes.
type Read func(path string, limit int64) ([]byte, error)

// Decode reads strict YAML; name is for errors.
func Decode(data []byte, name string, into any) error {
	if len(data) > MaxSize {
		return sekisho.Errorf(sekisho.Usage, "%s: more than %d bytes", name, MaxSize)
	}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return sekisho.Errorf(sekisho.Usage, "%s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return nil
}

// Parse reads the file; name is its path, for errors and for the files beside it.
func Parse(data []byte, name string, read Read) (*Set, error) {
	var f file
	if err := Decode(data, name, &f); err != nil {
		return nil, err
	}
	s, err := f.set(filepath.Dir(name), read)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "%s: %w", name, err)
	}
	return s, nil
}

func (f *file) set(dir string, read Read) (*Set, error) {
	s := &Set{Levels: map[string]int{}, Scanners: f.Scanners}
	s.SameRepository = f.SameRepository
	var err error
	if s.Keys, err = Keys(dir, f.Keys, read); err != nil {
		return nil, err
	}
	if s.Identities, err = Identities(f.Identities); err != nil {
		return nil, err
	}
	if f.Root == "" && len(f.Identities) > 0 {
		return nil, errors.New("identities and root go together: root is the file trusted_root.json of the sigstore that vouches for them")
	}
	if f.Root != "" {
		if s.Root, err = Root(dir, f.Root, read); err != nil {
			return nil, err
		}
	}
	if f.Notation != nil {
		if s.Notation, err = f.Notation.trust(dir, read); err != nil {
			return nil, err
		}
	}
	for _, p := range f.Scanners {
		if p == "" || strings.Trim(p, "*?") == "" || len(f.Scanners) > maxIdentities {
			return nil, fmt.Errorf("scanners: %q: want at most %d patterns that name a scanner, as pkg:github/aquasecurity/trivy@*", p, maxIdentities)
		}
	}
	for _, b := range f.Builders {
		if b.ID == "" || b.Level < 1 || b.Level > 3 {
			return nil, errors.New("builders: want id, and level from 1 to 3")
		}
		s.Levels[b.ID] = b.Level
	}
	if len(s.Keys)+len(s.Identities) == 0 && s.Notation == nil {
		return nil, errors.New("nobody is trusted: want keys, identities with root, or notation")
	}
	return s, nil
}

// Keys reads files of public keys beside dir.
func Keys(dir string, names []string, read Read) (list []key.Public, err error) {
	if len(names) > maxFiles {
		return nil, fmt.Errorf("keys: more than %d files", maxFiles)
	}
	for _, name := range names {
		data, err := read(beside(dir, name), key.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		keys, err := key.ParsePublic(data)
		if err != nil {
			return nil, fmt.Errorf("keys: %s: %w", name, err)
		}
		list = append(list, keys...)
	}
	return list, nil
}

// Identities checks identities.
func Identities(list []Identity) (out []keyless.Identity, err error) {
	if len(list) > maxIdentities {
		return nil, fmt.Errorf("identities: more than %d", maxIdentities)
	}
	for n, i := range list {
		k := keyless.Identity(i)
		if err := k.Check(); err != nil {
			return nil, fmt.Errorf("identities[%d]: %w", n, err)
		}
		out = append(out, k)
	}
	return out, nil
}

// Root reads a trusted root beside dir.
func Root(dir, name string, read Read) (*keyless.Verifier, error) {
	data, err := read(beside(dir, name), keyless.MaxRoot)
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	v, err := keyless.New(data)
	if err != nil {
		return nil, fmt.Errorf("root: %s: %w", name, err)
	}
	return v, nil
}

// onlineWait is how long one answer of a network is waited for.
const onlineWait = 5 * time.Second

func (s *store) trust(dir string, read Read) (*notation.Trust, error) {
	t := &notation.Trust{Identities: s.Identities}
	if len(s.CA)+len(s.SigningAuthority)+len(s.TSA)+len(s.CRL) > maxFiles || len(s.Identities) > maxIdentities {
		return nil, fmt.Errorf("notation: more than %d files or %d identities", maxFiles, maxIdentities)
	}
	var err error
	if t.Level, err = notation.ParseLevel(s.Level, s.Override); err != nil {
		return nil, err
	}
	switch s.VerifyTimestamp {
	case "", "always":
	case "after_cert_expiry":
		t.AfterExpiry = true
	default:
		return nil, fmt.Errorf("notation: verify_timestamp %q: want always or after_cert_expiry", s.VerifyTimestamp)
	}
	if s.Online {
		t.Online = notation.NewOnline(onlineWait)
	}
	err = errors.Join(
		each(dir, s.CA, read, key.MaxFile, notation.ParseCA, &t.CA),
		each(dir, s.SigningAuthority, read, key.MaxFile, notation.ParseCA, &t.SigningAuthority),
		each(dir, s.TSA, read, key.MaxFile, notation.ParseCA, &t.TSA),
		each(dir, s.CRL, read, notation.MaxCRL, notation.ParseCRL, &t.CRLs))
	if err != nil {
		return nil, err
	}
	return t, t.Check()
}

// each reads files beside dir and adds what is in them.
func each[T any](dir string, names []string, read Read, limit int64, parse func([]byte) ([]T, error), into *[]T) error {
	for _, name := range names {
		data, err := read(beside(dir, name), limit)
		if err != nil {
			return fmt.Errorf("notation: %w", err)
		}
		list, err := parse(data)
		if err != nil {
			return fmt.Errorf("notation: %s: %w", name, err)
		}
		*into = append(*into, list...)
	}
	return nil
}

func beside(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
