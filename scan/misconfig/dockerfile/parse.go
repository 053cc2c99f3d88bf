package dockerfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Bounds of a file.
const (
	maxSize         = 1 << 20 // bytes
	maxLines        = 50_000
	maxInstructions = 10_000
	maxInstruction  = 256 << 10 // bytes, without here-documents
)

// instruction is one instruction; variables are not expanded in it.
type instruction struct {
	name    string // upper case; what ONBUILD holds goes by its own name
	onbuild bool
	flags   []string          // "--from=base"
	text    string            // behind the flags, continuation lines joined
	words   []string          // of the JSON form, else of the text
	exec    bool              // JSON form
	docs    []document        // here-documents
	line    int               // from 1
	stage   int               // from 0; -1 before the first FROM
	skip    map[string]string // ids that a comment above it accepts, with reasons
}

// document is a here-document.
type document struct{ opener, body string }

// file is a parsed Dockerfile.
type file struct {
	list     []instruction
	escape   byte
	frontend string // of the syntax directive
	problems []string
}

// parser walks over lines, in the form that the Dockerfile reference gives.
type parser struct {
	*file
	lines    []string
	at       int // next line
	stage    int
	accepted map[string]string
}

// parse reads directives, comments, continuation lines and here-documents.
func parse(data []byte) (*file, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(data), maxSize)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p := &parser{file: &file{escape: '\\'}, lines: strings.Split(string(data), "\n"), stage: -1, accepted: map[string]string{}}
	if len(p.lines) > maxLines {
		return nil, fmt.Errorf("%d lines, want at most %d", len(p.lines), maxLines)
	}
	for i, l := range p.lines {
		p.lines[i] = strings.TrimSuffix(l, "\r")
	}
	p.directives()
	for p.at < len(p.lines) {
		if err := p.instruction(); err != nil {
			return nil, err
		}
	}
	return p.file, nil
}

var directive = regexp.MustCompile(`^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$`)

// directives are comments at the top of the file; anything else ends them.
func (p *parser) directives() {
	for ; p.at < len(p.lines); p.at++ {
		m := directive.FindStringSubmatch(strings.TrimSpace(p.lines[p.at]))
		if m == nil {
			return
		}
		switch strings.ToLower(m[1]) {
		case "syntax":
			p.frontend = m[2]
		case "escape":
			if m[2] == "`" {
				p.escape = '`'
			}
		case "check":
		default:
			return
		}
	}
}

// instruction reads one with all its lines, or the blank line or comment that
// stands in its place.
func (p *parser) instruction() error {
	first := strings.TrimSpace(p.lines[p.at])
	p.at++
	if first == "" {
		return nil
	}
	if first[0] == '#' {
		p.accept(first, p.at)
		return nil
	}
	line := p.at
	text, err := p.joined(p.lines[p.at-1], line)
	if err != nil {
		return err
	}
	i := p.split(text)
	if i.name == "FROM" && !i.onbuild {
		p.stage++
	}
	p.documents(&i)
	i.line, i.stage, i.skip = line, p.stage, p.accepted
	p.accepted = map[string]string{}
	if p.list = append(p.list, i); len(p.list) > maxInstructions {
		return fmt.Errorf("more than %d instructions", maxInstructions)
	}
	return nil
}

// joined puts a line and those that continue it together. Comments between
// them go, as do blank lines.
func (p *parser) joined(line string, start int) (string, error) {
	var b strings.Builder
	for {
		cut := strings.TrimRight(line, " \t")
		more := strings.HasSuffix(cut, string(rune(p.escape)))
		if more {
			line = cut[:len(cut)-1]
		}
		if b.WriteString(line); b.Len() > maxInstruction {
			return "", fmt.Errorf("line %d: an instruction of more than %d bytes", start, maxInstruction)
		}
		if !more {
			return strings.TrimSpace(b.String()), nil
		}
		for p.at < len(p.lines) {
			text := strings.TrimSpace(p.lines[p.at])
			if text != "" && text[0] != '#' {
				break
			}
			p.at++
			if text != "" {
				p.accept(text, p.at)
			}
		}
		if p.at == len(p.lines) {
			return strings.TrimSpace(b.String()), nil
		}
		line = p.lines[p.at]
		p.at++
	}
}

var ignore = regexp.MustCompile(`^#\s*sekisho:ignore=(\S*)\s*(.*)$`)

// accept reads "# sekisho:ignore=ID[,ID] reason".
func (p *parser) accept(comment string, line int) {
	m := ignore.FindStringSubmatch(comment)
	if m == nil {
		return
	}
	if m[2] == "" {
		p.problems = append(p.problems, fmt.Sprintf("line %d: sekisho:ignore=%s has no reason and is not followed", line, m[1]))
		return
	}
	for id := range strings.SplitSeq(m[1], ",") {
		p.accepted[id] = m[2]
	}
}

// split cuts an instruction into its name, flags and words.
func (p *parser) split(text string) instruction {
	i := instruction{}
	name, rest := cutWord(text)
	if i.name = strings.ToUpper(name); i.name == "ONBUILD" && rest != "" {
		i.onbuild = true
		name, rest = cutWord(rest)
		i.name = strings.ToUpper(name)
	}
	for strings.HasPrefix(rest, "--") {
		var flag string
		flag, rest = cutWord(rest)
		i.flags = append(i.flags, flag)
	}
	i.text = rest
	if strings.HasPrefix(i.text, "[") && json.Unmarshal([]byte(i.text), &i.words) == nil {
		i.exec = true
		return i
	}
	i.words = split(i.text, p.escape)
	return i
}

// cutWord cuts at the first white space.
func cutWord(s string) (word, rest string) {
	if at := strings.IndexAny(s, " \t"); at >= 0 {
		return s[:at], strings.TrimLeft(s[at:], " \t")
	}
	return s, ""
}

// split cuts at white space outside quotes; quotes stay.
func split(s string, escape byte) (words []string) {
	start, quote := -1, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			} else if c == escape && quote == '"' {
				i++
			}
		case c == ' ' || c == '\t' || c == '\n':
			if start >= 0 {
				words = append(words, s[start:i])
				start = -1
			}
			continue
		case c == '"' || c == '\'':
			quote = c
		case c == escape:
			if start < 0 {
				start = i
			}
			i++
		}
		if start < 0 {
			start = min(i, len(s)-1)
		}
	}
	if start >= 0 {
		words = append(words, s[start:])
	}
	return words
}

var opener = regexp.MustCompile(`^\d*<<(-?)["']?([A-Za-z_][\w.-]*)["']?$`)

// documents reads the here-documents that an instruction opens.
func (p *parser) documents(i *instruction) {
	if i.exec || i.name != "RUN" && i.name != "COPY" && i.name != "ADD" || !strings.Contains(i.text, "<<") {
		return
	}
	for _, w := range i.words {
		m := opener.FindStringSubmatch(w)
		if m == nil {
			continue
		}
		var b strings.Builder
		for p.at < len(p.lines) {
			line := p.lines[p.at]
			p.at++
			if m[1] == "-" {
				line = strings.TrimLeft(line, "\t")
			}
			if line == m[2] {
				break
			}
			b.WriteString(line)
			b.WriteByte('\n')
		}
		i.docs = append(i.docs, document{w, b.String()})
	}
}

// flag returns the value of --name=value.
func (i instruction) flag(name string) string {
	for _, f := range i.flags {
		if v, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}
