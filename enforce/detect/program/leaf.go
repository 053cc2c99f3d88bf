package program

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho/enforce/detect/cond"
	"sekisho/enforce/detect/field"
)

// op is how a leaf compares.
type op uint8

const (
	opEqual op = iota
	opLess
	opLessEqual
	opMore
	opMoreEqual
	opExists
	opContains
	opFold
	opPrefix
	opSuffix
	opGlob
	opGlobFold
	opPath
	opRegex
)

// leaf is one check, typed: a slot on the left, values or a slot on the right.
type leaf struct {
	slot   int
	op     op
	typ    field.Type
	negate bool // != : the field is there, and nothing is equal
	many   bool // the slot has several values
	every  bool // allof: all values of the right side must match
	values []field.Value
	nets   []netip.Prefix
	regex  []*regexp.Regexp
	fixed  [][2]string // of patterns: how whatever matches begins and ends
	right  int         // slot, or -1
	group  int         // or -1
	bit    int
	cost   int
}

// slot is a left side: a field with its argument, or a transformer of slots.
type slot struct {
	field *field.Field
	arg   field.Arg
	many  bool
	call  string
	args  []int
	text  string
	typ   field.Type
	cost  int
	name  string
}

// builder interns slots, leaves and groups of all rules.
type builder struct {
	table    field.Table
	slots    []slot
	slotIDs  map[string]int
	leaves   []leaf
	leafIDs  map[string]int
	groups   []*group
	groupIDs map[[2]int]int
	warn     func(format string, args ...any)
	depth    int
}

func newBuilder(t field.Table) *builder {
	return &builder{table: t, slotIDs: map[string]int{}, leafIDs: map[string]int{}, groupIDs: map[[2]int]int{}, warn: func(string, ...any) {}}
}

// UnknownField is an error that skip-if-unknown-filter forgives.
type UnknownField struct{ Name, Why string }

// Error names the field.
func (u *UnknownField) Error() string { return fmt.Sprintf("%s %s", u.Name, u.Why) }

// slot interns an operand.
func (b *builder) slot(o cond.Operand) (int, error) {
	key := o.String()
	if i, ok := b.slotIDs[key]; ok {
		return i, nil
	}
	var s slot
	var err error
	switch {
	case o.Text != nil:
		s = slot{text: *o.Text, call: "text"}
	case o.Call != "":
		s, err = b.call(o)
	default:
		f, arg, problem := b.table.Find(o.Field, o.Arg, o.HasArg)
		if problem != "" {
			return 0, &UnknownField{key, problem}
		}
		if f.Never {
			b.warn("%s is not available here: checks of it never hold", key)
		}
		s = slot{field: f, arg: arg, many: f.Many(arg), typ: f.Type, cost: int(f.Cost) + 1}
	}
	if err != nil {
		return 0, err
	}
	s.name = key
	b.slots = append(b.slots, s)
	b.slotIDs[key] = len(b.slots) - 1
	return len(b.slots) - 1, nil
}

func (b *builder) call(o cond.Operand) (slot, error) {
	s := slot{call: o.Call, cost: 8}
	want := map[string]int{"concat": -1, "join": -2, "getopt": -3}[o.Call]
	if o.Call == "val" || want == 0 && len(o.Args) != 1 || want < 0 && len(o.Args) < 1 || want == -3 && len(o.Args) > 2 {
		return s, fmt.Errorf("%s does not take %d arguments here", o.Call, len(o.Args))
	}
	if o.Call == "len" {
		s.typ = field.Number
	}
	for i, a := range o.Args {
		k, err := b.slot(a)
		if err != nil {
			return s, err
		}
		if t := b.slots[k].typ; t != field.String {
			return s, fmt.Errorf("%s wants texts; %s is none", o.Call, a)
		}
		s.many = s.many || b.slots[k].many && i == len(o.Args)-1 && o.Call != "join" && o.Call != "len"
		s.args = append(s.args, k)
	}
	return s, nil
}

// leaf interns a check.
func (b *builder) leaf(n *cond.Node) (int, error) {
	left, err := b.slot(n.Left)
	if err != nil {
		return 0, err
	}
	l := leaf{slot: left, many: b.slots[left].many, right: -1, group: -1, typ: b.slots[left].typ, every: n.Modify == "allof"}
	if f := b.slots[left].field; f != nil && f.Never {
		// Of no type: any comparison of it is well-formed, and never holds.
		n = &cond.Node{Cmp: "exists", Left: n.Left}
	}
	if err := l.operator(n, b.slots[left]); err != nil {
		return 0, err
	}
	if n.Right != nil {
		if l.right, err = b.slot(*n.Right); err != nil {
			return 0, err
		}
		if b.slots[l.right].typ != l.typ {
			return 0, fmt.Errorf("%s and %s are not of one type", n.Left, n.Right)
		}
	}
	for _, v := range n.Values {
		if err := l.value(n, v); err != nil {
			return 0, err
		}
	}
	key := fmt.Sprintf("%d %d %v %v %d %q", left, l.op, l.negate, l.every, l.right, n.Values)
	if i, ok := b.leafIDs[key]; ok {
		return i, nil
	}
	l.cost = b.slots[left].cost + 2*len(l.values)
	if l.op == opRegex {
		l.cost += 60
	}
	b.join(&l, n.Values)
	b.leaves = append(b.leaves, l)
	b.leafIDs[key] = len(b.leaves) - 1
	return len(b.leaves) - 1, nil
}

