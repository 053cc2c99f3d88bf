package evidence

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"sekisho"
)

// Bounds of a case in bytes: of all that is in it, and of one file of a
// container's own layer.
const (
	maxCase = 512 << 20
	maxFile = 64 << 20
)

// Case is what is sealed about one container at one moment.
type Case struct {
	ID        string             `json:"id"` // names its file: time and container
	Time      time.Time          `json:"time"`
	Reason    string             `json:"reason"`
	Host      string             `json:"host"`
	Container *sekisho.Container `json:"container"`
	Parts     []Part             `json:"parts"`
	Problems  []string           `json:"problems"` // what could not be had
}

// Part is one file of a case.
type Part struct {
	Name   string         `json:"name"`
	Size   int64          `json:"size"`
	Digest sekisho.Digest `json:"digest"`
	Whole  bool           `json:"whole"` // false when it was cut at a bound
}

// Sealer writes a case: an archive that is signed at its end and never changed
// after. Parts come one by one; what fails is noted and does not stop the rest.
type Sealer struct {
	doc   Case
	path  string
	file  *os.File
	zip   *zstd.Encoder
	tar   *tar.Writer
	sum   hash.Hash // of all bytes of the file
	total int64
}

// Seal begins a case in a directory.
func Seal(dir string, c Case) (*Sealer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("seal case: %w", err)
	}
	id := "none"
	if c.Container != nil {
		id = cmp.Or(c.Container.ID[:min(12, len(c.Container.ID))], "none")
	}
	c.ID = c.Time.UTC().Format("20060102T150405.000Z") + "-" + clean(id)
	c.Parts, c.Problems = []Part{}, []string{}
	name := filepath.Join(dir, c.ID+".case")
	f, err := os.OpenFile(name+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("seal case: %w", err)
	}
	sum := sha256.New()
	z, err := zstd.NewWriter(io.MultiWriter(f, sum), zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("seal case: %w", err)
	}
	return &Sealer{doc: c, path: name, file: f, zip: z, tar: tar.NewWriter(z), sum: sum}, nil
}

// clean keeps what may stand in a file's name.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s)
}

// Problem notes what could not be had.
func (s *Sealer) Problem(format string, args ...any) {
	s.doc.Problems = append(s.doc.Problems, fmt.Sprintf(format, args...))
}

// Add adds a part of known bytes.
func (s *Sealer) Add(name string, data []byte) {
	s.part(name, int64(len(data)), bytes.NewReader(data))
}

// JSON adds a part as a document.
func (s *Sealer) JSON(name string, v any) {
	doc, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		s.Problem("%s: %v", name, err)
		return
	}
	s.Add(name, doc)
}

// Copy adds a file, up to a bound.
func (s *Sealer) Copy(name, from string) {
	f, err := os.Open(from)
	if err != nil {
		s.Problem("%s: %v", name, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		s.Problem("%s: no regular file", name)
		return
	}
	s.part(name, info.Size(), f)
}

func (s *Sealer) part(name string, size int64, from io.Reader) {
	take := min(size, maxFile)
	if s.total+take > maxCase {
		s.Problem("%s: the case is full at %d bytes", name, int64(maxCase))
		return
	}
	s.total += take
	if err := s.tar.WriteHeader(&tar.Header{Name: name, Size: take, Mode: 0o600, ModTime: s.doc.Time}); err != nil {
		s.Problem("%s: %v", name, err)
		return
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(s.tar, h), io.LimitReader(from, take))
	if err == nil && n < take { // it shrank while it was read
		_, err = io.CopyN(s.tar, zeros{}, take-n)
		s.Problem("%s: %d bytes were promised, %d came; the rest is zeros", name, take, n)
	}
	if err != nil {
		s.Problem("%s: %v", name, err)
		return
	}
	s.doc.Parts = append(s.doc.Parts, Part{Name: name, Size: n, Digest: sekisho.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), Whole: n == size})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Layer adds the files of a container's own layer, with their list. The walk
// follows no links and stays below the root.
func (s *Sealer) Layer(upper string) {
	type changed struct {
		Path    string    `json:"path"`
		Mode    string    `json:"mode"`
		Size    int64     `json:"size"`
		Changed time.Time `json:"changed"`
		Link    string    `json:"link,omitempty"`
	}
	list := []changed{}
	root, err := os.OpenRoot(upper)
	if err != nil {
		s.Problem("own layer: %v", err)
		return
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			s.Problem("own layer: %v", err)
			return nil
		}
		info, err := d.Info()
		if err != nil || name == "." || len(list) >= 100_000 {
			return nil
		}
		c := changed{Path: "/" + name, Mode: info.Mode().String(), Size: info.Size(), Changed: info.ModTime().UTC()}
		if info.Mode()&fs.ModeSymlink != 0 {
			c.Link, _ = root.Readlink(name)
		}
		list = append(list, c)
		if info.Mode().IsRegular() {
			if f, err := root.Open(name); err == nil {
				s.part(path.Join("changed", name), info.Size(), f)
				f.Close()
			}
		}
		return nil
	})
	if err != nil {
		s.Problem("own layer: %v", err)
	}
	s.JSON("changed.json", list)
}

