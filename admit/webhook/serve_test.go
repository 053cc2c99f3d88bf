package webhook_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/admit"
	"sekisho/admit/webhook"
	"sekisho/admit/webhook/certificate"
	"sekisho/admit/webhook/object"
)

// counted counts the connections that are opened.
type counted struct {
	net.Listener
	n atomic.Int32
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// held is a gate that answers nobody before all have asked.
type held struct {
	webhook.Decider
	asked   atomic.Int32
	all     int32
	release chan struct{}
}

func (h *held) Decide(ctx context.Context, q admit.Question) (*admit.Answer, error) {
	if h.asked.Add(1) == h.all {
		close(h.release)
	}
	select {
	case <-h.release:
	case <-ctx.Done():
	}
	return h.Decider.Decide(ctx, q)
}

// TestOneConnection holds that a caller whose requests must wait keeps to its
// connection: handshakes would cost more than the requests.
func TestOneConnection(t *testing.T) {
	const many = 600
	s := server(t, config+"deadline: 25s\nin_flight: 1000\n")
	h := &held{Decider: s.Server.Gate, all: many, release: make(chan struct{})}
	s.Server.Gate = h
	keys := certificate.New(certificate.Options{Store: certificate.Directory(t.TempDir()), Names: []string{"127.0.0.1"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now})
	if err := keys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, done := &counted{Listener: inner}, make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- s.Run(ctx, webhook.Listeners{Webhook: l}, keys, time.Hour) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(keys.Bundle())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(object.Review{APIVersion: object.APIVersion, Kind: "AdmissionReview", Request: request("shop", "alice", "CREATE", pods, pod("r.example/clean:1"))})
	if err != nil {
		t.Fatal(err)
	}
	url := "https://" + inner.Addr().String()
	if r, err := client.Get(url); err != nil { // the connection that is kept
		t.Fatal(err)
	} else {
		r.Body.Close()
	}
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() {
			r, err := client.Post(url+"/validate", "application/json", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != http.StatusOK {
				t.Errorf("%v %v", r.Status, err)
			}
		})
	}
	wait.Wait()
	if n := l.n.Load(); n != 1 {
		t.Errorf("%d connections for %d requests at once", n, many)
	}
}
