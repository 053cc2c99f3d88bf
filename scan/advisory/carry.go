package advisory

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/internal/atomicfile"
)

// Bounds of a parcel, in segments and bytes.
const (
	maxSegments = 20_000
	maxSegment  = 16 << 30
	maxParcel   = 64 << 30
)

// Parcel is a database on its way to another directory: a signed manifest and
// the segments that it names.
type Parcel struct {
	Manifest []byte
	Segments []SegmentInfo
	Left     []string // feeds that stay, for their licence forbids redistribution
	dir      string
}

// Pack makes a parcel of a database and signs it. It must not change until the
// parcel is closed: hold its Store.
func (s *Store) Pack(key ed25519.PrivateKey) (*Parcel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.manifest()
	if err != nil {
		return nil, err
	}
	if key == nil {
		key = s.key
	}
	p := &Parcel{dir: s.dir}
	for _, f := range m.Feeds {
		if f.Restricted {
			p.Left = append(p.Left, f.Name)
		}
	}
	m.Feeds = slices.DeleteFunc(m.Feeds, func(f feedEntry) bool { return f.Restricted })
	m.Segments = slices.DeleteFunc(m.Segments, func(x SegmentInfo) bool { return m.feed(x.Feed) == nil })
	if len(m.Feeds) == 0 {
		return nil, sekisho.Errorf(sekisho.NotFound, "nothing in %s may be passed on", s.dir).WithHint(updateHint)
	}
	p.Segments = m.Segments
	p.Manifest, err = m.sign(key)
	return p, err
}

// Open opens the file of a segment.
func (p *Parcel) Open(s SegmentInfo) (*os.File, error) {
	f, err := os.Open(filepath.Join(p.dir, filepath.FromSlash(s.File())))
	if err != nil {
		return nil, fmt.Errorf("pack advisory database: %w", err)
	}
	return f, nil
}

// Taken says what became of a feed of a parcel.
type Taken struct {
	Feed    string
	Taken   bool      // else what is here is as new or newer
	Checked time.Time // when its source was asked, of what came
	Here    time.Time // the same, of what was here before
}

// Unpacked says what Unpack did.
type Unpacked struct {
	Signer   ed25519.PublicKey
	Built    time.Time
	Feeds    []Taken
	Segments int   // that came
	Bytes    int64 // of them
	Known    int   // segments that were here already
}

// Incoming is a parcel that came from somewhere.
type Incoming struct {
	Manifest []byte
	Trusted  []ed25519.PublicKey // whose parcels are taken; the directory's own key always is
	Open     func(SegmentInfo) (io.ReadCloser, error)
	Force    bool // take over what is older, too
	Now      time.Time
}

// Unpack takes over the feeds of a parcel that are newer than what is here, or
// all of them when forced. The manifest's signature is checked before anything
// else is read, each segment's sum before it is used, and all become visible at
// once. Segments are asked for in the manifest's order, those that are here
// already not at all. Feeds that are not in the parcel stay.
func (s *Store) Unpack(in Incoming) (Unpacked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	trusted := append(slices.Clone(in.Trusted), s.key.Public().(ed25519.PublicKey))
	theirs, err := parseManifest(in.Manifest, trusted)
	if err != nil {
		return Unpacked{}, err
	}
	if err := theirs.bounded(); err != nil {
		return Unpacked{}, err
	}
	ours, err := s.manifest()
	if err != nil {
		return Unpacked{}, err
	}
	u := Unpacked{Built: theirs.Built, Signer: signer(in.Manifest)}
	taken := choose(&u, ours, theirs, in.Force)
	if len(taken) == 0 {
		return u, nil
	}
	for _, seg := range theirs.Segments {
		if !taken[seg.Feed] {
			continue
		}
		if err := s.bring(&u, seg, in.Open); err != nil {
			return u, err
		}
	}
	return u, s.adopt(ours, theirs, taken, in.Now)
}

// signer returns the key that a checked manifest names.
func signer(manifest []byte) ed25519.PublicKey {
	word, _, _ := strings.Cut(strings.TrimPrefix(string(manifest[:min(len(manifest), 200)]), manifestHead), " ")
	key, err := hex.DecodeString(word)
	if err != nil {
		return nil
	}
	return key
}