// signature is what ends a case: a skippable frame, so that any zstd reads the
// archive before it (RFC 8878, section 3.1.2), with an Ed25519 signature over the
// SHA-256 of all bytes before.
const signatureSize = 8 + ed25519.SignatureSize

var signatureHead = []byte{0x50, 0x2a, 0x4d, 0x18, ed25519.SignatureSize, 0, 0, 0}

// Close writes the list of parts and the signature of who sealed it, and puts
// the case in place.
func (s *Sealer) Close(key ed25519.PrivateKey) (name string, err error) {
	doc, err := json.MarshalIndent(s.doc, "", " ")
	if err != nil {
		return "", fmt.Errorf("seal case: %w", err)
	}
	if err := s.tar.WriteHeader(&tar.Header{Name: "case.json", Size: int64(len(doc)), Mode: 0o600, ModTime: s.doc.Time}); err != nil {
		return "", fmt.Errorf("seal case: %w", err)
	}
	if _, err := s.tar.Write(doc); err != nil {
		return "", fmt.Errorf("seal case: %w", err)
	}
	if err := errors.Join(s.tar.Close(), s.zip.Close()); err != nil {
		return "", fmt.Errorf("seal case: %w", err)
	}
	sealed := append(bytes.Clone(signatureHead), ed25519.Sign(key, s.sum.Sum(nil))...)
	if _, err := s.file.Write(sealed); err != nil {
		return "", fmt.Errorf("seal case: %w", err)
	}
	if err := errors.Join(s.file.Sync(), s.file.Close()); err != nil {
		return "", fmt.Errorf("seal case: %w", err)
	}
	return s.path, os.Rename(s.path+".part", s.path)
}

// OpenCase reads a sealed case after it has checked who sealed it: no byte of it
// is believed before. part is called with each part's bytes while they pass by;
// it may be nil.
func OpenCase(name string, trusted []ed25519.PublicKey, part func(name string, r io.Reader) error) (*Case, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open case: %w", err)
	}
	defer f.Close()
	size, err := sealed(f, trusted)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "%s: %w", name, err)
	}
	z, err := zstd.NewReader(io.NewSectionReader(f, 0, size), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, fmt.Errorf("open case: %w", err)
	}
	defer z.Close()
	c := &Case{}
	for in := tar.NewReader(io.LimitReader(z, maxCase+(64<<20))); ; {
		h, err := in.Next()
		if err == io.EOF {
			return c, nil
		}
		if err == nil && h.Name == "case.json" {
			err = json.NewDecoder(in).Decode(c)
		} else if err == nil {
			err = show(h.Name, in, part)
		}
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Corrupt, "%s: %w", name, err)
		}
	}
}

// sealed returns the size of the archive before its signature, which holds.
func sealed(f *os.File, trusted []ed25519.PublicKey) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size() - signatureSize
	end := make([]byte, signatureSize)
	if size < 0 {
		return 0, errors.New("it is cut off")
	}
	if _, err := f.ReadAt(end, size); err != nil {
		return 0, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
		return 0, err
	}
	sum := h.Sum(nil)
	if !bytes.HasPrefix(end, signatureHead) || !slices.ContainsFunc(trusted, func(k ed25519.PublicKey) bool { return ed25519.Verify(k, sum, end[len(signatureHead):]) }) {
		return 0, errors.New("nobody trusted sealed it, or it was changed or cut off")
	}
	return size, nil
}

func show(name string, r io.Reader, part func(string, io.Reader) error) error {
	if part == nil {
		return nil
	}
	return part(name, r)
}
