// Package bundle is the one file in which an advisory database crosses an air
// gap: a tar archive, compressed by Zstandard, of the signed manifest and then
// the segments in its order. Reading refuses archives that unfold without
// bounds or hold anything else; the manifest's signature and the segments' sums
// are for the reader of the database to check.
package bundle

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/scan/advisory"
)

// manifestName is the first file of a bundle.
const manifestName = "manifest"

// maxManifest bounds the manifest, maxWindow what the decoder keeps, in bytes.
const maxManifest, maxWindow = 64 << 20, 64 << 20

// Write writes a parcel. The same parcel makes the same bytes.
func Write(w io.Writer, p *advisory.Parcel, built time.Time) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	t := tar.NewWriter(z)
	err = write(t, p, built)
	if err := errors.Join(err, t.Close(), z.Close()); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

func write(t *tar.Writer, p *advisory.Parcel, built time.Time) error {
	header := func(name string, size int64) error {
		return t.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, ModTime: built.Truncate(time.Second), Format: tar.FormatPAX})
	}
	if err := header(manifestName, int64(len(p.Manifest))); err != nil {
		return err
	}
	if _, err := t.Write(p.Manifest); err != nil {
		return err
	}
	for _, s := range p.Segments {
		f, err := p.Open(s)
		if err != nil {
			return err
		}
		err = header(s.File(), s.Size)
		if err == nil {
			_, err = io.Copy(t, f)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", s.File(), err)
		}
	}
	return nil
}

// Reader reads a bundle from front to back.
type Reader struct {
	Manifest []byte // as it was signed
	zstd     *zstd.Decoder
	tar      *tar.Reader
}

// NewReader reads the manifest. Close it.
func NewReader(r io.Reader) (*Reader, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, corrupt(err)
	}
	b := &Reader{zstd: z, tar: tar.NewReader(z)}
	if b.Manifest, err = b.manifest(); err != nil {
		z.Close()
		return nil, err
	}
	return b, nil
}

func corrupt(err error) error {
	return sekisho.Errorf(sekisho.Corrupt, "read bundle of advisories: %w", err).WithHint("it is what sekisho advisory export writes; was it cut short on its way?")
}

func (b *Reader) manifest() ([]byte, error) {
	h, err := b.tar.Next()
	if err != nil {
		return nil, corrupt(err)
	}
	if h.Name != manifestName || h.Typeflag != tar.TypeReg || h.Size > maxManifest {
		return nil, corrupt(fmt.Errorf("it begins with %q of %d bytes, not with its manifest", h.Name, h.Size))
	}
	data, err := io.ReadAll(io.LimitReader(b.tar, maxManifest))
	if err != nil {
		return nil, corrupt(err)
	}
	return data, nil
}

// Open returns the content of a segment. Segments come in the manifest's order;
// those that are not asked for are passed over.
func (b *Reader) Open(s advisory.SegmentInfo) (io.ReadCloser, error) {
	for {
		h, err := b.tar.Next()
		if err == io.EOF {
			return nil, corrupt(fmt.Errorf("it lacks %s", s.File()))
		}
		if err != nil {
			return nil, corrupt(err)
		}
		if h.Name == s.File() && h.Typeflag == tar.TypeReg {
			return io.NopCloser(reader{b.tar}), nil
		}
	}
}

// reader marks errors of the archive.
type reader struct{ io.Reader }

// Read reads.
func (r reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = corrupt(err)
	}
	return n, err
}

// Close frees the decoder.
func (b *Reader) Close() { b.zstd.Close() }
