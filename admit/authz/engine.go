package authz

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/image/daemon"
)

// TokenHeader marks the gate's own look-ups, so that they are not gated.
const TokenHeader = "X-Sekisho-Gate"

// Engine looks things up at the engine that is guarded.
type Engine struct {
	client *daemon.Client
	mu     sync.Mutex
	info   info
	until  time.Time
	now    func() time.Time
}

// NewEngine prepares look-ups; the token goes with each of them.
func NewEngine(host, token string, now func() time.Time) (*Engine, error) {
	c, err := daemon.NewClient(daemon.Options{Host: host, Header: Header(token)})
	if err != nil {
		return nil, err
	}
	return &Engine{client: c, now: now}, nil
}

// Header is what a look-up carries.
func Header(token string) http.Header { return http.Header{TokenHeader: {token}} }

// info is what GET /info tells about defaults.
type info struct {
	DefaultRuntime string
	CgroupVersion  string
	LoggingDriver  string
}

// infoAge is how long the engine's defaults are believed.
const infoAge = 10 * time.Second

func (e *Engine) defaults(ctx context.Context) (info, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.now(); now.Before(e.until) {
		return e.info, nil
	}
	var i info
	if err := e.client.Get(ctx, "/info", &i); err != nil {
		return i, err
	}
	e.info, e.until = i, e.now().Add(infoAge)
	return i, nil
}

// escape makes a name safe as a part of a path.
func escape(name string) string { return strings.ReplaceAll(url.PathEscape(name), "%2F", "/") }

// image returns the digest that a name stands for in the engine.
func (e *Engine) image(ctx context.Context, name string) (sekisho.Digest, error) {
	var i struct{ ID sekisho.Digest }
	err := e.client.Get(ctx, "/images/"+escape(name)+"/json", &i)
	return i.ID, err
}

// hostNetwork reports whether a name, or an identity, is that of the network of
// the host. A network that is not there is none.
func (e *Engine) hostNetwork(ctx context.Context, name string) (bool, error) {
	var n struct{ Driver, Name string }
	err := e.client.Get(ctx, "/networks/"+escape(name), &n)
	if sekisho.KindOf(err) == sekisho.NotFound && err != nil {
		return false, nil
	}
	return n.Driver == "host" || n.Name == "host", err
}

// container is what GET /containers/ID/json tells.
type container struct {
	ID                      string
	Name                    string
	Image                   sekisho.Digest
	Config                  config
	HostConfig              hostConfig
	NetworkSettings         struct{ Networks map[string]*endpoint }
	State                   struct{ StartedAt time.Time }
	ImageManifestDescriptor *struct{ Digest sekisho.Digest } // of the platform, where the engine keeps manifests
}

// digest is the most exact name of the container's image.
func (c *container) digest() sekisho.Digest {
	if d := c.ImageManifestDescriptor; d != nil && d.Digest != "" {
		return d.Digest
	}
	return c.Image
}

func (c *container) name() string { return strings.TrimPrefix(c.Name, "/") }

func (e *Engine) container(ctx context.Context, id string) (*container, error) {
	c := &container{}
	if err := e.client.Get(ctx, "/containers/"+escape(id)+"/json", c); err != nil {
		return nil, err
	}
	return c, nil
}

// process returns the container in which an exec runs.
func (e *Engine) process(ctx context.Context, id string) (*container, error) {
	var x struct{ ContainerID string }
	if err := e.client.Get(ctx, "/exec/"+escape(id)+"/json", &x); err != nil {
		return nil, err
	}
	return e.container(ctx, x.ContainerID)
}
