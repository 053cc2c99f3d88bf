// Package store keeps what the program knows between runs. On one machine that
// is a directory of files, replaced whole, which several processes share without
// a server. Facts about images go in, facts by any digest of the image come out;
// it refuses content that does not match the name it is kept under.
package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/internal/atomicfile"
	"sekisho/policy/fact"
)

// maxFacts bounds the facts of one image, in bytes of JSON.
const maxFacts = 256 << 20

// Facts is a directory of facts about images:
//
//	facts/HASH.zst  the facts, named by the SHA-256 of their JSON
//	by/DIGEST       the HASH of what is known of a manifest or configuration
type Facts struct {
	dir string
}

// OpenFacts opens or makes the directory.
func OpenFacts(dir string) (*Facts, error) {
	for _, sub := range []string{"facts", "by"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("open facts: %w", err)
		}
	}
	return &Facts{dir: dir}, nil
}

// Keep keeps the facts of an image under its digests and returns their version.
// Facts that are kept already are replaced.
func (f *Facts) Keep(image *fact.Image, digests ...sekisho.Digest) (version string, err error) {
	doc, err := json.Marshal(image)
	if err != nil {
		return "", fmt.Errorf("keep facts: %w", err)
	}
	sum := sha256.Sum256(doc)
	version = hex.EncodeToString(sum[:])
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return "", fmt.Errorf("keep facts: %w", err)
	}
	if err := atomicfile.Write(f.document(version), 0o644, w.EncodeAll(doc, nil)); err != nil {
		return "", fmt.Errorf("keep facts: %w", err)
	}
	for _, d := range append(digests, image.Digest, image.ID) {
		if d == "" {
			continue
		}
		if err := d.Validate(); err != nil {
			return "", err
		}
		if err := atomicfile.Write(f.pointer(d), 0o644, []byte(version)); err != nil {
			return "", fmt.Errorf("keep facts: %w", err)
		}
	}
	return version, nil
}

func (f *Facts) document(version string) string { return filepath.Join(f.dir, "facts", version+".zst") }

func (f *Facts) pointer(d sekisho.Digest) string {
	return filepath.Join(f.dir, "by", strings.ReplaceAll(string(d), ":", "-"))
}

// Version names what is known of a digest; empty when nothing is.
func (f *Facts) Version(d sekisho.Digest) string {
	if d.Validate() != nil {
		return ""
	}
	data, err := os.ReadFile(f.pointer(d))
	if err != nil || len(data) != 2*sha256.Size {
		return ""
	}
	return string(data)
}

// Image returns what is known of a digest. Errors: sekisho.NotFound, Corrupt.
func (f *Facts) Image(d sekisho.Digest) (*fact.Image, error) {
	version := f.Version(d)
	if version == "" {
		return nil, sekisho.Errorf(sekisho.NotFound, "nothing is known of %s", d)
	}
	image, err := f.read(version)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sekisho.Errorf(sekisho.NotFound, "nothing is known of %s any more", d)
	}
	if err != nil {
		return nil, fmt.Errorf("facts of %s: %w", d, err)
	}
	return image, nil
}

// Each calls see for all facts that are kept, those that newer ones replaced
// too, in no order.
func (f *Facts) Each(see func(version string, image *fact.Image) error) error {
	entries, err := os.ReadDir(filepath.Join(f.dir, "facts"))
	if err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	for _, e := range entries {
		version, ok := strings.CutSuffix(e.Name(), ".zst")
		if !ok || len(version) != 2*sha256.Size {
			continue
		}
		image, err := f.read(version)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return fmt.Errorf("facts %s: %w", version, err)
		}
		if err := see(version, image); err != nil {
			return err
		}
	}
	return nil
}

// read reads the facts of a version.
func (f *Facts) read(version string) (*fact.Image, error) {
	file, err := os.Open(f.document(version))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFacts))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	doc, err := io.ReadAll(io.LimitReader(r, maxFacts))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "%w", err)
	}
	if sum := sha256.Sum256(doc); hex.EncodeToString(sum[:]) != version {
		return nil, sekisho.Errorf(sekisho.Corrupt, "the content is not what was kept")
	}
	image := &fact.Image{}
	dec := json.NewDecoder(bytes.NewReader(doc))
	if err := dec.Decode(image); err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "%w", err)
	}
	return image, nil
}

// Kept is a digest about which something is known.
type Kept struct {
	Digest  sekisho.Digest
	Version string
	Time    time.Time // when it was kept
}

// List lists all digests, in their order.
func (f *Facts) List() (list []Kept, err error) {
	entries, err := os.ReadDir(filepath.Join(f.dir, "by"))
	if err != nil {
		return nil, fmt.Errorf("list facts: %w", err)
	}
	for _, e := range entries {
		d := sekisho.Digest(strings.Replace(e.Name(), "-", ":", 1))
		info, err := e.Info()
		if version := f.Version(d); version != "" && err == nil {
			list = append(list, Kept{d, version, info.ModTime()})
		}
	}
	return list, nil
}

// Prune removes facts that were kept before a time, and what points to them.
func (f *Facts) Prune(before time.Time) (removed int, err error) {
	for _, sub := range []string{"by", "facts"} {
		if err := atomicfile.Sweep(filepath.Join(f.dir, sub), time.Now()); err != nil {
			return removed, fmt.Errorf("prune facts: %w", err)
		}
		entries, err := os.ReadDir(filepath.Join(f.dir, sub))
		if err != nil {
			return removed, fmt.Errorf("prune facts: %w", err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !info.ModTime().Before(before) {
				continue
			}
			if err := os.Remove(filepath.Join(f.dir, sub, e.Name())); err == nil && sub == "facts" {
				removed++
			}
		}
	}
	return removed, nil
}
