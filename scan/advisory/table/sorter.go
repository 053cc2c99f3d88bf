package table

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"sekisho"
)

// Sorter takes pairs in any order and gives them back by key and then by
// value. Beyond its memory it keeps sorted runs in temporary files. Close it.
type Sorter struct {
	dir    string
	memory int
	arena  []byte
	pairs  []pair
	runs   []*os.File
}

// pair is a key and a value, one after the other in the arena.
type pair struct{ at, key, value uint32 }

const (
	pairSize   = 12
	defaultMem = 64 << 20
	maxMem     = 1 << 30
)

// NewSorter makes a sorter with temporary files in dir. The memory is in bytes,
// 0 means 64 MiB.
func NewSorter(dir string, memory int) *Sorter {
	if memory <= 0 {
		memory = defaultMem
	}
	return &Sorter{dir: dir, memory: min(memory, maxMem)}
}

// Add takes a pair. It keeps neither slice.
func (s *Sorter) Add(key, value []byte) error {
	if len(key) > MaxKey || len(value) > MaxValue {
		return sekisho.Errorf(sekisho.Invalid, "sort: a key of %d bytes with a value of %d", len(key), len(value))
	}
	if size := len(s.arena) + len(key) + len(value) + pairSize*(len(s.pairs)+1); size > s.memory && len(s.pairs) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.grow(len(key) + len(value))
	s.pairs = append(s.pairs, pair{uint32(len(s.arena)), uint32(len(key)), uint32(len(value))})
	s.arena = append(append(s.arena, key...), value...)
	return nil
}

// grow makes room in steps of four: append would leave much behind.
func (s *Sorter) grow(n int) {
	if need := len(s.arena) + n; need > cap(s.arena) {
		s.arena = append(make([]byte, 0, max(need, min(4*cap(s.arena), s.memory), 64<<10)), s.arena...)
	}
	if need := len(s.pairs) + 1; need > cap(s.pairs) {
		s.pairs = append(make([]pair, 0, max(need, 4*cap(s.pairs), 1024)), s.pairs...)
	}
}

func (s *Sorter) at(p pair) (key, value []byte) {
	return s.arena[p.at : p.at+p.key : p.at+p.key], s.arena[p.at+p.key : p.at+p.key+p.value : p.at+p.key+p.value]
}

func (s *Sorter) sort() {
	slices.SortFunc(s.pairs, func(x, y pair) int {
		xk, xv := s.at(x)
		yk, yv := s.at(y)
		return cmp.Or(bytes.Compare(xk, yk), bytes.Compare(xv, yv))
	})
}

// spill writes what is in memory as one sorted run.
func (s *Sorter) spill() error {
	f, err := os.CreateTemp(s.dir, "run-*.tmp")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.runs = append(s.runs, f)
	s.sort()
	w := bufio.NewWriterSize(f, 256<<10)
	var head []byte
	for _, p := range s.pairs {
		key, value := s.at(p)
		head = binary.AppendUvarint(binary.AppendUvarint(head[:0], uint64(len(key))), uint64(len(value)))
		w.Write(head)
		w.Write(key)
		w.Write(value)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.pairs, s.arena = s.pairs[:0], s.arena[:0]
	return nil
}

// Each calls see with all pairs in order, once. The slices hold until see
// returns.
func (s *Sorter) Each(see func(key, value []byte) error) error {
	s.sort()
	if len(s.runs) == 0 {
		for _, p := range s.pairs {
			if err := see(s.at(p)); err != nil {
				return err
			}
		}
		return nil
	}
	sources := sources{&source{pairs: s.pairs, sorter: s}}
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		sources = append(sources, &source{in: bufio.NewReaderSize(f, 128<<10)})
	}
	return merge(sources, see)
}

func merge(all sources, see func(key, value []byte) error) error {
	live := all[:0]
	for _, s := range all {
		switch err := s.next(); {
		case err == nil:
			live = append(live, s)
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("sort: %w", err)
		}
	}
	heap.Init(&live)
	for len(live) > 0 {
		if err := see(live[0].key, live[0].value); err != nil {
			return err
		}
		switch err := live[0].next(); {
		case err == nil:
			heap.Fix(&live, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&live)
		default:
			return fmt.Errorf("sort: %w", err)
		}
	}
	return nil
}

// Close removes the temporary files.
func (s *Sorter) Close() {
	for _, f := range s.runs {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	s.runs, s.pairs, s.arena = nil, nil, nil
}

// source is one sorted run: in memory or in a file.
type source struct {
	pairs      []pair
	sorter     *Sorter
	in         *bufio.Reader
	buf        []byte
	key, value []byte
}

func (s *source) next() error {
	if s.in == nil {
		if len(s.pairs) == 0 {
			return io.EOF
		}
		s.key, s.value = s.sorter.at(s.pairs[0])
		s.pairs = s.pairs[1:]
		return nil
	}
	k, err := binary.ReadUvarint(s.in)
	if err != nil {
		return err
	}
	v, err := binary.ReadUvarint(s.in)
	if err != nil || k > MaxKey || v > MaxValue {
		return cmp.Or(err, io.ErrUnexpectedEOF)
	}
	s.buf = slices.Grow(s.buf[:0], int(k+v))[:k+v]
	if _, err := io.ReadFull(s.in, s.buf); err != nil {
		return io.ErrUnexpectedEOF
	}
	s.key, s.value = s.buf[:k], s.buf[k:]
	return nil
}

type sources []*source

func (s sources) Len() int { return len(s) }
func (s sources) Less(i, j int) bool {
	return cmp.Or(bytes.Compare(s[i].key, s[j].key), bytes.Compare(s[i].value, s[j].value)) < 0
}
func (s sources) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *sources) Push(x any)   { *s = append(*s, x.(*source)) }
func (s *sources) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}
