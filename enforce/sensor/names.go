package sensor

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

// names remembers which addresses were answers to which questions, for each
// container apart, so that none can name another's peers.
type names struct {
	mu     sync.Mutex
	byAddr map[nameKey]string
	order  []nameKey
	next   int
}

type nameKey struct {
	container uint64
	addr      netip.Addr
}

func newNames() *names { return &names{byAddr: map[nameKey]string{}} }

func (n *names) of(container uint64, a netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byAddr[nameKey{container, a}]
}

// each calls f for every address that a container was given.
func (n *names) each(container uint64, f func(name string, a netip.Addr)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, name := range n.byAddr {
		if k.container == container {
			f(name, k.addr)
		}
	}
}

// add keeps the addresses of an answer; the oldest are forgotten.
func (n *names) add(container uint64, a answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, addr := range a.addresses {
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
		n.byAddr[k] = a.name
	}
}

// answer is what a DNS message answers.
type answer struct {
	name      string // without the last dot, in small letters
	kind      uint16
	code      uint16
	addresses []netip.Addr
}

// message takes the length off that stands before a message over TCP (RFC 1035,
// section 4.2.2). A server may have sent it in a segment of its own.
func message(b []byte) []byte {
	if len(b) > 4 && b[4]&0x80 != 0 { // the bit of a response; else it is the count of questions, which is small
		return b[2:]
	}
	return b
}

// parseAnswer reads a response of DNS (RFC 1035, section 4). A message that
// was cut keeps what could be read.
func parseAnswer(b []byte) (answer, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || !h.Response {
		return answer{}, false
	}
	q, err := p.Question()
	if err != nil || p.SkipAllQuestions() != nil {
		return answer{}, false
	}
	a := answer{name: strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")), kind: uint16(q.Type), code: uint16(h.RCode)}
	for range maxAnswers {
		h, err := p.AnswerHeader()
		if err != nil {
			break
		}
		switch h.Type {
		case dnsmessage.TypeA:
			if r, err := p.AResource(); err == nil {
				a.addresses = append(a.addresses, netip.AddrFrom4(r.A))
			}
		case dnsmessage.TypeAAAA:
			if r, err := p.AAAAResource(); err == nil {
				a.addresses = append(a.addresses, netip.AddrFrom16(r.AAAA))
			}
		default:
			if p.SkipAnswer() != nil {
				return a, true
			}
		}
	}
	return a, true
}
