package evidence

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"sekisho"
)

// Query chooses events. Zero fields choose all.
type Query struct {
	Container string // its name, the beginning of its id (at least 6 digits), its workload, or its pod
	Since     time.Time
	Until     time.Time
	Kinds     []sekisho.EventKind
	Path      string // of the event or of the process, as a prefix
	PID       int
}

// Read calls each for the chosen events, oldest first. It checks the chain as it
// goes: an error of kind Corrupt names the file and the place where it breaks.
// gone tells that older parts made room.
func Read(dir string, q Query, each func(*sekisho.Event) error) (gone bool, err error) {
	names, err := segments(dir)
	if err != nil {
		return false, fmt.Errorf("read evidence: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return false, fmt.Errorf("read evidence: %w", err)
	}
	defer decoder.Close()
	r := &reader{Query: q, decoder: decoder, each: each}
	for i, name := range names {
		if err := r.segment(filepath.Join(dir, name), i == 0, i == len(names)-1); err != nil {
			return gone, err
		}
		if i == 0 {
			gone = r.began != [sha256.Size]byte{}
		}
	}
	return gone, nil
}

type reader struct {
	Query
	decoder *zstd.Decoder
	each    func(*sekisho.Event) error
	last    [sha256.Size]byte
	began   [sha256.Size]byte // what the first file names as the hash before it
}

// header is what a frame says of itself.
type header struct {
	compressed, raw int
	first, latest   time.Time
	sum             [sha256.Size]byte
}

var errCut = errors.New("the frame is cut off")

// next reads a frame's header and payload; errCut when the file ends in it.
func next(in io.Reader) (h header, head, payload []byte, err error) {
	head = make([]byte, headerSize)
	if n, err := io.ReadFull(in, head); err != nil {
		if n == 0 && err == io.EOF {
			return h, nil, nil, io.EOF
		}
		return h, nil, nil, errCut
	}
	h.compressed, h.raw = int(binary.LittleEndian.Uint32(head[4:])), int(binary.LittleEndian.Uint32(head[8:]))
	if string(head[:4]) != magic || h.compressed > maxFrame || h.raw > maxFrame {
		return h, nil, nil, errors.New("no frame")
	}
	h.first = time.Unix(0, int64(binary.LittleEndian.Uint64(head[12:])))
	h.latest = time.Unix(0, int64(binary.LittleEndian.Uint64(head[20:])))
	copy(h.sum[:], head[28:])
	payload = make([]byte, h.compressed)
	if _, err := io.ReadFull(in, payload); err != nil {
		return h, nil, nil, errCut
	}
	return h, head[:28], payload, nil
}

// lastFrame returns where the last whole frame of a file ends, and its hash.
func lastFrame(f io.ReaderAt, size int64) (end int64, last [sha256.Size]byte, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 1<<20)
	if _, err := io.ReadFull(in, last[:]); err != nil {
		return 0, last, nil // not even the first hash: begin again
	}
	end = sha256.Size
	for {
		h, _, payload, err := next(in)
		if err != nil {
			return end, last, nil
		}
		end += headerSize + int64(len(payload))
		last = h.sum
	}
}

func (r *reader) segment(path string, first, newest bool) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var named [sha256.Size]byte
	if _, err := io.ReadFull(in, named[:]); err != nil {
		if newest {
			return nil
		}
		return sekisho.Errorf(sekisho.Corrupt, "%s: it is cut off", path)
	}
	if first {
		r.began, r.last = named, named
	} else if named != r.last {
		return sekisho.Errorf(sekisho.Corrupt, "%s: it does not follow the file before it: a file is missing or was changed", path)
	}
	for n := 1; ; n++ {
		h, head, payload, err := next(in)
		if err == io.EOF || err == errCut && newest { // being written right now
			return nil
		}
		if err != nil {
			return sekisho.Errorf(sekisho.Corrupt, "%s: frame %d: %w", path, n, err)
		}
		if chain(r.last, head, payload) != h.sum {
			return sekisho.Errorf(sekisho.Corrupt, "%s: frame %d, of %s: the chain breaks: it is not what was written", path, n, h.first.UTC().Format(time.RFC3339))
		}
		r.last = h.sum
		if r.each == nil || !r.Since.IsZero() && h.latest.Before(r.Since) || !r.Until.IsZero() && h.first.After(r.Until) {
			continue
		}
		if err := r.frame(payload, h.raw); err != nil {
			return fmt.Errorf("%s: frame %d: %w", path, n, err)
		}
	}
}

func (r *reader) frame(payload []byte, size int) error {
	raw, err := r.decoder.DecodeAll(payload, make([]byte, 0, size))
	if err != nil {
		return sekisho.Errorf(sekisho.Corrupt, "%w", err)
	}
	part := []byte(r.Container[strings.LastIndexByte(r.Container, '/')+1:]) // of a workload the line has the parts
	for line := range bytes.Lines(raw) {
		if !bytes.Contains(line, part) {
			continue // cheaper than to decode it
		}
		e := &sekisho.Event{}
		if err := json.Unmarshal(line, e); err != nil {
			return sekisho.Errorf(sekisho.Corrupt, "%w", err)
		}
		if r.Query.match(e) {
			if err := r.each(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *Query) match(e *sekisho.Event) bool {
	switch {
	case !q.Since.IsZero() && e.Time.Before(q.Since), !q.Until.IsZero() && e.Time.After(q.Until):
		return false
	case len(q.Kinds) > 0 && !slices.Contains(q.Kinds, e.Kind):
		return false
	case q.PID != 0 && (e.Process == nil || e.Process.PID != q.PID):
		return false
	case q.Path != "" && !strings.HasPrefix(e.Path, q.Path) && (e.Process == nil || !strings.HasPrefix(e.Process.Path, q.Path)):
		return false
	case q.Container == "":
		return true
	}
	c := e.Container
	return c != nil && (c.Name == q.Container || len(q.Container) >= 6 && strings.HasPrefix(c.ID, q.Container) || c.Workload.String() == q.Container || c.Workload.Pod != "" && c.Workload.Pod == q.Container)
}

// Verify checks the whole chain. Errors are of kind Corrupt.
func Verify(dir string) (gone bool, err error) { return Read(dir, Query{}, nil) }
