package detect

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekisho/enforce/detect/field"
)

// Pair is a field and its value in one event.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	missing  = "<NA>"
	maxValue = 4096 // bytes of a value in an output
)

// format is an output that is cut into texts and fields.
type format struct{ pieces []piece }

type piece struct {
	text  string
	name  string // of the field, as it is written
	field *field.Field
	arg   field.Arg
	calls []string // transformers, the innermost last
}

// appended is what every output ends with: whose event it was.
func appended() []string {
	return []string{"container.id", "container.name", "container.image.repository", "container.image.tag", "k8s.ns.name", "k8s.pod.name"}
}

// newFormat reads an output.
func newFormat(text string, table field.Table) (*format, error) {
	f := &format{}
	text = strings.TrimPrefix(text, "*")
	for text != "" {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			f.pieces = append(f.pieces, piece{text: text})
			break
		}
		if i > 0 {
			f.pieces = append(f.pieces, piece{text: text[:i]})
		}
		rest, err := f.token(text[i+1:], table)
		if err != nil {
			return f, err
		}
		text = rest
	}
	for _, name := range appended() {
		if f.has(name) {
			continue
		}
		fd, arg, _ := table.Find(name, "", false)
		f.pieces = append(f.pieces, piece{text: " " + strings.ReplaceAll(name, ".", "_") + "="}, piece{name: name, field: fd, arg: arg})
	}
	return f, nil
}

func (f *format) has(name string) bool {
	for _, p := range f.pieces {
		if p.name == name {
			return true
		}
	}
	return false
}

// token reads a field, perhaps inside transformers, after the percent sign.
func (f *format) token(text string, table field.Table) (rest string, err error) {
	p := piece{}
	for {
		n := 0
		for n < len(text) && (text[n] == '_' || text[n] == '.' || text[n] >= '0' && text[n] <= '9' || text[n] >= 'a' && text[n] <= 'z' || text[n] >= 'A' && text[n] <= 'Z') {
			n++
		}
		word := text[:n]
		if n < len(text) && text[n] == '(' && len(p.calls) < 8 && oneText(word) {
			p.calls, text = append(p.calls, word), text[n+1:]
			continue
		}
		word = strings.TrimRight(word, ".")
		text = text[len(word):]
		p.name = word
		break
	}
	if p.name == "" {
		f.pieces = append(f.pieces, piece{text: "%"})
		return text, nil
	}
	arg, has := "", false
	if strings.HasPrefix(text, "[") {
		if end := strings.IndexByte(text, ']'); end > 0 {
			arg, has, text = text[1:end], true, text[end+1:]
			p.name += "[" + arg + "]"
		}
	}
	for range p.calls {
		if !strings.HasPrefix(text, ")") {
			return "", fmt.Errorf("%%%s: want a closing bracket", p.name)
		}
		text = text[1:]
	}
	if p.name == "container.info" {
		return text, nil
	}
	word, _, _ := strings.Cut(p.name, "[")
	fd, a, problem := table.Find(word, arg, has)
	if problem != "" {
		return "", fmt.Errorf("%%%s: %s", p.name, problem)
	}
	p.field, p.arg = fd, a
	f.pieces = append(f.pieces, p)
	return text, nil
}

func oneText(call string) bool {
	switch call {
	case "tolower", "toupper", "b64", "basename", "len":
		return true
	}
	return false
}

// write fills the fields in. What processes chose themselves is made harmless.
func (f *format) write(x *field.Context) (string, []Pair) {
	var b strings.Builder
	var pairs []Pair
	for i := range f.pieces {
		p := &f.pieces[i]
		if p.field == nil {
			b.WriteString(p.text)
			continue
		}
		v := p.value(x)
		b.WriteString(v)
		pairs = append(pairs, Pair{p.name, v})
	}
	return b.String(), pairs
}

func (p *piece) value(x *field.Context) string {
	var raw []byte
	if p.field.Many(p.arg) {
		for i, v := range p.field.List(x, p.arg, nil) {
			if i > 0 {
				raw = append(raw, "->"...)
			}
			raw = p.field.Format(raw, &v)
		}
	} else {
		var v field.Value
		if p.field.Get(x, p.arg, &v) {
			raw = p.field.Format(raw, &v)
		}
	}
	if raw == nil {
		return missing
	}
	s := string(raw)
	for i := len(p.calls) - 1; i >= 0; i-- {
		s = apply(p.calls[i], s)
	}
	return escape(s)
}

func apply(call, s string) string {
	switch call {
	case "tolower":
		return strings.ToLower(s)
	case "toupper":
		return strings.ToUpper(s)
	case "len":
		return strconv.Itoa(len(s))
	case "basename":
		return s[strings.LastIndexByte(s, '/')+1:]
	}
	if raw, err := base64.StdEncoding.DecodeString(s); err == nil {
		return string(raw)
	}
	return missing
}

// escape writes control characters, characters that change the direction of
// text and bytes that are no UTF-8 as \xNN or \uNNNN, and cuts long values.
func escape(s string) string {
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "") + "…"
	}
	clean := true
	for _, r := range s {
		clean = clean && r != utf8.RuneError && !hostile(r)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x100 && hostile(r):
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		case hostile(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func hostile(r rune) bool {
	return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || unicode.Is(unicode.Cf, r) || r == 0x2028 || r == 0x2029
}
