package rpm

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errSQLite is damage of any kind.
var errSQLite = errors.New("rpm database: the SQLite file is damaged")

// Kinds of b-tree pages (SQLite file format, 1.6).
const (
	treeInterior = 5
	treeLeaf     = 13
)

// Bounds of a walk over a b-tree.
const (
	maxTreeDepth = 20
	maxRows      = 1 << 20
)

// sqliteFile is a database that is only read.
type sqliteFile struct {
	data   []byte
	page   uint64
	usable uint64 // of a page
	rows   int
	left   uint64 // bytes that may still be copied out of overflow pages
	pages  uint64 // that may still be visited
}

// sqlite shows the blobs of the table Packages (hnum, blob).
func sqlite(data []byte, see func([]byte)) error {
	if len(data) < 512 {
		return errSQLite
	}
	f := &sqliteFile{data: data, page: uint64(binary.BigEndian.Uint16(data[16:])), left: 2 * uint64(len(data))}
	if f.page == 1 {
		f.page = 65536
	}
	if f.page < 512 || f.page&(f.page-1) != 0 || f.page < uint64(data[20])+480 {
		return errSQLite
	}
	f.usable = f.page - uint64(data[20])
	f.pages = 2 * (uint64(len(data))/f.page + 1)
	var root uint64
	err := f.walk(1, 0, func(row []value) {
		if len(row) >= 5 && string(row[0].bytes) == "table" && string(row[1].bytes) == "Packages" {
			root = row[3].number
		}
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return fmt.Errorf("rpm database: the SQLite file has no table Packages")
	}
	return f.walk(root, 0, func(row []value) {
		if len(row) >= 2 && len(row[1].bytes) > 0 {
			see(row[1].bytes)
		}
	})
}

func (f *sqliteFile) get(number uint64) ([]byte, error) {
	if number == 0 || number > uint64(len(f.data))/f.page {
		return nil, errSQLite
	}
	return f.data[(number-1)*f.page : number*f.page], nil
}

// walk shows the rows of a table in order.
func (f *sqliteFile) walk(number uint64, depth int, see func([]value)) error {
	page, err := f.get(number)
	if err != nil || depth > maxTreeDepth || f.pages == 0 {
		return errSQLite
	}
	f.pages--
	at := uint64(0)
	if number == 1 {
		at = 100
	}
	kind, cells := page[at], uint64(binary.BigEndian.Uint16(page[at+3:]))
	pointers := at + 8
	if kind == treeInterior {
		pointers = at + 12
	}
	if kind != treeInterior && kind != treeLeaf || pointers+2*cells > uint64(len(page)) {
		return errSQLite
	}
	for i := range cells {
		cell := uint64(binary.BigEndian.Uint16(page[pointers+2*i:]))
		if cell+4 > uint64(len(page)) {
			return errSQLite
		}
		if kind == treeInterior {
			err = f.walk(uint64(binary.BigEndian.Uint32(page[cell:])), depth+1, see)
		} else {
			err = f.row(page[cell:f.usable:f.usable], see)
		}
		if err != nil {
			return err
		}
	}
	if kind == treeInterior {
		return f.walk(uint64(binary.BigEndian.Uint32(page[at+8:])), depth+1, see)
	}
	return nil
}

// varint reads a number of one to nine bytes.
func varint(b []byte) (n uint64, size int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return n<<8 | uint64(b[i]), 9
		}
		n = n<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return n, i + 1
		}
	}
	return 0, 0
}

// row reads a leaf's cell: size, row id, payload, first overflow page.
func (f *sqliteFile) row(cell []byte, see func([]value)) error {
	if f.rows++; f.rows > maxRows {
		return errSQLite
	}
	size, n := varint(cell)
	if n == 0 || size > uint64(len(f.data)) {
		return errSQLite
	}
	_, m := varint(cell[n:])
	if m == 0 {
		return errSQLite
	}
	payload, err := f.payload(cell[n+m:], size)
	if err != nil {
		return err
	}
	row, err := record(payload)
	if err == nil {
		see(row)
	}
	return err
}

// payload joins what is in the cell with what is on overflow pages (1.6).
func (f *sqliteFile) payload(cell []byte, size uint64) ([]byte, error) {
	most, least := f.usable-35, (f.usable-12)*32/255-23
	if size <= most {
		if size > uint64(len(cell)) {
			return nil, errSQLite
		}
		return cell[:size], nil
	}
	local := least + (size-least)%(f.usable-4)
	if local > most {
		local = least
	}
	if local+4 > uint64(len(cell)) || size > f.left {
		return nil, errSQLite
	}
	f.left -= size
	out := append(make([]byte, 0, size), cell[:local]...)
	next := uint64(binary.BigEndian.Uint32(cell[local:]))
	for uint64(len(out)) < size {
		page, err := f.get(next)
		if err != nil {
			return nil, err
		}
		out = append(out, page[4:4+min(f.usable-4, size-uint64(len(out)))]...)
		next = uint64(binary.BigEndian.Uint32(page))
	}
	return out, nil
}

// value is one column: text and blobs in bytes, integers in number.
type value struct {
	bytes  []byte
	number uint64
}

// record reads a row's columns (2.1).
func record(payload []byte) ([]value, error) {
	size, n := varint(payload)
	if n == 0 || size > uint64(len(payload)) || size < uint64(n) {
		return nil, errSQLite
	}
	types, body := payload[n:size], payload[size:]
	var row []value
	for len(types) > 0 {
		kind, n := varint(types)
		if n == 0 || len(row) > 64 {
			return nil, errSQLite
		}
		types = types[n:]
		width := columnWidth(kind)
		if width > uint64(len(body)) {
			return nil, errSQLite
		}
		v := value{}
		if kind >= 12 {
			v.bytes = body[:width]
		} else {
			for _, b := range body[:width] {
				v.number = v.number<<8 | uint64(b)
			}
			if kind == 9 {
				v.number = 1
			}
		}
		row, body = append(row, v), body[width:]
	}
	return row, nil
}

// columnWidth is the bytes of a serial type.
func columnWidth(kind uint64) uint64 {
	switch {
	case kind >= 12:
		return (kind - 12) / 2
	case kind == 5:
		return 6
	case kind == 6 || kind == 7:
		return 8
	case kind <= 4:
		return kind
	}
	return 0
}
