//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

const smallFiles = 20_000

// ports of nginx on the host and in the container.
const port = 28080

// jobs are the workloads, in short batches.
func jobs(where int) []work {
	list := []work{{Name: "exec", Batches: 40, Size: 10, Steady: true}, {Name: "tar", Batches: 3, Size: 1, Steady: true}, {Name: "dd", Batches: 15, Size: 20_000, Steady: true}}
	if _, err := exec.LookPath("nginx"); err == nil {
		if _, err := exec.LookPath("wrk"); err == nil {
			list = append(list, work{Name: "nginx", Batches: 2, Size: port + where})
		}
	}
	return list
}

// titles of the workloads.
var titles = map[string]string{"exec": "fork and exec of /bin/true", "tar": "tar of 20,000 small files", "dd": "dd bs=500", "nginx": "nginx under wrk"}

// best is the fastest of a workload beside a tier.
type best struct {
	took time.Duration // of a batch
	rate float64
	own  time.Duration // processor time of the enforcer, of all batches
	runs int           // programs that were run meanwhile
}

func (b *best) add(r *worked, own time.Duration) {
	if len(r.Took) > 0 && (b.took == 0 || fastest(r.Took) < b.took) {
		b.took = fastest(r.Took)
	}
	b.rate, b.own, b.runs = max(b.rate, r.Rate), b.own+own, b.runs+r.Count
}

// over is how much slower than another, in percent.
func (b *best) over(base *best) string {
	switch {
	case base.took > 0:
		return fmt.Sprintf("%+.1f %%", (float64(b.took)/float64(base.took)-1)*100)
	case base.rate > 0:
		return fmt.Sprintf("%+.1f %%", (base.rate/b.rate-1)*100)
	}
	return ""
}

func (b *best) String() string {
	if b.rate > 0 {
		return fmt.Sprintf("%.0f requests/s", b.rate)
	}
	return b.took.Round(10 * time.Microsecond).String()
}

// workloads measures each workload without and with the enforcer in turn.
func workloads(ctx context.Context, o options) (err error) {
	tiers, err := o.tiers()
	if err != nil {
		return err
	}
	fmt.Printf("## Workloads, the fastest batch of %d rounds (%s)\n", o.rounds, machine())
	b, err := newBoxes(filepath.Join(o.dir, "boxes"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove(ctx)) }()
	host, err := o.outside(ctx)
	if err != nil {
		return err
	}
	defer host.close()
	inside, err := o.inside(ctx, b)
	if err != nil {
		return err
	}
	defer inside.close()
	agents := []*agent{host, inside}
	for _, a := range agents {
		if _, err := a.ask(work{Name: "files", Size: smallFiles}); err != nil {
			return err
		}
		defer a.ask(work{Name: "files"})
	}
	names := []string{"", "syscalls: false", "own rules", "all rules"}
	results := map[[3]string]*best{}
	for round := range o.rounds {
		for i := range names { // each begins a round once
			name := names[(round+i)%len(names)]
			if err := o.round(ctx, name, tiers[name], agents, results); err != nil {
				return err
			}
		}
	}
	var rows [][]string
	for where, place := range []string{"host", "container"} {
		for _, w := range jobs(where) {
			base := results[[3]string{"", place, w.Name}]
			row := []string{titles[w.Name] + ", " + place, base.String()}
			for _, name := range names[1:] {
				row = append(row, results[[3]string{name, place, w.Name}].over(base))
			}
			own := results[[3]string{"all rules", place, w.Name}]
			row = append(row, "")
			if w.Name == "exec" {
				row[len(row)-1] = fmt.Sprintf("%.0f", own.own.Seconds()*1e6/float64(own.runs))
			}
			rows = append(rows, row)
		}
	}
	table([]string{"", "without", "syscalls: false", "own rules", "all rules", "enforcer's own CPU, µs/program"}, rows)
	return nil
}

// round does all workloads beside one tier.
func (o options) round(ctx context.Context, name, settings string, agents []*agent, results map[[3]string]*best) error {
	var e *enforcer
	if name != "" {
		var err error
		if e, err = o.start(ctx, settings); err != nil {
			return err
		}
		defer e.stop()
	}
	for where, place := range []string{"host", "container"} {
		for _, w := range jobs(where) {
			before := e.cpu()
			r, err := agents[where].ask(w)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", w.Name, place, err)
			}
			key := [3]string{name, place, w.Name}
			if results[key] == nil {
				results[key] = &best{}
			}
			results[key].add(r, e.cpu()-before)
		}
	}
	return nil
}
