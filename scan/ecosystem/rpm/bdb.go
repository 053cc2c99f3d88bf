package rpm

import (
	"encoding/binary"
	"fmt"
)

// Layout of a Berkeley DB hash database (db_page.h of Berkeley DB 4 and 5).
const (
	bdbHashMagic = 0x061561
	bdbHeader    = 26 // bytes of a page's header
	pageOverflow = 7
	pageHash     = 13
	pageUnsorted = 2
	itemInline   = 1
	itemOffPage  = 3
)

// bdb shows every value of a hash database.
func bdb(data []byte, see func([]byte)) error {
	if len(data) < 512 {
		return fmt.Errorf("rpm database: neither Berkeley DB, NDB nor SQLite")
	}
	d := bdbFile{data: data, order: binary.LittleEndian}
	if d.order.Uint32(data[12:]) != bdbHashMagic {
		d.order = binary.BigEndian
	}
	if d.order.Uint32(data[12:]) != bdbHashMagic {
		return fmt.Errorf("rpm database: neither Berkeley DB, NDB nor SQLite")
	}
	d.size = uint64(d.order.Uint32(data[20:]))
	if d.size < 512 || d.size > 64<<10 || d.size&(d.size-1) != 0 {
		return fmt.Errorf("rpm database: page size %d", d.size)
	}
	pages := uint64(len(data)) / d.size
	left := uint64(len(data)) * 2 // no sane database shows more than it holds
	for n := uint64(1); n < pages; n++ {
		page := data[n*d.size : (n+1)*d.size]
		if page[25] != pageHash && page[25] != pageUnsorted {
			continue
		}
		if err := d.page(page, &left, see); err != nil {
			return err
		}
	}
	return nil
}

type bdbFile struct {
	data  []byte
	size  uint64
	order binary.ByteOrder
}

// page shows the values of a hash page: its items are key, value, key …
func (d *bdbFile) page(page []byte, left *uint64, see func([]byte)) error {
	count := int(d.order.Uint16(page[20:]))
	if bdbHeader+2*count > len(page) {
		return fmt.Errorf("rpm database: a page claims %d items", count)
	}
	end := len(page)
	for i := range count {
		at := int(d.order.Uint16(page[bdbHeader+2*i:]))
		if at < bdbHeader || at >= len(page) {
			return fmt.Errorf("rpm database: an item lies outside its page")
		}
		item := page[at:max(end, at)]
		end = at
		if i%2 == 0 || len(item) == 0 {
			continue
		}
		switch item[0] {
		case itemOffPage:
			if len(item) < 12 {
				return fmt.Errorf("rpm database: an item is cut short")
			}
			value, err := d.overflow(d.order.Uint32(item[4:]), d.order.Uint32(item[8:]), left)
			if err != nil {
				return err
			}
			see(value)
		case itemInline:
			if len(item) > 9 { // shorter ones are RPM's own counters
				see(item[1:])
			}
		}
	}
	return nil
}

// overflow joins a value that has pages of its own.
func (d *bdbFile) overflow(number, size uint32, left *uint64) ([]byte, error) {
	if uint64(size) > *left || size > maxHeader {
		return nil, fmt.Errorf("rpm database: values claim more bytes than the file has")
	}
	*left -= uint64(size)
	value := make([]byte, 0, size)
	for number != 0 && len(value) < int(size) {
		from := uint64(number) * d.size
		if from+d.size > uint64(len(d.data)) {
			return nil, fmt.Errorf("rpm database: page %d lies outside", number)
		}
		page := d.data[from : from+d.size]
		n := int(d.order.Uint16(page[22:]))
		if page[25] != pageOverflow || n == 0 || bdbHeader+n > len(page) {
			return nil, fmt.Errorf("rpm database: page %d is no overflow page", number)
		}
		value = append(value, page[bdbHeader:bdbHeader+n]...)
		number = d.order.Uint32(page[16:])
	}
	return value[:min(len(value), int(size))], nil
}
