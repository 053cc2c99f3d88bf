package walk

import "io"

// MaxPeek is the most that Content.Peek returns, in bytes.
const MaxPeek = 64 << 10

// Content is the bytes of a regular file as they pass by.
type Content struct {
	more  func(*chunk) (*chunk, error)
	chunk *chunk
	cur   []byte // the rest of chunk
	side  []byte // bytes before cur that were joined for a peek
	store []byte // backs side
	last  int    // bytes handed out by Next and not yet consumed
	left  int64  // of the current file
	fail  error
}

// Remaining is how many bytes of the file are still to come.
func (c *Content) Remaining() int64 { return c.left - int64(c.last) }

// Peek returns the next n bytes without consuming them, fewer where the file
// ends before; n is at most MaxPeek.
func (c *Content) Peek(n int) []byte {
	c.consume()
	if c.left < int64(n) {
		n = int(c.left)
	}
	return c.need(min(n, MaxPeek))
}

// Next returns the next piece without copying it, io.EOF at the end of the
// file. The piece is valid until the next call of any method.
func (c *Content) Next() ([]byte, error) {
	c.consume()
	if c.left == 0 {
		return nil, io.EOF
	}
	b := c.side
	if len(b) == 0 {
		if len(c.cur) == 0 && !c.advance() {
			if c.fail == io.EOF {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, c.fail
		}
		b = c.cur
	}
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	c.last = len(b)
	return b, nil
}

// Read implements io.Reader.
func (c *Content) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	piece, err := c.Next()
	if err != nil {
		return 0, err
	}
	n := copy(b, piece)
	c.last = n
	return n, nil
}

// consume takes away what Next handed out.
func (c *Content) consume() {
	if c.last > 0 {
		n := c.last
		c.last = 0
		c.drop(n)
	}
}

func (c *Content) drop(n int) {
	c.left -= int64(n)
	if k := min(n, len(c.side)); k > 0 {
		c.side = c.side[k:]
		n -= k
	}
	c.cur = c.cur[n:]
}

// skip consumes the rest of the file and n bytes behind it.
func (c *Content) skip(n int64) error {
	c.consume()
	c.left += n
	for c.left > 0 {
		if _, err := c.Next(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		c.consume()
	}
	return nil
}

// advance goes to the next chunk.
func (c *Content) advance() bool {
	if c.fail != nil {
		return false
	}
	next, err := c.more(c.chunk)
	c.chunk = next
	if err != nil {
		c.fail, c.cur = err, nil
		return false
	}
	c.cur = next.data
	return true
}

// need returns the next n bytes in one piece, fewer where the stream ends.
// They are not consumed.
func (c *Content) need(n int) []byte {
	if len(c.side) == 0 && len(c.cur) >= n {
		return c.cur[:n]
	}
	if len(c.side) >= n {
		return c.side[:n]
	}
	if c.store == nil {
		c.store = make([]byte, 0, MaxPeek)
	}
	joined := append(c.store[:0], c.side...)
	for len(joined) < n {
		if len(c.cur) == 0 && !c.advance() {
			break
		}
		k := min(n-len(joined), len(c.cur))
		joined = append(joined, c.cur[:k]...)
		c.cur = c.cur[k:]
	}
	c.side = joined
	return joined
}
