package analyze

import (
	"fmt"
	"io"
)

// Pull makes a stream's writer of a function that reads. The function runs
// beside the writer until Close, which waits for it and returns its error; what
// it leaves unread is dropped.
func Pull(read func(io.Reader) error) io.WriteCloser {
	in, out := io.Pipe()
	p := &puller{out: out, done: make(chan error, 1)}
	go func() {
		err := guarded(func() error { return read(in) })
		in.CloseWithError(io.ErrClosedPipe)
		p.done <- err
	}()
	return p
}

type puller struct {
	out  *io.PipeWriter
	done chan error
}

// Write hands bytes to the reader, if it still reads.
func (p *puller) Write(b []byte) (int, error) {
	if _, err := p.out.Write(b); err != nil && err != io.ErrClosedPipe {
		return 0, err
	}
	return len(b), nil
}

// Close ends the stream.
func (p *puller) Close() error {
	p.out.Close()
	return <-p.done
}

func guarded(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reader gave up: %v", r)
		}
	}()
	return run()
}
