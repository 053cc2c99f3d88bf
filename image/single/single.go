// Package single opens one file, or what comes on a pipe, as an image of one
// layer that holds nothing else. It refuses directories and, from a pipe, more
// than memory should hold.
package single

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sekisho"
	"sekisho/image"
)

// MaxPipe bounds, in bytes, what is read from a pipe.
const MaxPipe = 256 << 20

// Open opens a file.
func Open(name string) (*image.Image, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "open file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, sekisho.Errorf(sekisho.Usage, "%s is no regular file", name).WithHint("scan a directory: dir:%s", name)
	}
	return one("file:"+name, filepath.Base(name), info.Size(), func() (io.ReadCloser, error) { return os.Open(name) }), nil
}

// Read reads a pipe to its end.
func Read(in io.Reader) (*image.Image, error) {
	data, err := io.ReadAll(io.LimitReader(in, MaxPipe+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(data) > MaxPipe {
		return nil, sekisho.Errorf(sekisho.Usage, "standard input has more than %d bytes", MaxPipe).WithHint("save it and scan the file: file:NAME")
	}
	return one("file:-", "stdin", int64(len(data)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }), nil
}

func one(reference, name string, size int64, open func() (io.ReadCloser, error)) *image.Image {
	layer := image.Layer{Size: -1, Open: func(context.Context) (io.ReadCloser, error) {
		f, err := open()
		if err != nil {
			return nil, fmt.Errorf("open file: %w", err)
		}
		return image.Pack(f, func(t *tar.Writer) error {
			if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}); err != nil {
				return err
			}
			_, err := io.CopyN(t, f, size)
			return err
		}), nil
	}}
	return &image.Image{Kind: image.KindDirectory, Reference: reference, Layers: []image.Layer{layer}}
}
