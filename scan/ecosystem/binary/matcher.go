package binary

import (
	"bytes"
	"regexp"
	"strings"

	"sekisho/scan/analyze"
)

// pattern is how a version stands in a program: near a literal that is found
// quickly, as the first group of an expression.
type pattern struct {
	name    string
	literal string
	version *regexp.Regexp
}

const (
	around = 192      // bytes on either side of a literal that the expression sees
	step   = 64 << 10 // bytes that are looked at together
)

// anyVersion stands in a literal for the version that the file name gives.
const anyVersion = "{version}"

// forVersion puts the version of a file name, as that of python3.11 or
// libpython3.11.so.1.0, into literals that need one.
func forVersion(list []pattern, base string) []pattern {
	if len(list) == 0 || !strings.Contains(list[0].literal, anyVersion) {
		return list
	}
	i := strings.IndexAny(base, "0123456789")
	version := "3"
	if i >= 0 {
		version = base[i:]
		if j := strings.IndexFunc(version, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }); j >= 0 {
			version = strings.TrimRight(version[:j], ".")
		}
	}
	own := make([]pattern, len(list))
	for i, p := range list {
		p.literal = strings.ReplaceAll(p.literal, anyVersion, version)
		own[i] = p
	}
	return own
}

// matcher looks for patterns in a file that streams by. The first pattern of
// the list that matches anywhere is the one that counts.
type matcher struct {
	patterns []pattern
	out      *analyze.Result
	buf      []byte
	best     int // index of a pattern, or -1
	version  string
}

// Write takes the next bytes of the file.
func (m *matcher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && m.best != 0 {
		take := min(len(p), step+2*around-len(m.buf))
		m.buf = append(m.buf, p[:take]...)
		p = p[take:]
		if len(m.buf) >= step {
			m.look(len(m.buf) - around)
			m.buf = append(m.buf[:0], m.buf[len(m.buf)-2*around:]...)
		}
	}
	return n, nil
}

// Close ends the file and tells what was found.
func (m *matcher) Close() error {
	m.look(len(m.buf))
	if m.best >= 0 {
		report(m.patterns[m.best].name, m.version, "", m.out)
	}
	return nil
}

// look tries the patterns whose literals begin in the first n bytes.
func (m *matcher) look(n int) {
	for i, p := range m.patterns {
		if m.best >= 0 && i >= m.best {
			return
		}
		for from := 0; ; {
			at := bytes.Index(m.buf[from:], []byte(p.literal))
			if at < 0 || from+at >= n {
				break
			}
			at += from
			from = at + 1
			if s := p.version.FindSubmatch(m.buf[max(0, at-around):min(len(m.buf), at+around)]); s != nil {
				m.best, m.version = i, string(s[1])
				break
			}
		}
	}
}
