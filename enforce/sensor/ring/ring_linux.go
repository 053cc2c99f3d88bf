package ring

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is a ring buffer (BPF_MAP_TYPE_RINGBUF) in this process's memory. One
// goroutine reads it.
type Ring struct {
	fd       int
	consumer []byte
	producer []byte
	data     []byte
	read     *uint64 // how far it was read
	written  *uint64
	mask     uint64
	at       uint64
	limit    uint64  // how far it was written when we looked last
	done     *uint64 // how far it was handed on: outlives a crash, where read lags behind
	torn     []byte  // a copy of a record that goes round the end of data
}

// Bits of a record's length.
const (
	busy    = 1 << 31 // it is being written
	discard = 1 << 30 // it was given up
)

// New maps a ring of size bytes. What was handed on is written to done as it
// goes, and read from there to begin with.
func New(fd, size int, done *uint64) (*Ring, error) {
	page := os.Getpagesize()
	consumer, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map a ring's reading side: %w", err)
	}
	// The kernel offers the data twice in a row; once is enough, and half the memory.
	producer, err := unix.Mmap(fd, int64(page), page+size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		unix.Munmap(consumer)
		return nil, fmt.Errorf("map a ring's writing side: %w", err)
	}
	r := &Ring{fd: fd, consumer: consumer, producer: producer, data: producer[page:], mask: uint64(size - 1), done: done}
	r.read, r.written = (*uint64)(unsafe.Pointer(&consumer[0])), (*uint64)(unsafe.Pointer(&producer[0]))
	r.at = atomic.LoadUint64(r.read)
	if d := *done; d > r.at && d <= atomic.LoadUint64(r.written) {
		r.at = d
		r.Release()
	}
	*done, r.limit = r.at, r.at
	return r, nil
}

// Look learns how far the ring was written.
func (r *Ring) Look() { r.limit = atomic.LoadUint64(r.written) }

// Peek returns the next record of those that were there at the last look, or
// nothing. It stays valid until the next but one.
func (r *Ring) Peek() []byte {
	for r.at != r.limit {
		pos := r.at & r.mask
		n := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[pos])))
		if n < discard {
			if end := pos + 8 + uint64(n); end <= uint64(len(r.data)) {
				return r.data[pos+8 : end]
			}
			return r.join(pos+8, int(n))
		}
		if n&busy != 0 {
			return nil
		}
		r.at += (uint64(n&^discard) + 8 + 7) &^ 7
	}
	return nil
}

// Ready says whether there is a record.
func (r *Ring) Ready() bool {
	r.Look()
	return r.Peek() != nil
}

// join copies a record of n bytes that goes round the end.
func (r *Ring) join(pos uint64, n int) []byte {
	r.torn = append(r.torn[:0], r.data[min(pos, uint64(len(r.data))):]...)
	r.torn = append(r.torn, r.data[:max(0, n-len(r.torn))]...)
	return r.torn
}

// Next gives the place of the record that peek returned back.
func (r *Ring) Next(record []byte) {
	r.at += (uint64(len(record)) + 8 + 7) &^ 7
	*r.done = r.at
}

// Release tells the kernel how far it may write again.
func (r *Ring) Release() { atomic.StoreUint64(r.read, r.at) }

// Close unmaps it.
func (r *Ring) Close() {
	unix.Munmap(r.consumer)
	unix.Munmap(r.producer)
}

// Waiting is how many bytes were written and not yet read.
func (r *Ring) Waiting() uint64 { return atomic.LoadUint64(r.written) - r.at }
