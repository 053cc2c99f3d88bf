package table

import (
	"encoding/binary"
)

// entry is one key of a block with its values still packed.
type entry struct {
	shared int
	rest   []byte
	count  uint64
	values []byte
}

// next takes the first entry of a block.
func next(b []byte) (e entry, rest []byte, err error) {
	shared, b := uvarint(b)
	n, b := uvarint(b)
	if b == nil || shared > MaxKey || n > MaxKey || n > uint64(len(b)) {
		return e, nil, corrupt("an entry's key is damaged")
	}
	e.shared, e.rest, b = int(shared), b[:n], b[n:]
	e.count, b = uvarint(b)
	n, b = uvarint(b)
	if b == nil || n > uint64(len(b)) || e.count > n || e.count == 0 {
		return e, nil, corrupt("an entry's values are damaged")
	}
	e.values = b[:n]
	return e, b[n:], nil
}

// uvarint takes a number; the rest is nil, not empty, when there is none.
func uvarint(b []byte) (uint64, []byte) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil
	}
	return n, b[size:len(b):len(b)]
}

// unpack returns the values.
func (e *entry) unpack() ([][]byte, error) {
	out := make([][]byte, 0, e.count)
	b := e.values
	for range e.count {
		var n uint64
		if n, b = uvarint(b); b == nil || n > uint64(len(b)) {
			return nil, corrupt("a value is damaged")
		}
		out = append(out, b[:n:n])
		b = b[n:]
	}
	if len(b) != 0 {
		return nil, corrupt("bytes follow the last value")
	}
	return out, nil
}

// search returns the values of a key in a block, nil when it is not there.
func search(b []byte, key string) ([][]byte, error) {
	common := 0 // bytes that key shares with the entry before, which is less
	for len(b) > 0 {
		e, rest, err := next(b)
		if err != nil {
			return nil, err
		}
		b = rest
		if e.shared > common {
			continue // it goes on as the one before, where key differs
		}
		if e.shared < common {
			return nil, nil // greater than key
		}
		n := 0
		for n < len(e.rest) && common+n < len(key) && e.rest[n] == key[common+n] {
			n++
		}
		switch {
		case n == len(e.rest) && common+n == len(key):
			return e.unpack()
		case n < len(e.rest) && (common+n == len(key) || e.rest[n] > key[common+n]):
			return nil, nil
		}
		common += n
	}
	return nil, nil
}

// follows reports whether the entry's key is greater than the one before, and
// shares with it what it says and no more.
func (e *entry) follows(before []byte) bool {
	return len(e.rest) > 0 && (e.shared == len(before) || e.rest[0] > before[e.shared])
}

// entries calls see with all entries of a block.
func entries(b []byte, see func(key string, values [][]byte) error) error {
	var key []byte
	first := true
	for len(b) > 0 {
		e, rest, err := next(b)
		if err != nil {
			return err
		}
		if e.shared > len(key) || e.shared+len(e.rest) > MaxKey || !first && !e.follows(key) {
			return corrupt("an entry's key is damaged")
		}
		b, first = rest, false
		key = append(key[:e.shared], e.rest...)
		values, err := e.unpack()
		if err != nil {
			return err
		}
		if err := see(string(key), values); err != nil {
			return err
		}
	}
	return nil
}
