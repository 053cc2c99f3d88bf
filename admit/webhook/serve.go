package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sekisho"
	"sekisho/admit/webhook/object"
)

// maxBody bounds a review in bytes. The API server takes objects of up to 3 MiB,
// and a review may hold two.
const maxBody = 8 << 20

// maxFirst is what is made ready for a body before any of it has come.
const maxFirst = 64 << 10

// maxStreams is how many requests a caller may have on one connection. With Go's
// 250, a caller whose requests wait for a moment opens connections, and their
// handshakes cost more than the requests.
const maxStreams = 2000

// Certificates are what the server shows.
type Certificates interface {
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Until() time.Time
	Refresh(context.Context) error
}

// Listeners are where a server listens. Health may be nil.
type Listeners struct {
	Webhook  net.Listener
	Health   net.Listener
	ClientCA *x509.CertPool // with it, callers must show a certificate
}

// Handler answers POST /validate and /mutate.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /validate", s.review(s.Validate))
	mux.HandleFunc("POST /mutate", s.review(s.Mutate))
	return mux
}

// review reads a review, has it answered, and writes the answer.
func (s *Server) review(answer func(context.Context, *object.Request) *object.Response) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := s.Now()
		defer func() { s.metrics.took(s.Now().Sub(start)) }()
		ctx, cancel := deadline(r)
		defer cancel()
		request, response, status := s.read(r)
		if request != nil {
			response = answer(ctx, request)
		}
		if response == nil {
			http.Error(w, "no admission review that could be answered; see the audit log", status)
			return
		}
		data, err := json.Marshal(object.Review{APIVersion: object.APIVersion, Kind: "AdmissionReview", Response: response})
		if err != nil {
			http.Error(w, "the answer could not be written", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data) // the caller went away; its failure policy counts
	}
}

// deadline is a little before the one that the caller sets by ?timeout=.
func deadline(r *http.Request) (context.Context, context.CancelFunc) {
	d, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || d <= 0 || d > time.Minute {
		return context.WithCancel(r.Context())
	}
	return context.WithTimeout(r.Context(), d-min(d/5, 500*time.Millisecond))
}

// body reads a request's body, at most a byte more than it may have.
func body(r *http.Request) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), maxFirst)+bytes.MinRead)) // one allocation for an ordinary one
	_, err := b.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	return b.Bytes(), err
}

// read reads a review. One that cannot be read is answered by the failure mode
// where its beginning tells whose it is, and else left to the caller's failure
// policy; both are noted.
func (s *Server) read(r *http.Request) (*object.Request, *object.Response, int) {
	kind, status := "unreadable", http.StatusBadRequest
	data, err := body(r)
	if err == nil {
		if t, _, e := mime.ParseMediaType(r.Header.Get("Content-Type")); e != nil || t != "application/json" {
			err, status = sekisho.Errorf(sekisho.Invalid, "content type %q, want application/json", r.Header.Get("Content-Type")), http.StatusUnsupportedMediaType
		}
	}
	if err == nil && len(data) > maxBody {
		kind, status = "oversized", http.StatusRequestEntityTooLarge
		err = sekisho.Errorf(sekisho.Invalid, "a review of more than %d bytes", maxBody)
	}
	if err == nil {
		var v *object.Review
		if v, err = object.Decode(data); err == nil {
			return v.Request, nil, 0
		}
	}
	head, _ := object.Head(data) // what can be read of it
	response := s.failed(&head, s.Config.scopeOf(head.Namespace), kind, err)
	if head.UID == "" {
		return nil, nil, status
	}
	response.UID = head.UID
	return nil, response, 0
}

// Bounds of connections.
const (
	headTime, bodyTime, idleTime = 5 * time.Second, 15 * time.Second, 2 * time.Minute
	drainTime                    = 20 * time.Second
)

// Run, which is called once, serves until the context ends, then finishes what it has begun.
func (s *Server) Run(ctx context.Context, l Listeners, c Certificates, every time.Duration) error {
	if err := c.Refresh(ctx); err != nil && c.Until().IsZero() {
		return err
	} else if err != nil {
		s.Report("the certificate was not published", err)
	}
	var draining atomic.Bool
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get, ClientCAs: l.ClientCA, NextProtos: []string{"h2", "http/1.1"}}
	if l.ClientCA != nil {
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	base := func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	servers := []*http.Server{{Handler: s.Handler(), TLSConfig: conf, BaseContext: base, ReadHeaderTimeout: headTime, ReadTimeout: bodyTime, IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams}, ErrorLog: log.New(io.Discard, "", 0)}}
	errs := make(chan error, 2)
	var wait sync.WaitGroup
	wait.Go(func() { errs <- servers[0].ServeTLS(l.Webhook, "", "") })
	if l.Health != nil {
		servers = append(servers, &http.Server{Handler: s.health(c, &draining), BaseContext: base, ReadHeaderTimeout: headTime, ReadTimeout: bodyTime})
		wait.Go(func() { errs <- servers[1].Serve(l.Health) })
	}
	inner, stop := context.WithCancel(ctx)
	wait.Go(func() { s.keepFresh(inner, c, every) })
	var failed error
	select {
	case failed = <-errs:
	case <-ctx.Done():
	}
	draining.Store(true)
	stop()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for _, v := range servers {
		failed = errors.Join(failed, v.Shutdown(end))
	}
	wait.Wait()
	close(s.tags.end)
	s.tags.waiting.Wait()
	if errors.Is(failed, http.ErrServerClosed) {
		return nil
	}
	return failed
}

// keepFresh renews certificates and asks again for tags in use.
func (s *Server) keepFresh(ctx context.Context, c Certificates, every time.Duration) {
	keys, names := time.NewTicker(every), time.NewTicker(max(s.Config.Resolve.TTL/2, time.Second))
	defer keys.Stop()
	defer names.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-keys.C:
			if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
				s.metrics.count("sekisho_admit_certificate_errors_total")
				s.Report("the certificate could not be renewed", err)
			}
		case <-names.C:
			if s.Resolver != nil {
				s.tags.refresh(ctx)
			}
		}
	}
}

// health answers /healthz, /readyz and /metrics.
func (s *Server) health(c Certificates, draining *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case draining.Load():
			http.Error(w, "draining", http.StatusServiceUnavailable)
		case s.Now().After(c.Until()):
			http.Error(w, "the certificate has ended", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
		}
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		s.metrics.write(w, map[string]float64{"sekisho_admit_certificate_until_seconds": float64(c.Until().Unix()), "sekisho_admit_in_flight": float64(len(s.slots))})
	})
	return mux
}
