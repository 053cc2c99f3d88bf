// Package dns reads answers of name servers and remembers whom they named. In
// go messages as they were on the wire; out come names and addresses, bounded.
// A message that is no answer is refused, one that was cut keeps what could be
// read.
package dns

import (
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Bounds of the memory of names.
const (
	maxNames   = 16384
	maxAnswers = 64
)

// Names remembers which addresses were answers to which questions, for each
// container apart, so that none can name another's peers.
type Names struct {
	mu     sync.Mutex
	byAddr map[nameKey]string
	order  []nameKey
	next   int
}

type nameKey struct {
	container uint64
	addr      netip.Addr
}

// New returns names that know nothing.
func New() *Names { return &Names{byAddr: map[nameKey]string{}} }

// Of returns the name that a container got an address for, or nothing.
func (n *Names) Of(container uint64, a netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byAddr[nameKey{container, a}]
}

// Each calls f for every address that a container was given.
func (n *Names) Each(container uint64, f func(name string, a netip.Addr)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, name := range n.byAddr {
		if k.container == container {
			f(name, k.addr)
		}
	}
}

// Add keeps the addresses of an answer; the oldest are forgotten.
func (n *Names) Add(container uint64, a Answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, addr := range a.Addresses {
		k := nameKey{container, addr}
		if _, ok := n.byAddr[k]; !ok {
			if len(n.order) < maxNames {
				n.order = append(n.order, k)
			} else {
				delete(n.byAddr, n.order[n.next])
				n.order[n.next] = k
				n.next = (n.next + 1) % maxNames
			}
		}
		n.byAddr[k] = a.Name
	}
}

// Answer is what a DNS message answers.
type Answer struct {
	Name      string // without the last dot, in small letters
	Kind      uint16
	Code      uint16
	Addresses []netip.Addr
}

// Message takes the length off that stands before a message over TCP (RFC 1035,
// section 4.2.2). A server may have sent it in a segment of its own.
func Message(b []byte) []byte {
	if len(b) > 4 && b[4]&0x80 != 0 { // the bit of a response; else it is the count of questions, which is small
		return b[2:]
	}
	return b
}

// Parse reads a response of DNS (RFC 1035, section 4). A message that
// was cut keeps what could be read.
func Parse(b []byte) (Answer, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || !h.Response {
		return Answer{}, false
	}
	q, err := p.Question()
	if err != nil || p.SkipAllQuestions() != nil {
		return Answer{}, false
	}
	a := Answer{Name: strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")), Kind: uint16(q.Type), Code: uint16(h.RCode)}
	for range maxAnswers {
		h, err := p.AnswerHeader()
		if err != nil {
			break
		}
		switch h.Type {
		case dnsmessage.TypeA:
			if r, err := p.AResource(); err == nil {
				a.Addresses = append(a.Addresses, netip.AddrFrom4(r.A))
			}
		case dnsmessage.TypeAAAA:
			if r, err := p.AAAAResource(); err == nil {
				a.Addresses = append(a.Addresses, netip.AddrFrom16(r.AAAA))
			}
		default:
			if p.SkipAnswer() != nil {
				return a, true
			}
		}
	}
	return a, true
}
