package evidence

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"sekisho"
)

// maxKnown bounds the containers whose documents are kept ready.
const maxKnown = 1024

// encoder writes events as encoding/json does, without its reflection: every
// event of a host goes through here. A test compares both, field by field.
type encoder struct {
	b     []byte
	known map[*sekisho.Container][]byte // containers never change
}

func newEncoder() *encoder { return &encoder{known: map[*sekisho.Container][]byte{}} }

// plain says for a byte whether JSON writes it as it is.
var plain = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

func (n *encoder) str(s string) {
	for i := range len(s) {
		if !plain[s[i]] {
			doc, _ := json.Marshal(s) // a string has a document, always
			n.b = append(n.b, doc...)
			return
		}
	}
	n.b = append(n.b, '"')
	n.b = append(n.b, s...)
	n.b = append(n.b, '"')
}

// The values of keys, which begin with a comma; those that are empty are left out.

func (n *encoder) text(key, v string) {
	if v != "" {
		n.b = append(n.b, key...)
		n.str(v)
	}
}

func (n *encoder) signed(key string, v int64) {
	if v != 0 {
		n.b = strconv.AppendInt(append(n.b, key...), v, 10)
	}
}

func (n *encoder) unsigned(key string, v uint64) {
	if v != 0 {
		n.b = strconv.AppendUint(append(n.b, key...), v, 10)
	}
}

func (n *encoder) flag(key string, v bool) {
	if v {
		n.b = append(append(n.b, key...), "true"...)
	}
}

func (n *encoder) time(key string, t time.Time) {
	if !t.IsZero() {
		n.always(key, t)
	}
}

func (n *encoder) always(key string, t time.Time) {
	n.b = append(append(n.b, key...), '"')
	n.b = append(t.AppendFormat(n.b, time.RFC3339Nano), '"')
}

// event appends the document of an event.
func (n *encoder) event(e *sekisho.Event) error {
	n.b = strconv.AppendUint(append(n.b, `{"seq":`...), e.Seq, 10)
	n.always(`,"time":`, e.Time)
	n.b = append(n.b, `,"kind":`...)
	n.str(e.Kind.String())
	n.text(`,"syscall":`, e.Syscall)
	if e.Process != nil {
		n.process(e.Process)
	}
	if e.Container != nil {
		if err := n.container(e.Container); err != nil {
			return err
		}
	}
	n.b = strconv.AppendInt(append(n.b, `,"result":`...), e.Result, 10)
	n.text(`,"path":`, e.Path)
	n.text(`,"raw":`, e.Raw)
	n.text(`,"other":`, e.Other)
	if len(e.Data) > 0 {
		n.b = append(base64.StdEncoding.AppendEncode(append(n.b, `,"data":"`...), e.Data), '"')
	}
	n.signed(`,"fd":`, int64(e.File))
	n.unsigned(`,"flags":`, e.Flags)
	n.unsigned(`,"mode":`, uint64(e.Mode))
	n.unsigned(`,"uid":`, uint64(e.UID))
	n.unsigned(`,"gid":`, uint64(e.GID))
	n.signed(`,"number":`, e.Number)
	n.text(`,"origin":`, e.Origin)
	n.text(`,"reason":`, e.Reason)
	n.signed(`,"target":`, int64(e.Target))
	n.text(`,"digest":`, string(e.Digest))
	if e.Net != nil {
		n.conn(e.Net)
	}
	n.flag(`,"made":`, e.Made)
	n.flag(`,"compat":`, e.Compat)
	n.b = append(n.b, '}')
	return nil
}

func (n *encoder) container(c *sekisho.Container) error {
	doc := n.known[c]
	if doc == nil {
		var err error
		if doc, err = json.Marshal(c); err != nil {
			return err
		}
		if len(n.known) >= maxKnown {
			clear(n.known)
		}
		n.known[c] = doc
	}
	n.b = append(append(n.b, `,"container":`...), doc...)
	return nil
}

