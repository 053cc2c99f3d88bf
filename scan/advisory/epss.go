package advisory

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
	epssMagic  = "sekieps\x01"
	epssRow    = 5 + 4 + 4 + 1 // CVE, score, percentile, date
	epssPage   = 4 + epssRows*epssRow
	epssRows   = 292 // of a page: it fits into 4 KiB
	epssFooter = 4*4 + 8
	epssDates  = 255
	epssUnit   = 1e9 // of scores and percentiles
)

// cveKey is a CVE's year since 1900 and number as bytes that order as they do.
type cveKey [5]byte

// parseCVE reads an id in the form of MITRE: CVE-2024-0001.
func parseCVE(id string) (k cveKey, ok bool) {
	year, number, ok := strings.Cut(strings.TrimPrefix(id, "CVE-"), "-")
	y, err := strconv.Atoi(year)
	n, err2 := strconv.ParseUint(number, 10, 32)
	if !ok || cmp.Or(err, err2) != nil || y < 1900 || y > 2155 || formatCVE(y, n) != id {
		return k, false
	}
	k[0] = byte(y - 1900)
	binary.BigEndian.PutUint32(k[1:], uint32(n))
	return k, true
}

func formatCVE(year int, number uint64) string { return fmt.Sprintf("CVE-%d-%04d", year, number) }

// epssWriter writes the file from rows in order.
type epssWriter struct {
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

func createEPSS(path string) (*epssWriter, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write EPSS: %w", err)
	}
	w := &epssWriter{file: f, out: bufio.NewWriterSize(f, 256<<10)}
	w.write([]byte(epssMagic))
	return w, nil
}

func (w *epssWriter) write(b []byte) {
	w.size += int64(len(b))
	_, err := w.out.Write(b)
	w.err = cmp.Or(w.err, err)
}

func (w *epssWriter) add(k cveKey, e sekisho.EPSS) error {
	date := slices.Index(w.dates, e.Date)
	if date < 0 {
		if date = len(w.dates); date == epssDates {
			return sekisho.Errorf(sekisho.Invalid, "write EPSS: scores of more than %d dates", epssDates)
		}
		w.dates = append(w.dates, e.Date)
	}
	if len(w.page) == 0 {
		w.page = append(w.page, 0, 0, 0, 0)
		w.first = append(w.first, k[:]...)
	}
	w.page = append(w.page, k[:]...)
	w.page = binary.BigEndian.AppendUint32(w.page, uint32(math.Round(e.Score*epssUnit)))
	w.page = binary.BigEndian.AppendUint32(w.page, uint32(math.Round(e.Percentile*epssUnit)))
	w.page = append(w.page, byte(date))
	w.rows++
	if len(w.page) == epssPage {
		w.flush()
	}
	return w.err
}

func (w *epssWriter) flush() {
	if len(w.page) == 0 {
		return
	}
	binary.BigEndian.PutUint32(w.page, castagnoli(w.page[4:]))
	w.write(w.page)
	w.page = w.page[:0]
}

func (w *epssWriter) finish(meta meta) (table.Info, error) {
	w.flush()
	meta.Dates = w.dates
	m, err := json.Marshal(meta)
	if err != nil {
		return table.Info{}, fmt.Errorf("write EPSS: %w", err)
	}
	tail := append(w.first, m...)
	foot := binary.BigEndian.AppendUint32(nil, uint32(w.rows))
	foot = binary.BigEndian.AppendUint32(foot, uint32(len(m)))
	foot = binary.BigEndian.AppendUint32(foot, castagnoli(tail))
	foot = binary.BigEndian.AppendUint32(foot, castagnoli(foot))
	w.write(append(append(tail, foot...), epssMagic...))
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

func (w *epssWriter) abort() {
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.file.Name())
	}
}

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// epssFile is the file, mapped.
type epssFile struct {
	file  *table.Mapping
	rows  int
	first []byte
	meta  meta
}

func openEPSS(path string) (*epssFile, error) {
	m, err := table.Map(path)
	if err != nil {
		return nil, err
	}
	e := &epssFile{file: m}
	if err := e.check(); err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("open EPSS %s: %w", path, err)
	}
	return e, nil
}

func (e *epssFile) check() error {
	b, damaged := e.file.Data, sekisho.Errorf(sekisho.Corrupt, "not whole, or of another version")
	if len(b) < len(epssMagic)+epssFooter || string(b[:8]) != epssMagic || string(b[len(b)-8:]) != epssMagic {
		return damaged
	}
	foot := b[len(b)-epssFooter:]
	e.rows = int(binary.BigEndian.Uint32(foot))
	size := int(binary.BigEndian.Uint32(foot[4:]))
	pages := (e.rows + epssRows - 1) / epssRows
	start := len(epssMagic) + e.rows*epssRow + 4*pages
	end := start + pages*len(cveKey{}) + size
	if binary.BigEndian.Uint32(foot[12:]) != castagnoli(foot[:12]) || end != len(b)-epssFooter ||
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
func (e *epssFile) page(n int) ([]byte, error) {
	at := len(epssMagic) + n*epssPage
	rows := min(epssRows, e.rows-n*epssRows)
	b := e.file.Data[at : at+4+rows*epssRow]
	if castagnoli(b[4:]) != binary.BigEndian.Uint32(b) {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read EPSS: page %d is damaged", n)
	}
	return b[4:], nil
}

func (e *epssFile) find(k cveKey) (*sekisho.EPSS, error) {
	key, width := string(k[:]), len(k)
	n := sort.Search(len(e.first)/width, func(i int) bool { return string(e.first[i*width:(i+1)*width]) > key }) - 1
	if n < 0 {
		return nil, nil
	}
	rows, err := e.page(n)
	if err != nil {
		return nil, err
	}
	i := sort.Search(len(rows)/epssRow, func(i int) bool { return string(rows[i*epssRow:i*epssRow+width]) >= key }) * epssRow
	if i >= len(rows) || string(rows[i:i+width]) != key {
		return nil, nil
	}
	return e.row(rows[i:])
}

func (e *epssFile) row(b []byte) (*sekisho.EPSS, error) {
	date := int(b[13])
	if date >= len(e.meta.Dates) {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read EPSS: a date is missing")
	}
	return &sekisho.EPSS{
		Score:      float64(binary.BigEndian.Uint32(b[5:])) / epssUnit,
		Percentile: float64(binary.BigEndian.Uint32(b[9:])) / epssUnit,
		Date:       e.meta.Dates[date],
	}, nil
}

// scan calls see with all rows in order.
func (e *epssFile) scan(see func(cveKey, sekisho.EPSS) error) error {
	for n := range (e.rows + epssRows - 1) / epssRows {
		rows, err := e.page(n)
		if err != nil {
			return err
		}
		for ; len(rows) > 0; rows = rows[epssRow:] {
			s, err := e.row(rows)
			if err != nil {
				return err
			}
			if err := see(cveKey(rows[:5]), *s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *epssFile) close() error { return e.file.Close() }

// fileSum returns the SHA-256 of a file in hexadecimal.
func fileSum(path string) (string, error) {
	m, err := table.Map(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(m.Data)
	return hex.EncodeToString(sum[:]), m.Close()
}
