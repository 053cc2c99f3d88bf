package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sekisho"
	"sekisho/enforce/profile"
	"sekisho/enforce/sensor"
)

// stops are the kinds of a profile that the kernel can stop, and which of the
// sensor's features each needs.
var stops = []struct {
	kind     string
	mode     sensor.Mode
	features []string
}{
	{profile.KindProcess, sensor.KillExec, []string{"exec"}},
	{profile.KindConnection, sensor.DenyConnect, []string{"connect IPv4", "connect IPv6", "datagram IPv4", "datagram IPv6", "socket made", "bind IPv4", "bind IPv6", "DNS answers"}},
	{profile.KindListen, sensor.DenyListen, []string{"bind IPv4", "bind IPv6", "listen and accept"}},
	{profile.KindWrite, sensor.KillWrite, []string{"call openat", "call openat2"}},
}

// Supports returns the kinds of a profile that can be stopped here.
func (k *Kernel) Supports() (kinds []string) {
	for _, s := range stops {
		if !slices.ContainsFunc(s.features, func(f string) bool { return strings.HasPrefix(k.features[f], sensor.NotSupported) }) {
			kinds = append(kinds, s.kind)
		}
	}
	return kinds
}

// Observed returns the kinds of a profile that the sensor tells all of: files
// where they are asked for.
func (k *Kernel) Observed() []string {
	kinds := slices.DeleteFunc(k.Supports(), func(kind string) bool { return kind == profile.KindWrite && !k.Settings.Files })
	if k.features["capability"] == sensor.OK {
		kinds = append(kinds, profile.KindCapability)
	}
	return kinds
}

// Expect makes ready what stops kinds of a profile: a hook of system calls is
// not there at once.
func (k *Kernel) Expect(kinds []string) {
	mode := sensor.Mode(0)
	for _, s := range stops {
		if slices.Contains(kinds, s.kind) && slices.Contains(k.Settings.Stop, s.kind) {
			mode |= s.mode
		}
	}
	if mode&sensor.DenyConnect != 0 {
		mode |= sensor.DenyRaw
	}
	k.sensor.Expect(mode)
}

// forbidden is the part of a policy that a profile makes, of the kinds that
// are named.
func (k *Kernel) forbidden(p *profile.Profile, kinds []string) (mode sensor.Mode, err error) {
	able := k.Supports()
	for _, s := range stops {
		if !slices.Contains(kinds, s.kind) {
			continue
		}
		if !slices.Contains(able, s.kind) {
			err = sekisho.Errorf(sekisho.Unavailable, "%s: %s", s.kind, sensor.NotSupported)
			continue
		}
		mode |= s.mode
	}
	if mode&sensor.DenyConnect != 0 && p.Covers(profile.KindCapability) && !slices.Contains(p.Capabilities, "NET_RAW") {
		mode |= sensor.DenyRaw
		if !slices.ContainsFunc(p.Connections, func(c profile.Connection) bool { return strings.HasSuffix(c.To, "/icmp") }) {
			mode |= sensor.DenyICMP
		}
	}
	return mode, err
}

// rules are what a container's profile has, in the sensor's form. The name
// servers that its runtime gave it are always among its peers.
func rules(p *profile.Profile, c *sekisho.Container) (*sensor.Rules, error) {
	r := &sensor.Rules{}
	targets, err := p.Targets()
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		port := sensor.Port{Number: t.Port, Protocol: t.Protocol}
		switch {
		case t.Protocol != "tcp" && t.Protocol != "udp" && t.Protocol != "icmp": // no connection: a socket of its own kind
		case t.Name == "":
			r.Peers = append(r.Peers, sensor.Peer{Prefix: t.Prefix, Port: port})
		default:
			r.Names = append(r.Names, sensor.Name{Name: t.Name, Port: port})
		}
	}
	for _, a := range c.Resolvers {
		for _, protocol := range []string{"udp", "tcp"} {
			r.Peers = append(r.Peers, sensor.Peer{Prefix: netip.PrefixFrom(a, a.BitLen()), Port: sensor.Port{Number: 53, Protocol: protocol}})
		}
	}
	ports, chosen := p.Ports()
	for _, t := range ports {
		if t.Protocol == "tcp" || t.Protocol == "udp" {
			r.Listens = append(r.Listens, sensor.Port{Number: t.Port, Protocol: t.Protocol})
		}
	}
	if chosen {
		r.Listens = append(r.Listens, sensor.Port{Protocol: "tcp"})
	}
	for _, x := range p.Processes {
		r.Paths = append(r.Paths, sensor.Path{Run: true, Path: x.Path})
	}
	for _, x := range p.Places() {
		level := sensor.Exact
		switch {
		case x.Below:
			level = sensor.Below
		case x.Within:
			level = sensor.Within
		case x.Pattern:
			level = sensor.Pattern
		}
		r.Paths = append(r.Paths, sensor.Path{Path: x.Prefix, Level: level})
	}
	return r, nil
}

// policyID numbers policies by their mode, the same after a restart.
func policyID(m sensor.Mode) uint32 { return uint32(m) + 1 }

// prepare makes the policy of a mode when a container first needs it.
func (k *Kernel) prepare(mode sensor.Mode) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if mode < sensor.DenyConnect || k.made[mode] {
		return nil
	}
	p := k.Options.Sensor.Default
	p.Mode = mode
	if err := k.sensor.SetPolicy(policyID(mode), p); err != nil {
		return fmt.Errorf("make a policy: %w", err)
	}
	k.made[mode] = true
	return nil
}
