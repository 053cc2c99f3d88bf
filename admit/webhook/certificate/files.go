package certificate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sekisho"
	"sekisho/internal/atomicfile"
)

// Directory keeps the state in a directory: state.json, which only its owner
// can read, and ca.crt beside it for who configures a caller.
type Directory string

// maxState bounds the state in bytes.
const maxState = 1 << 20

// Load implements Store.
func (d Directory) Load(context.Context) (*State, string, error) {
	data, err := os.ReadFile(filepath.Join(string(d), "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", sekisho.Errorf(sekisho.NotFound, "%w", err)
	}
	if err != nil {
		return nil, "", err
	}
	return Decode(data)
}

// Decode reads a state; its version is its hash.
func Decode(data []byte) (*State, string, error) {
	if len(data) > maxState {
		return nil, "", sekisho.Errorf(sekisho.Invalid, "a state of %d bytes, want at most %d", len(data), maxState)
	}
	s := &State{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, "", sekisho.Errorf(sekisho.Corrupt, "read state of certificates: %w", err)
	}
	sum := sha256.Sum256(data)
	return s, hex.EncodeToString(sum[:]), nil
}

// Save implements Store.
func (d Directory) Save(ctx context.Context, s *State, version string) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	if _, now, err := d.Load(ctx); err == nil && now != version {
		return sekisho.Errorf(sekisho.Unavailable, "%s was written meanwhile", d)
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
		mode os.FileMode
	}{{"ca.crt", s.Bundle(), 0o644}, {"state.json", data, 0o600}} {
		if err := atomicfile.WriteDurable(filepath.Join(string(d), f.name), f.mode, f.data); err != nil {
			return err
		}
	}
	return nil
}

// Files is a certificate that somebody else keeps in files. It is read again
// when the files change.
type Files struct {
	Cert, Key string

	mu      sync.Mutex
	changed time.Time
	current *tls.Certificate
}

// Refresh reads the files when they changed. What does not fit together, as in
// the middle of a change, leaves the certificate as it was.
func (f *Files) Refresh(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.Cert)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	if f.current != nil && info.ModTime().Equal(f.changed) {
		return nil
	}
	c, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	f.current, f.changed = &c, info.ModTime()
	return nil
}

// Get returns the certificate to show.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no certificate yet")
	}
	return f.current, nil
}

// Until is when the shown certificate ends.
func (f *Files) Until() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil {
		return time.Time{}
	}
	return f.current.Leaf.NotAfter
}
