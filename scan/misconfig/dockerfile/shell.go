package dockerfile

import (
	"path"
	"slices"
	"strings"
)

// Bounds of a script.
const (
	maxCommands = 5_000
	maxDepth    = 8 // substitutions in one another
)

// command is one simple command of a shell script.
type command struct {
	words  []string // quotes taken away
	piped  bool     // its output goes into the next command
	nested bool     // of a substitution
	line   string   // how it is written
}

// script takes a shell script apart far enough to see which programs it calls
// with which words. It follows no loops and expands no variables.
func script(text string) []command {
	s := &scanner{text: text}
	s.commands(0)
	return s.list
}

// scanner reads a script from one end to the other.
type scanner struct {
	text string
	at   int
	list []command
	cur  command
	word strings.Builder
	open bool // a word has begun, it may be empty
	skip bool // the next word is where a redirection goes
	from int  // where the command began
}

// commands reads until end, or the end of the text.
func (s *scanner) commands(depth int) {
	end := byte(0)
	if depth > 0 {
		end = ')'
	}
	s.from = s.at
	parens := 0
	for s.at < len(s.text) && len(s.list) < maxCommands {
		c := s.text[s.at]
		switch {
		case c == '(' && !s.open:
			s.finish(false, depth+parens)
			parens++
		case c == ')' && end == ')' && parens == 0:
			s.finish(false, depth)
			s.at++
			return
		case c == ')':
			s.finish(false, depth+parens)
			parens = max(parens-1, 0)
		case c == '#' && !s.open:
			for s.at < len(s.text) && s.text[s.at] != '\n' {
				s.at++
			}
			continue
		case c == '|' || c == '&' || c == ';' || c == '\n':
			s.operator(c, depth+parens)
			continue
		case c == ' ' || c == '\t' || c == '\r':
			s.endWord()
		default:
			s.part(c, depth)
			continue
		}
		s.at++
	}
	s.finish(false, depth+parens)
}

// operator ends a command.
func (s *scanner) operator(c byte, depth int) {
	next := byte(0)
	if s.at+1 < len(s.text) {
		next = s.text[s.at+1]
	}
	if c == '&' && s.at > 0 && (s.text[s.at-1] == '>' || s.text[s.at-1] == '<') || c == '&' && next == '>' { // 2>&1, &>file
		s.word.WriteByte(c)
		s.open = true
		s.at++
		return
	}
	if c == '|' && s.at > 0 && s.text[s.at-1] == '>' { // >|file
		s.at++
		return
	}
	s.finish(c == '|' && next != '|', depth)
	s.at++
	if next == c && c != '\n' || c == '|' && next == '&' {
		s.at++
	}
}

// part reads a piece of a word: a character, something quoted, a substitution.
func (s *scanner) part(c byte, depth int) {
	if c == '\\' && strings.HasPrefix(s.text[s.at:], "\\\n") {
		s.at += 2
		return
	}
	s.open = true
	switch c {
	case '\\':
		if s.at+1 < len(s.text) {
			s.at++
			s.word.WriteByte(s.text[s.at])
		}
		s.at++
	case '\'':
		end := strings.IndexByte(s.text[s.at+1:], '\'')
		if end < 0 {
			end = len(s.text) - s.at - 1
		}
		s.word.WriteString(s.text[s.at+1 : s.at+1+end])
		s.at += end + 2
	case '"':
		s.at++
		s.quoted(depth)
	case '$', '<', '>', '`':
		s.substitution(c, depth)
	default:
		s.word.WriteByte(c)
		s.at++
	}
	s.at = min(s.at, len(s.text))
}

// quoted reads up to the closing double quote.
func (s *scanner) quoted(depth int) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '"':
			s.at++
			return
		case '\\':
			if s.at+1 < len(s.text) {
				s.at++
			}
			s.word.WriteByte(s.text[s.at])
			s.at++
		case '$', '`':
			s.substitution(c, depth)
		default:
			s.word.WriteByte(c)
			s.at++
		}
	}
}

