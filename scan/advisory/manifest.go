package advisory

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/internal/atomicfile"
)

// Kinds of segments.
const (
	KindRecords = "records" // by package, of one ecosystem or release
	KindDetails = "details" // by id, of one group
	KindTexts   = "texts"   // by id, of one group
	KindEPSS    = "epss"
	KindKEV     = "kev" // by CVE
)

// SegmentInfo describes one file of a database.
type SegmentInfo struct {
	Kind   string    `json:"kind"`
	Feed   string    `json:"feed"`
	Part   string    `json:"part,omitempty"` // the ecosystem of records, the group of details and texts
	SHA256 string    `json:"sha256"`         // hexadecimal
	Size   int64     `json:"size"`           // bytes
	Keys   int       `json:"keys"`
	Values int       `json:"values"`
	Newest time.Time `json:"newest,omitzero"` // of details: the newest change
}

// File returns where the segment is below the database's directory, with
// slashes. The name holds the beginning of the sum: no file ever changes.
func (s *SegmentInfo) File() string {
	ending := ".tbl"
	if s.Kind == KindEPSS {
		ending = ".epss"
	}
	return s.Kind + "/" + s.Feed + "/" + slug(s.Part) + "." + s.SHA256[:20] + ending
}

// feedEntry is a feed as the manifest knows it.
type feedEntry struct {
	Name       string    `json:"name"`
	Title      string    `json:"title,omitempty"`
	URL        string    `json:"url,omitempty"`
	Licence    string    `json:"licence,omitempty"`
	Restricted bool      `json:"restricted,omitempty"`
	Checked    time.Time `json:"checked,omitzero"` // when its source was last asked with success
	Newest     time.Time `json:"newest,omitzero"`
}

// manifest names what a database holds. It is one file, which every scan reads:
// a line with the signature of what follows, a line of JSON, and a line for
// each segment.
type manifest struct {
	Schema   string        `json:"schema"`
	Built    time.Time     `json:"built,omitzero"`
	Feeds    []feedEntry   `json:"feeds"`
	Segments []SegmentInfo `json:"-"`
}

// meta is what a segment says of itself.
type meta struct {
	Format int    `json:"format"`
	Kind   string `json:"kind"`
	Feed   string `json:"feed"`
	Part   string `json:"part,omitempty"`
}

const (
	manifestFile   = "manifest"
	manifestSchema = "sekisho.advisories/v1"
	manifestHead   = "sekisho-advisories 1 ed25519 "
	maxManifest    = 64 << 20
	updateHint     = "run sekisho advisory update"
)

// readManifest reads and checks the manifest of a directory.
func readManifest(dir string, trusted []ed25519.PublicKey) (*manifest, error) {
	data, err := readBounded(filepath.Join(dir, manifestFile), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sekisho.Errorf(sekisho.NotFound, "no advisory database in %s", dir).WithHint(updateHint)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return parseManifest(data, trusted)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = sekisho.Errorf(sekisho.Corrupt, "%s is larger than %d bytes", path, limit)
	}
	return data, err
}

func parseManifest(data []byte, trusted []ed25519.PublicKey) (*manifest, error) {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	line, ok2 := strings.CutPrefix(string(head), manifestHead)
	by, sig, ok3 := strings.Cut(line, " ")
	signature, err := base64.StdEncoding.DecodeString(sig)
	if !ok || !ok2 || !ok3 || err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "the manifest of the advisory database is damaged").WithHint(updateHint)
	}
	i := slices.IndexFunc(trusted, func(k ed25519.PublicKey) bool { return hex.EncodeToString(k) == by })
	if i < 0 {
		return nil, sekisho.Errorf(sekisho.Forbidden, "the advisory database is signed by %.16s, which is not trusted", by).
			WithHint("trust its key, or build a database of your own: sekisho advisory update")
	}
	if !ed25519.Verify(trusted[i], body, signature) {
		return nil, sekisho.Errorf(sekisho.Corrupt, "the signature of the advisory database does not hold").WithHint(updateHint)
	}
	return parseBody(string(body))
}

