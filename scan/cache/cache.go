// Package cache keeps results of layers on disk, by the layer's diff id and
// the version of those who looked. Entries are written beside their place and
// renamed, so several processes may share a cache; an entry that is damaged is
// a miss. The cache is bounded: the entries not used for longest go first.
package cache

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sekisho"
	"sekisho/internal/atomicfile"
	"sekisho/internal/siphash"
)

// DefaultSize is the bound of a cache in bytes.
const DefaultSize = 1 << 30

const (
	magic   = "sekisho layer 1\n"
	keyName = "key"
)

// Cache is a directory of entries.
type Cache struct {
	dir   string
	size  int64
	key   siphash.Key
	clock func() time.Time
}

// Open opens the cache in dir, made if it is missing, for this user alone.
// Size is the bound in bytes, 0 means DefaultSize.
func Open(dir string, size int64, clock func() time.Time) (*Cache, error) {
	if size <= 0 {
		size = DefaultSize
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	c := &Cache{dir: dir, size: size, clock: clock}
	if err := c.loadKey(); err != nil {
		return nil, err
	}
	return c, nil
}

// NewKey returns a fresh key for scans without a cache.
func NewKey() (k siphash.Key) {
	rand.Read(k[:]) // never fails, see crypto/rand
	return k
}

// Key is the secret that paths of entries are hashed with.
func (c *Cache) Key() siphash.Key { return c.key }

// loadKey reads the cache's key or makes one. The first process to link its
// file wins; the others read that one.
func (c *Cache) loadKey() error {
	name := filepath.Join(c.dir, keyName)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := NewKey()
		if err := c.placeKey(name, fresh[:]); err != nil {
			return err
		}
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return fmt.Errorf("open cache: %w", err)
	}
	if len(data) != len(c.key) {
		return sekisho.Errorf(sekisho.Invalid, "open cache: %s has %d bytes, want %d", name, len(data), len(c.key)).
			WithHint("remove the cache: rm -r %s", c.dir)
	}
	copy(c.key[:], data)
	return nil
}

func (c *Cache) placeKey(name string, key []byte) error {
	if err := atomicfile.Create(name, 0o600, key); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("open cache: %w", err)
	}
	return nil
}

func (c *Cache) path(id sekisho.Digest, version string) (string, bool) {
	if id.Validate() != nil {
		return "", false
	}
	sum := sha256.Sum256([]byte(version))
	return filepath.Join(c.dir, id.Hex()+"-"+hex.EncodeToString(sum[:8])), true
}

// Get returns the entry of a layer. Anything that is not whole is a miss.
func (c *Cache) Get(id sekisho.Digest, version string) ([]byte, bool) {
	name, ok := c.path(id, version)
	if !ok {
		return nil, false
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, false
	}
	body, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(body) < sha256.Size {
		return nil, false
	}
	sum := sha256.Sum256(body[sha256.Size:])
	if !bytes.Equal(sum[:], body[:sha256.Size]) {
		return nil, false
	}
	c.touch(name)
	return body[sha256.Size:], true
}

// touch notes the use of an entry.
func (c *Cache) touch(name string) {
	now := c.clock()
	_ = os.Chtimes(name, now, now) // only the order of eviction suffers
}

// Put stores the entry of a layer and then keeps the bound.
func (c *Cache) Put(id sekisho.Digest, version string, body []byte) error {
	name, ok := c.path(id, version)
	if !ok {
		return fmt.Errorf("store layer: no digest")
	}
	sum := sha256.Sum256(body)
	if err := atomicfile.Write(name, 0o600, slices.Concat([]byte(magic), sum[:], body)); err != nil {
		return fmt.Errorf("store layer: %w", err)
	}
	c.touch(name)
	return c.prune()
}

type entry struct {
	name string
	size int64
	used time.Time
}

// prune removes entries until the cache is within its bound. Another process
// may remove the same ones: that is fine.
func (c *Cache) prune() error {
	if err := atomicfile.Sweep(c.dir, c.clock()); err != nil {
		return fmt.Errorf("prune cache: %w", err)
	}
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("prune cache: %w", err)
	}
	var entries []entry
	var total int64
	for _, e := range list {
		info, err := e.Info()
		if err != nil || e.Name() == keyName || !info.Mode().IsRegular() {
			continue
		}
		if atomicfile.Pending(e.Name()) {
			continue
		}
		entries = append(entries, entry{e.Name(), info.Size(), info.ModTime()})
		total += info.Size()
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= c.size {
			break
		}
		if err := os.Remove(filepath.Join(c.dir, e.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("prune cache: %w", err)
		}
		total -= e.size
	}
	return nil
}
