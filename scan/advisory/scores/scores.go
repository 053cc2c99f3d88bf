// Package scores is the file of EPSS scores: rows of a fixed width, mapped into
// memory. CVEs and scores come in in order; the score of one comes out after two
// binary searches. It refuses files and pages whose sums do not hold.
package scores

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/advisory/table"
)

// EPSS scores are many and small: rows of a fixed width in order of their CVE,
// in pages with a sum each, then the first CVE of each page, the dates, and a
// footer. Big endian, so that rows order as bytes do.
const (
	magic    = "sekieps\x01"
	rowSize  = 5 + 4 + 4 + 1 // CVE, score, percentile, date
	pageSize = 4 + perPage*rowSize
	perPage  = 292 // of a page: it fits into 4 KiB
	footSize = 4*4 + 8
	maxDates = 255
	unit     = 1e9 // of scores and percentiles
)

// meta is what the file carries beside the rows.
type meta struct {
	About json.RawMessage `json:"about"`
	Dates []string        `json:"dates"`
}

// Key is a CVE's year since 1900 and number as bytes that order as they do.
type Key [5]byte

// Parse reads an id in the form of MITRE: CVE-2024-0001.
func Parse(id string) (k Key, ok bool) {
	year, number, ok := strings.Cut(strings.TrimPrefix(id, "CVE-"), "-")
	y, err := strconv.Atoi(year)
	n, err2 := strconv.ParseUint(number, 10, 32)
	if !ok || cmp.Or(err, err2) != nil || y < 1900 || y > 2155 || format(y, n) != id {
		return k, false
	}
	k[0] = byte(y - 1900)
	binary.BigEndian.PutUint32(k[1:], uint32(n))
	return k, true
}

// String returns the CVE's id.
func (k Key) String() string {
	return format(int(k[0])+1900, uint64(binary.BigEndian.Uint32(k[1:])))
}

func format(year int, number uint64) string { return fmt.Sprintf("CVE-%d-%04d", year, number) }

// Writer writes a file from rows in order.
type Writer struct {
	file  *os.File
	out   *bufio.Writer
	page  []byte
	first []byte // CVE of each page's first row
	dates []string
	rows  int
	size  int64
	sum   [sha256.Size]byte
	err   error
}

// Create makes a file, which must not be there yet.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write EPSS: %w", err)
	}
	w := &Writer{file: f, out: bufio.NewWriterSize(f, 256<<10)}
	w.write([]byte(magic))
	return w, nil
}

func (w *Writer) write(b []byte) {
	w.size += int64(len(b))
	_, err := w.out.Write(b)
	w.err = cmp.Or(w.err, err)
}

// Add writes a row. Keys come in order, each once.
func (w *Writer) Add(k Key, e sekisho.EPSS) error {
	date := slices.Index(w.dates, e.Date)
	if date < 0 {
		if date = len(w.dates); date == maxDates {
			return sekisho.Errorf(sekisho.Invalid, "write EPSS: scores of more than %d dates", maxDates)
		}
		w.dates = append(w.dates, e.Date)
	}
	if len(w.page) == 0 {
		w.page = append(w.page, 0, 0, 0, 0)
		w.first = append(w.first, k[:]...)
	}
	w.page = append(w.page, k[:]...)
	w.page = binary.BigEndian.AppendUint32(w.page, uint32(math.Round(e.Score*unit)))
	w.page = binary.BigEndian.AppendUint32(w.page, uint32(math.Round(e.Percentile*unit)))
	w.page = append(w.page, byte(date))
	w.rows++
	if len(w.page) == pageSize {
		w.flush()
	}
	return w.err
}

func (w *Writer) flush() {
	if len(w.page) == 0 {
		return
	}
	binary.BigEndian.PutUint32(w.page, castagnoli(w.page[4:]))
	w.write(w.page)
	w.page = w.page[:0]
}

// Finish writes what remains; about is JSON that the file carries. It returns
// the file's description.
func (w *Writer) Finish(about json.RawMessage) (table.Info, error) {
	w.flush()
	m, err := json.Marshal(meta{about, w.dates})
	if err != nil {
		return table.Info{}, fmt.Errorf("write EPSS: %w", err)
	}
	tail := append(w.first, m...)
	foot := binary.BigEndian.AppendUint32(nil, uint32(w.rows))
	foot = binary.BigEndian.AppendUint32(foot, uint32(len(m)))
	foot = binary.BigEndian.AppendUint32(foot, castagnoli(tail))
	foot = binary.BigEndian.AppendUint32(foot, castagnoli(foot))
	w.write(append(append(tail, foot...), magic...))
	err = cmp.Or(w.err, w.out.Flush(), w.file.Sync())
	var sum string
	if err == nil {
		sum, err = fileSum(w.file.Name())
	}
	if err = cmp.Or(err, w.file.Close()); err != nil {
		return table.Info{}, fmt.Errorf("write EPSS: %w", err)
	}
	w.file = nil
	return table.Info{Size: w.size, SHA256: sum, Keys: w.rows, Values: w.rows}, nil
}

