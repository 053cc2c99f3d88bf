//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// chain is how often a process of a flood runs itself again.
const chain = 100

// program makes the smallest program there is: it runs itself with one argument
// less, until none is left. A process forks seldom and runs programs as fast as
// the kernel can.
func program() ([]byte, error) {
	if runtime.GOARCH != "amd64" {
		return nil, errors.New("the flood's program is for amd64")
	}
	code := []byte{
		0x48, 0x8b, 0x0c, 0x24, // mov rcx, [rsp]: argc
		0x48, 0x83, 0xf9, 0x01, // cmp rcx, 1
		0x7e, 0x18, // jle end
		0x48, 0x8d, 0x74, 0x24, 0x10, // lea rsi, [rsp+16]: argv[1:]
		0x48, 0x8d, 0x54, 0xcc, 0x10, // lea rdx, [rsp+rcx*8+16]: envp
		0x48, 0x8d, 0x3d, 0x10, 0x00, 0x00, 0x00, // lea rdi, path
		0xb8, 0x3b, 0x00, 0x00, 0x00, // mov eax, 59: execve
		0x0f, 0x05, // syscall
		0xb8, 0x3c, 0x00, 0x00, 0x00, // end: mov eax, 60: exit
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
	}
	code = append(code, "/proc/self/exe\x00"...)
	const base, head = 0x400000, 64 + 56
	b := make([]byte, head)
	le := binary.LittleEndian
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)         // an executable
	le.PutUint16(b[18:], 62)        // x86-64
	le.PutUint32(b[20:], 1)         // version
	le.PutUint64(b[24:], base+head) // where it begins
	le.PutUint64(b[32:], 64)        // program headers
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	p := b[64:]
	le.PutUint32(p, 1)     // to be loaded
	le.PutUint32(p[4:], 5) // read, execute
	le.PutUint64(p[16:], base)
	le.PutUint64(p[24:], base)
	le.PutUint64(p[32:], uint64(head+len(code)))
	le.PutUint64(p[40:], uint64(head+len(code)))
	le.PutUint64(p[48:], 0x1000)
	return append(b, code...), nil
}

// flood runs programs on all CPUs as fast as it goes, and counts them.
func flood(w *work, r *worked) error {
	args := slices.Repeat([]string{"x"}, chain)
	var count atomic.Int64
	var group sync.WaitGroup
	errs := make(chan error, w.Size)
	start := time.Now()
	for range w.Size {
		group.Go(func() {
			for time.Since(start) < w.Time {
				p, err := os.StartProcess(w.Program, args, &os.ProcAttr{})
				if err != nil {
					errs <- err
					return
				}
				if s, err := p.Wait(); err != nil || !s.Success() {
					errs <- fmt.Errorf("a program of the flood: %v %v", s, err)
					return
				}
				count.Add(chain)
			}
		})
	}
	group.Wait()
	close(errs)
	r.Count = int(count.Load())
	r.Rate = float64(r.Count) / time.Since(start).Seconds()
	return errors.Join(<-errs)
}

// floods runs programs in a container as fast as the machine can, and looks
// what became of each.
func floods(ctx context.Context, o options) error {
	tiers, err := o.tiers()
	if err != nil {
		return err
	}
	elf, err := program()
	if err != nil {
		return err
	}
	o.program = fmt.Sprintf("/usr/local/bin/bench-flood-%d", os.Getpid()) // of the image, as the container sees it
	if err := os.WriteFile(o.program, elf, 0o755); err != nil {
		return err
	}
	defer os.Remove(o.program)
	fmt.Printf("## A flood of programs in a container, %s on each CPU (%s)\n", o.flood, machine())
	var rows [][]string
	for _, tier := range []string{"", "own rules", "all rules"} {
		row, err := o.floodRow(ctx, tier, tiers[tier])
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	table([]string{"", "programs a second", "programs run", "in the log", "critical events: seen", "filtered", "submitted", "lost", "queues lost", "CPU of the enforcer, µs/program", "peak MB"}, rows)
	return nil
}

func (o options) floodRow(ctx context.Context, tier, settings string) (row []string, err error) {
	var e *enforcer
	if tier != "" {
		if e, err = o.start(ctx, settings); err != nil {
			return nil, err
		}
		defer e.stop()
	}
	b, err := newBoxes(filepath.Join(o.dir, "boxes"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.remove(ctx)) }()
	a, err := o.inside(ctx, b)
	if err != nil {
		return nil, err
	}
	defer a.close()
	before := e.cpu()
	r, err := a.ask(work{Name: "flood", Size: runtime.NumCPU(), Time: o.flood, Program: o.program})
	if err != nil {
		return nil, err
	}
	row = []string{"without", fmt.Sprintf("%.0f", r.Rate), fmt.Sprint(r.Count), "", "", "", "", "", "", "", ""}
	if e == nil {
		return row, nil
	}
	s, err := e.settled()
	if err != nil {
		return nil, err
	}
	kept, err := e.kept(a.id, o.program)
	if err != nil {
		return nil, err
	}
	c := s.critical()
	queues := uint64(0)
	for class, n := range s.Lost {
		if strings.HasPrefix(class, "queue") {
			queues += n
		}
	}
	if c.Seen != c.Filtered+c.Submitted+c.Lost {
		return nil, fmt.Errorf("critical events do not add up: %+v", c)
	}
	used := e.cpu() - before
	return append([]string{tier}, fmt.Sprintf("%.0f", r.Rate), fmt.Sprint(r.Count), fmt.Sprint(kept), fmt.Sprint(c.Seen), fmt.Sprint(c.Filtered), fmt.Sprint(c.Submitted), fmt.Sprint(c.Lost), fmt.Sprint(queues),
		fmt.Sprintf("%.1f", used.Seconds()*1e6/float64(r.Count)), fmt.Sprintf("%.0f", e.memory().peak)), nil
}