// bounded refuses what is larger than any database, names of feeds that are no
// file names, and segments of feeds that it does not describe.
func (m *manifest) bounded() error {
	for _, f := range m.Feeds {
		if !validFeed(f.Name) {
			return sekisho.Errorf(sekisho.Invalid, "the manifest names a feed %q", f.Name)
		}
	}
	var total int64
	for _, x := range m.Segments {
		if x.Size < 0 || x.Size > maxSegment || total > maxParcel || m.feed(x.Feed) == nil {
			return sekisho.Errorf(sekisho.Invalid, "the manifest names a segment %q of %d bytes", x.File(), x.Size)
		}
		total += x.Size
	}
	if total > maxParcel || len(m.Segments) > maxSegments {
		return sekisho.Errorf(sekisho.Invalid, "the manifest names %d segments of %d bytes", len(m.Segments), total)
	}
	return nil
}

// choose decides which feeds to take over.
func choose(u *Unpacked, ours, theirs *manifest, force bool) map[string]bool {
	taken := map[string]bool{}
	for _, f := range theirs.Feeds {
		t := Taken{Feed: f.Name, Checked: f.Checked}
		here := ours.feed(f.Name)
		if here != nil {
			t.Here = here.Checked
		}
		t.Taken = here == nil || force || f.Checked.After(here.Checked)
		if t.Taken {
			taken[f.Name] = true
		}
		u.Feeds = append(u.Feeds, t)
	}
	return taken
}

// bring puts a segment in its place, unless it is there.
func (s *Store) bring(u *Unpacked, seg SegmentInfo, open func(SegmentInfo) (io.ReadCloser, error)) error {
	to := s.path(seg.File())
	if sum, err := sumFile(to, seg.Size); err == nil && sum == seg.SHA256 {
		u.Known++
		return nil
	}
	from, err := s.receive(seg, open)
	if err != nil {
		return fmt.Errorf("take over %s: %w", seg.File(), err)
	}
	defer os.Remove(from)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	u.Segments++
	u.Bytes += seg.Size
	f, err := openSegment(s.dir, seg, s.cache)
	if err != nil {
		return err
	}
	return cmp.Or(f.close(), atomicfile.SyncDir(filepath.Dir(to)))
}

// receive writes a segment to a file of its own and checks its sum.
func (s *Store) receive(seg SegmentInfo, open func(SegmentInfo) (io.ReadCloser, error)) (name string, err error) {
	r, err := open(seg)
	if err != nil {
		return "", err
	}
	defer r.Close()
	f, err := os.CreateTemp(s.path(work), "came-*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, seg.Size+1))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil && (n != seg.Size || hex.EncodeToString(h.Sum(nil)) != seg.SHA256) {
		err = sekisho.Errorf(sekisho.Corrupt, "its sum is not the one that was signed")
	}
	return f.Name(), err
}

// sumFile returns the SHA-256 of a file of a size, in hexadecimal.
func sumFile(path string, size int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("%s has another size", path)
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// adopt makes what came part of the database. What the feeds remembered is
// forgotten: it is of other documents.
func (s *Store) adopt(ours, theirs *manifest, taken map[string]bool, now time.Time) error {
	before := ours.Segments
	ours.Feeds = slices.DeleteFunc(ours.Feeds, func(f feedEntry) bool { return taken[f.Name] })
	ours.Segments = slices.DeleteFunc(slices.Clone(before), func(x SegmentInfo) bool { return taken[x.Feed] })
	for _, f := range theirs.Feeds {
		if taken[f.Name] {
			ours.Feeds = append(ours.Feeds, f)
		}
	}
	for _, x := range theirs.Segments {
		if taken[x.Feed] {
			ours.Segments = append(ours.Segments, x)
		}
	}
	if theirs.Built.After(ours.Built) {
		ours.Built = theirs.Built
	}
	for name := range taken {
		if err := writeStatus(s.dir, name, status{}); err != nil {
			return err
		}
	}
	if err := ours.write(s.dir, s.key); err != nil {
		return err
	}
	return s.sweep(ours, before, now)
}

// Key returns the key with which a directory's database is signed, made when
// there is none.
func Key(dir string) (ed25519.PrivateKey, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open advisory database: %w", err)
	}
	return localKey(dir)
}
