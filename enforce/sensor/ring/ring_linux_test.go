package ring

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestTornRecord holds that a record that goes round the end of the ring is
// read whole.
func TestTornRecord(t *testing.T) {
	for _, n := range []uint64{8, 16, 40} { // bytes before the end where its header stands
		r := &Ring{done: new(uint64), data: make([]byte, 128), mask: 127, read: new(uint64), written: new(uint64)}
		r.at, r.limit, *r.written = 128-n, 128-n, 128-n+8+64
		binary.LittleEndian.PutUint32(r.data[128-n:], 64)
		want := make([]byte, 64)
		for i := range want {
			want[i] = byte(i + 1)
			r.data[(128-n+8+uint64(i))&127] = want[i]
		}
		r.Look()
		got := r.Peek()
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes before the end: %v", n, got)
			continue
		}
		r.Next(got)
		if got = r.Peek(); got != nil {
			t.Errorf("%d bytes before the end: then %v", n, got)
		}
	}
}

// filled is a ring in memory, with records of 144 bytes.
func filled(size int) *Ring {
	r := &Ring{data: make([]byte, 2*size), mask: uint64(size - 1), read: new(uint64), written: new(uint64)}
	for at := 0; at+152 <= size; at += 152 {
		binary.LittleEndian.PutUint32(r.data[at:], 144)
		*r.written += 152
	}
	return r
}

// BenchmarkReader reads records in place.
func BenchmarkReader(b *testing.B) {
	r := filled(1 << 20)
	r.done = new(uint64)
	sum := uint64(0)
	for b.Loop() {
		r.at = 0
		r.Look()
		for rec := r.Peek(); rec != nil; rec = r.Peek() {
			sum += binary.LittleEndian.Uint64(rec[8:])
			r.Next(rec)
		}
		r.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(1<<20/152), "ns/event")
	_ = sum
}
