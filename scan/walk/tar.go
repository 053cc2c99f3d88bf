package walk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"sekisho"
)

const blockSize = 512

// tarReader reads headers of the ustar, PAX and GNU formats (POSIX.1-2017,
// pax; GNU tar manual, "Basic Tar Format") and shows the entries.
type tarReader struct {
	in      *Content
	options Options
	visit   Visitor
	entries int64
	entry   Entry
	global  records // PAX records for all entries
	local   records // for the next one
}

// records are the PAX or GNU records that change an entry.
type records struct {
	path, link       string
	size, uid, gid   int64 // -1 is unset
	mtime            time.Time
	hasPath, hasLink bool
	sparseName       bool
}

func noRecords() records { return records{size: -1, uid: -1, gid: -1} }

// run shows all entries to the visitor.
func (t *tarReader) run() error {
	t.global, t.local = noRecords(), noRecords()
	zeros := 0
	for {
		block := t.in.need(blockSize)
		if len(block) == 0 && t.in.fail == io.EOF {
			return nil // an archive without its end blocks: as common as harmless
		}
		if len(block) < blockSize {
			if t.in.fail == io.EOF {
				return fmt.Errorf("the archive ends in the middle of a header, after %d entries", t.entries)
			}
			return t.in.fail
		}
		sum, ok := checksum(block)
		if sum == zeroSum && isZero(block) {
			t.take(blockSize)
			if zeros++; zeros == 2 {
				return nil
			}
			continue
		}
		if zeros > 0 {
			return nil // what is behind a single zero block is not archive
		}
		if !ok {
			return fmt.Errorf("entry %d: header checksum is wrong", t.entries)
		}
		if err := t.header(block); err != nil {
			return err
		}
	}
}

const zeroSum = 8 * ' '

func isZero(block []byte) bool {
	for _, b := range block {
		if b != 0 {
			return false
		}
	}
	return true
}

// checksum returns the sum of a header's bytes and whether it is the one that
// the header names, counted unsigned or, as some old programs did, signed.
func checksum(block []byte) (int64, bool) {
	var unsigned, signed int64
	for i, b := range block[:blockSize] {
		if i >= 148 && i < 156 {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b))
	}
	want, err := number(block[148:156])
	return unsigned, err == nil && (want == unsigned || want == signed)
}

// number reads an octal field, or a base-256 one.
func number(field []byte) (int64, error) {
	if len(field) > 0 && field[0]&0x80 != 0 {
		return base256(field)
	}
	s := strings.Trim(string(field), " \x00")
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	if s == "" {
		return 0, nil
	}
	return strconv.ParseInt(s, 8, 64)
}

// base256 reads GNU's two's complement numbers.
func base256(field []byte) (int64, error) {
	negative := field[0]&0x40 != 0
	var x uint64
	for i, b := range field {
		if negative {
			b = ^b
		}
		if i == 0 {
			b &= 0x3f
		}
		if x>>55 != 0 {
			return 0, fmt.Errorf("number is too large")
		}
		x = x<<8 | uint64(b)
	}
	if x>>63 != 0 {
		return 0, fmt.Errorf("number is too large")
	}
	if negative {
		return ^int64(x), nil
	}
	return int64(x), nil
}

func (t *tarReader) take(n int) {
	t.in.left = int64(n)
	t.in.drop(n)
}

func text(field []byte) string {
	if i := bytes.IndexByte(field, 0); i >= 0 {
		field = field[:i]
	}
	return string(field)
}

// header reads one header and shows the entry behind it.
func (t *tarReader) header(block []byte) error {
	size, err := number(block[124:136])
	if err != nil || size < 0 {
		return fmt.Errorf("entry %d: size %q is not a number from 0", t.entries, text(block[124:136]))
	}
	kind := block[156]
	switch kind {
	case 'x', 'g', 'L', 'K':
		t.take(blockSize)
		return t.extended(kind, size)
	}
	if err := t.fill(block, size); err != nil {
		return err
	}
	extended := kind == 'S' && block[482] != 0
	t.take(blockSize)
	if extended {
		if err := t.sparseHeaders(); err != nil {
			return err
		}
	}
	return t.show(kind)
}

