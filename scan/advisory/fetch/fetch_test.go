package fetch

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/internal/feedserver"
	"sekisho/internal/fixture"
	"sekisho/scan/advisory"
)

// clock answers waits at once and notes them; a stall only when told.
type clock struct {
	mu    sync.Mutex
	waits []time.Duration
	stall chan time.Time
}

const stall = 77 * time.Second

func (c *clock) after(d time.Duration) <-chan time.Time {
	if d == stall {
		return c.stall
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, d)
	now := make(chan time.Time, 1)
	now <- time.Time{}
	return now
}

// client returns a client whose waits take no time.
func client(t *testing.T, o Options) (*Client, *clock) {
	t.Helper()
	k := &clock{stall: make(chan time.Time)}
	o.After, o.Stall, o.Random, o.Temp = k.after, stall, func() float64 { return 0.5 }, t.TempDir()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, k
}

// read reads all of a document, by stream and by offset, and closes it.
func read(t *testing.T, d *advisory.Document) []byte {
	t.Helper()
	data, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	at := make([]byte, d.Size)
	if _, err := d.ReadAt(at, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if !bytes.Equal(at, data) {
		t.Error("ReadAt and Read differ")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

func get(t *testing.T, c advisory.Client, url string, v advisory.Validator) *advisory.Document {
	t.Helper()
	d, err := c.Get(t.Context(), url, v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// goZip is the path of the Go vulnerability database in OSV's bucket.
const goZip = "/storage.googleapis.com/osv-vulnerabilities/Go/all.zip"

func osv(t *testing.T) (*feedserver.Server, []byte) {
	t.Helper()
	s := feedserver.New(t)
	data, err := os.ReadFile(filepath.Join(fixture.Dir(t, "../advisories/osv"), "Go", "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	s.Put(goZip, data)
	return s, data
}

func TestConditional(t *testing.T) {
	s, data := osv(t)
	c, _ := client(t, Options{Version: "1.2.3"})
	d := get(t, c, s.URL+goZip, advisory.Validator{})
	if !bytes.Equal(read(t, d), data) {
		t.Fatal("content differs")
	}
	if d.Validator.ETag == "" || d.Validator.Modified == "" {
		t.Errorf("validator %+v", d.Validator)
	}
	again := get(t, c, s.URL+goZip, d.Validator)
	if !again.Same || again.Validator != d.Validator || len(read(t, again)) != 0 {
		t.Errorf("unchanged: %+v", again)
	}
	s.Put(goZip, data[:1000])
	if changed := get(t, c, s.URL+goZip, d.Validator); changed.Same || len(read(t, changed)) != 1000 {
		t.Error("a change was not seen")
	}
	if got := s.Requests(goZip)[0].Header.Get("User-Agent"); got != "sekisho/1.2.3" {
		t.Errorf("User-Agent %q", got)
	}
}

// TestFaults: whatever a host does on the way, the document is whole.
func TestFaults(t *testing.T) {
	cut := func(n int64) feedserver.Fault { return feedserver.Fault{Cut: n} }
	tests := map[string]struct {
		faults []feedserver.Fault
		ranges []string // of all requests
		waits  []time.Duration
	}{
		"cut twice": {[]feedserver.Fault{cut(1000), cut(500_000)}, []string{"", "bytes=1000-", "bytes=501000-"}, []time.Duration{time.Second, time.Second}},
		"outage, longer and longer": {[]feedserver.Fault{{Status: 503}, {Status: 500}, {Status: 502}, {Status: 504}}, []string{"", "", "", "", ""},
			[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}},
		"busy":                    {[]feedserver.Fault{{Status: 429, RetryAfter: "17"}}, []string{"", ""}, []time.Duration{17 * time.Second}},
		"no part wanted":          {[]feedserver.Fault{cut(1000), {Ignore: true}}, []string{"", "bytes=1000-"}, []time.Duration{time.Second}},
		"part of something weak":  {[]feedserver.Fault{{Cut: 1000, Weak: true}}, []string{"", ""}, []time.Duration{time.Second}},
		"longer than it is":       {[]feedserver.Fault{{Length: 9_000_000}}, nil, nil},
		"range not satisfiable":   {[]feedserver.Fault{cut(1000), {Status: 416}}, []string{"", "bytes=1000-", ""}, []time.Duration{time.Second, 2 * time.Second}},
		"redirect":                {[]feedserver.Fault{{Location: goZip}}, []string{"", ""}, nil},
		"redirect, and then cuts": {[]feedserver.Fault{{Location: goZip}, cut(7)}, []string{"", "", "bytes=7-"}, []time.Duration{time.Second}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, data := osv(t)
			s.Fail(goZip, tt.faults...)
			c, k := client(t, Options{})
			if !bytes.Equal(read(t, get(t, c, s.URL+goZip, advisory.Validator{})), data) {
				t.Fatal("content differs")
			}
			if tt.ranges == nil {
				return
			}
			var ranges []string
			for _, r := range s.Requests(goZip) {
				ranges = append(ranges, r.Header.Get("Range"))
			}
			if !slices.Equal(ranges, tt.ranges) {
				t.Errorf("ranges %q, want %q", ranges, tt.ranges)
			}
			if !slices.Equal(k.waits, tt.waits) {
				t.Errorf("waits %v, want %v", k.waits, tt.waits)
			}
		})
	}
}

// TestChangedBetween: a document that changes between two parts is not mixed.
func TestChangedBetween(t *testing.T) {
	s, data := osv(t)
	s.Fail(goZip, feedserver.Fault{Cut: 1000})
	c, _ := client(t, Options{})
	after := c.o.After
	c.o.After = func(d time.Duration) <-chan time.Time {
		if d != stall {
			s.Put(goZip, data[:5000])
		}
		return after(d)
	}
	if got := read(t, get(t, c, s.URL+goZip, advisory.Validator{})); !bytes.Equal(got, data[:5000]) {
		t.Errorf("%d bytes, want the new 5000", len(got))
	}
	if r := s.Requests(goZip); len(r) != 2 || r[1].Header.Get("If-Range") == "" {
		t.Errorf("requests %v", r)
	}
}

// TestStall: a body that stops is left, and resumed.
func TestStall(t *testing.T) {
	s, data := osv(t)
	s.Fail(goZip, feedserver.Fault{Cut: 1000, Hold: make(chan struct{})})
	moved := make(chan struct{})
	var once sync.Once
	c, k := client(t, Options{Progress: func(p Progress) {
		if p.Done >= 1000 {
			once.Do(func() { close(moved) })
		}
	}})
	go func() {
		<-moved
		k.stall <- time.Time{} // something had moved before
		k.stall <- time.Time{} // nothing since
	}()
	if !bytes.Equal(read(t, get(t, c, s.URL+goZip, advisory.Validator{})), data) {
		t.Fatal("content differs")
	}
	if r := s.Requests(goZip); len(r) != 2 || r[1].Header.Get("Range") != "bytes=1000-" {
		t.Errorf("requests %v", r)
	}
}

func TestErrors(t *testing.T) {
	many := slices.Repeat([]feedserver.Fault{{Status: 503}}, 20)
	tests := map[string]struct {
		path   string
		faults []feedserver.Fault
		max    int64
		kind   sekisho.Kind
		says   string
		tries  int
	}{
		"missing":         {"/nowhere", nil, 0, sekisho.NotFound, "404", 1},
		"gone":            {goZip, []feedserver.Fault{{Status: 410}}, 0, sekisho.NotFound, "410", 1},
		"forbidden":       {goZip, []feedserver.Fault{{Status: 403}}, 0, sekisho.Forbidden, "403", 1},
		"down":            {goZip, many, 0, sekisho.Unavailable, "6 tries: status 503", 6},
		"busy for long":   {goZip, []feedserver.Fault{{Status: 429, RetryAfter: "3600"}}, 0, sekisho.Unavailable, "come back in 1h0m0s", 1},
		"too large":       {goZip, nil, 1000, sekisho.Invalid, "more than 1000 bytes", 1},
		"redirects":       {goZip, slices.Repeat([]feedserver.Fault{{Location: goZip}}, 20), 0, sekisho.Forbidden, "more than 10 redirects", 10},
		"not changed, no": {goZip, []feedserver.Fault{{Status: 304}}, 0, sekisho.Unavailable, "304", 1},
		"cut at nothing":  {goZip, slices.Repeat([]feedserver.Fault{{Cut: 10, Weak: true}}, 20), 0, sekisho.Unavailable, "unexpected EOF", 6},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := osv(t)
			s.Fail(tt.path, tt.faults...)
			c, _ := client(t, Options{MaxBytes: tt.max})
			_, err := c.Get(t.Context(), s.URL+tt.path, advisory.Validator{})
			if err == nil || sekisho.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v (kind %v), want kind %v and %q", err, sekisho.KindOf(err), tt.kind, tt.says)
			}
			if n := len(s.Requests(tt.path)); n != tt.tries {
				t.Errorf("%d requests, want %d", n, tt.tries)
			}
			if left, err := os.ReadDir(c.o.Temp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// TestNoSuchHost: a name that does not exist is not asked for again, one that
// cannot be resolved now is.
func TestNoSuchHost(t *testing.T) {
	c, _ := client(t, Options{})
	x := &transfer{c: c, url: &url.URL{Scheme: "https", Host: "feeds.example", Path: "/x"}}
	var e *sekisho.Error
	if err := x.broken(t.Context(), &url.Error{Op: "Get", Err: &net.DNSError{Name: "feeds.example", IsNotFound: true}}); !errors.As(err, &e) || !strings.Contains(e.Hint, "advisory import") {
		t.Errorf("no such host: %v", err)
	}
	var a *again
	if err := x.broken(t.Context(), &url.Error{Op: "Get", Err: &net.DNSError{Name: "feeds.example", IsTemporary: true}}); !errors.As(err, &a) {
		t.Errorf("no answer: %v", err)
	}
}

// TestCancel: waiting for a busy server ends with the context.
func TestCancel(t *testing.T) {
	s, _ := osv(t)
	s.Fail(goZip, feedserver.Fault{Status: 503})
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := client(t, Options{})
	c.o.After = func(d time.Duration) <-chan time.Time {
		if d != stall {
			cancel()
		}
		return make(chan time.Time)
	}
	if _, err := c.Get(ctx, s.URL+goZip, advisory.Validator{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestNothingLeft: while a document is open, its directory is empty already,
// so that a crash leaves nothing.
func TestNothingLeft(t *testing.T) {
	s, _ := osv(t)
	c, _ := client(t, Options{})
	d := get(t, c, s.URL+goZip, advisory.Validator{})
	defer d.Close()
	if left, err := os.ReadDir(c.o.Temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestPerHost(t *testing.T) {
	s, _ := osv(t)
	hold := make(chan struct{})
	s.Fail(goZip, slices.Repeat([]feedserver.Fault{{Cut: 10, Hold: hold}}, 3)...)
	begun := make(chan struct{}, 1000)
	c, _ := client(t, Options{PerHost: 2, Progress: func(p Progress) {
		if p.Done == 10 {
			begun <- struct{}{}
		}
	}})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			d, err := c.Get(t.Context(), s.URL+goZip, advisory.Validator{})
			if err != nil {
				t.Error(err)
				return
			}
			d.Close()
		})
	}
	<-begun
	<-begun
	close(hold)
	wg.Wait()
	if s.Busiest != 2 {
		t.Errorf("%d requests at a time, want 2", s.Busiest)
	}
}

// TestProxy: what is not excluded goes through the proxy.
func TestProxy(t *testing.T) {
	s := feedserver.New(t)
	s.Put("/tracker/data/json", []byte("{}"))
	c, _ := client(t, Options{Proxy: Proxy{HTTP: s.URL, No: "inside.example"}, Retries: -1})
	read(t, get(t, c, "http://security-tracker.example/tracker/data/json", advisory.Validator{}))
	if r := s.Requests("/tracker/data/json"); len(r) != 1 || r[0].Host != "security-tracker.example" {
		t.Errorf("the proxy got %v", r)
	}
	if _, err := c.Get(t.Context(), "http://inside.example/tracker/data/json", advisory.Validator{}); err == nil {
		t.Error("an excluded host went through the proxy")
	}
}

func TestCA(t *testing.T) {
	s := feedserver.NewTLS(t)
	s.Put("/x", []byte("hello"))
	c, _ := client(t, Options{})
	_, err := c.Get(t.Context(), s.URL+"/x", advisory.Validator{})
	var e *sekisho.Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "ca:") || len(s.Requests("")) != 0 {
		t.Errorf("an unknown certificate: %v", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c, _ = client(t, Options{CA: ca})
	if got := read(t, get(t, c, s.URL+"/x", advisory.Validator{})); string(got) != "hello" {
		t.Errorf("got %q", got)
	}
	s.Fail("/x", feedserver.Fault{Location: "http://127.0.0.1:1/x"})
	if _, err := c.Get(t.Context(), s.URL+"/x", advisory.Validator{}); err == nil || !strings.Contains(err.Error(), "plain HTTP") {
		t.Errorf("a redirect out of TLS: %v", err)
	}
	if _, err := New(Options{CA: []byte("not a certificate")}); sekisho.KindOf(err) != sekisho.Usage {
		t.Errorf("a CA file that is none: %v", err)
	}
}

// TestCoding: text travels compressed, a compressed file as it is.
func TestCoding(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(zipped(t, bytes.Repeat([]byte("sekisho "), 1000)))
	}))
	defer s.Close()
	c, _ := client(t, Options{})
	if got := read(t, get(t, c, s.URL+"/data/json", advisory.Validator{})); len(got) != 8000 {
		t.Errorf("%d bytes, want 8000", len(got))
	}
	if got := read(t, get(t, c, s.URL+"/epss_scores-current.csv.gz", advisory.Validator{})); len(got) >= 8000 || got[0] != 0x1f {
		t.Errorf("%d bytes, want those of the file", len(got))
	}
	if !slices.Equal(asked, []string{"gzip", "identity"}) {
		t.Errorf("asked for %q", asked)
	}
	c, _ = client(t, Options{MaxBytes: 7999})
	if _, err := c.Get(t.Context(), s.URL+"/data/json", advisory.Validator{}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("a body that unfolds beyond the bound: %v", err)
	}
}
