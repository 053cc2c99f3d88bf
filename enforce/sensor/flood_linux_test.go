package sensor

import (
	"context"
	"encoding/binary"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"sekisho"
	"sekisho/enforce"
	"sekisho/enforce/detect"
	"sekisho/enforce/evidence"
	"sekisho/enforce/settings"
)

// hose is a program that hands the same exec over again and again, as fast as
// it is run: a machine cannot run 50,000 programs a second, but their events
// can come so.
type hose struct {
	program *ebpf.Program
	counts  *ebpf.Map // handed over, lost
}

func newHose(tb testing.TB, s *Sensor) *hose {
	tb.Helper()
	record := execRecord(1<<22-1, "/usr/bin/true", "/var/lib/app", "true\x00--quiet\x00")
	binary.LittleEndian.PutUint32(record, uint32(len(record)))
	data := made(tb, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(record)+7) &^ 7, MaxEntries: 1})
	if err := data.Put(uint32(0), append(record, make([]byte, 7)...)[:int(data.ValueSize())]); err != nil {
		tb.Fatal(err)
	}
	h := &hose{counts: made(tb, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})}
	const noWakeup = 1 // BPF_RB_NO_WAKEUP
	var err error
	h.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R1, s.maps["critical"].FD()),
		asm.LoadMapValue(asm.R2, data.FD(), 0),
		asm.Mov.Imm(asm.R3, int32(len(record))),
		asm.Mov.Imm(asm.R4, noWakeup),
		asm.FnRingbufOutput.Call(),
		asm.LoadMapValue(asm.R1, h.counts.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.JEq.Imm(asm.R0, 0, "handed"),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
		asm.Add.Imm(asm.R1, 8).WithSymbol("handed"),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.program.Close() })
	return h
}

func made(tb testing.TB, spec *ebpf.MapSpec) *ebpf.Map {
	tb.Helper()
	m, err := ebpf.NewMap(spec)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.Close() })
	return m
}

// spray hands n events over at a steady rate; what comes late comes at once.
func (h *hose) spray(tb testing.TB, n, rate int) {
	tb.Helper()
	start, done := time.Now(), 0
	for done < n {
		due := min(n, int(time.Since(start).Seconds()*float64(rate))) - done
		if due <= 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		if _, err := h.program.Run(&ebpf.RunOptions{Data: make([]byte, 14), Repeat: uint32(due)}); err != nil {
			tb.Fatal(err)
		}
		done += due
	}
}

func (h *hose) told(tb testing.TB) (handed, lost uint64) {
	tb.Helper()
	var v [2]uint64
	if err := h.counts.Lookup(uint32(0), &v); err != nil {
		tb.Fatal(err)
	}
	return v[1], v[0]
}

// plugged is a sensor as the enforcer sees it.
type plugged struct{ *Sensor }

func (plugged) Expect([]string)                                         {}
func (plugged) Forbid(*sekisho.Container, enforce.Orders) error         { return nil }
func (plugged) Counts() (map[string]enforce.Count, error)               { return nil, nil }
func (p plugged) Run(ctx context.Context, f func(*sekisho.Event)) error { return p.Sensor.Run(ctx, f) }

// BenchmarkFlood hands execs over at a steady rate for two seconds, to the sensor
// alone and to the whole enforcer with all our rules and its log on disk, and
// reports what was lost: in the kernel's ring, and in the queues behind it,
// which are told apart.
func BenchmarkFlood(b *testing.B) {
	for _, rate := range []int{50_000, 100_000, 200_000} {
		name := strconv.Itoa(rate/1000) + "k"
		b.Run("sensor/"+name, func(b *testing.B) {
			s := opened(b, Options{}, func(*sekisho.Event) {})
			h := newHose(b, s)
			for b.Loop() {
				h.spray(b, 2*rate, rate)
			}
			_, lost := h.told(b)
			b.ReportMetric(float64(lost), "lost")
		})
		b.Run("enforcer/"+name, func(b *testing.B) { floodWhole(b, rate) })
	}
}

func floodWhole(b *testing.B, rate int) {
	s, err := Open(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	h := newHose(b, s)
	e, log := whole(b, plugged{s})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for b.Loop() {
		h.spray(b, 2*rate, rate)
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	handed, lost := h.told(b)
	st := e.Status()
	b.ReportMetric(float64(lost), "lost")
	b.ReportMetric(float64(st.Lost["queue evidence"]), "not-logged")
	b.ReportMetric(float64(st.Lost["queue judging"]), "not-judged")
	if kept := log.Stats().Events + st.Lost["queue evidence"]; kept < handed {
		b.Errorf("%d events were handed over, %d are in the log or told as lost", handed, kept)
	}
}

// whole is the enforcer of a sensor, with our rules and a log on disk.
func whole(b *testing.B, s enforce.Sensor) (*enforce.Enforcer, *evidence.Log) {
	b.Helper()
	dir := b.TempDir()
	o := settings.Default()
	o.State, o.Profiles, o.Audit = dir+"/state", dir+"/profiles", dir+"/audit"
	rules, _, err := enforce.NewRules(o, nil, "host", detect.BuiltIn()...)
	if err != nil {
		b.Fatal(err)
	}
	log, err := evidence.Open(dir+"/evidence", evidence.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	e, err := enforce.New(enforce.Options{Settings: o, Sensor: s, Log: log, Rules: rules})
	if err != nil {
		b.Fatal(err)
	}
	return e, log
}