// sparseHeaders skips the extension headers of an old GNU sparse file.
func (t *tarReader) sparseHeaders() error {
	for range 1 << 16 {
		block := t.in.need(blockSize)
		if len(block) < blockSize {
			return io.ErrUnexpectedEOF
		}
		more := block[504] != 0
		t.take(blockSize)
		if !more {
			return nil
		}
	}
	return sekisho.Errorf(sekisho.Invalid, "entry %d: too many sparse headers", t.entries)
}

// fill sets the entry from the header and the records before it.
func (t *tarReader) fill(block []byte, size int64) error {
	e, r := &t.entry, t.local
	t.local = noRecords()
	*e = Entry{Size: size}
	if r.size >= 0 {
		e.Size = r.size
	} else if t.global.size >= 0 {
		e.Size = t.global.size
	}
	e.UID, e.GID = int(pick(r.uid, t.global.uid, block[108:116])), int(pick(r.gid, t.global.gid, block[116:124]))
	mode, _ := number(block[100:108])
	e.Mode = fileMode(mode)
	e.ModTime = r.mtime
	if e.ModTime.IsZero() {
		seconds, _ := number(block[136:148])
		e.ModTime = time.Unix(seconds, 0)
	}
	name, link := r.path, r.link
	if !r.hasPath {
		name = ustarName(block)
	}
	if !r.hasLink {
		link = text(block[157:257])
	}
	if strings.IndexByte(name, 0) >= 0 || strings.IndexByte(link, 0) >= 0 {
		return fmt.Errorf("entry %d: a name holds a zero byte", t.entries)
	}
	escaped := false
	e.Path, escaped = clean(name)
	e.Link = link
	if escaped {
		t.options.Problem(e.Path, fmt.Sprintf("the archive names it %q, which leaves the root", name))
	}
	return nil
}

func pick(local, global int64, field []byte) int64 {
	if local >= 0 {
		return local
	}
	if global >= 0 {
		return global
	}
	n, _ := number(field)
	return n
}

func ustarName(block []byte) string {
	name := text(block[:100])
	if string(block[257:263]) == "ustar\x00" {
		if prefix := text(block[345:500]); prefix != "" {
			return prefix + "/" + name
		}
	}
	return name
}

// fileMode turns the bits of POSIX into Go's.
func fileMode(bits int64) fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	if bits&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if bits&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if bits&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// clean returns the path from the root, and whether it tried to leave it.
func clean(name string) (p string, escaped bool) {
	name = strings.TrimPrefix(name, "./")
	name = strings.TrimLeft(name, "/")
	name = strings.TrimRight(name, "/")
	if name == "." {
		return "", false
	}
	if !strings.Contains(name, "//") && !strings.Contains(name, "./") && !strings.HasSuffix(name, "/.") && !strings.HasSuffix(name, "..") {
		return name, false
	}
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				escaped = true
			}
		default:
			depth++
		}
	}
	return path.Clean("/" + name)[1:], escaped
}

// show gives the entry to the visitor and goes behind its content.
func (t *tarReader) show(kind byte) error {
	if t.entries++; t.entries > t.options.Limits.Entries {
		return sekisho.Errorf(sekisho.Invalid, "more than %d entries, at %s", t.options.Limits.Entries, t.entry.Path)
	}
	e := &t.entry
	stored := e.Size
	switch kind {
	case '0', 0, '7', 'S':
		e.Type = Regular
		if kind == 0 && strings.HasSuffix(e.Path, "/") {
			e.Type = Directory
		}
	case '1':
		e.Type, stored = Hardlink, 0
		e.Link, _ = clean(e.Link)
	case '2':
		e.Type, stored = Symlink, 0
		e.Mode |= fs.ModeSymlink
	case '5':
		e.Type, stored = Directory, 0
		e.Mode |= fs.ModeDir
	case '3', '4', '6':
		e.Type, stored = Special, 0
		e.Mode |= fs.ModeDevice
	default:
		t.options.Problem(e.Path, fmt.Sprintf("entry of unknown type %q is skipped", kind))
		t.in.left = stored
		return t.padding(stored)
	}
	if e.Type != Regular {
		e.Size = 0
	}
	t.in.left = stored
	if keep := whiteout(e); keep {
		if err := t.visit(e, t.in); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) && t.in.fail == io.EOF {
				return t.cut()
			}
			return err
		}
	}
	return t.padding(stored)
}

