// Package fetch gets the documents of advisory feeds over HTTP or from a
// directory of the same layout. What leaves is whole: a transfer that breaks is
// resumed where it broke, a busy server is waited for, a silent one is left. It
// refuses documents that are larger than allowed, redirects from TLS to plain
// HTTP, and paths that leave the directory.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"

	"sekisho"
	"sekisho/scan/advisory"
)

// Options of a client. The zero value works.
type Options struct {
	Version  string         // of the program, for the User-Agent
	Proxy    Proxy          // none by default
	CA       []byte         // certificates in PEM, trusted beside the system's
	Temp     string         // directory of downloads under way; empty for the system's
	MaxBytes int64          // bound of one document; 0 for 8 GiB
	PerHost  int            // transfers from one host at a time; 0 for 4
	Retries  int            // tries in a row that bring nothing; 0 for 5, below 0 for none
	Stall    time.Duration  // without a byte before a transfer is broken off; 0 for a minute
	MaxWait  time.Duration  // the longest wait that a server may ask for; 0 for two minutes
	Progress func(Progress) // called often, from several goroutines
	After    func(time.Duration) <-chan time.Time
	Random   func() float64 // in [0, 1), spreads waits
}

// Proxy are the usual environment variables' values, or the configuration's.
type Proxy struct {
	HTTP  string // HTTP_PROXY
	HTTPS string // HTTPS_PROXY
	No    string // NO_PROXY: hosts, domains and networks, separated by commas
}

// Progress is how far a transfer is.
type Progress struct {
	URL   string
	Done  int64 // bytes
	Total int64 // bytes; 0 when the server does not say
	Ended bool
}

// Client implements advisory.Client for the schemes http, https and file. It is
// safe for concurrent use.
type Client struct {
	o      Options
	http   *http.Client
	mu     sync.Mutex
	places map[string]chan struct{} // by host
}

// New returns a client. A CA without certificates is sekisho.Usage.
func New(o Options) (*Client, error) {
	defaults(&o)
	roots, err := pool(o.CA)
	if err != nil {
		return nil, err
	}
	proxy := (&httpproxy.Config{HTTPProxy: o.Proxy.HTTP, HTTPSProxy: o.Proxy.HTTPS, NoProxy: o.Proxy.No}).ProxyFunc()
	transport := &http.Transport{
		Proxy:               func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: o.PerHost,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // ranges count bytes as they travel; see transfer.coding
	}
	return &Client{o: o, http: &http.Client{Transport: transport, CheckRedirect: redirect}, places: map[string]chan struct{}{}}, nil
}

func defaults(o *Options) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 8 << 30
	}
	if o.PerHost == 0 {
		o.PerHost = 4
	}
	if o.Retries == 0 {
		o.Retries = 5
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	if o.MaxWait == 0 {
		o.MaxWait = 2 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
}

// pool returns the trusted certificates; nil means the system's.
func pool(ca []byte) (*x509.CertPool, error) {
	if len(ca) == 0 {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without certificates
	}
	if !roots.AppendCertsFromPEM(ca) {
		return nil, sekisho.Errorf(sekisho.Usage, "read the CA file: no certificate in PEM form")
	}
	return roots, nil
}

var (
	errPlain     = errors.New("redirected from TLS to plain HTTP")
	errRedirects = errors.New("more than 10 redirects")
)

// redirect is asked before each redirect.
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errRedirects
	}
	if via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return errPlain
	}
	return nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get opens a document; see advisory.Client.
func (c *Client) Get(ctx context.Context, address string, v advisory.Validator) (*advisory.Document, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "address of a feed: %w", err)
	}
	switch {
	case u.Scheme == "file":
		return openFile(u.Path, v, c.o.MaxBytes)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, sekisho.Errorf(sekisho.Usage, "address %s: want http, https or file", u.Redacted())
	}
	t := &transfer{c: c, url: u, asked: v, total: -1}
	doc, err := t.run(ctx)
	c.o.Progress(Progress{URL: u.Redacted(), Done: t.have, Total: max(t.total, 0), Ended: true})
	if err != nil {
		t.drop()
		return nil, err
	}
	return doc, nil
}

// place waits for one of the host's places and returns what gives it back.
func (c *Client) place(ctx context.Context, host string) (func(), error) {
	c.mu.Lock()
	p := c.places[host]
	if p == nil {
		p = make(chan struct{}, c.o.PerHost)
		c.places[host] = p
	}
	c.mu.Unlock()
	select {
	case p <- struct{}{}:
		return func() { <-p }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
