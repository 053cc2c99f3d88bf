package source

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Ordered works on what produce yields, on as many processors as there are,
// and hands the results to consume in the order of their coming, one at a
// time. At most four items a processor are held.
func Ordered[I, O any](ctx context.Context, produce func(yield func(I) error) error, work func(I) (O, error), consume func(O) error) error {
	type job struct {
		in  I
		out chan O
	}
	n := runtime.GOMAXPROCS(0)
	jobs, queue := make(chan job), make(chan chan O, 2*n)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(jobs)
		defer close(queue)
		return produce(func(in I) error {
			j := job{in, make(chan O, 1)}
			select {
			case queue <- j.out:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			select {
			case jobs <- j:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	for range n {
		g.Go(func() error {
			for j := range jobs {
				out, err := work(j.in)
				if err != nil {
					return err
				}
				j.out <- out
			}
			return nil
		})
	}
	g.Go(func() error {
		for out := range queue {
			select {
			case o := <-out:
				if err := consume(o); err != nil {
					return err
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return g.Wait()
}