// padding goes to the next header.
func (t *tarReader) padding(stored int64) error {
	if err := t.in.skip(-stored & (blockSize - 1)); err != nil {
		if err == io.ErrUnexpectedEOF || err == io.EOF {
			return t.cut()
		}
		return err
	}
	return nil
}

func (t *tarReader) cut() error {
	return fmt.Errorf("the archive ends in the middle of %s", t.entry.Path)
}

// whiteout turns marker files into what they mean (OCI image specification,
// layer.md, "Whiteouts"); it returns false for the markers of AUFS itself.
func whiteout(e *Entry) (keep bool) {
	dir, base := path.Split(e.Path)
	name, ok := strings.CutPrefix(base, ".wh.")
	if !ok {
		return true
	}
	switch {
	case base == ".wh..wh..opq":
		e.Type, e.Path = Opaque, strings.TrimSuffix(dir, "/")
	case strings.HasPrefix(name, ".wh.") || name == "":
		return false
	default:
		e.Type, e.Path = Whiteout, dir+name
	}
	e.Size = 0
	return true
}

// extended reads a PAX or GNU header that speaks of the next entry.
func (t *tarReader) extended(kind byte, size int64) error {
	if size > t.options.Limits.Header {
		return sekisho.Errorf(sekisho.Invalid, "entry %d: extended header of %d bytes, want at most %d", t.entries, size, t.options.Limits.Header)
	}
	t.in.left = size
	data := make([]byte, size)
	if _, err := io.ReadFull(t.in, data); err != nil {
		return fmt.Errorf("entry %d: extended header is cut short", t.entries)
	}
	if err := t.padding(size); err != nil {
		return err
	}
	switch kind {
	case 'L':
		t.local.path, t.local.hasPath = text(data), true
	case 'K':
		t.local.link, t.local.hasLink = text(data), true
	case 'g':
		return t.pax(data, &t.global)
	default:
		return t.pax(data, &t.local)
	}
	return nil
}

// pax reads records of the form "LENGTH KEY=VALUE\n".
func (t *tarReader) pax(data []byte, r *records) error {
	for len(data) > 0 {
		space := bytes.IndexByte(data, ' ')
		if space <= 0 || space > 9 {
			return fmt.Errorf("entry %d: PAX record without a length", t.entries)
		}
		n, err := strconv.Atoi(string(data[:space]))
		if err != nil || n <= space+1 || n > len(data) || data[n-1] != '\n' {
			return fmt.Errorf("entry %d: PAX record of length %q does not fit", t.entries, data[:space])
		}
		key, value, ok := strings.Cut(string(data[space+1:n-1]), "=")
		if !ok {
			return fmt.Errorf("entry %d: PAX record without a value", t.entries)
		}
		data = data[n:]
		if err := r.set(key, value); err != nil {
			return fmt.Errorf("entry %d: PAX %s=%q: %w", t.entries, key, value[:min(len(value), 40)], err)
		}
	}
	return nil
}

func (r *records) set(key, value string) (err error) {
	switch key {
	case "path":
		if !r.sparseName {
			r.path, r.hasPath = value, value != ""
		}
	case "GNU.sparse.name":
		r.path, r.hasPath, r.sparseName = value, value != "", true
	case "linkpath":
		r.link, r.hasLink = value, value != ""
	case "size":
		r.size, err = natural(value)
	case "uid":
		r.uid, err = natural(value)
	case "gid":
		r.gid, err = natural(value)
	case "mtime":
		whole, _, _ := strings.Cut(value, ".")
		var seconds int64
		if seconds, err = strconv.ParseInt(whole, 10, 64); err == nil {
			r.mtime = time.Unix(seconds, 0)
		}
	}
	return err
}

// natural reads a number from 0; an empty value unsets, as POSIX says.
func natural(value string) (int64, error) {
	if value == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err == nil && n < 0 {
		err = fmt.Errorf("want a number from 0")
	}
	return n, err
}
