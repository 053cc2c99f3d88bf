package schema

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"path"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho"
	"sekisho/scan/advisory"
)

// Bounds of a zip file: bytes of its directory, its entries, and what all
// entries unpack to (Ubuntu's are the most, about 10 GiB).
const (
	maxDirectory = 256 << 20
	maxEntries   = 2_000_000
	maxUnpacked  = 64 << 30
)

// Summary is what a zip file of records held.
type Summary struct {
	Records  int // decoded
	Affected int // entries of these for a package
	Told     int // records of ours
	Bytes    int64
	Newest   time.Time
	Skipped  map[string]int
}

// Zip reads a zip file of records, "<ID>.json" each, and tells the sink. It
// decodes several at a time and tells them in the file's order. Records that
// cannot be read are counted; when most cannot, that is an error.
func (d Decoder) Zip(ctx context.Context, r io.ReaderAt, size int64, sink advisory.Sink) (Summary, error) {
	sum := Summary{Skipped: map[string]int{}}
	if err := checkDirectory(r, size); err != nil {
		return sum, err
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return sum, sekisho.Errorf(sekisho.Corrupt, "read zip file: %w", err)
	}
	if len(archive.File) > maxEntries {
		return sum, sekisho.Errorf(sekisho.Invalid, "read zip file: more than %d entries", maxEntries)
	}
	err = d.entries(ctx, archive, &sum, sink)
	if bad := sum.Skipped[Malformed]; err == nil && bad > 10 && bad > sum.Records {
		err = sekisho.Errorf(sekisho.Invalid, "read zip file: %d of %d records cannot be read", bad, bad+sum.Records)
	}
	return sum, err
}

// decoded is one entry.
type decoded struct {
	result Result
	size   int64
	err    error
}

// job is an entry to decode, and where its answer goes.
type job struct {
	file   *zip.File
	answer chan decoded
}

// entries decodes in parallel: the queue of answers to come bounds how many
// records are in memory.
func (d Decoder) entries(ctx context.Context, archive *zip.Reader, sum *Summary, sink advisory.Sink) error {
	workers := min(runtime.GOMAXPROCS(0), 8)
	jobs, queue := make(chan job), make(chan chan decoded, 2*workers)
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			var buf bytes.Buffer
			for j := range jobs {
				j.answer <- d.entry(j.file, &buf)
				if buf.Cap() > 4<<20 {
					buf = bytes.Buffer{} // one large record is no reason to hold its memory
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(queue)
		defer close(jobs)
		return d.schedule(ctx, archive, jobs, queue)
	})
	g.Go(func() error {
		for answer := range queue {
			if err := sum.tell(<-answer, sink); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// schedule hands out entries in the file's order, each name once. What is in
// the queue was handed out before, so that its answer comes.
func (d Decoder) schedule(ctx context.Context, archive *zip.Reader, jobs chan<- job, queue chan<- chan decoded) error {
	seen := map[string]bool{}
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, ".json") || seen[f.Name] || d.Entry != nil && !d.Entry(f.Name) {
			continue
		}
		seen[f.Name] = true
		j := job{f, make(chan decoded, 1)}
		select {
		case jobs <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case queue <- j.answer:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *Summary) tell(e decoded, sink advisory.Sink) error {
	s.Bytes += e.size
	if s.Bytes > maxUnpacked {
		return sekisho.Errorf(sekisho.Invalid, "read zip file: it unpacks to more than %d GiB", maxUnpacked>>30)
	}
	if e.err != nil {
		s.Skipped[Malformed]++
		return nil
	}
	s.Records++
	s.Affected += e.result.Affected
	if e.result.Modified.After(s.Newest) {
		s.Newest = e.result.Modified
	}
	for reason, n := range e.result.Skipped {
		s.Skipped[reason] += n
	}
	n, err := e.result.Tell(sink)
	s.Told += n
	return err
}

// entry reads one record; its id must be that of its name.
func (d Decoder) entry(f *zip.File, buf *bytes.Buffer) (e decoded) {
	if f.UncompressedSize64 > MaxRecord {
		e.err = sekisho.Errorf(sekisho.Invalid, "read %s: more than %d bytes", f.Name, MaxRecord)
		return e
	}
	body, err := f.Open()
	if err != nil {
		e.err = err
		return e
	}
	defer body.Close()
	buf.Reset()
	if e.size, e.err = io.Copy(buf, io.LimitReader(body, MaxRecord+1)); e.err != nil {
		return e
	}
	e.result, e.err = d.Decode(buf.Bytes())
	if e.err == nil && e.result.ID != strings.TrimSuffix(path.Base(f.Name), ".json") {
		e.err = sekisho.Errorf(sekisho.Invalid, "read %s: it holds record %q", f.Name, e.result.ID)
	}
	return e
}

// checkDirectory refuses a zip file whose directory would take much memory,
// before it is read (APPNOTE.TXT, sections 4.3.14 and 4.3.16).
func checkDirectory(r io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, 22+1<<16+20))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return sekisho.Errorf(sekisho.Corrupt, "read zip file: %w", err)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || at+22 > len(tail) {
		return sekisho.Errorf(sekisho.Corrupt, "read zip file: no directory")
	}
	directory := uint64(binary.LittleEndian.Uint32(tail[at+12:]))
	if locator := at - 20; locator >= 0 && bytes.HasPrefix(tail[locator:], []byte("PK\x06\x07")) {
		end := make([]byte, 56)
		if _, err := r.ReadAt(end, int64(binary.LittleEndian.Uint64(tail[locator+8:])&(1<<62-1))); err != nil {
			return sekisho.Errorf(sekisho.Corrupt, "read zip file: %w", err)
		}
		if directory == 1<<32-1 {
			directory = 0
		}
		directory = max(directory, binary.LittleEndian.Uint64(end[40:]))
	}
	if directory > maxDirectory {
		return sekisho.Errorf(sekisho.Invalid, "read zip file: a directory of %d MiB", directory>>20)
	}
	return nil
}
