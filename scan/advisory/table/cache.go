package table

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Cache decompresses blocks for any number of tables and keeps the last ones.
// It is safe for concurrent use.
type Cache struct {
	start sync.Once
	zstd  *zstd.Decoder
	mu    sync.Mutex
	ring  [cached]kept
	next  int
}

// cached is how many blocks are kept; largest is the size in bytes of the
// largest that is.
const (
	cached  = 48
	largest = 256 << 10
)

type kept struct {
	table *Table
	block uint32
	data  []byte
}

// NewCache makes a cache.
func NewCache() *Cache { return &Cache{} }

// decoder makes the decoder at first need.
func (c *Cache) decoder() *zstd.Decoder {
	c.start.Do(func() {
		// The options are constant and sound: there is no error.
		c.zstd, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxBlock))
	})
	return c.zstd
}

// Close lets go of what the decoder holds. It must not be in use.
func (c *Cache) Close() {
	if c.zstd != nil {
		c.zstd.Close()
	}
}

func (c *Cache) get(t *Table, block uint32) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.ring {
		if k := &c.ring[i]; k.block == block && k.table == t {
			return k.data
		}
	}
	return nil
}

func (c *Cache) put(t *Table, block uint32, data []byte) {
	if len(data) > largest {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring[c.next] = kept{t, block, data}
	c.next = (c.next + 1) % cached
}

// drop forgets the blocks of a table.
func (c *Cache) drop(t *Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.ring {
		if c.ring[i].table == t {
			c.ring[i] = kept{}
		}
	}
}