// Abort removes the file. After Finish it does nothing.
func (w *Writer) Abort() {
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.file.Name())
	}
}

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// File is a file, mapped.
type File struct {
	file  *table.Mapping
	rows  int
	first []byte
	meta  meta
}

// Open maps a file and checks it but for its pages.
func Open(path string) (*File, error) {
	m, err := table.Map(path)
	if err != nil {
		return nil, err
	}
	e := &File{file: m}
	if err := e.check(); err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("open EPSS %s: %w", path, err)
	}
	return e, nil
}

func (e *File) check() error {
	b, damaged := e.file.Data, sekisho.Errorf(sekisho.Corrupt, "not whole, or of another version")
	if len(b) < len(magic)+footSize || string(b[:8]) != magic || string(b[len(b)-8:]) != magic {
		return damaged
	}
	foot := b[len(b)-footSize:]
	e.rows = int(binary.BigEndian.Uint32(foot))
	size := int(binary.BigEndian.Uint32(foot[4:]))
	pages := (e.rows + perPage - 1) / perPage
	start := len(magic) + e.rows*rowSize + 4*pages
	end := start + pages*len(Key{}) + size
	if binary.BigEndian.Uint32(foot[12:]) != castagnoli(foot[:12]) || end != len(b)-footSize ||
		binary.BigEndian.Uint32(foot[8:]) != castagnoli(b[start:end]) {
		return damaged
	}
	e.first = b[start : end-size]
	if json.Unmarshal(b[end-size:end], &e.meta) != nil {
		return damaged
	}
	return nil
}

// page returns the rows of a page.
func (e *File) page(n int) ([]byte, error) {
	at := len(magic) + n*pageSize
	rows := min(perPage, e.rows-n*perPage)
	b := e.file.Data[at : at+4+rows*rowSize]
	if castagnoli(b[4:]) != binary.BigEndian.Uint32(b) {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read EPSS: page %d is damaged", n)
	}
	return b[4:], nil
}

// Find returns the score of a CVE, nil when it has none.
func (e *File) Find(k Key) (*sekisho.EPSS, error) {
	key, width := string(k[:]), len(k)
	n := sort.Search(len(e.first)/width, func(i int) bool { return string(e.first[i*width:(i+1)*width]) > key }) - 1
	if n < 0 {
		return nil, nil
	}
	rows, err := e.page(n)
	if err != nil {
		return nil, err
	}
	i := sort.Search(len(rows)/rowSize, func(i int) bool { return string(rows[i*rowSize:i*rowSize+width]) >= key }) * rowSize
	if i >= len(rows) || string(rows[i:i+width]) != key {
		return nil, nil
	}
	return e.row(rows[i:])
}

func (e *File) row(b []byte) (*sekisho.EPSS, error) {
	date := int(b[13])
	if date >= len(e.meta.Dates) {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read EPSS: a date is missing")
	}
	return &sekisho.EPSS{
		Score:      float64(binary.BigEndian.Uint32(b[5:])) / unit,
		Percentile: float64(binary.BigEndian.Uint32(b[9:])) / unit,
		Date:       e.meta.Dates[date],
	}, nil
}

// Scan calls see with all rows in order.
func (e *File) Scan(see func(Key, sekisho.EPSS) error) error {
	for n := range (e.rows + perPage - 1) / perPage {
		rows, err := e.page(n)
		if err != nil {
			return err
		}
		for ; len(rows) > 0; rows = rows[rowSize:] {
			s, err := e.row(rows)
			if err != nil {
				return err
			}
			if err := see(Key(rows[:5]), *s); err != nil {
				return err
			}
		}
	}
	return nil
}

// Rows returns how many there are.
func (e *File) Rows() int { return e.rows }

// Close unmaps the file.
func (e *File) Close() error { return e.file.Close() }

// fileSum returns the SHA-256 of a file in hexadecimal.
func fileSum(path string) (string, error) {
	m, err := table.Map(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(m.Data)
	return hex.EncodeToString(sum[:]), m.Close()
}
