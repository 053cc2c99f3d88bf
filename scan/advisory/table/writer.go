package table

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"runtime"
	"slices"

	"github.com/klauspost/compress/zstd"

	"sekisho"
)

// DefaultBlock is how many bytes of entries a block takes before it is closed.
// Larger ones make the file smaller and each hit slower.
const DefaultBlock = 16 << 10

// Info describes a file that was written.
type Info struct {
	Size   int64  // bytes
	SHA256 string // hexadecimal, of the file
	Keys   int
	Values int
}

// Writer writes one file from entries in order.
type Writer struct {
	file   *os.File
	out    *bufio.Writer
	sum    hash.Hash
	packer *Packer
	size   int // of blocks
	offset int64
	block  []byte   // entries not written yet
	queue  []packed // blocks that are being compressed, in order
	last   string   // key of the last entry
	first  bool     // the next entry begins a block
	dir    []byte
	slots  []slot
	blocks uint32 // begun
	values int
}

// slot says that a key with the hash is in the block.
type slot struct {
	hash  uint64
	block uint32
}

// packed is a block of raw bytes; its compressed form will come.
type packed struct {
	raw  int
	data <-chan []byte
}

// Packer compresses blocks on up to four processors. It is safe for concurrent use.
type Packer struct {
	zstd  *zstd.Encoder
	ahead int // blocks
}

// NewPacker makes a packer.
func NewPacker() (*Packer, error) {
	n := min(runtime.GOMAXPROCS(0), 4)
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(n), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("prepare compression: %w", err)
	}
	return &Packer{e, 2 * n}, nil
}

// pack compresses a block, which nobody may change any more.
func (p *Packer) pack(block []byte) packed {
	done := make(chan []byte, 1)
	go func() { done <- p.zstd.EncodeAll(block, nil) }()
	return packed{len(block), done}
}

// Create begins a file with blocks of so many bytes, 0 for DefaultBlock. End it
// with Finish or Abort.
func Create(path string, block int, p *Packer) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write table: %w", err)
	}
	w := &Writer{file: f, out: bufio.NewWriterSize(f, 256<<10), sum: sha256.New(), packer: p, first: true, size: cmp.Or(block, DefaultBlock)}
	return w, w.write([]byte(magic))
}

func (w *Writer) write(b []byte) error {
	w.sum.Write(b)
	w.offset += int64(len(b))
	if _, err := w.out.Write(b); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// Append adds a key, greater than all before, and its values.
func (w *Writer) Append(key string, values [][]byte) error {
	if w.values > 0 && key <= w.last || len(values) == 0 {
		return sekisho.Errorf(sekisho.Internal, "write table: key %q is out of order or has no values", key)
	}
	size := 0
	for _, v := range values {
		if len(v) > MaxValue {
			return sekisho.Errorf(sekisho.Invalid, "write table: a value of %d bytes under %q", len(v), key)
		}
		size += len(v) + uvarintLen(len(v))
	}
	if len(key) > MaxKey || size > maxBlock-2*MaxKey {
		return sekisho.Errorf(sekisho.Invalid, "write table: %d bytes of values under a key of %d bytes", size, len(key))
	}
	if len(w.block) > 0 && len(w.block)+size > 2*w.size {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.entry(key, values, size)
	if len(w.block) >= w.size {
		return w.flush()
	}
	return nil
}

func (w *Writer) entry(key string, values [][]byte, size int) {
	shared := 0
	if !w.first {
		for shared < len(key) && shared < len(w.last) && key[shared] == w.last[shared] {
			shared++
		}
	}
	b := binary.AppendUvarint(w.block, uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(key)-shared))
	b = append(b, key[shared:]...)
	b = binary.AppendUvarint(b, uint64(len(values)))
	b = binary.AppendUvarint(b, uint64(size))
	for _, v := range values {
		b = binary.AppendUvarint(b, uint64(len(v)))
		b = append(b, v...)
	}
	w.block, w.last, w.first = b, key, false
	w.values += len(values)
	w.slots = append(w.slots, slot{hashOf(key), w.blocks})
}

// flush closes the block and writes those that were ready before.
func (w *Writer) flush() error {
	w.queue = append(w.queue, w.packer.pack(w.block))
	w.block, w.first = make([]byte, 0, w.size+w.size/4), true
	w.blocks++
	return w.drain(w.packer.ahead)
}

// drain writes blocks until so many are left.
func (w *Writer) drain(left int) error {
	for len(w.queue) > left {
		next := w.queue[0]
		w.queue = w.queue[1:]
		data := <-next.data
		w.dir = binary.LittleEndian.AppendUint64(w.dir, uint64(w.offset))
		w.dir = binary.LittleEndian.AppendUint32(w.dir, uint32(next.raw))
		w.dir = binary.LittleEndian.AppendUint32(w.dir, crc(data))
		if err := w.write(data); err != nil {
			return err
		}
	}
	return nil
}

// Finish writes what remains and closes the file. The file is durable when it
// returns.
func (w *Writer) Finish(meta []byte) (Info, error) {
	if len(w.block) > 0 {
		if err := w.flush(); err != nil {
			return Info{}, err
		}
	}
	if err := w.drain(0); err != nil {
		return Info{}, err
	}
	f := footer{index: w.offset, blocks: int64(len(w.dir) / dirEntry), keys: int64(len(w.slots)), values: int64(w.values)}
	f.buckets = int64(bucketsFor(len(w.slots)))
	index := binary.LittleEndian.AppendUint64(w.dir, uint64(w.offset))
	index = append(index, make([]byte, 8)...)
	index = appendSlots(index, w.slots, f.buckets)
	f.meta = w.offset + int64(len(index))
	index = append(index, meta...)
	f.size = w.offset + int64(len(index)) + footerSize
	f.sum = crc(index)
	if err := w.write(f.append(index)); err != nil {
		return Info{}, err
	}
	if err := w.close(); err != nil {
		return Info{}, err
	}
	return Info{w.offset, hex.EncodeToString(w.sum.Sum(nil)), len(w.slots), w.values}, nil
}

func (w *Writer) close() error {
	err := cmp.Or(w.out.Flush(), w.file.Sync())
	if err = cmp.Or(err, w.file.Close()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	w.file = nil
	return nil
}

// Abort removes the file of a writer that did not finish.
func (w *Writer) Abort() {
	for _, p := range w.queue {
		<-p.data
	}
	w.queue = nil
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.file.Name())
		w.file = nil
	}
}

// appendSlots writes where buckets begin, the marks, and the blocks.
func appendSlots(b []byte, slots []slot, buckets int64) []byte {
	slices.SortFunc(slots, func(x, y slot) int {
		return cmp.Or(cmp.Compare(bucketOf(x.hash, buckets), bucketOf(y.hash, buckets)), cmp.Compare(uint16(x.hash), uint16(y.hash)),
			cmp.Compare(x.block, y.block))
	})
	i := 0
	for n := range buckets {
		for i < len(slots) && bucketOf(slots[i].hash, buckets) < n {
			i++
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(slots)))
	for _, s := range slots {
		b = binary.LittleEndian.AppendUint16(b, uint16(s.hash))
	}
	for _, s := range slots {
		b = binary.LittleEndian.AppendUint32(b, s.block)
	}
	return b
}

func uvarintLen(n int) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], uint64(n))
}

// Set sorts values and drops those that occur twice.
func Set(values [][]byte) [][]byte {
	slices.SortFunc(values, bytes.Compare)
	return slices.CompactFunc(values, bytes.Equal)
}