func (n *encoder) process(p *sekisho.Process) {
	n.b = strconv.AppendUint(append(n.b, `,"process":{"id":`...), p.ID, 10)
	n.unsigned(`,"parent_id":`, p.ParentID)
	n.b = strconv.AppendInt(append(n.b, `,"pid":`...), int64(p.PID), 10)
	n.b = strconv.AppendInt(append(n.b, `,"ppid":`...), int64(p.ParentPID), 10)
	n.signed(`,"inner_pid":`, int64(p.InnerPID))
	n.b = append(n.b, `,"name":`...)
	n.str(p.Name)
	n.b = append(n.b, `,"path":`...)
	n.str(p.Path)
	n.args(p.Args)
	n.text(`,"directory":`, p.Directory)
	n.b = strconv.AppendUint(append(n.b, `,"uid":`...), uint64(p.UID), 10)
	n.b = strconv.AppendUint(append(n.b, `,"gid":`...), uint64(p.GID), 10)
	n.text(`,"user":`, p.User)
	n.text(`,"group":`, p.Group)
	n.b = strconv.AppendUint(append(n.b, `,"login_uid":`...), uint64(p.LoginUID), 10)
	n.b = strconv.AppendUint(append(n.b, `,"effective_capabilities":`...), p.Effective, 10)
	n.b = strconv.AppendUint(append(n.b, `,"permitted_capabilities":`...), p.Permitted, 10)
	n.unsigned(`,"tty":`, uint64(p.TTY))
	n.signed(`,"session":`, int64(p.Session))
	n.flag(`,"group_leader":`, p.Leader)
	n.b = append(n.b, `,"origin":`...)
	n.str(p.Origin)
	n.flag(`,"replaces":`, p.Replaces)
	n.text(`,"digest":`, string(p.Digest))
	n.unsigned(`,"inode":`, p.Inode)
	n.unsigned(`,"device":`, p.Device)
	n.time(`,"changed":`, p.Changed)
	n.time(`,"modified":`, p.Modified)
	n.unsigned(`,"sockets":`, uint64(p.Sockets))
	n.always(`,"started":`, p.Started)
	n.time(`,"ended":`, p.Ended)
	n.text(`,"container":`, p.Container)
	n.b = append(n.b, '}')
}

func (n *encoder) args(list []string) {
	n.b = append(n.b, `,"args":`...)
	if list == nil {
		n.b = append(n.b, "null"...)
		return
	}
	n.b = append(n.b, '[')
	for i, a := range list {
		if i > 0 {
			n.b = append(n.b, ',')
		}
		n.str(a)
	}
	n.b = append(n.b, ']')
}

func (n *encoder) conn(c *sekisho.EventConn) {
	n.b = append(n.b, `,"net":{"protocol":`...)
	n.str(c.Protocol)
	n.address(`,"local":`, c.Local)
	n.address(`,"remote":`, c.Remote)
	n.text(`,"name":`, c.Name)
	n.text(`,"unix":`, c.Unix)
	n.signed(`,"domain":`, int64(c.Domain))
	n.signed(`,"type":`, int64(c.Type))
	if len(c.Addresses) > 0 {
		n.b = append(n.b, `,"addresses":[`...)
		for i, a := range c.Addresses {
			if i > 0 {
				n.b = append(n.b, ',')
			}
			n.b = append(n.b, '"')
			if a.IsValid() {
				n.b = a.AppendTo(n.b)
			}
			n.b = append(n.b, '"')
		}
		n.b = append(n.b, ']')
	}
	n.flag(`,"inbound":`, c.Inbound)
	n.flag(`,"connected":`, c.Connected)
	n.b = append(n.b, '}')
}

func (n *encoder) address(key string, a netip.AddrPort) {
	if a == (netip.AddrPort{}) {
		return
	}
	n.b = append(append(n.b, key...), '"')
	if a.IsValid() {
		n.b = a.AppendTo(n.b)
	}
	n.b = append(n.b, '"')
}
