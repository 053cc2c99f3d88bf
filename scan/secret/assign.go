package secret

// span is a part of the data.
type span struct{ from, upto int }

// Bounds of an assignment, in bytes: what may follow a telling word in a name,
// and how long a value may be.
const (
	maxNameTail = 48
	maxValue    = 4096
)

// assignment reads what is assigned to the name that has a telling word at
// from..upto: `api_key = "value"`, `"key": "value"`, `<key>value</key>`,
// `KEY=>value`, escaped quotes too. It looks at some tens of bytes only.
func assignment(data []byte, upto int) (value span, quote byte, ok bool) {
	i := upto
	for end := min(upto+maxNameTail, len(data)); i < end && nameByte[data[i]]; {
		i++
	}
	for end := min(i+8, len(data)); i < end && (isSpace(data[i]) || isQuote(data[i]) || data[i] == '\\' || data[i] == ']' || data[i] == ')'); {
		i++
	}
	start := i
	if i, ok = operator(data, i); !ok {
		return span{}, 0, false
	}
	for end := min(i+8, len(data)); i < end; i++ {
		b := data[i]
		if isQuote(b) {
			quote = b
		} else if b != ' ' && b != '\t' && b != '=' && b != '\\' && (b != '\n' && b != '\r' || data[start] != ':' && data[start] != '=') {
			break
		}
	}
	from := i
	for end := min(i+maxValue, len(data)); i < end && valueByte[data[i]]; {
		i++
	}
	return span{from, i}, quote, i > from
}

// wrapped returns where quoted values may begin that are wrapped in something
// before they are assigned to the name that ends at upto: b"…", new("…"), or
// that stand behind a name in quotes without an operator. A few bytes only.
func wrapped(data []byte, upto int) (begins []int) {
	i := upto
	for end := min(upto+maxNameTail, len(data)); i < end && (nameByte[data[i]] || data[i] == ','); {
		i++
	}
	name := i
	for end := min(i+10, len(data)); i < end && (isQuote(data[i]) || data[i] == ' ' || data[i] == '\t'); {
		i++
	}
	operators := i
	for end := min(i+4, len(data)); i < end && (data[i] == '=' || data[i] == '>' || data[i] == '<' || data[i] == ':' || data[i] == '|'); {
		i++
	}
	if i == operators && i-name > 2 && isQuote(data[i-1]) {
		return []int{i}
	}
	if i == operators {
		return nil
	}
	for end := min(i+7, len(data)); i < end && data[i] != '\n'; i++ {
		if isQuote(data[i]) {
			begins = append(begins, i+1)
		}
	}
	return begins
}

// operator skips what stands between a name and its value.
func operator(data []byte, i int) (int, bool) {
	if i >= len(data) {
		return i, false
	}
	rest := data[i:min(i+3, len(data))]
	switch rest[0] {
	case '=':
		if len(rest) > 1 && rest[1] == '>' {
			return i + 2, true
		}
		if len(rest) > 1 && rest[1] == '=' {
			return i, false // a comparison
		}
		return i + 1, true
	case '>', ',':
		return i + 1, true
	case ':':
		n := 1
		for n < len(rest) && rest[n] == ':' {
			n++
		}
		if n < len(rest) && rest[n] == '=' {
			n++
		}
		return i + n, true
	case '?':
		if len(rest) > 1 && rest[1] == '=' {
			return i + 2, true
		}
	case '|':
		if len(rest) > 1 && rest[1] == '|' {
			return i + 2, true
		}
	}
	return i, false
}

// ends reports whether a value may end at i.
func ends(data []byte, i int) bool {
	if i >= len(data) {
		return true
	}
	switch b := data[i]; b {
	case '`', '\'', '"', ';', ',', ')', '}', ']', '<', '>', '&', '|', '#', '?', '/', ' ', '\t', '\n', '\r', '\v', '\f', 0:
		return true
	case '\\':
		return true
	case '.':
		return i+1 >= len(data) || isSpace(data[i+1])
	}
	return false
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }
func isQuote(b byte) bool { return b == '"' || b == '\'' || b == '`' }
func isWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_'
}

func isHex(b byte) bool { return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f' }

var nameByte, valueByte = func() (name, value [256]bool) {
	for b := range 256 {
		w := isWord(byte(b))
		name[b] = w || b == '-' || b == '.' || b == ' ' || b == '\t'
		value[b] = w || b == '-' || b == '.' || b == '=' || b == '+' || b == '/' || b == '~' || b == '|' || b == '%' || b == ':'
	}
	return
}()

// begins reports whether a token may begin at i: what stands before is no part
// of a word, or is an escape such as \n or %3D.
func begins(data []byte, i int) bool {
	if i == 0 || !isWord(data[i-1]) {
		return true
	}
	if i >= 2 && data[i-2] == '\\' && (data[i-1] == 'n' || data[i-1] == 'r' || data[i-1] == 't') {
		return true
	}
	return i >= 3 && data[i-3] == '%' && isHex(data[i-2]) && isHex(data[i-1])
}
