package walk

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/internal/inflate"
)

// maxZstd bounds the window of a zstd frame in bytes (RFC 8878 recommends to
// support 8 MiB; zstd -19 --long wants up to 128 MiB).
const maxZstd = 128 << 20

// readSize is how many stored bytes are read at once.
const readSize = 128 << 10

// decompress looks at the first bytes and returns the uncompressed stream;
// plain says that it was not compressed.
func decompress(in io.Reader) (out io.ReadCloser, plain bool, err error) {
	whole := bufio.NewReaderSize(in, readSize)
	head, err := whole.Peek(blockSize)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	n := len(head)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return io.NopCloser(inflate.NewReader(whole)), false, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(head):
		d, err := zstd.NewReader(whole, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstd), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, false, err
		}
		return d.IOReadCloser(), false, nil
	case n == 0, isTar(head):
		return io.NopCloser(whole), true, nil
	}
	return nil, false, sekisho.Errorf(sekisho.Invalid, "neither gzip, zstd nor tar: it begins with % x", head[:min(n, 8)])
}

// isSkippable recognises a skippable zstd frame (RFC 8878, 3.1.2).
func isSkippable(head []byte) bool {
	return len(head) >= 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18
}

// isTar recognises a tar header by its checksum, or the end of an empty tar.
func isTar(head []byte) bool {
	if len(head) < blockSize {
		return false
	}
	_, ok := checksum(head)
	return ok || bytes.Count(head, []byte{0}) == len(head)
}
