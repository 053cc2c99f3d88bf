package advisory

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/internal/atomicfile"
	"sekisho/scan/advisory/table"
)

// Store writes a database. One process at a time does; others read. It is safe
// for concurrent use: feeds may be built side by side.
type Store struct {
	dir    string
	key    ed25519.PrivateKey
	lock   *os.File
	cache  *table.Cache
	packer *table.Packer
	mu     sync.Mutex // held by who writes segments or the manifest
}

// Files of a database beside the manifest and the segments.
const (
	lockFile   = "lock"
	statusDir  = "status"
	privateKey = "local.key"
	publicKey  = "local.pub"
	work       = "work" // of builders; what is there is nobody's when a store is opened
)

// OpenStore opens or makes a database for writing. Without a key it uses the
// directory's own, made at first need. The error is sekisho.Unavailable while
// another process writes.
func OpenStore(dir string, key ed25519.PrivateKey) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, statusDir), 0o755); err != nil {
		return nil, fmt.Errorf("open advisory database: %w", err)
	}
	lock, err := lockPath(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, key: key, lock: lock}
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, fmt.Errorf("open advisory database: %w", err)
	}
	return s, nil
}

func (s *Store) prepare() (err error) {
	if err := os.RemoveAll(filepath.Join(s.dir, work)); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, work), 0o755); err != nil {
		return err
	}
	for _, dir := range []string{s.dir, filepath.Join(s.dir, statusDir)} {
		if err := atomicfile.Sweep(dir, time.Now()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if s.key == nil {
		if s.key, err = localKey(s.dir); err != nil {
			return err
		}
	}
	s.cache = table.NewCache()
	s.packer, err = table.NewPacker()
	return err
}

// localKey returns the key of a directory, made when it has none.
func localKey(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, privateKey)
	seed, err := readBounded(path, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		if err := atomicfile.WriteDurable(path, 0o600, key.Seed()); err != nil {
			return nil, err
		}
		return key, atomicfile.WriteDurable(filepath.Join(dir, publicKey), 0o644, pub)
	}
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, sekisho.Errorf(sekisho.Corrupt, "%s is not a key", path).WithHint("remove it and update again")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Close lets other processes write. Builders must be done.
func (s *Store) Close() {
	if s.cache != nil {
		s.cache.Close()
	}
	_ = s.lock.Close()
}

// manifest reads what the database holds. Nothing is an empty one, and so is
// what is damaged or of another version: feeds are read again from the start.
// Somebody else's is not touched.
func (s *Store) manifest() (*manifest, error) {
	m, err := readManifest(s.dir, []ed25519.PublicKey{s.key.Public().(ed25519.PublicKey)})
	if err == nil {
		return m, nil
	}
	switch sekisho.KindOf(err) {
	case sekisho.NotFound, sekisho.Corrupt, sekisho.Invalid:
		return &manifest{}, nil
	case sekisho.Forbidden:
		return nil, sekisho.Errorf(sekisho.Forbidden, "write: %w", err).WithHint("import it into a database of your own; to start anew, remove %s", filepath.Join(s.dir, manifestFile))
	}
	return nil, err
}

// status is what is known of a feed beside its segments. It is not signed and
// never exported.
type status struct {
	State  State     `json:"state"`
	Error  string    `json:"error,omitempty"` // of the last update, empty when it succeeded
	Failed time.Time `json:"failed,omitzero"`
}

func readStatus(dir, feed string) (status, error) {
	var s status
	data, err := readBounded(filepath.Join(dir, statusDir, feed+".json"), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return status{}, fmt.Errorf("read state of feed %s: %w", feed, err)
	}
	return s, nil
}

func writeStatus(dir, feed string, s status) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.WriteDurable(filepath.Join(dir, statusDir, feed+".json"), 0o644, data)
}

// State returns what a feed remembered when it last succeeded. It is zero when
// that cannot be read or a segment of the feed is gone or damaged: then all is
// to be read again.
func (s *Store) State(feed string) State {
	m, err := s.manifest()
	if err != nil || m.feed(feed) == nil {
		return State{}
	}
	for _, seg := range m.Segments {
		if seg.Feed == feed && s.sound(seg) != nil {
			return State{}
		}
	}
	st, err := readStatus(s.dir, feed)
	if err != nil {
		return State{}
	}
	return st.State
}

// sound reports a segment that is not what was written: one that only its blocks'
// sums would tell of must not stay because its source has not changed.
func (s *Store) sound(seg SegmentInfo) error {
	sum, err := sumFile(s.path(seg.File()), seg.Size)
	if err == nil && sum != seg.SHA256 {
		err = sekisho.Errorf(sekisho.Corrupt, "segment %s does not match its sum", seg.File())
	}
	return err
}

// Failed remembers that an update of a feed did not succeed. What was known
// stays.
func (s *Store) Failed(feed string, cause error, now time.Time) error {
	if !validFeed(feed) {
		return sekisho.Errorf(sekisho.Usage, "feed name %q", feed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := readStatus(s.dir, feed)
	if err != nil {
		st = status{}
	}
	st.Error, st.Failed = cause.Error(), now.UTC()
	return writeStatus(s.dir, feed, st)
}

// validFeed allows what is a file name everywhere.
func validFeed(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && name[0] != '-'
}

// slug makes a file name part of an ecosystem or group. It need not be unique.
func slug(part string) string {
	b := []byte(part)[:min(len(part), 60)]
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' && i > 0) {
			b[i] = '-'
		}
	}
	if len(b) == 0 {
		return "all"
	}
	return string(b)
}
