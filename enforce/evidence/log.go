// Package evidence keeps on disk what containers did, so that it can be read
// after they are gone. Events go in; a bounded, compressed log chained by hash
// stays, and cases sealed out of it. When the log is full its oldest part goes,
// and the log says so; a part that was changed or cut out is seen.
package evidence

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"sekisho"
)

// Sizes in bytes: of a frame before compression, and the bounds within which
// frames are believed.
const (
	frameSize  = 256 << 10
	maxFrame   = 16 << 20
	headerSize = 4 + 4 + 4 + 8 + 8 + sha256.Size
)

// magic begins every frame.
const magic = "SKEV"

// Options of a log.
type Options struct {
	MaxBytes     int64 // of all files; 0 for 1 GiB
	SegmentBytes int64 // of one file; 0 for 16 MiB
}

// Log is written by one process and may be read by others.
type Log struct {
	Options
	dir     string
	mu      sync.Mutex
	lock    *os.File
	file    *os.File
	number  int
	size    int64
	last    [sha256.Size]byte
	docs    *encoder
	frame   []byte
	first   time.Time // of the events in the buffer
	latest  time.Time
	encoder *zstd.Encoder
	stats   Stats
}

// Stats count what a log took and let go since it was opened.
type Stats struct {
	Events  uint64 `json:"events"`
	Bytes   uint64 `json:"bytes"`          // compressed
	Removed int    `json:"segments_gone"`  // files that made room
	Cut     int64  `json:"bytes_cut_off"`  // half-written at the last stop
	Failed  uint64 `json:"events_dropped"` // that could not be written
}

// Open opens the log for writing. Only one process may: a second one gets
// sekisho.Unavailable.
func Open(dir string, o Options) (*Log, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 16 << 20
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	if err := lockFile(lock); err != nil {
		lock.Close()
		return nil, sekisho.Errorf(sekisho.Unavailable, "open evidence in %s: another enforcer writes it", dir)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(2*frameSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	l := &Log{Options: o, dir: dir, lock: lock, encoder: encoder, docs: newEncoder()}
	if err := l.resume(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	return l, nil
}

// resume finds where the chain ends and cuts off what a crash left of a frame.
func (l *Log) resume() error {
	names, err := segments(l.dir)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return l.start(1)
	}
	name := names[len(names)-1]
	if _, err := fmt.Sscanf(name, "events-%08d.log", &l.number); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, name), os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	end, last, err := lastFrame(f, info.Size())
	if err != nil {
		f.Close()
		return err
	}
	l.stats.Cut = info.Size() - end
	if err := f.Truncate(end); err != nil {
		f.Close()
		return err
	}
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		f.Close()
		return err
	}
	l.file, l.size, l.last = f, end, last
	return nil
}

// start begins a file. Its first frame names the hash that the one before ends
// with.
func (l *Log) start(n int) error {
	f, err := os.OpenFile(filepath.Join(l.dir, fmt.Sprintf("events-%08d.log", n)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(l.last[:]); err != nil {
		f.Close()
		return err
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.number, l.size = f, n, sha256.Size
	return nil
}

// Append takes events. They reach the disk with Flush, or when enough came
// together.
func (l *Log) Append(events ...*sekisho.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		if len(l.docs.b) == 0 {
			l.first = e.Time
		}
		before := len(l.docs.b)
		if err := l.docs.event(e); err != nil {
			l.docs.b = l.docs.b[:before]
			l.stats.Failed++
			return fmt.Errorf("keep evidence: %w", err)
		}
		l.latest = e.Time
		l.docs.b = append(l.docs.b, '\n')
		l.stats.Events++
		if len(l.docs.b) >= frameSize {
			if err := l.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flush hands all that was taken to the operating system.
func (l *Log) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush()
}

func (l *Log) flush() error {
	if len(l.docs.b) == 0 {
		return nil
	}
	if l.size >= l.SegmentBytes {
		if err := l.rotate(); err != nil {
			return fmt.Errorf("keep evidence: %w", err)
		}
	}
	l.frame = l.encoder.EncodeAll(l.docs.b, append(l.frame[:0], make([]byte, headerSize)...))
	frame := l.frame
	payload := frame[headerSize:]
	copy(frame, magic)
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(frame[8:], uint32(len(l.docs.b)))
	binary.LittleEndian.PutUint64(frame[12:], uint64(l.first.UnixNano()))
	binary.LittleEndian.PutUint64(frame[20:], uint64(l.latest.UnixNano()))
	sum := chain(l.last, frame[:28], payload)
	copy(frame[28:], sum[:])
	if _, err := l.file.Write(frame); err != nil {
		return fmt.Errorf("keep evidence: %w", err)
	}
	l.last, l.size = sum, l.size+int64(len(frame))
	l.stats.Bytes += uint64(len(frame))
	l.docs.b = l.docs.b[:0]
	return nil
}

// chain is the hash of a frame: of the one before, its header and its payload.
func chain(last [sha256.Size]byte, header, payload []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(last[:])
	h.Write(header)
	h.Write(payload)
	return [sha256.Size]byte(h.Sum(nil))
}

// rotate begins the next file and removes the oldest ones while all together
// are too large.
func (l *Log) rotate() error {
	if err := l.file.Sync(); err != nil {
		return err
	}
	if err := l.start(l.number + 1); err != nil {
		return err
	}
	names, err := segments(l.dir)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, name := range slices.Backward(names) {
		info, err := os.Stat(filepath.Join(l.dir, name))
		if err != nil {
			return err
		}
		if total += info.Size(); total > l.MaxBytes-l.SegmentBytes && name != names[len(names)-1] {
			if err := os.Remove(filepath.Join(l.dir, name)); err != nil {
				return err
			}
			l.stats.Removed++
		}
	}
	return nil
}

// Stats returns the counts.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Close flushes and closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(l.flush(), l.file.Sync(), l.file.Close(), l.lock.Close())
	return errors.Join(err, l.encoder.Close())
}

// segments lists the files, oldest first.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "events-") && strings.HasSuffix(e.Name(), ".log") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
