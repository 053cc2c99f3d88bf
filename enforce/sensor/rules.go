package sensor

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sekisho"
)

// Rules are what a workload may do; what they do not have, a policy's mode
// stops. Loopback is not spoken of.
type Rules struct {
	Peers   []Peer
	Names   []Name
	Listens []Port
	Paths   []Path
}

// Port is a port of a protocol: tcp, udp or icmp, which has port 0. As one to
// listen on, 0/tcp stands for any that the kernel chooses.
type Port struct {
	Number   uint16
	Protocol string
}

// Peer is whom a workload may connect to. Answers of a peer at port 53 are
// believed, for the names that the rules have.
type Peer struct {
	Prefix netip.Prefix
	Port   Port
}

// Name is a name that may be connected to, by the addresses that a name server
// gave the container for it.
type Name struct {
	Name string
	Port Port
}

// Level says what a path stands for.
type Level uint32

// The path; everything below the directory that it is, with its last slash;
// the names in that directory; a pattern that begins with it, which the kernel
// lets pass.
const (
	Exact Level = iota
	Below
	Within
	Pattern
)

// Path is a file, a directory or the beginning of a pattern.
type Path struct {
	Run   bool // it may be run; else written
	Path  string
	Level Level
}

// Bounds of what the kernel can hold of one path and of one name.
const (
	maxPath      = 249
	maxHostPorts = 8
)

// The keys and values of bpf/verdict.h.
type netKey struct {
	PrefixLen, Rules uint32
	Port, Proto      uint16
	Addr             [16]byte
}

type hostKey struct {
	Name     uint64
	Rules, _ uint32
}

type hostPort struct{ Port, Proto uint16 }

type hostValue struct {
	Count, _ uint32
	Ports    [maxHostPorts]hostPort
}

type resolvedKey struct {
	Container   uint64
	Rules       uint32
	Port, Proto uint16
	Addr        [16]byte
}

type pathKey struct {
	PrefixLen, Rules uint32
	Kind             uint8
	Path             [251]byte
}

type pathValue struct{ Level, Length uint32 }

const (
	protoIPv4   = 0x100
	protoListen = 0x200
	kindWrite   = 'w'
	kindRun     = 'x'
)

// written are rules in the form of the kernel's maps.
type written struct {
	nets  []netKey
	hosts map[hostKey]hostValue
	names map[string][]hostPort // by name as it is written
	paths map[pathKey]pathValue
}

// compile brings rules into the kernel's form, without their number.
func (r *Rules) compile() (*written, error) {
	w := &written{hosts: map[hostKey]hostValue{}, names: map[string][]hostPort{}, paths: map[pathKey]pathValue{}}
	for _, p := range r.Peers {
		k, err := p.key()
		if err != nil {
			return nil, err
		}
		w.nets = append(w.nets, k)
	}
	for _, p := range r.Listens {
		proto, err := p.number(true)
		if err != nil {
			return nil, err
		}
		w.nets = append(w.nets, netKey{PrefixLen: 192, Port: p.Number, Proto: proto | protoListen})
	}
	for _, n := range r.Names {
		if err := w.name(n); err != nil {
			return nil, err
		}
	}
	for _, p := range r.Paths {
		if len(p.Path) > maxPath || p.Path == "" {
			return nil, sekisho.Errorf(sekisho.Invalid, "%q: want a path of 1 to %d bytes", p.Path, maxPath)
		}
		k, v := p.entry()
		w.paths[k] = v
	}
	return w, nil
}

// number is the protocol's, as the kernel keys it.
func (p Port) number(four bool) (uint16, error) {
	switch {
	case p.Protocol == "tcp":
		return 6, nil
	case p.Protocol == "udp":
		return 17, nil
	case p.Protocol == "icmp" && four:
		return 1, nil
	case p.Protocol == "icmp":
		return 58, nil
	}
	return 0, sekisho.Errorf(sekisho.Invalid, "%d/%s: want one of tcp, udp, icmp", p.Number, p.Protocol)
}

func (p Peer) key() (netKey, error) {
	prefix := p.Prefix.Masked()
	four := prefix.Addr().Is4()
	proto, err := p.Port.number(four)
	if err != nil {
		return netKey{}, err
	}
	k := netKey{PrefixLen: 64 + uint32(prefix.Bits()), Port: p.Port.Number, Proto: proto}
	k.Addr, four = plain(prefix.Addr())
	if four {
		k.Proto |= protoIPv4
	}
	return k, nil
}

// plain writes an address as the kernel's keys have it.
func plain(a netip.Addr) (out [16]byte, four bool) {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		copy(out[:], b[:])
		return out, true
	}
	return a.As16(), false
}

func (w *written) name(n Name) error {
	proto, err := n.Port.number(true)
	if err != nil {
		return err
	}
	name := strings.ToLower(n.Name)
	wire, ok := wireName(name)
	if !ok {
		return sekisho.Errorf(sekisho.Invalid, "%q: want a name of the domain name system", n.Name)
	}
	k := hostKey{Name: fnv1a(wire)}
	v := w.hosts[k]
	if int(v.Count) == maxHostPorts {
		return sekisho.Errorf(sekisho.Invalid, "%q: more than %d ports of one name", n.Name, maxHostPorts)
	}
	port := hostPort{n.Port.Number, proto}
	if slices.Contains(v.Ports[:v.Count], port) {
		return nil
	}
	v.Ports[v.Count] = port
	v.Count++
	w.hosts[k] = v
	w.names[name] = append(w.names[name], port)
	return nil
}

// wireName writes a name as messages of DNS have it, without the last zero.
func wireName(name string) (string, bool) {
	var b strings.Builder
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return "", false
		}
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	return b.String(), b.Len() <= 254
}

func (p Path) entry() (pathKey, pathValue) {
	k := pathKey{Kind: kindWrite}
	if p.Run {
		k.Kind = kindRun
	}
	n := copy(k.Path[:], p.Path)
	v := pathValue{Level: uint32(max(p.Level, Below) - Below), Length: uint32(n)}
	if p.Level == Exact {
		n++ // with the zero that ends it: this path, none that begins with it
	}
	k.PrefixLen = uint32(5+n) * 8
	return k, v
}

// number makes the number of rules from what they have, so that it is the same
// after a restart.
func (w *written) number() uint32 {
	h := sha256.New()
	lines := make([]string, 0, len(w.nets)+len(w.hosts)+len(w.paths))
	for _, k := range w.nets {
		lines = append(lines, fmt.Sprint(k))
	}
	for k, v := range w.hosts {
		lines = append(lines, fmt.Sprint(k, v))
	}
	for k, v := range w.paths {
		lines = append(lines, fmt.Sprint(k, v))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(h, l)
	}
	return max(binary.LittleEndian.Uint32(h.Sum(nil)), 1)
}

// fnv1a hashes a name as the kernel's program does.
func fnv1a(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
