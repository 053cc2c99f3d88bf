// Package feedserver plays the hosts of advisory feeds in tests: it serves
// files below /HOST/PATH with ETag, dates and ranges, and fails on demand as
// real hosts do. Only tests use it.
package feedserver

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is one way to fail. A path's faults happen one a request, in order.
type Fault struct {
	Status     int           // answer with it
	RetryAfter string        // header of that answer
	Cut        int64         // break the connection after so many bytes of the body
	Length     int64         // claim so many bytes
	Hold       chan struct{} // wait after the first Cut bytes until it is closed or the client has left
	Location   string        // redirect there
	Weak       bool          // neither a strong ETag nor a date
	Ignore     bool          // ignore Range
}

// Server is the hosts.
type Server struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string]file
	faults   map[string][]Fault
	requests []Request
	active   int
	Busiest  int // most requests at one time
}

type file struct {
	data []byte
	time time.Time
}

// Request is one that came.
type Request struct {
	Path   string
	Header http.Header
	Host   string
}

// New starts the hosts until the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{files: map[string]file{}, faults: map[string][]Fault{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// NewTLS is New with TLS; Certificate is the server's.
func NewTLS(t testing.TB) *Server {
	t.Helper()
	s := &Server{files: map[string]file{}, faults: map[string][]Fault{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// Put sets a document, at a time that changes with its content.
func (s *Server) Put(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256(data)
	s.files[path.Join("/", name)] = file{data, time.Unix(1_790_000_000+int64(sum[0])*60, 0)}
}

// Remove takes a document away.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, path.Join("/", name))
}

// Mount serves a directory's files below a path.
func (s *Server) Mount(t testing.TB, at, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		s.Put(path.Join(at, filepath.ToSlash(rel)), data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Fail plans faults for the next requests of a path.
func (s *Server) Fail(name string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = path.Join("/", name)
	s.faults[name] = append(s.faults[name], faults...)
}

// Requests returns those that came for a path; all for the empty one.
func (s *Server) Requests(name string) (list []Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if name == "" || r.Path == path.Join("/", name) {
			list = append(list, r)
		}
	}
	return list
}

// ServeHTTP answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.URL.Path, r.Header.Clone(), r.Host})
	s.active++
	s.Busiest = max(s.Busiest, s.active)
	f, ok := s.files[r.URL.Path]
	var x Fault
	if list := s.faults[r.URL.Path]; len(list) > 0 {
		x, s.faults[r.URL.Path] = list[0], list[1:]
	}
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.active--; s.mu.Unlock() }()
	switch {
	case x.Location != "":
		http.Redirect(w, r, x.Location, http.StatusFound)
	case x.Status != 0:
		if x.RetryAfter != "" {
			w.Header().Set("Retry-After", x.RetryAfter)
		}
		http.Error(w, http.StatusText(x.Status), x.Status)
	case !ok:
		http.NotFound(w, r)
	default:
		serve(w, r, f, x)
	}
}

func serve(w http.ResponseWriter, r *http.Request, f file, x Fault) {
	sum := sha256.Sum256(f.data)
	when := f.time
	if x.Ignore {
		r.Header.Del("Range")
	}
	if x.Weak {
		w.Header().Set("ETag", fmt.Sprintf(`W/"%x"`, sum[:8]))
		when = time.Time{}
	} else {
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sum[:8]))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if x.Length > 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(x.Length, 10))
		_, _ = w.Write(f.data)
		return
	}
	if x.Cut > 0 || x.Hold != nil {
		w = &cutter{ResponseWriter: w, left: x.Cut, hold: x.Hold, gone: r.Context().Done()}
	}
	http.ServeContent(w, r, strings.TrimPrefix(path.Base(r.URL.Path), "."), when, bytes.NewReader(f.data))
}

// cutter breaks off or waits.
type cutter struct {
	http.ResponseWriter
	left int64
	hold chan struct{}
	gone <-chan struct{}
}

// Write writes what may still be written.
func (c *cutter) Write(p []byte) (int, error) {
	if c.left < 0 || int64(len(p)) < c.left {
		c.left -= int64(len(p))
		return c.ResponseWriter.Write(p)
	}
	n, err := c.ResponseWriter.Write(p[:c.left])
	if err != nil {
		return n, err
	}
	c.ResponseWriter.(http.Flusher).Flush()
	if c.hold == nil {
		panic(http.ErrAbortHandler)
	}
	select {
	case <-c.hold:
	case <-c.gone:
	}
	p, c.left = p[n:], -1
	m, err := c.ResponseWriter.Write(p)
	return n + m, err
}
