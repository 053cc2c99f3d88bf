// Package daemon opens images of a Docker engine over its API. An image comes
// as the stream that docker save would write; what the engine tells before
// (diff ids, configuration) lets an unchanged image be reported without it.
package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sekisho"
	"sekisho/image"
)

// DefaultHost is where the engine listens.
const DefaultHost = "unix:///var/run/docker.sock"

// Options say where the engine is.
type Options struct {
	Host     string // as DOCKER_HOST, empty means DefaultHost
	CertPath string // as DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem
	Platform sekisho.Platform
	Header   http.Header // sent with every request; may be nil

	// Save opens what docker save writes.
	Save func(io.Reader) *image.Image
}

// Client speaks with an engine.
type Client struct {
	http   *http.Client
	base   string
	host   string
	header http.Header
}

// NewClient prepares a connection; none is made yet.
func NewClient(o Options) (*Client, error) {
	host := o.Host
	if host == "" {
		host = DefaultHost
	}
	scheme, address, ok := strings.Cut(host, "://")
	if !ok {
		return nil, sekisho.Errorf(sekisho.Usage, "DOCKER_HOST=%q: want unix:///PATH or tcp://HOST:PORT", host)
	}
	t := &http.Transport{}
	c := &Client{http: &http.Client{Transport: t}, base: "http://docker", host: host, header: o.Header}
	switch scheme {
	case "unix":
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", address)
		}
	case "tcp", "http", "https":
		c.base = "http://" + address
		if o.CertPath != "" || scheme == "https" {
			config, err := certificates(o.CertPath)
			if err != nil {
				return nil, err
			}
			t.TLSClientConfig, c.base = config, "https://"+address
		}
	default:
		return nil, sekisho.Errorf(sekisho.Usage, "DOCKER_HOST=%q: %s is not supported, want unix or tcp", host, scheme)
	}
	return c, nil
}

func certificates(dir string) (*tls.Config, error) {
	if dir == "" {
		return &tls.Config{}, nil
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "DOCKER_CERT_PATH: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "DOCKER_CERT_PATH: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}, nil
}

// maxAnswer bounds an answer in JSON, in bytes.
const maxAnswer = 64 << 20

// Stream asks for a path and returns the body.
func (c *Client) Stream(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EACCES):
		return nil, sekisho.Errorf(sekisho.Forbidden, "Docker at %s: %w", c.host, err).WithHint("run as root or as a member of the group docker")
	case err != nil:
		return nil, sekisho.Errorf(sekisho.Unavailable, "no Docker at %s: %w", c.host, err).WithHint("scan an archive: docker save app | sekisho scan archive:-")
	case resp.StatusCode == http.StatusOK:
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var answer struct{ Message string }
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // the status tells enough
	if json.Unmarshal(body, &answer) != nil {
		answer.Message = resp.Status
	}
	kind := sekisho.Internal
	if resp.StatusCode == http.StatusNotFound {
		kind = sekisho.NotFound
	}
	return nil, sekisho.Errorf(kind, "Docker at %s: %s", c.host, answer.Message)
}

// Get asks for a path and decodes the answer.
func (c *Client) Get(ctx context.Context, path string, answer any) error {
	body, err := c.Stream(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("answer of Docker at %s to %s: %w", c.host, path, err)
	}
	return nil
}

// inspected is what GET /images/NAME/json tells.
type inspected struct {
	ID           sekisho.Digest `json:"Id"`
	RepoDigests  []string
	Architecture string
	Os           string
	Variant      string
	Created      string
	Config       image.Run
	RootFS       struct{ Layers []sekisho.Digest }
	Manifests    []manifest
}

