package fetch

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
)

// maxAttempts bounds how often one document is asked for, however well each
// try went.
const maxAttempts = 64

// transfer is one document on its way.
type transfer struct {
	c     *Client
	url   *url.URL
	asked advisory.Validator
	got   advisory.Validator
	file  *os.File
	have  int64 // bytes in file
	high  int64 // the most that file ever held
	total int64 // bytes, -1 when unknown
	gzip  bool  // the bytes that travel are gzip's (RFC 9110, section 8.4.1.3)
}

// again is an error that another try may cure.
type again struct {
	err   error
	after time.Duration // the server's wish, 0 when it has none
}

func (a *again) Error() string { return a.err.Error() }
func (a *again) Unwrap() error { return a.err }

// run tries until the document is whole.
func (t *transfer) run(ctx context.Context) (*advisory.Document, error) {
	tries := 0
	for attempt := 1; ; attempt++ {
		doc, err := t.attempt(ctx)
		var a *again
		if !errors.As(err, &a) {
			return doc, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("get %s: %w", t.url.Redacted(), ctx.Err())
		}
		if t.have > t.high {
			t.high, tries = t.have, 0
		}
		if tries++; tries > t.c.o.Retries || attempt >= maxAttempts {
			return nil, sekisho.Errorf(sekisho.Unavailable, "get %s: %d tries: %w", t.url.Redacted(), attempt, a.err)
		}
		if err := t.wait(ctx, tries, a.after); err != nil {
			return nil, err
		}
	}
}

// wait waits before the next try: as long as the server wants, else twice as
// long as before the last one.
func (t *transfer) wait(ctx context.Context, tries int, wish time.Duration) error {
	if wish > t.c.o.MaxWait {
		return sekisho.Errorf(sekisho.Unavailable, "get %s: the server is busy and asks to come back in %v", t.url.Redacted(), wish)
	}
	d := time.Second << min(tries-1, 10)
	d = min(d/2+time.Duration(t.c.o.Random()*float64(d)), t.c.o.MaxWait)
	select {
	case <-t.c.o.After(max(d, wish)):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("get %s: %w", t.url.Redacted(), ctx.Err())
	}
}

// attempt asks once for what is missing.
func (t *transfer) attempt(ctx context.Context) (*advisory.Document, error) {
	leave, err := t.c.place(ctx, t.url.Host)
	if err != nil {
		return nil, err
	}
	defer leave()
	watched, moved, stop := t.c.watch(ctx)
	defer stop()
	req, err := t.request(watched)
	if err != nil {
		return nil, err
	}
	res, err := t.c.http.Do(req)
	if err != nil {
		return nil, t.broken(watched, err)
	}
	defer res.Body.Close()
	moved.Add(1)
	if res.StatusCode == http.StatusNotModified && t.have == 0 && t.asked != (advisory.Validator{}) {
		return same(t.asked), nil
	}
	if err := t.accept(res); err != nil {
		return nil, err
	}
	if err := t.read(res.Body, moved); err != nil {
		return nil, t.broken(watched, err)
	}
	return t.document()
}

func (t *transfer) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String(), nil)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "address of a feed: %w", err)
	}
	req.Header.Set("User-Agent", "sekisho/"+cmp.Or(t.c.o.Version, "devel"))
	req.Header.Set("Accept-Encoding", "identity")
	if t.coding() {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	if t.have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", t.have))
		req.Header.Set("If-Range", ifRange(t.got))
		return req, nil
	}
	if t.asked.ETag != "" {
		req.Header.Set("If-None-Match", t.asked.ETag)
	}
	if t.asked.Modified != "" {
		req.Header.Set("If-Modified-Since", t.asked.Modified)
	}
	return req, nil
}

// coding reports whether the document may travel compressed. What is a
// compressed file already travels as it is: some servers call the file's own
// form its coding.
func (t *transfer) coding() bool {
	return !slices.Contains([]string{".gz", ".tgz", ".zip", ".bz2", ".xz", ".zst"}, strings.ToLower(path.Ext(t.url.Path)))
}

// ifRange is what proves that a part is of the same document; weak validators
// do not (RFC 9110, section 13.1.5).
func ifRange(v advisory.Validator) string {
	if v.ETag != "" && !strings.HasPrefix(v.ETag, "W/") {
		return v.ETag
	}
	return v.Modified
}

// accept judges status and headers, and makes the file ready.
func (t *transfer) accept(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusOK:
		if err := t.restart(res); err != nil {
			return err
		}
	case http.StatusPartialContent:
		if err := t.resume(res.Header); err != nil {
			return err
		}
	default:
		return t.refused(res)
	}
	if max(t.total, t.have) > t.c.o.MaxBytes {
		return t.tooLarge()
	}
	return nil
}

// restart begins the document anew.
func (t *transfer) restart(res *http.Response) error {
	t.have, t.total = 0, res.ContentLength
	t.got = advisory.Validator{ETag: res.Header.Get("ETag"), Modified: res.Header.Get("Last-Modified")}
	coding := strings.ToLower(res.Header.Get("Content-Encoding"))
	t.gzip = t.coding() && (coding == "gzip" || coding == "x-gzip")
	if t.coding() && !t.gzip && coding != "" && coding != "identity" {
		return sekisho.Errorf(sekisho.Invalid, "get %s: content coding %q was not asked for", t.url.Redacted(), coding)
	}
	if t.file == nil {
		f, err := temp(t.c.o.Temp)
		if err != nil {
			return err
		}
		t.file = f
	}
	return t.file.Truncate(0)
}

