package field

import (
	"net/netip"
	"strconv"

	"sekisho"
)

// ends returns the client's and the server's end of the event's connection. A
// client that connects has no address before the kernel chose one: 0.0.0.0:0 is
// none, and rules that leave out what listens on 0.0.0.0 do not mean it.
func ends(x *Context) (client, server netip.AddrPort, ok bool) {
	e := x.Event
	if e.Net == nil || !sockets().Has(e.Kind) {
		return client, server, false
	}
	if e.Net.Inbound || e.Kind == sekisho.EventAccept || e.Kind == sekisho.EventReceive {
		return e.Net.Remote, e.Net.Local, true
	}
	if e.Kind == sekisho.EventListen {
		return netip.AddrPort{}, e.Net.Local, true
	}
	return chosen(e.Net.Local), e.Net.Remote, true
}

// chosen is an address, or none where it was not chosen yet.
func chosen(a netip.AddrPort) netip.AddrPort {
	if a.Port() == 0 && a.Addr().IsUnspecified() {
		return netip.AddrPort{}
	}
	return a
}

// connName is client->server, or the address that listens, or the path of a
// unix socket.
func connName(x *Context) (string, bool) {
	client, server, ok := ends(x)
	if !ok {
		return "", false
	}
	if x.Event.Net.Unix != "" {
		return x.Event.Net.Unix, true
	}
	start := len(x.buf)
	if client.IsValid() {
		x.appendEnd(client)
		x.buf = append(x.buf, "->"...)
	}
	if server.IsValid() {
		x.appendEnd(server)
	}
	name := x.text(start)
	return name, name != ""
}

func (x *Context) appendEnd(a netip.AddrPort) {
	x.buf = a.Addr().Unmap().AppendTo(x.buf)
	x.buf = append(x.buf, ':')
	x.buf = strconv.AppendUint(x.buf, uint64(a.Port()), 10)
}

// side picks an end of a connection.
type side func(*Context) (netip.AddrPort, bool)

func clientSide(x *Context) (netip.AddrPort, bool) {
	c, _, ok := ends(x)
	return c, ok && c.IsValid()
}
func serverSide(x *Context) (netip.AddrPort, bool) {
	_, s, ok := ends(x)
	return s, ok && s.IsValid()
}
func localSide(x *Context) (netip.AddrPort, bool) {
	_, _, ok := ends(x)
	a := chosen(net(x).Local)
	return a, ok && a.IsValid()
}
func remoteSide(x *Context) (netip.AddrPort, bool) {
	_, _, ok := ends(x)
	return net(x).Remote, ok && net(x).Remote.IsValid()
}

func net(x *Context) *sekisho.EventConn {
	if x.Event.Net == nil {
		return &sekisho.EventConn{}
	}
	return x.Event.Net
}

func address(name string, typ Type, at side) Field {
	return Field{Name: name, Type: typ, Kinds: sockets(), Cost: 1, Get: func(x *Context, _ Arg, v *Value) bool {
		a, ok := at(x)
		v.IP = a.Addr().Unmap()
		return ok
	}}
}

func port(name string, at side) Field {
	return Field{Name: name, Type: Number, Kinds: sockets(), Cost: 1, Get: func(x *Context, _ Arg, v *Value) bool {
		a, ok := at(x)
		v.N = int64(a.Port())
		return ok
	}}
}

// bothEnds makes a field of both ends.
func bothEnds(name string, typ Type) Field {
	return Field{Name: name, Type: typ, Kinds: sockets(), Cost: 1, Ends: true, List: func(x *Context, _ Arg, out []Value) []Value {
		c, s, ok := ends(x)
		if !ok {
			return out
		}
		if c.IsValid() {
			out = append(out, Value{N: int64(c.Port()), IP: c.Addr().Unmap()})
		}
		if s.IsValid() {
			out = append(out, Value{N: int64(s.Port()), IP: s.Addr().Unmap()})
		}
		return out
	}}
}

// resolved is the name that an end's address was resolved from.
func resolved(name string, at side) Field {
	return Field{Name: name, Kinds: sockets(), Cost: 1, Get: func(x *Context, _ Arg, v *Value) bool {
		a, ok := at(x)
		v.S = net(x).Name
		return ok && v.S != "" && a == net(x).Remote
	}}
}

func connFields() []Field {
	s := func(name string, get func(*Context) string) Field {
		return Field{Name: name, Kinds: sockets(), Get: func(x *Context, _ Arg, v *Value) bool {
			v.S = get(x)
			return x.Event.Net != nil && v.S != ""
		}}
	}
	b := func(name string, get func(*Context) bool) Field {
		return Field{Name: name, Type: Bool, Kinds: sockets(), Get: func(x *Context, _ Arg, v *Value) bool {
			v.N = bit(x.Event.Net != nil && get(x))
			return x.Event.Net != nil
		}}
	}
	list := []Field{
		bothEnds("fd.ip", Address), bothEnds("fd.net", Network), bothEnds("fd.port", Number),
		s("fd.l4proto", func(x *Context) string {
			if p := net(x).Protocol; p == "tcp" || p == "udp" || p == "icmp" || p == "raw" {
				return p
			}
			return ""
		}),
		s("fd.sockfamily", func(x *Context) string {
			if net(x).Unix != "" || net(x).Protocol == "unix" {
				return "unix"
			}
			return "ip"
		}),
		b("fd.is_server", func(x *Context) bool { return net(x).Inbound || x.Event.Kind == sekisho.EventAccept }),
		b("fd.connected", func(x *Context) bool { return net(x).Connected }),
		// The sensor tells a peer once, when it is new.
		b("fd.name_changed", func(x *Context) bool { return net(x).Remote.IsValid() }),
	}
	for _, e := range []struct {
		letter string
		at     side
	}{{"c", clientSide}, {"s", serverSide}, {"l", localSide}, {"r", remoteSide}} {
		list = append(list,
			address("fd."+e.letter+"ip", Address, e.at), address("fd."+e.letter+"net", Network, e.at),
			port("fd."+e.letter+"port", e.at), resolved("fd."+e.letter+"ip.name", e.at))
	}
	return list
}