// Open opens an image of the engine.
func Open(ctx context.Context, ref string, o Options) (*image.Image, error) {
	c, err := NewClient(o)
	if err != nil {
		return nil, err
	}
	i, err := c.inspect(ctx, ref, o.Platform)
	if err != nil {
		return nil, err
	}
	img := &image.Image{Kind: image.KindImage, Reference: "docker:" + ref, ID: i.id, Also: i.also, Platform: i.platform()}
	if o.Platform != (sekisho.Platform{}) && !img.Platform.Matches(o.Platform) {
		return nil, sekisho.Errorf(sekisho.NotFound, "the engine has %s for %s, not for %s", ref, img.Platform, o.Platform)
	}
	img.Config = image.Config{Architecture: i.Architecture, OS: i.Os, Variant: i.Variant, Config: i.Config, RootFS: image.RootFS{Type: "layers", DiffIDs: i.RootFS.Layers}}
	if t, err := time.Parse(time.RFC3339Nano, i.Created); err == nil {
		img.Config.Created = &t
	}
	for n, r := range i.RepoDigests {
		_, d, _ := strings.Cut(r, "@")
		if n == 0 {
			img.Digest = sekisho.Digest(d)
		}
		img.Also = append(img.Also, sekisho.Digest(d))
	}
	if img.Config.History, err = c.history(ctx, i, len(i.RootFS.Layers)); err != nil {
		return nil, err
	}
	by := img.Config.Instructions()
	for n, id := range i.RootFS.Layers {
		l := image.Layer{DiffID: id, Size: -1}
		if n < len(by) {
			l.CreatedBy = by[n]
		}
		img.Layers = append(img.Layers, l)
	}
	img.Stream = func(ctx context.Context, visit func(image.Layer) error) error { return c.save(ctx, i, o, img, visit) }
	return img, nil
}

// escape makes a reference safe as a part of a path; slashes stay.
func escape(ref string) string { return strings.ReplaceAll(url.PathEscape(ref), "%2F", "/") }

// history returns the instructions, oldest first. The engine does not say which
// made a layer; those without size are taken for the ones that did not, when
// that leaves as many as there are layers.
func (c *Client) history(ctx context.Context, i *chosen, layers int) ([]image.History, error) {
	var answer []struct {
		CreatedBy string
		Created   int64
		Size      int64
	}
	if err := c.Get(ctx, "/images/"+escape(i.name)+"/history"+i.query, &answer); err != nil {
		return nil, err
	}
	full := 0
	for _, h := range answer {
		if h.Size > 0 {
			full++
		}
	}
	list := make([]image.History, 0, len(answer))
	for n := len(answer) - 1; n >= 0; n-- {
		h := answer[n]
		at := time.Unix(h.Created, 0).UTC()
		list = append(list, image.History{CreatedBy: h.CreatedBy, Created: &at, EmptyLayer: h.Size == 0 && full == layers})
	}
	if full != layers && len(list) != layers {
		return nil, nil // it cannot be told; the saved configuration will
	}
	return list, nil
}

// save streams the image and completes what was known of it.
func (c *Client) save(ctx context.Context, i *chosen, o Options, img *image.Image, visit func(image.Layer) error) error {
	body, err := c.Stream(ctx, "/images/"+escape(i.name)+"/get"+i.query)
	if err != nil {
		return err
	}
	defer body.Close()
	saved := o.Save(body)
	if err := saved.Stream(ctx, visit); err != nil {
		return err
	}
	img.Config, img.Layers = saved.Config, saved.Layers
	for _, d := range append([]sekisho.Digest{saved.Digest, saved.ID}, saved.Also...) { // an engine that keeps manifests tells no digest of the configuration
		if d != "" && d != img.ID && !slices.Contains(img.Also, d) && len(i.Manifests) > 0 {
			img.Also = append(img.Also, d)
		}
	}
	return nil
}

// Has reports whether an engine answers and has the image.
func Has(ctx context.Context, ref string, o Options) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := NewClient(o)
	if err != nil {
		return false
	}
	var i inspected
	return c.Get(ctx, "/images/"+escape(ref)+"/json", &i) == nil
}
