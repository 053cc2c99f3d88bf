package rpm

import (
	"encoding/binary"
	"fmt"
)

// Layout of RPM's own database (rpmpkg.c of RPM 4.14 and later).
const (
	ndbSlotMagic = 0x746f6c53 // "Slot"
	ndbBlobMagic = 0x53626c42 // "BlbS"
	ndbPage      = 4096
	ndbSlot      = 16
	ndbBlock     = 16
)

// ndb shows every package's header.
func ndb(data []byte, see func([]byte)) error {
	le := binary.LittleEndian
	if len(data) < ndbPage {
		return fmt.Errorf("rpm database: %d bytes are too few", len(data))
	}
	pages := uint64(le.Uint32(data[12:]))
	if pages == 0 || pages*ndbPage > uint64(len(data)) {
		return fmt.Errorf("rpm database: %d pages of slots do not fit into %d bytes", pages, len(data))
	}
	for at := uint64(2 * ndbSlot); at+ndbSlot <= pages*ndbPage; at += ndbSlot {
		slot := data[at : at+ndbSlot]
		if le.Uint32(slot) != ndbSlotMagic {
			return fmt.Errorf("rpm database: slot at %d is damaged", at)
		}
		number, offset := le.Uint32(slot[4:]), uint64(le.Uint32(slot[8:]))*ndbBlock
		if number == 0 || offset == 0 {
			continue
		}
		if offset+16 > uint64(len(data)) {
			return fmt.Errorf("rpm database: package %d lies outside", number)
		}
		blob := data[offset:]
		size := uint64(le.Uint32(blob[12:]))
		if le.Uint32(blob) != ndbBlobMagic || le.Uint32(blob[4:]) != number || 16+size > uint64(len(blob)) {
			return fmt.Errorf("rpm database: package %d is damaged", number)
		}
		see(blob[16 : 16+size])
	}
	return nil
}
