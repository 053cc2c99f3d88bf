// Package cluster speaks the few words of the Kubernetes API that the gate
// needs for itself: a secret to keep its keys in, and the authorities in its
// webhook configurations. It is given an address and a token, touches no other
// object, and refuses redirects.
package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"sekisho"
	"sekisho/admit/webhook/certificate"
)

// Options say where the API server is. Token and CA are files; the token is
// read anew for each call, as it is replaced every hour.
type Options struct {
	Server string // https://host:port
	Token  string
	CA     string
}

// Client asks one API server.
type Client struct {
	server, token string
	http          *http.Client
}

// New returns a client.
func New(o Options) (*Client, error) {
	if !strings.HasPrefix(o.Server, "https://") {
		return nil, sekisho.Errorf(sekisho.Usage, "the API server's address is %q, want https://host:port", o.Server)
	}
	pool := x509.NewCertPool()
	data, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, fmt.Errorf("read the API server's authority: %w", err)
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s holds no certificate", o.CA)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.TLSClientConfig = nil, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &Client{strings.TrimSuffix(o.Server, "/"), o.Token, &http.Client{Transport: t, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirected") }}}, nil
}

// maxAnswer bounds an answer in bytes.
const maxAnswer = 4 << 20

// do calls the API. Errors: sekisho.NotFound, Forbidden, and Unavailable also
// for a conflict.
func (c *Client) do(ctx context.Context, method, path, contentType string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		data = nil
	}
	r, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(c.token)
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return sekisho.Errorf(sekisho.Unavailable, "%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return sekisho.Errorf(sekisho.Unavailable, "%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		var s struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(answer, &s) // the status says enough where there is no message
		kind := map[int]sekisho.Kind{404: sekisho.NotFound, 401: sekisho.Forbidden, 403: sekisho.Forbidden, 409: sekisho.Unavailable, 422: sekisho.Invalid, 429: sekisho.Unavailable}[resp.StatusCode]
		if resp.StatusCode >= 500 {
			kind = sekisho.Unavailable
		}
		return sekisho.Errorf(kind, "%s %s: %s: %s", method, path, resp.Status, s.Message)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return sekisho.Errorf(sekisho.Corrupt, "%s %s: %w", method, path, err)
	}
	return nil
}

// Secret keeps certificates in a secret.
type Secret struct {
	Client          *Client
	Namespace, Name string
}

type secret struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		ResourceVersion string            `json:"resourceVersion,omitempty"`
		Labels          map[string]string `json:"labels,omitempty"`
	} `json:"metadata"`
	Type string            `json:"type"`
	Data map[string][]byte `json:"data"`
}

func (s Secret) path() string { return "/api/v1/namespaces/" + s.Namespace + "/secrets" }

// Load implements certificate.Store. A secret without a state, as the install
// manifest makes it, is one that was never saved to.
func (s Secret) Load(ctx context.Context) (*certificate.State, string, error) {
	var v secret
	if err := s.Client.do(ctx, http.MethodGet, s.path()+"/"+s.Name, "application/json", nil, &v); err != nil {
		return nil, "", err
	}
	if len(v.Data["state"]) == 0 {
		return &certificate.State{}, v.Metadata.ResourceVersion, nil
	}
	state, _, err := certificate.Decode(v.Data["state"])
	return state, v.Metadata.ResourceVersion, err
}

// Save implements certificate.Store.
func (s Secret) Save(ctx context.Context, state *certificate.State, version string) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	v := secret{APIVersion: "v1", Kind: "Secret", Type: "Opaque", Data: map[string][]byte{"state": data, "ca.crt": state.Bundle()}}
	v.Metadata.Name, v.Metadata.Namespace, v.Metadata.ResourceVersion = s.Name, s.Namespace, version
	v.Metadata.Labels = map[string]string{"app.kubernetes.io/name": "sekisho"}
	if version == "" {
		return s.Client.do(ctx, http.MethodPost, s.path(), "application/json", v, nil)
	}
	return s.Client.do(ctx, http.MethodPut, s.path()+"/"+s.Name, "application/json", v, nil)
}

// Webhooks publishes authorities to webhook configurations of these names,
// validating and mutating; one that is not there is passed over.
type Webhooks struct {
	Client *Client
	Names  []string
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Publish implements certificate.Publisher. It writes only what differs.
func (w Webhooks) Publish(ctx context.Context, bundle []byte) error {
	var failed []error
	for _, kind := range []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"} {
		for _, name := range w.Names {
			if err := w.publish(ctx, "/apis/admissionregistration.k8s.io/v1/"+kind+"/"+name, bundle); err != nil && sekisho.KindOf(err) != sekisho.NotFound {
				failed = append(failed, err)
			}
		}
	}
	return errors.Join(failed...)
}

func (w Webhooks) publish(ctx context.Context, path string, bundle []byte) error {
	var v struct {
		Webhooks []struct {
			Name         string `json:"name"`
			ClientConfig struct {
				CABundle []byte `json:"caBundle"`
			} `json:"clientConfig"`
		} `json:"webhooks"`
	}
	if err := w.Client.do(ctx, http.MethodGet, path, "application/json", nil, &v); err != nil {
		return err
	}
	var patch []operation
	for i, h := range v.Webhooks {
		if bytes.Equal(h.ClientConfig.CABundle, bundle) {
			continue
		}
		patch = append(patch, operation{"test", fmt.Sprintf("/webhooks/%d/name", i), h.Name},
			operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), base64.StdEncoding.EncodeToString(bundle)})
	}
	if len(patch) == 0 {
		return nil
	}
	return w.Client.do(ctx, http.MethodPatch, path, "application/json-patch+json", patch, nil)
}