// substitution reads $(…), <(…), `…`; the commands in it are listed too, and
// the word keeps how it is written.
func (s *scanner) substitution(c byte, depth int) {
	begin := s.at
	back := c == '`'
	if !back && (s.at+1 >= len(s.text) || s.text[s.at+1] != '(') || depth >= maxDepth {
		s.word.WriteByte(c)
		s.at++
		return
	}
	var inner []command
	if back {
		end := strings.IndexByte(s.text[s.at+1:], '`')
		if end < 0 {
			end = len(s.text) - s.at - 1
		}
		sub := &scanner{text: s.text[s.at+1 : s.at+1+end]}
		sub.commands(maxDepth) // no further ones inside
		inner = sub.list
		s.at = min(s.at+end+2, len(s.text))
	} else {
		sub := &scanner{text: s.text, at: s.at + 2}
		sub.commands(depth + 1)
		inner = sub.list
		s.at = sub.at
	}
	for _, k := range inner {
		k.nested = true
		s.list = append(s.list, k)
	}
	s.word.WriteString(s.text[begin:s.at])
}

// endWord keeps a word; redirections and their targets are none.
func (s *scanner) endWord() {
	if s.open {
		w := s.word.String()
		rest := strings.TrimLeft(w, "0123456789&")
		redirects := rest != "" && (rest[0] == '>' || rest[0] == '<') && !strings.HasPrefix(rest, "<(") && !strings.HasPrefix(rest, ">(")
		switch {
		case redirects:
			s.skip = strings.Trim(rest, "<>") == ""
		case s.skip:
			s.skip = false
		default:
			s.cur.words = append(s.cur.words, w)
		}
	}
	s.word.Reset()
	s.open = false
}

func (s *scanner) finish(piped bool, depth int) {
	s.endWord()
	if len(s.cur.words) > 0 {
		s.cur.piped, s.cur.nested = piped, depth > 0
		s.cur.line = strings.TrimSpace(strings.TrimLeft(s.text[min(s.from, s.at):min(s.at, len(s.text))], "&|;( \t\n"))
		s.list = append(s.list, s.cur)
	} else if piped && len(s.list) > 0 { // ( … ) |
		s.list[len(s.list)-1].piped = true
	}
	s.cur, s.skip = command{}, false
	s.from = s.at + 1
}

// leading are words before the name of a program.
var leading = []string{"if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "exec", "command", "builtin", "nohup", "nice", "env", "sudo", "doas", "xargs"}

// call is a command with the program's name and arguments found.
type call struct {
	command
	program string
	args    []string
	set     []pair // variables set before it, by env, or by export
	sudo    bool
}

// call finds the program behind keywords, wrappers and assignments.
func (c command) call() call {
	k := call{command: c}
	words := c.words
	for len(words) > 0 {
		w := words[0]
		name, value, ok := strings.Cut(w, "=")
		switch {
		case ok && name != "" && isNames(name):
			k.set = append(k.set, pair{name, value, true})
		case slices.Contains(leading, path.Base(w)):
			k.sudo = k.sudo || path.Base(w) == "sudo" || path.Base(w) == "doas"
			for len(words) > 1 && strings.HasPrefix(words[1], "-") { // its options
				takes := (path.Base(w) == "sudo" && len(words[1]) == 2 && strings.Contains("ugCpTh", words[1][1:])) && len(words) > 2
				words = words[1:]
				if takes {
					words = words[1:]
				}
			}
		default:
			k.program, k.args = path.Base(w), words[1:]
			if k.program == "export" || k.program == "declare" || k.program == "local" {
				for _, a := range k.args {
					if name, value, ok := strings.Cut(a, "="); ok {
						k.set = append(k.set, pair{name, value, true})
					}
				}
			}
			return k
		}
		words = words[1:]
	}
	return k
}

func isNames(s string) bool {
	for i := range len(s) {
		if !isName(s[i]) {
			return false
		}
	}
	return true
}

// has reports whether an argument is one of the words.
func (k call) has(words ...string) bool {
	return slices.ContainsFunc(k.args, func(a string) bool { return slices.Contains(words, a) })
}

// short reports whether a letter is among the short options: -y, -qy.
func (k call) short(letter byte) bool {
	return slices.ContainsFunc(k.args, func(a string) bool {
		return len(a) > 1 && a[0] == '-' && a[1] != '-' && !strings.Contains(a, "=") && strings.IndexByte(a, letter) > 0
	})
}

// verb returns the first argument that is no option, and what follows it.
func (k call) verb(valued ...string) (string, []string) {
	for n := 0; n < len(k.args); n++ {
		a := k.args[n]
		if slices.Contains(valued, a) {
			n++
			continue
		}
		if a != "" && a[0] != '-' && a[0] != '+' {
			return a, k.args[n+1:]
		}
	}
	return "", nil
}