// operator reads the operator and checks that the type has it.
func (l *leaf) operator(n *cond.Node, s slot) error {
	numeric := map[string]op{"<": opLess, "<=": opLessEqual, ">": opMore, ">=": opMoreEqual}
	texts := map[string]op{"contains": opContains, "icontains": opFold, "bcontains": opContains, "startswith": opPrefix, "bstartswith": opPrefix, "endswith": opSuffix,
		"glob": opGlob, "iglob": opGlobFold, "regex": opRegex, "pmatch": opPath}
	var ok bool
	switch n.Cmp {
	case "exists":
		l.op = opExists
	case "=", "in", "intersects":
		l.op = opEqual
	case "!=":
		l.op, l.negate = opEqual, true
	default:
		if l.op, ok = numeric[n.Cmp]; ok {
			if l.typ != field.Number && l.typ != field.Time {
				return fmt.Errorf("%s is no number, which %s wants", n.Left, n.Cmp)
			}
			return nil
		}
		l.op = texts[n.Cmp]
		if l.typ != field.String {
			return fmt.Errorf("%s is no text, which %s wants", n.Left, n.Cmp)
		}
	}
	return nil
}

// value reads a value of the right side.
func (l *leaf) value(n *cond.Node, text string) error {
	var v field.Value
	var err error
	switch {
	case l.typ == field.String:
		return l.textual(n, text)
	case l.typ == field.Number || l.typ == field.Time:
		v.N, err = strconv.ParseInt(text, 0, 64)
		if err != nil {
			return fmt.Errorf("%s: %q is no number", n.Left, text)
		}
	case l.typ == field.Bool:
		switch text {
		case "true", "yes", "1":
			v.N = 1
		case "false", "no", "0":
		default:
			return fmt.Errorf("%s: %q is not true or false", n.Left, text)
		}
	default:
		if strings.Contains(text, "/") && l.typ == field.Network {
			net, err := netip.ParsePrefix(text)
			if err != nil {
				return fmt.Errorf("%s: %q is no network", n.Left, text)
			}
			l.nets = append(l.nets, net.Masked())
			v.IP = net.Addr()
			break
		}
		if v.IP, err = netip.ParseAddr(text); err != nil {
			return fmt.Errorf("%s: %q is no address", n.Left, text)
		}
		v.IP = v.IP.Unmap()
		if l.typ == field.Network {
			l.nets = append(l.nets, netip.PrefixFrom(v.IP, v.IP.BitLen()))
		}
	}
	l.values = append(l.values, v)
	return nil
}

func (l *leaf) textual(n *cond.Node, text string) error {
	switch n.Cmp {
	case "icontains":
		text = strings.ToLower(text)
	case "bcontains", "bstartswith":
		raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil {
			return fmt.Errorf("%s: %q is not hexadecimal", n.Left, text)
		}
		text = string(raw)
	case "regex":
		if len(text) > 4096 {
			return fmt.Errorf("%s: the regular expression has more than 4096 bytes", n.Left)
		}
		re, err := regexp.Compile(`^(?s:` + text + `)$`)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Left, err)
		}
		l.regex = append(l.regex, re)
	}
	l.values = append(l.values, field.Value{S: text})
	if l.op == opGlob || l.op == opPath {
		l.fixed = append(l.fixed, fixed(l.op, text))
	}
	return nil
}

// join puts a leaf into the group that answers it, if there is one.
func (b *builder) join(l *leaf, values []string) {
	if l.typ != field.String || l.right >= 0 || l.every || b.slots[l.slot].many && l.negate {
		return
	}
	var f form
	switch l.op {
	case opEqual:
		f = formExact
	case opPrefix:
		f = formPrefix
	case opSuffix:
		f = formSuffix
	case opContains:
		f = formInside
		for i := range l.values {
			if len(l.values[i].S) < shortest {
				return
			}
		}
	default:
		return
	}
	key := [2]int{l.slot, int(f)}
	id, ok := b.groupIDs[key]
	if !ok {
		b.groups = append(b.groups, newGroup(l.slot, f))
		id = len(b.groups) - 1
		b.groups[id].many = l.many
		b.groupIDs[key] = id
	}
	texts := make([]string, len(l.values))
	for i := range l.values {
		texts[i] = l.values[i].S
	}
	slices.Sort(texts)
	l.group, l.bit = id, b.groups[id].add(slices.Compact(texts))
	l.cost = b.slots[l.slot].cost
	if b.slots[l.slot].many || f == formInside {
		l.cost += 6
	}
}

// transform computes a call.
func transform(call string, in []string) (string, bool) {
	switch call {
	case "tolower":
		return strings.ToLower(in[0]), true
	case "toupper":
		return strings.ToUpper(in[0]), true
	case "b64":
		raw, err := base64.StdEncoding.DecodeString(in[0])
		return string(raw), err == nil
	case "basename":
		return in[0][strings.LastIndexByte(in[0], '/')+1:], true
	case "concat":
		return strings.Join(in, ""), true
	case "join":
		return strings.Join(in[1:], in[0]), len(in) > 0
	case "getopt":
		return option(in)
	}
	return "", false
}

// option finds an option in a command line and returns its value; without the
// name of one, the first option.
func option(in []string) (string, bool) {
	words := strings.Fields(in[0])
	for i, w := range words {
		name, value, has := strings.Cut(w, "=")
		if !strings.HasPrefix(w, "-") || len(in) > 1 && strings.TrimLeft(name, "-") != strings.TrimLeft(in[1], "-") {
			continue
		}
		if len(in) < 2 {
			return w, true
		}
		if has {
			return value, true
		}
		if i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			return words[i+1], true
		}
		return "", true
	}
	return "", false
}
