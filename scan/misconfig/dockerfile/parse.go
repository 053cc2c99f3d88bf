// Package dockerfile reads Dockerfiles and judges them without building. What
// enters is the text of one file, what leaves are findings with their lines.
package dockerfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Bounds of a file.
const (
	maxLines        = 50_000
	maxInstructions = 10_000
	maxInstruction  = 256 << 10
)

// instruction is one instruction with its words.
type instruction struct {
	name  string // upper case
	flags []string
	text  string   // behind the flags, continuation lines joined, ARG and ENV not expanded
	words []string // of the JSON form, else of the text
	exec  bool     // JSON form
	line  int
	stage int
	skip  map[string]string // ids that a comment before it accepts, with reasons
}

// file is a parsed Dockerfile.
type file struct {
	list     []instruction
	frontend string // of the syntax directive
	problems []string
}

// parse reads the Dockerfile reference's format: comments, directives,
// continuation lines, here-documents.
func parse(data []byte) (*file, error) {
	f := &file{}
	s := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	s.Buffer(make([]byte, 64<<10), maxInstruction)
	escape, directives, line, stage := byte('\\'), true, 0, -1
	var joined strings.Builder
	start := 0
	accepted := map[string]string{}
	for s.Scan() {
		if line++; line > maxLines {
			return nil, fmt.Errorf("more than %d lines", maxLines)
		}
		text := strings.TrimSpace(s.Text())
		if directives {
			key, value, ok := directive(text)
			switch {
			case ok && key == "escape" && value == "`":
				escape = '`'
			case ok && key == "syntax":
				f.frontend = value
			}
			directives = ok
		}
		if strings.HasPrefix(text, "#") {
			f.accept(text, line, accepted)
			continue
		}
		if text == "" {
			continue
		}
		if joined.Len() == 0 {
			start = line
		}
		if joined.Len()+len(text) > maxInstruction {
			return nil, fmt.Errorf("line %d: an instruction of more than %d bytes", start, maxInstruction)
		}
		if text[len(text)-1] == escape {
			joined.WriteString(text[:len(text)-1] + " ")
			continue
		}
		joined.WriteString(text)
		i := split(joined.String())
		joined.Reset()
		line += heredocs(s, &i)
		if i.name == "FROM" {
			stage++
		}
		i.line, i.stage, i.skip = start, stage, accepted
		accepted = map[string]string{}
		if f.list = append(f.list, i); len(f.list) > maxInstructions {
			return nil, fmt.Errorf("more than %d instructions", maxInstructions)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", line+1, err)
	}
	return f, nil
}

// directive reads "# key=value".
func directive(text string) (key, value string, ok bool) {
	rest, ok := strings.CutPrefix(text, "#")
	if !ok {
		return "", "", false
	}
	key, value, ok = strings.Cut(rest, "=")
	key = strings.ToLower(strings.TrimSpace(key))
	return key, strings.TrimSpace(value), ok && (key == "syntax" || key == "escape" || key == "check")
}

// accept reads "# sekisho:ignore=ID reason".
func (f *file) accept(text string, line int, into map[string]string) {
	_, rest, ok := strings.Cut(text, "sekisho:ignore=")
	if !ok {
		return
	}
	id, reason, _ := strings.Cut(rest, " ")
	if strings.TrimSpace(reason) == "" {
		f.problems = append(f.problems, fmt.Sprintf("line %d: sekisho:ignore=%s has no reason and is not followed", line, id))
		return
	}
	into[id] = strings.TrimSpace(reason)
}

func split(text string) instruction {
	name, rest, _ := strings.Cut(text, " ")
	i := instruction{name: strings.ToUpper(name), text: strings.TrimSpace(rest)}
	for strings.HasPrefix(i.text, "--") {
		flag, rest, _ := strings.Cut(i.text, " ")
		i.flags = append(i.flags, flag)
		i.text = strings.TrimSpace(rest)
	}
	if strings.HasPrefix(i.text, "[") && json.Unmarshal([]byte(i.text), &i.words) == nil {
		i.exec = true
		return i
	}
	i.words = strings.Fields(i.text)
	return i
}

// heredocs reads here-documents that the instruction opens and returns how
// many lines they took. What they hold is text of a RUN.
func heredocs(s *bufio.Scanner, i *instruction) (lines int) {
	if i.exec || i.name != "RUN" && i.name != "COPY" && i.name != "ADD" {
		return 0
	}
	for _, w := range i.words {
		at := strings.Index(w, "<<")
		if at < 0 || strings.Contains(w, "<<<") {
			continue
		}
		end := strings.Trim(strings.TrimPrefix(w[at+2:], "-"), `"'`)
		if end == "" {
			continue
		}
		for s.Scan() {
			lines++
			text := s.Text()
			if strings.TrimSpace(text) == end {
				break
			}
			if i.name == "RUN" && len(i.text) < maxInstruction {
				i.text += "\n" + text
			}
		}
	}
	return lines
}

// flag returns the value of --name=value.
func (i instruction) flag(name string) string {
	for _, f := range i.flags {
		if v, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return v
		}
	}
	return ""
}
