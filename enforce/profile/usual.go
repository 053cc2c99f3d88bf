package profile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sekisho"
)

// ephemeral is where the ports begin that the kernel chooses by default.
const ephemeral = 32768

// Peer names whom an event connects to: the name that was resolved, else the
// address; "" for what stays inside the machine, and for the name servers that
// the container was given.
func Peer(e *sekisho.Event) string {
	n := e.Net
	if n == nil || !n.Remote.IsValid() || n.Remote.Addr().IsLoopback() || n.Remote.Addr().IsUnspecified() {
		return ""
	}
	address := n.Remote.Addr().Unmap()
	if n.Remote.Port() == 53 && e.Container != nil && slices.Contains(e.Container.Resolvers, address) {
		return ""
	}
	host := n.Name
	if host == "" {
		host = address.String()
		if address.Is6() {
			host = "[" + host + "]"
		}
	}
	return fmt.Sprintf("%s:%d/%s", host, n.Remote.Port(), n.Protocol)
}

// local is the port that an event is sent from, as a profile lists it.
func local(e *sekisho.Event) string {
	return fmt.Sprintf("%d/%s", e.Net.Local.Port(), e.Net.Protocol)
}

// served reports whether a datagram leaves from a port that somebody chose: it
// is a server's answer.
func served(e *sekisho.Event) bool {
	p := e.Net.Local.Port()
	return p > 0 && p < ephemeral
}

// inner reports whether a port was chosen by the kernel and is heard of inside
// the container only.
func inner(a netip.AddrPort) bool {
	return a.Port() >= ephemeral && a.Addr().Unmap().IsLoopback()
}

// opens reports whether a request of io_uring makes or changes a file by a path
// that no event tells: OPENAT, OPENAT2, and RENAMEAT to LINKAT.
func opens(opcode int64) bool { return opcode == 18 || opcode == 28 || opcode >= 35 && opcode <= 39 }

// Observes says which kinds are observed from now on. What was not observed all
// the time is not covered.
func (l *Learner) Observes(kinds []string) {
	c := &l.profile.Coverage
	if c.Events == 0 && len(c.Kinds) == 0 {
		c.Kinds = slices.Sorted(slices.Values(kinds))
		return
	}
	c.Kinds = slices.DeleteFunc(slices.Clone(c.Kinds), func(k string) bool { return !slices.Contains(kinds, k) })
}

// unseen takes a kind out of the coverage.
func (l *Learner) unseen(kind string) {
	c := &l.profile.Coverage
	c.Kinds = slices.DeleteFunc(slices.Clone(c.Kinds), func(k string) bool { return k == kind })
}

// devices are written by every program and keep nothing.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/console"}

// everywhere reports whether a path is written by programs wherever they run,
// and says nothing about a workload: terminals, and a process's own files in
// /proc, but for its memory.
func everywhere(name string) bool {
	if strings.HasPrefix(name, "/dev/") {
		return slices.Contains(devices, name) || strings.HasPrefix(name, "/dev/pts/")
	}
	rest, ok := strings.CutPrefix(name, "/proc/")
	return ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' && !strings.HasSuffix(name, "/mem")
}

// scratch is the place of a path in a directory where names are drawn, ""
// elsewhere.
func scratch(name string) string {
	for _, dir := range []string{"/tmp/", "/var/tmp/", "/dev/shm/"} {
		if strings.HasPrefix(name, dir) {
			return dir + "**"
		}
	}
	return ""
}

// random reports whether a name looks drawn or counted: it has four digits in
// a row, is mostly digits, is long and hexadecimal, or its last part is mixed
// of letters and digits, or of small and large letters.
func random(name string) bool {
	digits, hex, row, longest := 0, 0, 0, 0
	for _, c := range name {
		switch {
		case c >= '0' && c <= '9':
			digits++
			hex++
			row++
			longest = max(longest, row)
			continue
		case c >= 'a' && c <= 'f':
			hex++
		}
		row = 0
	}
	return longest >= 4 || digits*2 > len(name) || len(name) >= 12 && digits > 0 && hex*10 >= len(name)*9 || drawn(name)
}

// drawn reports whether a name ends as those of mkstemp(3) do.
func drawn(name string) bool {
	i := strings.LastIndexAny(name, "._-")
	last := name[i+1:]
	if i < 0 || len(last) < 6 {
		return false
	}
	var small, large, digit bool
	for _, c := range last {
		small = small || c >= 'a' && c <= 'z'
		large = large || c >= 'A' && c <= 'Z'
		digit = digit || c >= '0' && c <= '9'
	}
	return small && large || large && digit || small && digit
}

// Target is a peer of a profile, taken apart.
type Target struct {
	Name     string       // "" for addresses
	Prefix   netip.Prefix // of one address too
	Port     uint16
	Protocol string
}

// Targets takes the profile's connections apart.
func (p *Profile) Targets() ([]Target, error) {
	list := make([]Target, 0, len(p.Connections))
	for _, c := range p.Connections {
		host, rest, err := split(c.To)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "profile %s: connections: %w", p.Name, err)
		}
		t := Target{Name: host}
		t.Port, t.Protocol = port(rest[1:])
		if a, err := netip.ParseAddr(host); err == nil {
			t.Name, t.Prefix = "", netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		} else if n, err := netip.ParsePrefix(host); err == nil {
			t.Name, t.Prefix = "", n
		}
		list = append(list, t)
	}
	return list, nil
}

// Ports takes the profile's listeners apart; chosen reports whether the kernel
// chooses one of them.
func (p *Profile) Ports() (list []Target, chosen bool) {
	for _, l := range p.Listens {
		t := Target{}
		t.Port, t.Protocol = port(l)
		chosen = chosen || t.Port >= ephemeral && t.Protocol == "tcp"
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.Protocol, b.Protocol))
	})
	return list, chosen
}

// port reads what was checked before.
func port(text string) (uint16, string) {
	number, protocol, _ := strings.Cut(text, "/")
	n := 0
	for _, c := range number {
		n = n*10 + int(c-'0')
	}
	return uint16(n), protocol
}

// Place is a written place of a profile in a form that is matched by its
// beginning.
type Place struct {
	Prefix  string // a whole path, or a directory with its last slash
	Below   bool   // everything below the directory
	Within  bool   // names of the directory only
	Pattern bool   // a pattern begins with it
}

// Places takes the written places apart. A place below one that is written as
// a whole is left out.
func (p *Profile) Places() []Place {
	var below []string
	for _, w := range p.Writes {
		if dir, ok := strings.CutSuffix(w.Path, "/**"); ok && !strings.ContainsAny(dir, "*?[") {
			below = append(below, dir+"/")
		}
	}
	list := []Place{}
	for _, w := range p.Writes {
		place := Place{Prefix: w.Path}
		if i := strings.IndexAny(w.Path, `*?[\`); i >= 0 {
			place.Prefix = w.Path[:i]
			rest, directory := w.Path[i:], strings.HasSuffix(place.Prefix, "/")
			place.Below = rest == "**" && directory
			place.Within = rest == "*" && directory
			place.Pattern = !place.Below && !place.Within
		}
		if !slices.ContainsFunc(below, func(dir string) bool {
			return strings.HasPrefix(place.Prefix, dir) && (place.Prefix != dir || !place.Below)
		}) {
			list = append(list, place)
		}
	}
	return list
}
