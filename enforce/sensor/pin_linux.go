package sensor

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"sekisho"
	"sekisho/enforce/sensor/pin"
)

// reader is what outlives the sensor of its reading: a map of the kernel that
// is mapped into memory.
type reader struct {
	Critical, Bulk uint64     // how far the rings were handed on
	Told           [64]uint64 // losses that were told, by kind
	Lived          uint64     // when the sensor last lived, since boot
	Marks          [2]uint64  // of whoever keeps the events
}

// mirrored are the maps whose forms must be the same to understand what
// programs left: with those, new programs share the maps of old ones.
var mirrored = []string{"critical", "bulk", "cgroups", "policies", "config", "counters", "seqs", "ids", "nets", "hosts", "resolved", "paths", "rulesets", "settled"}

// layout names the form of what programs and reader share.
func layout() string {
	h := sha256.New()
	sums, _ := objects.ReadFile("bpf/sources.sum")
	for line := range strings.Lines(string(sums)) {
		if strings.Contains(line, "event.h") || strings.Contains(line, "verdict.h") {
			h.Write([]byte(line))
		}
	}
	if spec, err := parse("proc", direct); err == nil {
		for _, name := range mirrored {
			if m := spec.Maps[name]; m != nil {
				fmt.Fprintln(h, name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags)
			}
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// compiled names the programs by their content.
func compiled() string {
	h := sha256.New()
	_ = fs.WalkDir(objects, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".o") {
			data, _ := objects.ReadFile(name)
			fmt.Fprintln(h, name, len(data))
			h.Write(data)
		}
		return nil //nolint:nilerr // an embedded file is there
	})
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// takePins takes what outlived the sensor before. Where nothing can, the
// features say why, and it works without.
func (s *Sensor) takePins() error {
	if s.o.Pins == "" {
		return nil
	}
	store, err := pin.Open(s.o.Pins, cmp.Or(s.o.layout, layout()), s.o.State)
	if sekisho.KindOf(err) == sekisho.Denied {
		return err
	}
	if err != nil {
		s.unpinned[""] = err.Error()
		return nil
	}
	s.pins = store
	return nil
}

// number finds the generation of these programs: that of their links where
// those outlived, else the next one.
func (s *Sensor) number() error {
	spec := &ebpf.MapSpec{Name: "reader", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(unsafe.Sizeof(reader{})), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}
	m, err := s.pins.Map("reader", spec)
	if err != nil {
		return fmt.Errorf("make the map of the reader: %w", err)
	}
	s.maps["reader"] = m
	for _, x := range []struct {
		name string
		mem  *[]byte
	}{{"config", &s.config}, {"reader", &s.reading}} {
		if *x.mem, err = unix.Mmap(s.maps[x.name].FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return fmt.Errorf("map the %s: %w", x.name, err)
		}
	}
	s.reader = (*reader)(unsafe.Pointer(&s.reading[0]))
	s.lost = &s.reader.Told
	c := s.shared()
	s.generation = pin.Generation{Number: c.Generation + 1, Objects: cmp.Or(s.o.made, compiled())}
	for _, g := range s.pins.Generations() {
		if g.Objects == s.generation.Objects {
			s.generation = g
			break
		}
		s.generation.Number = max(s.generation.Number, g.Number+1)
	}
	if c.Generation == 0 {
		c.Generation = s.generation.Number
	} else {
		s.outlived = &Outlived{Open: c.Loss&lossOpen != 0}
		for _, name := range s.pins.Attached(c.Generation) {
			s.before[name] = true
		}
	}
	return nil
}

// adopt takes over a link that outlived.
func (s *Sensor) adopt(p part) link.Link {
	if s.outlived == nil {
		return nil
	}
	l := s.pins.Link(s.generation, p.feature)
	if l == nil {
		return nil
	}
	info, err := l.Info()
	if err == nil {
		if prog, err := ebpf.NewProgramFromID(info.Program); err == nil {
			s.programs = append(s.programs, prog)
		}
	}
	return l
}

// settle takes over: from here on these programs tell and judge, and those of
// others are detached. Everything is attached, and policies are written.
func (s *Sensor) settle(f func(*sekisho.Event)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = true
	s.attachAll()
	for name, m := range s.maps {
		if err := s.pins.KeepMap(name, m); err != nil {
			s.unpinned[""] = err.Error()
		}
	}
	for feature := range s.links {
		s.pinLink(feature)
	}
	s.attachAll() // what is not pinned is said
	if s.outlived != nil {
		s.recount()
	}
	s.beat()
	s.shared().Generation = s.generation.Number
	if s.pins == nil {
		return nil
	}
	others, err := s.pins.Only(s.generation)
	if len(others) > 0 {
		if s.outlived == nil {
			s.outlived = &Outlived{}
		}
		s.outlived.Other = true
	}
	if err != nil {
		return fmt.Errorf("detach the programs of before: %w", err)
	}
	return nil
}

// recount says by class what outlived the sensor before.
func (s *Sensor) recount() {
	o := s.outlived
	o.Since, o.Read = s.wall(s.reader.Lived), s.critical.Waiting()+s.bulk.Waiting()
	held := map[string]bool{}
	for _, p := range s.parts() {
		if s.links[p.feature] == nil {
			continue
		}
		class, _, _ := strings.Cut(p.feature, " ")
		if len(p.kinds) > 0 {
			class = p.kinds[0].String()
		}
		before, seen := held[class]
		held[class] = s.before[pin.Entry(p.feature)] && (before || !seen)
	}
	for class, ok := range held {
		if ok {
			o.Held = append(o.Held, class)
		} else {
			o.Gone = append(o.Gone, class)
		}
	}
	slices.Sort(o.Held)
	slices.Sort(o.Gone)
	o.Kills = carried(slices.Collect(maps.Keys(s.before)))
}

func (s *Sensor) pinLink(feature string) {
	if s.pins == nil {
		return
	}
	if err := s.pins.KeepLink(s.generation, feature, s.links[feature]); err != nil {
		s.unpinned[feature] = why(err)
		return
	}
	delete(s.unpinned, feature)
}

// beat tells the kernel that the sensor lives.
func (s *Sensor) beat() {
	if now := sinceBoot(); now != 0 {
		s.reader.Lived, s.shared().Heartbeat = now, now
	}
}

// sinceBoot is the clock that the kernel's programs read, in nanoseconds.
func sinceBoot() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return uint64(ts.Nano())
}

// rest tells the kernel that the sensor ends: it need not wait for the missing
// heartbeat.
func (s *Sensor) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins != nil {
		s.resting = true
		s.attachAll() // containers that begin now may need hooks that none needs yet
	}
	c := s.shared()
	c.Heartbeat -= c.LossAfter + uint64(time.Minute)
}

// Marks are two numbers that outlive a crash of this process. What the one
// before left stands in them.
func (s *Sensor) Marks() *[2]uint64 { return &s.reader.Marks }

// Outlived returns what went on before this sensor began, nil when nothing
// was pinned. It is known when Run took over.
func (s *Sensor) Outlived() (o *Outlived, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outlived == nil || !s.settled {
		return nil, s.settled
	}
	copied := *s.outlived
	return &copied, true
}

func (l *Loss) write(c *configValue) {
	if l.Host {
		c.Loss |= lossHost
	}
	c.LossAfter, c.Unknown = uint64(l.After), l.Unknown
	if l.Open {
		c.Loss |= lossOpen
	}
	if l.Strict {
		c.Loss |= lossStrict
	}
	c.Heartbeat = sinceBoot()
}

// Unpin removes what outlived a sensor: its programs end. It returns how many
// maps and links there were.
func Unpin(dir string) (int, error) {
	n, err := pin.Remove(dir)
	if errors.Is(err, os.ErrPermission) {
		return n, sekisho.Errorf(sekisho.Forbidden, "%w", err).WithHint("run it as root")
	}
	return n, err
}
