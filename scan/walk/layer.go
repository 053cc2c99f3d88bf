package walk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"sekisho"
	"sekisho/image"
)

// Options of a walk.
type Options struct {
	Limits  Limits
	Problem func(path, message string) // told of what could not be read; may be nil
}

// Visitor sees one entry. The entry and the content are valid during the call;
// what it does not read is skipped.
type Visitor func(*Entry, *Content) error

func (o *Options) defaults() {
	set := func(field *int64, value int64) {
		if *field == 0 {
			*field = value
		}
	}
	set(&o.Limits.Entries, 5_000_000)
	set(&o.Limits.Bytes, 256<<30)
	set(&o.Limits.Ratio, 1100)
	set(&o.Limits.Header, 1<<20)
	if o.Problem == nil {
		o.Problem = func(string, string) {}
	}
}

// Layer walks a layer once. The digests that the layer claims are checked when
// it ends: content that does not match is an error of kind Corrupt. Where the
// layer claims a diff id, the digest of the stored bytes is not computed too.
func Layer(ctx context.Context, l image.Layer, o Options, visit Visitor) (Summary, error) {
	o.defaults()
	if l.Dir != "" {
		return directory(ctx, l, o, visit)
	}
	rc, err := l.Open(ctx)
	if err != nil {
		return Summary{}, err
	}
	p := newPipe(ctx, rc, l, o.Limits)
	t := &tarReader{in: &p.Content, options: o, visit: visit}
	err = t.run()
	if err == nil {
		err = p.drain()
	}
	failed := p.close(err != nil)
	if err != nil {
		if failed != nil {
			err = failed
		}
		return Summary{}, named(l, err)
	}
	if failed != nil {
		return Summary{}, named(l, failed)
	}
	s := Summary{DiffID: p.diffID(), Digest: l.Digest, Size: p.size, Stored: p.stored.Load(), Entries: t.entries}
	if p.storedHash != nil {
		s.Digest = digest(p.storedHash)
	} else if p.plain && algorithm(l.Digest) == algorithm(s.DiffID) {
		s.Digest = s.DiffID
	}
	return s, verify(l, s)
}

func named(l image.Layer, err error) error {
	name := l.Digest
	if name == "" {
		name = l.DiffID
	}
	var known *sekisho.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("read layer %s: %w", name, err)
	}
	return sekisho.Errorf(sekisho.Corrupt, "read layer %s: %w", name, err)
}

func verify(l image.Layer, s Summary) error {
	if l.DiffID != "" && l.DiffID != s.DiffID {
		return sekisho.Errorf(sekisho.Corrupt, "layer %s: its content has diff id %s", l.DiffID, s.DiffID)
	}
	if l.Digest != "" && s.Digest != "" && l.Digest != s.Digest {
		return sekisho.Errorf(sekisho.Corrupt, "layer %s: its content has digest %s", l.Digest, s.Digest)
	}
	return nil
}

func digest(h hash.Hash) sekisho.Digest {
	name := "sha256:"
	if h.Size() == sha512.Size {
		name = "sha512:"
	}
	return sekisho.Digest(name + hex.EncodeToString(h.Sum(nil)))
}

// algorithm is that of a digest, sha256 where there is none.
func algorithm(d sekisho.Digest) string {
	name, _, _ := strings.Cut(string(d), ":")
	return cmp.Or(name, "sha256")
}

// hashFor returns the hash that a digest was made with (descriptor.md,
// "Registered algorithms").
func hashFor(d sekisho.Digest) hash.Hash {
	if algorithm(d) == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}

// chunkSize is how many bytes travel together, and chunks how many such pieces
// one layer has in flight.
const (
	chunkSize = 256 << 10
	chunks    = 6
)

// chunk is a piece of the uncompressed layer, given back when both the hash
// and the walk are through with it.
type chunk struct {
	data []byte
	refs atomic.Int32
}

// pipe carries a layer: one goroutine reads and decompresses, one hashes, the
// caller walks.
type pipe struct {
	Content
	rc         io.ReadCloser
	free       chan *chunk
	walk, sum  chan *chunk
	stop       chan struct{}
	stopOnce   sync.Once
	wait       sync.WaitGroup
	hash       hash.Hash
	storedHash hash.Hash
	stored     atomic.Int64
	plain      bool
	size       int64
	limits     Limits
	err        error // of the reading goroutine; valid once walk is closed
}

