//go:build linux

package sensor

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring reads a ring buffer of the kernel in place, without a copy and without
// a system call for an event.
type ring struct {
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

const (
	ringBusy    = 1 << 31
	ringDiscard = 1 << 30
)

func newRing(fd, size int, done *uint64) (*ring, error) {
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
	r := &ring{fd: fd, consumer: consumer, producer: producer, data: producer[page:], mask: uint64(size - 1), done: done}
	r.read, r.written = (*uint64)(unsafe.Pointer(&consumer[0])), (*uint64)(unsafe.Pointer(&producer[0]))
	r.at = atomic.LoadUint64(r.read)
	if d := *done; d > r.at && d <= atomic.LoadUint64(r.written) {
		r.at = d
		r.release()
	}
	*done, r.limit = r.at, r.at
	return r, nil
}

// look learns how far the ring was written.
func (r *ring) look() { r.limit = atomic.LoadUint64(r.written) }

// peek returns the next record of those that were there at the last look, or
// nothing. It stays valid until the next but one.
func (r *ring) peek() []byte {
	for r.at != r.limit {
		pos := r.at & r.mask
		n := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[pos])))
		if n < ringDiscard {
			if end := pos + 8 + uint64(n); end <= uint64(len(r.data)) {
				return r.data[pos+8 : end]
			}
			return r.join(pos+8, int(n))
		}
		if n&ringBusy != 0 {
			return nil
		}
		r.at += (uint64(n&^ringDiscard) + 8 + 7) &^ 7
	}
	return nil
}

// ready says whether there is a record.
func (r *ring) ready() bool {
	r.look()
	return r.peek() != nil
}

// join copies a record of n bytes that goes round the end.
func (r *ring) join(pos uint64, n int) []byte {
	r.torn = append(r.torn[:0], r.data[min(pos, uint64(len(r.data))):]...)
	r.torn = append(r.torn, r.data[:max(0, n-len(r.torn))]...)
	return r.torn
}

// next gives the place of the record that peek returned back.
func (r *ring) next(record []byte) {
	r.at += (uint64(len(record)) + 8 + 7) &^ 7
	*r.done = r.at
}

// release tells the kernel how far it may write again.
func (r *ring) release() { atomic.StoreUint64(r.read, r.at) }

func (r *ring) close() {
	unix.Munmap(r.consumer)
	unix.Munmap(r.producer)
}

// waiting is how many bytes were written and not yet read.
func (r *ring) waiting() uint64 { return atomic.LoadUint64(r.written) - r.at }