func parseBody(body string) (*manifest, error) {
	var m manifest
	head, rest, _ := strings.Cut(body, "\n")
	if err := json.Unmarshal([]byte(head), &m); err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read manifest: %w", err).WithHint(updateHint)
	}
	if m.Schema != manifestSchema {
		return nil, sekisho.Errorf(sekisho.Invalid, "the advisory database has the form %q, not %s", m.Schema, manifestSchema).WithHint(updateHint)
	}
	m.Segments = make([]SegmentInfo, 0, strings.Count(rest, "\n"))
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		s, err := parseSegment(line)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Corrupt, "read manifest: segment %.200q: %w", line, err).WithHint(updateHint)
		}
		m.Segments = append(m.Segments, s)
	}
	return &m, nil
}

// line writes a segment: kind, feed, sum, size, keys, values, the newest change
// in seconds since 1970 or 0, and the quoted part.
func (s *SegmentInfo) line() string {
	newest := int64(0)
	if !s.Newest.IsZero() {
		newest = s.Newest.Unix()
	}
	return fmt.Sprintf("%s %s %s %d %d %d %d %q", s.Kind, s.Feed, s.SHA256, s.Size, s.Keys, s.Values, newest, s.Part)
}

// parseSegment reads a line. It refuses names that could lead out of the
// directory: the signer is trusted with advisories, not with files.
func parseSegment(line string) (s SegmentInfo, err error) {
	s.Kind, line, _ = strings.Cut(line, " ")
	s.Feed, line, _ = strings.Cut(line, " ")
	s.SHA256, line, _ = strings.Cut(line, " ")
	var numbers [4]int64
	for i := range numbers {
		var n string
		n, line, _ = strings.Cut(line, " ")
		if numbers[i], err = strconv.ParseInt(n, 10, 64); err != nil {
			return s, err
		}
	}
	if s.Part, err = strconv.Unquote(line); err != nil {
		return s, err
	}
	s.Size, s.Keys, s.Values = numbers[0], int(numbers[1]), int(numbers[2])
	if numbers[3] != 0 {
		s.Newest = time.Unix(numbers[3], 0).UTC()
	}
	if rowOf(s.Kind) == 0 || !validFeed(s.Feed) || len(s.SHA256) != 64 || strings.Trim(s.SHA256, "0123456789abcdef") != "" {
		return s, errors.New("a name is off")
	}
	return s, nil
}

func (m *manifest) feed(name string) *feedEntry {
	for i := range m.Feeds {
		if m.Feeds[i].Name == name {
			return &m.Feeds[i]
		}
	}
	return nil
}

// sort brings feeds and segments into the order in which they are written.
func (m *manifest) sort() {
	slices.SortFunc(m.Feeds, func(x, y feedEntry) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortFunc(m.Segments, func(x, y SegmentInfo) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Feed, y.Feed), cmp.Compare(x.Part, y.Part))
	})
}

// sign returns the manifest as it is kept and sent.
func (m *manifest) sign(key ed25519.PrivateKey) ([]byte, error) {
	m.Schema = manifestSchema
	m.sort()
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	body = append(body, '\n')
	for i := range m.Segments {
		body = append(append(body, m.Segments[i].line()...), '\n')
	}
	by := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	sig := base64.StdEncoding.EncodeToString(ed25519.Sign(key, body))
	return []byte(manifestHead + by + " " + sig + "\n" + string(body)), nil
}

// write signs the manifest and puts it in place of the one before.
func (m *manifest) write(dir string, key ed25519.PrivateKey) error {
	data, err := m.sign(key)
	if err != nil {
		return err
	}
	return atomicfile.WriteDurable(filepath.Join(dir, manifestFile), 0o644, data)
}
