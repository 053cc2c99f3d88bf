package sensor

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sekisho"
)

// opened returns a sensor that listens until the benchmark ends.
func opened(tb testing.TB, o Options, f func(*sekisho.Event)) *Sensor {
	tb.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			tb.Fatal("root is missing")
		}
		tb.Skip("root is missing")
	}
	s, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, f) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		s.Close()
	})
	return s
}

// alone puts this thread and what it starts before all other work on the last
// CPU, so that the fastest of many short windows is nobody else's doing.
func alone(b *testing.B) {
	runtime.LockOSThread() // not unlocked: the thread ends with the benchmark
	var set unix.CPUSet
	set.Set(runtime.NumCPU() - 1)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		b.Fatal(err)
	}
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: 1, Priority: 1}, 0) // SCHED_FIFO
}

// BenchmarkKernel reports what the kernel's programs cost, as it counts itself,
// while programs are run: the fastest of windows of 20 programs.
func BenchmarkKernel(b *testing.B) {
	kinds := sekisho.EventKinds()
	for name, o := range map[string]Options{
		"default": {},
		"host":    {Host: Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect}}},
		"calls":   {Default: Policy{Kinds: kinds, Opens: OpensToWrite | OpensOfNames}, Host: Policy{Kinds: []sekisho.EventKind{sekisho.EventOpen}, Opens: OpensToWrite}},
		"env":     {Env: 4096},
	} {
		b.Run(name, func(b *testing.B) {
			s := opened(b, o, func(*sekisho.Event) {})
			c, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			alone(b)
			fastest := map[string]float64{}
			before, after := map[string]*ebpf.ProgramStats{}, map[string]*ebpf.ProgramStats{}
			for b.Loop() {
				programStats(s, before)
				for range 20 {
					p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := p.Wait(); err != nil {
						b.Fatal(err)
					}
				}
				programStats(s, after)
				for name, st := range after {
					n := st.RunCount - before[name].RunCount
					if n < 20 {
						continue
					}
					each := float64((st.Runtime - before[name].Runtime).Nanoseconds()) / float64(n)
					if old, ok := fastest[name]; !ok || each < old {
						fastest[name] = each
					}
				}
			}
			for name, each := range fastest {
				b.ReportMetric(each, name+"-ns")
			}
		})
	}
}

func programStats(s *Sensor, to map[string]*ebpf.ProgramStats) {
	for name, p := range s.loaded {
		if st, err := p.Stats(); err == nil {
			to[name] = st
		}
	}
}

// BenchmarkUnrelatedSyscall compares a system call that no one asked about
// without the sensor, with its default, and with calls hooked.
func BenchmarkUnrelatedSyscall(b *testing.B) {
	call := func(b *testing.B) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		const batch = 200 // short enough that some are not interrupted
		fastest := time.Hour
		for b.Loop() {
			start := time.Now()
			for range batch {
				unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
			}
			fastest = min(fastest, time.Since(start))
		}
		b.ReportMetric(float64(fastest.Nanoseconds())/batch, "fastest-ns/call")
	}
	b.Run("without", call)
	b.Run("default", func(b *testing.B) {
		opened(b, Options{Default: Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect, sekisho.EventListen, sekisho.EventDNS, sekisho.EventCapability}}}, func(*sekisho.Event) {})
		call(b)
	})
	b.Run("calls", func(b *testing.B) {
		opened(b, Options{Default: Policy{Kinds: sekisho.EventKinds()}}, func(*sekisho.Event) {})
		call(b)
	})
}

// BenchmarkRun compares fork, exec and exit of a small program without and
// with the sensor.
func BenchmarkRun(b *testing.B) {
	run := func(b *testing.B) {
		fastest := time.Hour
		for b.Loop() {
			start := time.Now()
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
			fastest = min(fastest, time.Since(start))
		}
		b.ReportMetric(float64(fastest.Nanoseconds()), "fastest-ns")
	}
	b.Run("without", run)
	b.Run("with", func(b *testing.B) {
		opened(b, Options{}, func(*sekisho.Event) {})
		run(b)
	})
}

// filled is a ring in memory, with records of 144 bytes.
func filled(size int) *ring {
	r := &ring{data: make([]byte, 2*size), mask: uint64(size - 1), read: new(uint64), written: new(uint64), done: new(uint64)}
	for at := 0; at+152 <= size; at += 152 {
		binary.LittleEndian.PutUint32(r.data[at:], 144)
		*r.written += 152
	}
	return r
}

// BenchmarkReader reads records in place.
func BenchmarkReader(b *testing.B) {
	r := filled(1 << 20)
	sum := uint64(0)
	for b.Loop() {
		rec := r.peek()
		if rec == nil {
			r.at, r.limit = 0, 0
			rec = r.peek()
		}
		sum += recordHead(rec).Time
		r.next(rec)
	}
	_ = sum
}
