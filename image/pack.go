package image

import (
	"archive/tar"
	"io"
)

// Pack makes a layer of what a source has that is no archive: write fills an
// archive that is read from the other end. Closing the reader ends write and
// then closes the source.
func Pack(source io.Closer, write func(*tar.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := tar.NewWriter(w)
		err := write(t)
		if err == nil {
			err = t.Close()
		}
		w.CloseWithError(err)
	}()
	return &packed{r, source, done}
}

type packed struct {
	*io.PipeReader
	source io.Closer
	done   chan struct{}
}

func (p *packed) Close() error {
	p.PipeReader.Close()
	<-p.done
	return p.source.Close()
}