func newPipe(ctx context.Context, rc io.ReadCloser, l image.Layer, limits Limits) *pipe {
	p := &pipe{rc: rc, free: make(chan *chunk, chunks), walk: make(chan *chunk, chunks), sum: make(chan *chunk, chunks),
		stop: make(chan struct{}), hash: hashFor(l.DiffID), limits: limits}
	p.Content.more = p.next
	if l.DiffID == "" && l.Digest != "" {
		p.storedHash = hashFor(l.Digest)
	}
	for range chunks {
		p.free <- &chunk{}
	}
	end := context.AfterFunc(ctx, p.abort)
	p.wait.Go(func() {
		defer end()
		p.err = p.fill()
		if ctx.Err() != nil {
			p.err = ctx.Err()
		}
		close(p.walk)
		close(p.sum)
	})
	p.wait.Go(func() {
		for c := range p.sum {
			p.hash.Write(c.data)
			p.release(c)
		}
	})
	return p
}

func (p *pipe) release(c *chunk) {
	if c.refs.Add(-1) == 0 {
		p.free <- c // never blocks: there is room for all
	}
}

// abort stops the reading goroutine, also one that waits for its source.
func (p *pipe) abort() {
	p.stopOnce.Do(func() {
		close(p.stop)
		p.rc.Close()
	})
}

// fill reads the source to its end.
func (p *pipe) fill() error {
	in, plain, err := decompress(&counter{p: p})
	if err != nil {
		return err
	}
	defer in.Close()
	p.plain = plain
	for {
		var c *chunk
		select {
		case c = <-p.free:
		case <-p.stop:
			return errStopped
		}
		if c.data == nil {
			c.data = make([]byte, chunkSize)
		}
		n, err := io.ReadFull(in, c.data[:chunkSize])
		if n > 0 {
			if err := p.bound(n); err != nil {
				return err
			}
			c.data = c.data[:n]
			c.refs.Store(2)
			p.sum <- c
			p.walk <- c
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			if err == io.ErrUnexpectedEOF && n == 0 {
				return errCut
			}
			return p.ended(in)
		default:
			return err
		}
	}
}

var (
	errStopped = errors.New("stopped")
	errCut     = errors.New("the compressed stream is cut short")
)

// ended tells a clean end from a cut one: io.ReadFull reports both alike.
func (p *pipe) ended(in io.Reader) error {
	var one [1]byte
	switch n, err := in.Read(one[:]); {
	case n == 0 && err == io.EOF:
		return nil
	case err == io.ErrUnexpectedEOF:
		return errCut
	case err != nil:
		return err
	}
	return nil
}

// freeRatio is how many bytes may be expanded before the ratio counts.
const freeRatio = 64 << 20

func (p *pipe) bound(n int) error {
	p.size += int64(n)
	if p.size > p.limits.Bytes {
		return sekisho.Errorf(sekisho.Invalid, "more than %d bytes uncompressed", p.limits.Bytes)
	}
	if stored := p.stored.Load(); p.size > freeRatio && p.size/p.limits.Ratio > stored {
		return sekisho.Errorf(sekisho.Invalid, "%d stored bytes expand to more than %d times that", stored, p.limits.Ratio)
	}
	return nil
}

// next hands the walk the next piece; the previous one is given back.
func (p *pipe) next(previous *chunk) (*chunk, error) {
	if previous != nil {
		p.release(previous)
	}
	c, ok := <-p.walk
	if !ok {
		if p.err != nil {
			return nil, p.err
		}
		return nil, io.EOF
	}
	return c, nil
}

// drain reads what is behind the end of the archive, so that it is hashed.
func (p *pipe) drain() error {
	p.Content.left = 1 << 62
	for {
		if _, err := p.Content.Next(); p.Content.fail == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// close ends all goroutines and returns what the reading one failed with.
func (p *pipe) close(early bool) error {
	if early {
		p.abort()
	}
	for c := range p.walk { // unblock the reading goroutine
		p.release(c)
	}
	p.wait.Wait()
	p.stopOnce.Do(func() { p.rc.Close() })
	if errors.Is(p.err, errStopped) {
		return nil
	}
	return p.err
}

func (p *pipe) diffID() sekisho.Digest { return digest(p.hash) }

// counter counts and, where asked for, hashes stored bytes.
type counter struct{ p *pipe }

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.p.rc.Read(b)
	c.p.stored.Add(int64(n))
	if c.p.storedHash != nil {
		c.p.storedHash.Write(b[:n])
	}
	return n, err
}
