package content

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"sekisho/internal/inflate"
	"sekisho/internal/zipstream"
	"sekisho/scan/analyze"
)

// Bounds of one file with all that is nested in it.
const (
	maxDepth    = 5
	maxMembers  = 200_000
	maxMember   = 32 << 20 // bytes of one member that are looked at
	maxExpanded = 1 << 30  // bytes of all members together, of a file that is held
	maxRatio    = 8        // of those of a file that is not held to its own
	heldFreely  = 4 << 20  // bytes that a session may hold without waiting for others
	keptBuffer  = 1 << 20  // bytes of a buffer that is kept for the next file
)

// depth is the memory of one level of nesting.
type depth struct {
	buf  []byte
	raw  *inflate.Reader
	gzip *inflate.Reader
}

var errBounds = errors.New("expands beyond the bounds")

// unpack looks into an archive or a compressed file, and reports whether all
// that is in it was looked at.
func (s *session) unpack(name string, data []byte, level int, r *analyze.Result) bool {
	open := opener(data)
	if open == nil {
		return false
	}
	if level >= maxDepth {
		r.Problem(inside(name) + fmt.Sprintf("nested more than %d deep: not opened", maxDepth))
		return false
	}
	before := len(r.Problems)
	if err := open(s, name, data, level, r); err != nil {
		r.Problem(inside(name) + err.Error())
	}
	return len(r.Problems) == before && string(data[:8]) != "!<arch>\n"
}

// inside names a member in a problem; the file itself is known.
func inside(name string) string {
	if _, in, ok := strings.Cut(name, "!/"); ok {
		return in + ": "
	}
	return ""
}

// open looks into an archive that is in memory, openStream into one that passes
// by.
type (
	open       func(s *session, name string, data []byte, level int, r *analyze.Result) error
	openStream func(s *session, name string, in io.Reader, level int, r *analyze.Result) error
)

// opener knows archives by their first bytes.
func opener(data []byte) open {
	if len(data) < 8 {
		return nil
	}
	switch {
	case isZip(data):
		return (*session).zip
	case string(data[:8]) == "!<arch>\n":
		return (*session).ar
	case string(data[:6]) == "7z\xbc\xaf\x27\x1c", string(data[:6]) == "Rar!\x1a\x07", string(data[:4]) == "MSCF", string(data[:6]) == "070701":
		return func(*session, string, []byte, int, *analyze.Result) error {
			return errors.New("an archive of a form that is not opened (7z, rar, cab or cpio): looked at as it is")
		}
	}
	if through := streamOpener(data); through != nil {
		return func(s *session, name string, data []byte, level int, r *analyze.Result) error {
			return through(s, name, bytes.NewReader(data), level, r)
		}
	}
	return nil
}

// streamOpener knows the forms that are read from front to end.
func streamOpener(head []byte) openStream {
	if len(head) < 8 {
		return nil
	}
	switch {
	case isZip(head):
		return (*session).zipStream
	case head[0] == 0x1f && head[1] == 0x8b && head[2] == 8:
		return (*session).gunzip
	case string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' && string(head[4:7]) == "1AY":
		return func(s *session, name string, in io.Reader, level int, r *analyze.Result) error {
			return s.single(name, ".bz2", bzip2.NewReader(in), level, r)
		}
	case head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd:
		return (*session).zstd
	case string(head[:6]) == "\xfd7zXZ\x00":
		return (*session).xz
	case len(head) >= 512 && string(head[257:262]) == "ustar":
		return (*session).tarStream
	}
	return nil
}

func isZip(head []byte) bool {
	return head[0] == 'P' && head[1] == 'K' && (head[2] == 3 && head[3] == 4 || head[2] == 5 && head[3] == 6)
}

func (s *session) gunzip(name string, in io.Reader, level int, r *analyze.Result) error {
	d := &s.depths[level]
	if d.gzip == nil {
		d.gzip = inflate.NewReader(nil)
	}
	d.gzip.Reset(in)
	return s.single(name, ".gz", d.gzip, level, r)
}

func (s *session) zstd(name string, in io.Reader, level int, r *analyze.Result) error {
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return fmt.Errorf("open zstd: %w", err)
	}
	defer z.Close()
	return s.single(name, ".zst", z, level, r)
}

func (s *session) xz(name string, in io.Reader, level int, r *analyze.Result) error {
	x, err := xz.ReaderConfig{DictCap: 64 << 20, SingleStream: false}.NewReader(in)
	if err != nil {
		return fmt.Errorf("open xz: %w", err)
	}
	return s.single(name, ".xz", x, level, r)
}

// single looks at the one thing that a compressed file holds, and streams a
// tar within.
func (s *session) single(name, ext string, in io.Reader, level int, r *analyze.Result) error {
	head := make([]byte, 512)
	n, err := io.ReadFull(in, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return fmt.Errorf("decompress: %w", err)
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), in)
	inner := strings.TrimSuffix(path.Base(name), ext)
	if n == 512 && string(head[257:262]) == "ustar" {
		return s.tarStream(name, whole, level, r)
	}
	return s.member(name+"!/"+inner, whole, -1, level, r)
}

