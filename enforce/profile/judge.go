package profile

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"sekisho"
)

// Matcher is a profile made ready to judge events. It is immutable.
type Matcher struct {
	profile   *Profile
	processes map[string]*Process
	exact     map[string]bool
	below     []string // directories, all below which may be written
	globs     []string
	names     map[string]bool // host:port/proto
	nets      []network
	listens   map[string]bool
	chosen    bool // it listens on ports that the kernel chooses
	caps      map[string]bool
}

type network struct {
	prefix netip.Prefix
	rest   string // :443/tcp
}

// Compile makes a profile ready.
func (p *Profile) Compile() (*Matcher, error) {
	m := &Matcher{profile: p, processes: map[string]*Process{}, exact: map[string]bool{}, names: map[string]bool{}, listens: map[string]bool{}, caps: map[string]bool{}}
	for i := range p.Processes {
		m.processes[p.Processes[i].Path] = &p.Processes[i]
	}
	for _, w := range p.Writes {
		switch {
		case strings.HasSuffix(w.Path, "/**"):
			m.below = append(m.below, strings.TrimSuffix(w.Path, "**"))
		case strings.ContainsAny(w.Path, "*?["):
			if _, err := path.Match(w.Path, ""); err != nil {
				return nil, sekisho.Errorf(sekisho.Invalid, "profile %s: writes: %q: %w", p.Name, w.Path, err)
			}
			m.globs = append(m.globs, w.Path)
		default:
			m.exact[w.Path] = true
		}
	}
	for _, c := range p.Connections {
		host, rest, err := split(c.To)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "profile %s: connections: %w", p.Name, err)
		}
		if prefix, err := netip.ParsePrefix(host); err == nil {
			m.nets = append(m.nets, network{prefix, rest})
			continue
		}
		m.names[c.To] = true
	}
	if err := m.ports(p); err != nil {
		return nil, err
	}
	for _, c := range p.Capabilities {
		m.caps[c] = true
	}
	return m, nil
}

// ports takes over what may be listened on.
func (m *Matcher) ports(p *Profile) error {
	for _, l := range p.Listens {
		port, protocol, ok := strings.Cut(l, "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || !ok || protocol == "" {
			return sekisho.Errorf(sekisho.Invalid, "profile %s: listens: %q: want port/protocol, as 8080/tcp", p.Name, l)
		}
		m.listens[l] = true
		m.chosen = m.chosen || n >= ephemeral && protocol == "tcp"
	}
	return nil
}

// split cuts "host:port/protocol".
func split(to string) (host, rest string, err error) {
	i := strings.LastIndexByte(to, ':')
	if i <= 0 {
		return "", "", fmt.Errorf("%q: want host:port/protocol", to)
	}
	port, protocol, ok := strings.Cut(to[i+1:], "/")
	if _, perr := strconv.ParseUint(port, 10, 16); perr != nil || !ok || protocol == "" {
		return "", "", fmt.Errorf("%q: want host:port/protocol", to)
	}
	return strings.Trim(to[:i], "[]"), to[i:], nil
}

// Deviation is an event that the profile does not know.
type Deviation struct {
	Kind string // process, write, connection, listen, capability
	What string
	Why  string // unknown, other content, other parent
}

// Judge returns what is unusual about an event, nil when it is as usual or of
// a kind that profiles do not hold.
func (m *Matcher) Judge(e *sekisho.Event) *Deviation {
	switch e.Kind {
	case sekisho.EventExec:
		return m.exec(e)
	case sekisho.EventOpen:
		if !writes(e.Flags) || e.Result < 0 {
			return nil
		}
		return m.write(e.Path)
	case sekisho.EventCreate, sekisho.EventMkdir, sekisho.EventUnlink, sekisho.EventRmdir, sekisho.EventSymlink, sekisho.EventChmod, sekisho.EventChown:
		if e.Result < 0 {
			return nil
		}
		return m.write(e.Path)
	case sekisho.EventRename, sekisho.EventLink:
		if e.Result < 0 {
			return nil
		}
		if d := m.write(e.Path); d != nil {
			return d
		}
		return m.write(e.Other)
	case sekisho.EventConnect, sekisho.EventSend:
		return m.connect(e)
	case sekisho.EventListen:
		if e.Net != nil && !inner(e.Net.Local) && !(m.chosen && e.Net.Local.Port() >= ephemeral) {
			return m.one("listen", fmt.Sprintf("%d/%s", e.Net.Local.Port(), e.Net.Protocol), m.listens)
		}
	case sekisho.EventCapability:
		return m.one("capability", Capability(int(e.Number)), m.caps)
	}
	return nil
}

func (m *Matcher) one(kind, what string, set map[string]bool) *Deviation {
	if set[what] {
		return nil
	}
	return &Deviation{kind, what, "unknown"}
}

func (m *Matcher) exec(e *sekisho.Event) *Deviation {
	if e.Process == nil {
		return nil
	}
	p := m.processes[e.Process.Path]
	switch {
	case p == nil:
		return &Deviation{"process", e.Process.Path, "unknown"}
	case len(p.Digests) > 0 && e.Process.Digest != "" && !slices.Contains(p.Digests, e.Process.Digest),
		len(p.Digests) == 0 && e.Process.Origin != sekisho.OriginImage && e.Process.Origin != sekisho.OriginUnknown:
		return &Deviation{"process", e.Process.Path, "other content"}
	case p.Start && e.Container != nil && !e.Container.Started.IsZero() && e.Time.Sub(e.Container.Started) > startPhase:
		return &Deviation{"process", e.Process.Path, "only while starting"}
	}
	if parent := e.Process.Parent; parent != nil && len(p.Parents) > 0 && parent.Container == e.Process.Container && !slices.Contains(p.Parents, parent.Path) {
		return &Deviation{"process", e.Process.Path, "other parent " + parent.Path}
	}
	return nil
}

func (m *Matcher) write(name string) *Deviation {
	if name == "" || m.exact[name] || everywhere(name) {
		return nil
	}
	for _, dir := range m.below {
		if strings.HasPrefix(name, dir) {
			return nil
		}
	}
	for _, g := range m.globs {
		if ok, _ := path.Match(g, name); ok { // compiled before
			return nil
		}
	}
	return &Deviation{"write", name, "unknown"}
}

func (m *Matcher) connect(e *sekisho.Event) *Deviation {
	to := Peer(e)
	if to == "" || m.names[to] || e.Kind == sekisho.EventSend && m.listens[local(e)] {
		return nil
	}
	address := e.Net.Remote.Addr().Unmap()
	for _, n := range m.nets {
		if n.prefix.Contains(address) && strings.HasSuffix(to, n.rest) {
			return nil
		}
	}
	return &Deviation{"connection", to, "unknown"}
}
