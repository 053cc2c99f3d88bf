// Package table keeps an immutable map from string keys to lists of values in
// one file that is mapped into memory. Sorted entries go in, a key's values
// come out; a key that is absent costs one hash, one that is there costs the
// decompression of one block. The bytes are the same for the same content.
// It refuses a file that is not whole or whose sums do not hold, when it is
// opened for the index and when it is read for a block.
//
// A file is, all numbers little endian:
//
//	magic    8 bytes
//	blocks   zstd frames of sorted entries, about 16 KiB each before compression
//	index    of blocks: offset (8), raw size (4), CRC-32C (4) each, and the end
//	         of buckets: first slot (4) each, and the end
//	         of slots: 16 bits of the key's hash each, then the block (4) each
//	metadata JSON, as the writer gave it
//	footer   see footer
//
// A block's entry is, in varints: how many bytes of the key it shares with the
// one before, the rest's length and bytes, how many values, their length in
// all, and each value's length and bytes.
package table

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"sekisho"
	"sekisho/internal/siphash"
)

// Bounds of what a file may hold.
const (
	MaxKey   = 4 << 10  // bytes of a key
	MaxValue = 8 << 20  // bytes of a value
	maxBlock = 64 << 20 // bytes of a block, which holds all values of a key
)

const (
	magic      = "sekitbl\x01"
	footerSize = 80
	perBucket  = 16 // keys, on average at most
	dirEntry   = 16
)

// footer is the end of a file: where its parts are, how many things they hold,
// and the sums of the index with metadata and of the footer itself.
type footer struct {
	index, buckets, meta, size int64 // offsets; buckets is a count, size the file's
	blocks, keys, values       int64
	sum                        uint32
}

func (f *footer) slots() int64 { return f.index + (f.blocks+1)*dirEntry + (f.buckets+1)*4 }

func (f *footer) append(b []byte) []byte {
	start := len(b)
	for _, n := range []int64{f.index, f.buckets, f.meta, f.size, f.blocks, f.keys, f.values} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	b = binary.LittleEndian.AppendUint32(b, f.sum)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(crc(b[start:])))
	return append(b, magic...)
}

// read takes the footer of a whole file and checks that its parts fit.
func (f *footer) read(data []byte) error {
	if len(data) < len(magic)+footerSize || string(data[:len(magic)]) != magic {
		return corrupt("not a table, or of another version")
	}
	b := data[len(data)-footerSize:]
	if string(b[footerSize-len(magic):]) != magic || binary.LittleEndian.Uint64(b[64:]) != uint64(crc(b[:64])) {
		return corrupt("the end is missing or damaged")
	}
	for i, n := range []*int64{&f.index, &f.buckets, &f.meta, &f.size, &f.blocks, &f.keys, &f.values} {
		*n = int64(binary.LittleEndian.Uint64(b[8*i:]))
		if *n < 0 || *n > int64(len(data)) && n != &f.values { // many values may take few bytes
			return corrupt("the footer names what is not in the file")
		}
	}
	f.sum = binary.LittleEndian.Uint32(b[56:])
	end := int64(len(data) - footerSize)
	if f.size != int64(len(data)) || f.index < int64(len(magic)) || f.meta > end || f.buckets == 0 || f.buckets&(f.buckets-1) != 0 ||
		f.slots()+6*f.keys != f.meta {
		return corrupt("the parts do not fit together")
	}
	return nil
}

func corrupt(format string, args ...any) error {
	return sekisho.Errorf(sekisho.Corrupt, format, args...)
}

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// hashOf places a key: the upper bits choose the bucket, the lower 16 mark it.
func hashOf(key string) uint64 { return new(siphash.Key).Sum(key) }

// bucketsFor returns how many buckets hold so many keys: a power of two.
func bucketsFor(keys int) int {
	if keys <= perBucket {
		return 1
	}
	return 1 << bits.Len(uint((keys-1)/perBucket))
}

func bucketOf(h uint64, buckets int64) int64 {
	return int64(h >> 32 & uint64(buckets-1))
}
