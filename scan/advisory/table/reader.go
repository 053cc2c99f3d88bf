package table

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"sekisho"
)

// Table is an open file. It is safe for concurrent use, Close excepted. Values
// stay valid after Close; they must not be changed.
type Table struct {
	path  string
	file  *Mapping
	data  []byte
	foot  footer
	cache *Cache
}

// Open maps a file and checks its index. The error is sekisho.Corrupt for a
// file that is not whole, sekisho.NotFound for one that is not there.
func Open(path string, c *Cache) (*Table, error) {
	m, err := Map(path)
	if err != nil {
		return nil, err
	}
	t := &Table{path: path, file: m, data: m.Data, cache: c}
	if err := t.check(); err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("open table %s: %w", path, err)
	}
	return t, nil
}

func (t *Table) check() error {
	if err := t.foot.read(t.data); err != nil {
		return err
	}
	if crc(t.data[t.foot.index:len(t.data)-footerSize]) != t.foot.sum {
		return corrupt("the index is damaged")
	}
	return nil
}

// Close unmaps the file.
func (t *Table) Close() error {
	t.cache.drop(t)
	t.data = nil
	return t.file.Close()
}

// Meta returns the metadata.
func (t *Table) Meta() []byte {
	return slices.Clone(t.data[t.foot.meta : len(t.data)-footerSize])
}

// Keys returns how many keys there are.
func (t *Table) Keys() int { return int(t.foot.keys) }

// Values returns how many values there are.
func (t *Table) Values() int { return int(t.foot.values) }

// Find returns the values of a key, nil when it is absent.
func (t *Table) Find(key string) ([][]byte, error) {
	var buf [4]uint32
	blocks, err := t.candidates(key, buf[:0])
	if err != nil {
		return nil, err
	}
	for _, n := range blocks {
		block, err := t.block(n)
		if err != nil {
			return nil, err
		}
		values, err := search(block, key)
		if err != nil {
			return nil, fmt.Errorf("read table %s, block %d: %w", t.path, n, err)
		}
		if values != nil {
			return values, nil
		}
	}
	return nil, nil
}

// FindAll finds many keys and reads each block once. It calls see with the
// index of each key that is there, not in order.
func (t *Table) FindAll(keys []string, see func(i int, values [][]byte) error) error {
	type want struct {
		block uint32
		key   int
	}
	var wants []want
	var buf [4]uint32
	for i, key := range keys {
		blocks, err := t.candidates(key, buf[:0])
		if err != nil {
			return err
		}
		for _, n := range blocks {
			wants = append(wants, want{n, i})
		}
	}
	slices.SortFunc(wants, func(x, y want) int { return cmp.Or(cmp.Compare(x.block, y.block), cmp.Compare(x.key, y.key)) })
	var block []byte
	for i, w := range wants {
		if i == 0 || w.block != wants[i-1].block {
			var err error
			if block, err = t.block(w.block); err != nil {
				return err
			}
		}
		values, err := search(block, keys[w.key])
		if err != nil {
			return fmt.Errorf("read table %s, block %d: %w", t.path, w.block, err)
		}
		if values == nil {
			continue
		}
		if err := see(w.key, values); err != nil {
			return err
		}
	}
	return nil
}

// candidates appends the blocks that may hold a key; none means it is absent.
func (t *Table) candidates(key string, to []uint32) ([]uint32, error) {
	h := hashOf(key)
	at := t.foot.index + (t.foot.blocks+1)*dirEntry + 4*bucketOf(h, t.foot.buckets)
	from, end := int64(binary.LittleEndian.Uint32(t.data[at:])), int64(binary.LittleEndian.Uint32(t.data[at+4:]))
	if from > end || end > t.foot.keys {
		return nil, corrupt("read table %s: a bucket is outside the index", t.path)
	}
	slots := t.foot.slots()
	marks := t.data[slots+2*from : slots+2*end]
	for i := 0; i < len(marks); i += 2 {
		if binary.LittleEndian.Uint16(marks[i:]) != uint16(h) {
			continue
		}
		n := binary.LittleEndian.Uint32(t.data[slots+2*t.foot.keys+4*(from+int64(i/2)):])
		if int64(n) >= t.foot.blocks {
			return nil, corrupt("read table %s: a block is outside the file", t.path)
		}
		if !slices.Contains(to, n) {
			to = append(to, n)
		}
	}
	return to, nil
}

// block returns the entries of a block.
func (t *Table) block(n uint32) ([]byte, error) {
	if b := t.cache.get(t, n); b != nil {
		return b, nil
	}
	b, err := t.unpack(n)
	if err != nil {
		return nil, fmt.Errorf("read table %s, block %d: %w", t.path, n, err)
	}
	t.cache.put(t, n, b)
	return b, nil
}

func (t *Table) unpack(n uint32) ([]byte, error) {
	at := t.foot.index + int64(n)*dirEntry
	from, end := binary.LittleEndian.Uint64(t.data[at:]), binary.LittleEndian.Uint64(t.data[at+dirEntry:])
	raw, sum := binary.LittleEndian.Uint32(t.data[at+8:]), binary.LittleEndian.Uint32(t.data[at+12:])
	if from < uint64(len(magic)) || from > end || end > uint64(t.foot.index) || raw > maxBlock {
		return nil, corrupt("it is outside the file")
	}
	packed := t.data[from:end]
	if crc(packed) != sum {
		return nil, corrupt("its sum does not hold")
	}
	b, err := t.cache.decoder().DecodeAll(packed, make([]byte, 0, raw))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "decompress: %w", err)
	}
	if len(b) != int(raw) {
		return nil, corrupt("it has %d bytes, not %d", len(b), raw)
	}
	return b, nil
}

// Scan calls see with all keys in order. The values must not be kept.
func (t *Table) Scan(see func(key string, values [][]byte) error) error {
	for n := range uint32(t.foot.blocks) {
		b, err := t.unpack(n)
		if err == nil {
			err = entries(b, see)
		}
		if err != nil {
			return fmt.Errorf("read table %s, block %d: %w", t.path, n, err)
		}
	}
	return nil
}

// Verify reads everything, checks that each key is found and that they are in
// order, and returns the file's SHA-256 in hexadecimal.
func (t *Table) Verify() (string, error) {
	var last string
	keys, values := 0, 0
	err := t.Scan(func(key string, v [][]byte) error {
		if keys > 0 && key <= last {
			return corrupt("key %q is out of order", key)
		}
		last = key
		keys, values = keys+1, values+len(v)
		blocks, err := t.candidates(key, nil)
		if err == nil && len(blocks) == 0 {
			err = corrupt("key %q is not in the index", key)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if keys != t.Keys() || values != t.Values() {
		return "", corrupt("read table %s: %d keys and %d values, not %d and %d", t.path, keys, values, t.Keys(), t.Values())
	}
	sum := sha256.Sum256(t.data)
	return hex.EncodeToString(sum[:]), nil
}
