package node_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/node"
)

// serve answers on a socket until the test ends.
func serve(t *testing.T, decide node.Decide) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "node-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Serve(ctx, l, time.Minute, decide) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// TestAsk sends a question there and gets the answer back.
func TestAsk(t *testing.T) {
	socket := serve(t, func(_ context.Context, q admit.Question) node.Answer {
		if q.Images[0].Digest == "sha256:x" && *q.Images[0].Request.Host == "h" {
			return node.Answer{Result: sekisho.Deny, Message: "no: " + q.Subject}
		}
		return node.Answer{Result: "odd"}
	})
	host := "h"
	q := admit.Question{Subject: "container/x", Images: []admit.Image{{Digest: "sha256:x"}}}
	q.Images[0].Request.Host = &host
	if a, err := node.Ask(t.Context(), socket, q); err != nil || a.Result != sekisho.Deny || a.Message != "no: container/x" {
		t.Errorf("%+v, %v", a, err)
	}
	q.Images[0].Digest = ""
	if a, err := node.Ask(t.Context(), socket, q); err == nil {
		t.Errorf("an odd result is taken for an answer: %+v", a)
	}
	if _, err := node.Ask(t.Context(), socket+"x", q); sekisho.KindOf(err) != sekisho.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := node.Ask(ctx, socket, q); err == nil {
		t.Error("a context that ended gets an answer")
	}
}

// TestHostile sends what is no question.
func TestHostile(t *testing.T) {
	socket := serve(t, func(context.Context, admit.Question) node.Answer { return node.Answer{Result: sekisho.Allow} })
	for _, text := range []string{"\n", "{\n", "[]\n", strings.Repeat("x", 2<<20)} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text)) // it may close before it has read all
		out := make([]byte, 4096)
		n, _ := conn.Read(out)
		if strings.Contains(string(out[:n]), `"allow"`) {
			t.Errorf("%.20q is allowed: %s", text, out[:n])
		}
		conn.Close()
	}
}

// BenchmarkAsk measures a question over the socket, of which each gate in a
// runtime's place asks one.
func BenchmarkAsk(b *testing.B) {
	dir, err := os.MkdirTemp("", "node-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- node.Serve(ctx, l, time.Minute, func(context.Context, admit.Question) node.Answer { return node.Answer{Result: sekisho.Allow} })
	}()
	for b.Loop() {
		if _, err := node.Ask(ctx, filepath.Join(dir, "s"), admit.Question{Subject: "container/x", Images: []admit.Image{{Digest: "sha256:x"}}}); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-ended
}
