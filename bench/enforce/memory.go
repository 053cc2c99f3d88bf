//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// memory measures the enforcer with one container and with many, each of which
// runs two small programs every five seconds, as health checks do.
func memory(ctx context.Context, o options) (err error) {
	tiers, err := o.tiers()
	if err != nil {
		return err
	}
	fmt.Printf("## Memory, MB (%s)\n", machine())
	b, err := newBoxes(filepath.Join(o.dir, "boxes"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove(ctx)) }()
	e, err := o.start(ctx, tiers["all rules"])
	if err != nil {
		return err
	}
	defer e.stop()
	var rows [][]string
	for n := 0; ; {
		m, w := e.memory(), memoryOf(e.watchdog())
		mb := func(v float64) string { return fmt.Sprintf("%.0f", v) }
		rows = append(rows, []string{fmt.Sprint(n), mb(m.resident), mb(m.own), mb(m.proportional), mb(m.peak), mb(w.resident), mb(w.own)})
		next := map[int]int{0: 1, 1: o.containers}[n]
		if next == 0 {
			break
		}
		for ; n < next; n++ {
			if _, err := b.start(ctx, n, "/bin/sh", "-c", "while :; do /bin/true; sleep 5; done"); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
		}
	}
	s, err := e.settled()
	if err != nil {
		return err
	}
	known := 0
	for _, c := range s.Containers {
		if c.Image == boxImage && c.Ended.IsZero() {
			known++
		}
	}
	if known != o.containers {
		return fmt.Errorf("the enforcer knows %d containers of %d", known, o.containers)
	}
	table([]string{"containers", "resident", "of it its own", "proportional share", "peak", "watchdog, resident", "its own"}, rows)
	return nil
}
