package sensor

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sekisho"
	"sekisho/enforce/container"
	"sekisho/enforce/sensor/dns"
	"sekisho/internal/intern"
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

// unplugged is a sensor that has no kernel.
func unplugged() *Sensor {
	s := &Sensor{o: Options{Containers: container.New(container.Options{}), Now: time.Now}, shares: intern.New(words), names: dns.New(), tree: newTree(time.Now), config: make([]byte, 4096), boot: time.Hour, bootAt: time.Now()}
	return s
}

// execRecord makes an exec as the kernel hands it over.
func execRecord(pid uint32, path, cwd, args string) []byte {
	b := make([]byte, fixedSize, fixedSize+len(path)+len(cwd)+len(args))
	x := (*execEvent)(unsafe.Pointer(&b[0]))
	x.Head = head{Kind: uint8(sekisho.EventExec), Time: 1e9, Start: uint64(pid) * 1e6, PID: pid, TID: pid, ParentPID: 1}
	copy(x.Head.Comm[:], "true")
	x.ParentStart, x.Path, x.Cwd, x.Args = 1e6, uint32(len(path)), uint32(len(cwd)), uint32(len(args))
	return append(append(append(b, path...), cwd...), args...)
}

// BenchmarkDecode makes events of the records of a program that is forked, run
// and ends.
func BenchmarkDecode(b *testing.B) {
	s := unplugged()
	exec := execRecord(100, "/usr/bin/true", "/var/lib/app", "true\x00--quiet\x00")
	fork, exit := make([]byte, unsafe.Sizeof(forkEvent{})), make([]byte, unsafe.Sizeof(head{}))
	f := (*forkEvent)(unsafe.Pointer(&fork[0]))
	f.Head = *recordHead(exec)
	f.Head.Kind, f.Parent, f.ParentStart = uint8(sekisho.EventFork), 1, 1e6
	*recordHead(exit) = *recordHead(exec)
	recordHead(exit).Kind = uint8(sekisho.EventExit)
	s.decode(execRecord(1, "/bin/sh", "/", "sh\x00"), func(*sekisho.Event) {})
	each := func(e *sekisho.Event) {}
	for name, list := range map[string][][]byte{"exec": {exec}, "life": {fork, exec, exit}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, r := range list {
					s.decode(r, each)
				}
			}
		})
	}
}
