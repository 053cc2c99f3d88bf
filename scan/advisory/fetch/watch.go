package fetch

import (
	"context"
	"errors"
	"sync/atomic"
)

var errStalled = errors.New("nothing came any more")

// watch ends the context when nothing moves for Options.Stall. Whoever moves
// something counts it.
func (c *Client) watch(ctx context.Context) (watched context.Context, moved *atomic.Int64, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	moved = new(atomic.Int64)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			before := moved.Load()
			select {
			case <-watched.Done():
				return
			case <-c.o.After(c.o.Stall):
			}
			if moved.Load() == before {
				cancel(errStalled)
				return
			}
		}
	}()
	return watched, moved, func() { cancel(nil); <-ended }
}
