package dockerfile

import "strings"

// Bounds of variables: values grow when they name one another.
const (
	maxValue = 1 << 10 // bytes
	maxScope = 100     // stages that build on one another
	maxNest  = 10      // ${A:-${B:-…}}
)

// scope holds the variables that a stage sees; those of the stage it builds on
// lie below it. A variable without a known value has none here.
type scope struct {
	values map[string]string
	below  *scope
}

func (s *scope) set(name, value string) {
	if len(value) <= maxValue && len(s.values) < maxInstructions {
		s.values[name] = value
	}
}

func (s *scope) get(name string) (string, bool) {
	for n := 0; s != nil && n < maxScope; n++ {
		if v, ok := s.values[name]; ok {
			return v, true
		}
		s = s.below
	}
	return "", false
}

// expand puts values in the place of $NAME, ${NAME}, ${NAME:-word} and
// ${NAME:+word}, and takes quotes away. It reports false when a value is not
// known before the build; the variable then stays as it is written.
func (s *scope) expand(text string, escape byte) (string, bool) {
	e := &expander{scope: s, escape: escape, known: true}
	return e.word(text, 0), e.known
}

type expander struct {
	*scope
	escape byte
	known  bool
}

func (e *expander) word(text string, depth int) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text) && b.Len() <= maxValue; i++ {
		c := text[i]
		switch {
		case c == e.escape && quote != '\'' && i+1 < len(text):
			i++
			if n := text[i]; n != '$' && n != '"' && n != '\'' && n != e.escape {
				b.WriteByte(c)
			}
			b.WriteByte(text[i])
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		case c == '$' && quote != '\'':
			n := variableEnd(text, i)
			b.WriteString(e.variable(text[i:n], depth))
			i = n - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// variableEnd returns where the variable that begins at i ends.
func variableEnd(text string, i int) int {
	n := i + 1
	if n < len(text) && text[n] == '{' {
		for depth := 0; n < len(text); n++ {
			if text[n] == '{' {
				depth++
			} else if text[n] == '}' {
				if depth--; depth == 0 {
					return n + 1
				}
			}
		}
		return n
	}
	for n < len(text) && isName(text[n]) {
		n++
	}
	return n
}

func isName(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (e *expander) variable(text string, depth int) string {
	name, modifier := text[1:], ""
	if strings.HasPrefix(name, "{") {
		name = strings.TrimSuffix(name[1:], "}")
		end := 0
		for end < len(name) && isName(name[end]) {
			end++
		}
		name, modifier = name[:end], name[end:]
	}
	if name == "" {
		e.known = e.known && modifier == ""
		return text
	}
	value, set := e.get(name)
	how, word, colon := modifier, "", strings.HasPrefix(modifier, ":")
	if how = strings.TrimPrefix(how, ":"); how != "" {
		how, word = how[:1], how[1:]
	}
	full := set && (value != "" || !colon)
	switch {
	case modifier == "" && set, how == "-" && full:
		return value
	case how == "-" && depth < maxNest: // an ARG that the build may still give
		return e.word(word, depth+1)
	case how == "+" && full && depth < maxNest:
		return e.word(word, depth+1)
	case how == "?" && full:
		return value
	}
	e.known = false
	return text
}

// pair is NAME=value of ARG, ENV or LABEL.
type pair struct {
	name, value string
	valued      bool
}

// pairs reads the arguments of ARG and ENV: NAME=value …, NAME, and the old
// form of ENV, NAME value. Quotes stay in values.
func (i instruction) pairs() (list []pair) {
	if len(i.words) == 0 {
		return nil
	}
	if i.name == "ENV" && !strings.Contains(i.words[0], "=") {
		name, value := cutWord(i.text)
		return []pair{{name, value, true}}
	}
	for _, w := range i.words {
		name, value, ok := strings.Cut(w, "=")
		list = append(list, pair{name, value, ok})
	}
	return list
}
