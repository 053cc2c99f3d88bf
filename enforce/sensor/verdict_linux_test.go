package sensor

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho"
)

// confine puts this process into a cgroup of its own, which only the sensor of
// this test takes for a container's, under a policy of a mode and rules.
func confine(tb testing.TB, s *Sensor, mode Mode, r *Rules) {
	tb.Helper()
	s.shared().Self = 0 // this process is looked at
	root := s.o.Containers.Unified()
	dir := filepath.Join(root, fmt.Sprintf("sekisho-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		tb.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		tb.Fatal(err)
	}
	home := ""
	for line := range strings.Lines(string(self)) {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			home = filepath.Join(root, strings.TrimSpace(rest))
		}
	}
	pid := []byte(strconv.Itoa(os.Getpid()))
	tb.Cleanup(func() {
		// first of all no rules: else it would be killed for what follows
		if err := s.maps["cgroups"].Delete(st.Ino); err != nil {
			tb.Error(err)
		}
		if err := os.WriteFile(filepath.Join(home, "cgroup.procs"), pid, 0); err != nil {
			tb.Error(err)
		}
		if err := os.Remove(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), pid, 0); err != nil {
		tb.Fatal(err)
	}
	if err := s.SetPolicy(9, Policy{Mode: mode}); err != nil {
		tb.Fatal(err)
	}
	if err := s.Assign("nobody", 9, r); err != nil {
		tb.Fatal(err)
	}
	if err := s.maps["cgroups"].Put(st.Ino, cgroupValue{Container: st.Ino, Policy: 9, Rules: s.assigned["nobody"].Rules}); err != nil {
		tb.Fatal(err)
	}
}

// prefixes are a thousand networks, and an address of one of them.
func prefixes() (list []Peer, inside netip.Addr) {
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{10, byte(i * 7), byte(i * 13), 0})
		list = append(list, Peer{netip.PrefixFrom(a, 24), Port{443, "udp"}})
		inside = a.Next()
	}
	return list, inside
}

// fastest measures the fastest of many short batches.
func fastest(b *testing.B, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const batch = 100
	least := time.Hour
	for b.Loop() {
		start := time.Now()
		for range batch {
			f()
		}
		least = min(least, time.Since(start))
	}
	b.ReportMetric(float64(least.Nanoseconds())/batch, "fastest-ns/call")
}

// BenchmarkConnect compares a connect of a datagram socket without and with
// the sensor, and with the rules of a profile that has a thousand networks.
func BenchmarkConnect(b *testing.B) {
	peers, inside := prefixes()
	names := []Name{{"db.example.org", Port{5432, "tcp"}}}
	connect := func(b *testing.B, to netip.Addr) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		sa := &unix.SockaddrInet4{Port: 443, Addr: to.As4()}
		fastest(b, func() { _ = unix.Connect(fd, sa) })
	}
	b.Run("without", func(b *testing.B) { connect(b, inside) })
	b.Run("hooked", func(b *testing.B) {
		opened(b, Options{Default: Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect}}}, func(*sekisho.Event) {})
		connect(b, inside)
	})
	for _, x := range []struct {
		name string
		to   netip.Addr
	}{{"known", inside}, {"unknown", netip.MustParseAddr("192.0.2.1")}} {
		b.Run(x.name, func(b *testing.B) {
			s := opened(b, Options{}, func(*sekisho.Event) {})
			confine(b, s, DenyConnect, &Rules{Peers: peers, Names: names})
			connect(b, x.to)
		})
	}
}

// BenchmarkOpen compares an open and a close, of a file at a path of five
// parts, without the sensor, while another container has the rules of a profile
// with a hundred written places, and under them.
func BenchmarkOpen(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	name := filepath.Join(dir, "file")
	open := func(b *testing.B, flags int) {
		fastest(b, func() {
			fd, err := unix.Open(name, flags, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			unix.Close(fd)
		})
	}
	rules := &Rules{Paths: []Path{{Path: dir + "/", Level: Below}}}
	for i := range 100 {
		rules.Paths = append(rules.Paths, Path{Path: fmt.Sprintf("/var/lib/app/%d/", i), Level: Below})
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	for _, x := range []struct {
		name  string
		flags int
	}{{"read", unix.O_RDONLY}, {"write", unix.O_RDWR}} {
		b.Run(x.name+"/without", func(b *testing.B) { open(b, x.flags) })
		b.Run(x.name+"/of another", func(b *testing.B) {
			s := opened(b, Options{}, func(*sekisho.Event) {})
			if err := s.SetPolicy(9, Policy{Mode: KillWrite}); err != nil {
				b.Fatal(err)
			}
			if err := s.Assign("another", 9, rules); err != nil {
				b.Fatal(err)
			}
			open(b, x.flags)
		})
		b.Run(x.name+"/under rules", func(b *testing.B) {
			s := opened(b, Options{}, func(*sekisho.Event) {})
			confine(b, s, KillWrite, rules)
			open(b, x.flags)
		})
	}
}