// resume checks that the part follows what is there.
func (t *transfer) resume(h http.Header) error {
	var first, last, total int64
	contentRange := h.Get("Content-Range")
	_, err := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &first, &last, &total)
	other := h.Get("ETag") != "" && h.Get("ETag") != t.got.ETag
	if err != nil || other || first != t.have || t.have == 0 || last < first || total <= last || t.total >= 0 && t.total != total {
		t.have = 0
		return &again{err: fmt.Errorf("the server sent another part than asked for: %q", contentRange)}
	}
	t.total = total
	return nil
}

// refused turns a status into an error.
func (t *transfer) refused(res *http.Response) error {
	err := fmt.Errorf("status %s", res.Status)
	switch s := res.StatusCode; {
	case s == http.StatusNotFound || s == http.StatusGone:
		return sekisho.Errorf(sekisho.NotFound, "get %s: %w", t.url.Redacted(), err)
	case s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusProxyAuthRequired:
		return sekisho.Errorf(sekisho.Forbidden, "get %s: %w", t.url.Redacted(), err)
	case s == http.StatusRequestedRangeNotSatisfiable:
		t.have = 0
		return &again{err: err}
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500 && s != http.StatusNotImplemented:
		return &again{err, t.wish(res.Header)}
	}
	return sekisho.Errorf(sekisho.Unavailable, "get %s: %w", t.url.Redacted(), err)
}

// wish reads Retry-After (RFC 9110, section 10.2.3); a date counts from the
// server's own clock.
func (t *transfer) wish(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(at.Sub(date), 0)
}

func (t *transfer) tooLarge() error {
	return sekisho.Errorf(sekisho.Invalid, "get %s: more than %d bytes", t.url.Redacted(), t.c.o.MaxBytes)
}

// read appends the body to the file.
func (t *transfer) read(body io.Reader, moved *atomic.Int64) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			moved.Add(1)
			if t.have+int64(n) > t.c.o.MaxBytes {
				return t.tooLarge()
			}
			if _, err := t.file.WriteAt(buf[:n], t.have); err != nil {
				return fmt.Errorf("keep %s: %w", t.url.Redacted(), err)
			}
			t.have += int64(n)
			t.c.o.Progress(Progress{URL: t.url.Redacted(), Done: t.have, Total: max(t.total, 0)})
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return &again{err: err}
		}
	}
	if t.total >= 0 && t.have != t.total {
		return &again{err: fmt.Errorf("%d of %d bytes came", t.have, t.total)}
	}
	return nil
}

// broken sorts out why a request or a body ended early. Without a proof that a
// part would be of the same document, the next try begins anew.
func (t *transfer) broken(ctx context.Context, err error) error {
	var cert *tls.CertificateVerificationError
	var own *sekisho.Error
	var file *os.PathError
	var name *net.DNSError
	switch {
	case errors.As(err, &own):
		return err
	case errors.Is(err, errPlain) || errors.Is(err, errRedirects):
		return sekisho.Errorf(sekisho.Forbidden, "get %s: %w", t.url.Redacted(), inner(err))
	case errors.As(err, &cert):
		return sekisho.Errorf(sekisho.Unavailable, "get %s: %w", t.url.Redacted(), inner(err)).
			WithHint("for a mirror or proxy with a certificate of your own: ca: FILE in advisory.yaml")
	case errors.As(err, &name) && name.IsNotFound:
		return sekisho.Errorf(sekisho.Unavailable, "get %s: %w", t.url.Redacted(), inner(err)).
			WithHint("behind a proxy: HTTPS_PROXY, or proxy: in advisory.yaml; without a network: sekisho advisory import")
	case errors.As(err, &file):
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		err = cause
	}
	if ifRange(t.got) == "" {
		t.have = 0
	}
	return &again{err: inner(err)}
}

// inner takes off what http.Client wraps around: method and address, which we
// say ourselves.
func inner(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// document hands out the file.
func (t *transfer) document() (*advisory.Document, error) {
	if t.gzip {
		if err := t.decode(); err != nil {
			return nil, err
		}
	}
	r := io.NewSectionReader(t.file, 0, t.have)
	d := &advisory.Document{ReadCloser: readCloser{r, closer(t.drop)}, ReaderAt: r, Size: t.have, Validator: t.got}
	return d, nil
}

// decode replaces the file by what it holds.
func (t *transfer) decode() error {
	z, err := gzip.NewReader(io.NewSectionReader(t.file, 0, t.have))
	if err != nil {
		return sekisho.Errorf(sekisho.Corrupt, "get %s: %w", t.url.Redacted(), err)
	}
	plain, err := temp(t.c.o.Temp)
	if err != nil {
		return err
	}
	n, err := io.Copy(plain, io.LimitReader(z, t.c.o.MaxBytes+1))
	t.drop()
	t.file, t.have = plain, n
	if err != nil {
		return sekisho.Errorf(sekisho.Corrupt, "get %s: %w", t.url.Redacted(), err)
	}
	if n > t.c.o.MaxBytes {
		return t.tooLarge()
	}
	return nil
}

// drop lets go of the file.
func (t *transfer) drop() error {
	if t.file == nil {
		return nil
	}
	f := t.file
	t.file = nil
	err := f.Close()
	if e := os.Remove(f.Name()); e != nil && !errors.Is(e, os.ErrNotExist) {
		return errors.Join(err, e)
	}
	return err
}

// temp makes a file that is gone when it is closed, and when the program dies,
// where the system allows that.
func temp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".sekisho-fetch-*")
	if err != nil {
		return nil, fmt.Errorf("make a place for a download: %w", err)
	}
	_ = os.Remove(f.Name()) // Windows refuses; drop removes it then
	return f, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

type closer func() error

func (c closer) Close() error { return c() }
