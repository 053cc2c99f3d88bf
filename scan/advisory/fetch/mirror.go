package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"sekisho"
	"sekisho/scan/advisory"
)

// Mirror returns a client that gets a feed's documents from a mirror instead:
// from is the mirror's URL or directory, base the address that the feed knows.
// A document BASE/REST is looked for at FROM/FEED/REST (for osv-npm and its like
// also at FROM/osv/REST) and then, as wget keeps it, at FROM/HOST/PATH; any other
// document at FROM/HOST/PATH. A query stays part of the name. The place that had
// the last document is looked at first.
func Mirror(c advisory.Client, from, feed, base string) advisory.Client {
	if u, err := url.Parse(from); err == nil && u.Scheme == "file" {
		from = u.Path
	}
	return &mirror{client: c, from: strings.TrimSuffix(from, "/"), feed: feed, base: strings.TrimSuffix(base, "/")}
}

type mirror struct {
	client           advisory.Client
	from, feed, base string
	last             atomic.Int32 // which of the places had the last document
}

// Get opens the mirror's copy of a document.
func (m *mirror) Get(ctx context.Context, address string, v advisory.Validator) (*advisory.Document, error) {
	places, err := m.places(address)
	if err != nil {
		return nil, err
	}
	last := min(int(m.last.Load()), len(places)-1)
	order := []int{last}
	for i := range places {
		if i != last {
			order = append(order, i)
		}
	}
	var missing error
	for _, i := range order {
		doc, err := m.client.Get(ctx, places[i], v)
		if err == nil {
			m.last.Store(int32(i))
		}
		if sekisho.KindOf(err) != sekisho.NotFound {
			return doc, err
		}
		missing = cmp.Or(missing, err)
	}
	return nil, missing
}

// Login returns a client that gives a user's name and password to one host, so
// that they need not be part of addresses that are kept. It also returns the
// address without them.
func Login(c advisory.Client, address string) (advisory.Client, string) {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return c, address
	}
	user := u.User
	u.User = nil
	return &login{c, u.Scheme + "://" + u.Host + "/", user}, u.String()
}

type login struct {
	client advisory.Client
	host   string // scheme://host/
	user   *url.Userinfo
}

// Get opens a document.
func (l *login) Get(ctx context.Context, address string, v advisory.Validator) (*advisory.Document, error) {
	if rest, ok := strings.CutPrefix(address, l.host); ok {
		scheme, host, _ := strings.Cut(l.host, "://")
		address = scheme + "://" + l.user.String() + "@" + host + rest
	}
	return l.client.Get(ctx, address, v)
}

// places are the addresses where the mirror may have it.
func (m *mirror) places(address string) ([]string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "address of a feed: %w", err)
	}
	var names []string
	if rest, ok := strings.CutPrefix(address, m.base+"/"); ok {
		names = append(names, m.feed+"/"+rest)
		if bucket, _, ok := strings.Cut(m.feed, "-"); ok { // osv-npm and its like are directories of one bucket
			names = append(names, bucket+"/"+rest)
		}
	}
	names = append(names, u.Host+strings.TrimPrefix(address, u.Scheme+"://"+u.Host))
	for i, name := range names {
		if strings.Contains(m.from, "://") {
			names[i] = m.from + "/" + name
			continue
		}
		if names[i], err = m.file(name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// file returns the URL of a name below the mirror's directory.
func (m *mirror) file(name string) (string, error) {
	raw, query, has := strings.Cut(name, "?")
	plain, err := url.PathUnescape(raw)
	if err != nil {
		return "", sekisho.Errorf(sekisho.Usage, "address of a feed: %w", err)
	}
	if has {
		plain += "?" + query
	}
	plain = path.Clean(plain)
	if !fs.ValidPath(plain) || !filepath.IsLocal(filepath.FromSlash(plain)) {
		return "", sekisho.Errorf(sekisho.Invalid, "address %q leaves the mirror", name)
	}
	full, err := filepath.Abs(filepath.Join(m.from, filepath.FromSlash(plain)))
	if err != nil {
		return "", fmt.Errorf("open mirror: %w", err)
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(full)}).String(), nil
}

// same is the document that has not changed.
func same(v advisory.Validator) *advisory.Document {
	return &advisory.Document{ReadCloser: io.NopCloser(strings.NewReader("")), ReaderAt: strings.NewReader(""), Same: true, Validator: v}
}

// openFile opens a file as a document. Its validator is of its size and time.
func openFile(name string, v advisory.Validator, limit int64) (*advisory.Document, error) {
	f, err := os.Open(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, sekisho.Errorf(sekisho.NotFound, "open document: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open document: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = sekisho.Errorf(sekisho.NotFound, "open document %s: not a file", name)
	case info.Size() > limit:
		err = sekisho.Errorf(sekisho.Invalid, "open document %s: more than %d bytes", name, limit)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	got := advisory.Validator{ETag: fmt.Sprintf("%q", fmt.Sprintf("%x-%x", info.Size(), info.ModTime().UnixNano()))}
	if got == v {
		return same(v), f.Close()
	}
	return &advisory.Document{ReadCloser: f, ReaderAt: f, Size: info.Size(), Validator: got}, nil
}
