// Package node lets the gates of one machine ask one process that holds the
// policies and facts ready: a question in JSON over a Unix socket goes in, the
// answer in a line comes out. Whoever may open the socket may ask; it is root's.
// It refuses questions that are too large or come too slowly.
package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"sekisho"
	"sekisho/admit"
)

// maxQuestion and maxAnswer bound a line in bytes.
const maxQuestion, maxAnswer = 1 << 20, 4 << 20

// Answer is what the asked process says.
type Answer struct {
	Result  string `json:"result"`            // allow, warn or deny
	Message string `json:"message,omitempty"` // for people, in the gate's language
	Error   string `json:"error,omitempty"`   // it could not decide
}

// Decide judges a question and words the answer.
type Decide func(context.Context, admit.Question) Answer

// maxAsking bounds how many may ask at a time; more wait.
const maxAsking = 64

// Serve answers until the context ends. Each question has the deadline.
func Serve(ctx context.Context, l net.Listener, deadline time.Duration, decide Decide) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	turns := make(chan struct{}, maxAsking)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("serve: %w", err)
			}
			continue
		}
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			answer(context.WithoutCancel(ctx), conn, deadline, decide)
		})
	}
}

func answer(ctx context.Context, conn net.Conn, deadline time.Duration, decide Decide) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	_ = conn.SetDeadline(time.Now().Add(deadline + 5*time.Second)) // one that cannot be set does no harm
	var q admit.Question
	line, err := bufio.NewReader(io.LimitReader(conn, maxQuestion)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &q)
	}
	a := Answer{Result: sekisho.Deny, Error: fmt.Sprint("question: ", err)}
	if err == nil {
		a = decide(ctx, q)
	}
	_ = json.NewEncoder(conn).Encode(a) // who is gone denies by himself
}

// Ask asks the process that serves a socket. An error means that there is no
// answer: the caller's failure mode decides.
func Ask(ctx context.Context, socket string, q admit.Question) (Answer, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return Answer{}, sekisho.Errorf(sekisho.Unavailable, "ask the gate: %w", err)
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return Answer{}, sekisho.Errorf(sekisho.Unavailable, "ask the gate: %w", err)
	}
	var a Answer
	if err := json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&a); err != nil {
		return Answer{}, sekisho.Errorf(sekisho.Unavailable, "answer of the gate: %w", err)
	}
	if a.Error == "" && a.Result != sekisho.Allow && a.Result != sekisho.Warn && a.Result != sekisho.Deny {
		return Answer{}, sekisho.Errorf(sekisho.Invalid, "answer of the gate: result %q", a.Result)
	}
	return a, nil
}