func (s *session) tarStream(name string, in io.Reader, level int, r *analyze.Result) error {
	t := tar.NewReader(&capped{in, s})
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read tar: %w", err)
		}
		if h.Typeflag != tar.TypeReg || h.Size == 0 {
			continue
		}
		if err := s.member(name+"!/"+clean(h.Name), t, h.Size, level, r); err != nil {
			return err
		}
	}
}

// capped counts what a stream expands to, members that are skipped included.
type capped struct {
	io.Reader
	s *session
}

func (c *capped) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if c.s.expanded += int64(n); c.s.expanded > c.s.limit {
		return 0, errBounds
	}
	return n, err
}

func (s *session) zip(name string, data []byte, level int, r *analyze.Result) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil && (z == nil || !errors.Is(err, zip.ErrInsecurePath)) {
		return fmt.Errorf("read zip: %w", err)
	}
	z.RegisterDecompressor(zip.Deflate, func(in io.Reader) io.ReadCloser {
		d := &s.depths[level]
		if d.raw == nil {
			d.raw = inflate.NewRaw(nil)
		}
		d.raw.Reset(in)
		return io.NopCloser(d.raw)
	})
	for _, f := range z.File {
		if f.UncompressedSize64 == 0 || f.FileInfo().IsDir() {
			continue
		}
		member := name + "!/" + clean(f.Name)
		if f.Flags&1 != 0 {
			r.Problem(inside(member) + "encrypted: not looked at")
			continue
		}
		in, err := f.Open()
		if err != nil {
			r.Problem(inside(member) + err.Error())
			continue
		}
		err = s.member(member, in, int64(min(f.UncompressedSize64, 1<<40)), level, r)
		in.Close()
		if errors.Is(err, errBounds) {
			return err
		}
		if err != nil {
			r.Problem(inside(member) + err.Error())
		}
	}
	return nil
}

// zipStream reads a zip archive that is not held, without its directory.
func (s *session) zipStream(name string, in io.Reader, level int, r *analyze.Result) error {
	z := zipstream.New(in)
	for {
		m, err := z.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read zip: %w", err)
		}
		if z.Expanded() > s.limit {
			return errBounds
		}
		if m.Size == 0 || strings.HasSuffix(m.Name, "/") {
			continue
		}
		member := name + "!/" + clean(m.Name)
		err = s.member(member, z, m.Size, level, r)
		if errors.Is(err, errBounds) {
			return err
		}
		if err != nil {
			r.Problem(inside(member) + err.Error())
		}
	}
}

// ar reads the archive of Debian packages and static libraries (ar(5)).
func (s *session) ar(name string, data []byte, level int, r *analyze.Result) error {
	for rest := data[8:]; len(rest) >= 60; {
		size, err := strconv.ParseInt(strings.TrimSpace(string(rest[48:58])), 10, 64)
		if err != nil || size < 0 || size > int64(len(rest)-60) {
			return errors.New("read ar: a member's size is wrong")
		}
		member := strings.TrimRight(string(rest[:16]), " /")
		body := rest[60 : 60+size]
		if opener(body) != nil { // the rest was seen as part of the whole
			if s.members++; s.members > maxMembers {
				return errBounds
			}
			s.unpack(name+"!/"+clean(member), body, level+1, r)
		}
		rest = rest[60+size:]
		if size%2 == 1 && len(rest) > 0 {
			rest = rest[1:]
		}
	}
	return nil
}

// member reads one member into memory and looks at it. A size of -1 is
// unknown.
func (s *session) member(name string, in io.Reader, size int64, level int, r *analyze.Result) error {
	if s.members++; s.members > maxMembers {
		return fmt.Errorf("more than %d members: %w", maxMembers, errBounds)
	}
	if (size < 0 || size > heldFreely) && !s.locked {
		s.big.Lock()
		s.locked = true
	}
	d := &s.depths[level]
	limit := min(int64(maxMember)>>level, s.limit-s.expanded)
	data, err := fill(d.buf[:0], io.LimitReader(in, limit+1), min(size, limit))
	n := int64(len(data))
	s.expanded += n
	if cap(data) <= keptBuffer {
		d.buf = data[:0]
	} else {
		d.buf = nil
	}
	if n > limit {
		data = data[:limit]
		r.Problem(inside(name) + fmt.Sprintf("only its first %d bytes were looked at", limit))
	} else if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	s.look(name, data, level+1, r)
	if s.expanded >= s.limit {
		return errBounds
	}
	return nil
}

// fill reads to the end; a size that is known saves growing. It grows by a
// quarter, as what it leaves behind is memory too.
func fill(buf []byte, in io.Reader, size int64) ([]byte, error) {
	if need := int(size) + 1; size > 0 && cap(buf) < need {
		buf = make([]byte, 0, need)
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, max(64<<10, cap(buf)+cap(buf)/4)), buf...)
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// clean bounds a member's name and keeps it on one line.
func clean(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0xfffd {
			return '?'
		}
		return c
	}, name[:min(len(name), 1024)])
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
