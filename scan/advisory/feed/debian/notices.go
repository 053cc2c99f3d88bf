package debian

import (
	"bufio"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds of a list of advisories: bytes, and rows that it may become.
const (
	maxList = 64 << 20
	maxRows = 2_000_000
)

// notices are advisories by release, source and flaw.
type notices map[[3]string]notice

type notice struct {
	ids   []string
	first time.Time // of the first: when the fix came out
}

// of returns the advisories that brought a fix, and when it came out.
func (n notices) of(codename, source, id string) ([]string, time.Time) {
	found := n[[3]string{codename, source, id}]
	return found.ids, found.first
}

// newest returns when the last fix came out.
func (n notices) newest() (day time.Time) {
	for _, found := range n {
		if found.first.After(day) {
			day = found.first
		}
	}
	return day
}

// The list's lines: "[29 Mar 2023] DSA-5380-1 xorg-server - security update",
// then, indented, "{CVE-2023-1393}" and "[bullseye] - xorg-server 2:1.20".
var (
	heading = regexp.MustCompile(`^\[(\d\d [A-Z][a-z][a-z] \d{4})\] (D[SL]A-[0-9-]{1,20}) `)
	fix     = regexp.MustCompile(`^\s+\[([a-z]{1,30})\] - (\S{1,100}) (\S{1,100})`)
)

// read adds a list. Lines that are none of these say nothing here.
func (n notices) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	var id string
	var day time.Time
	var flaws []string
	for lines.Scan() {
		line := lines.Text()
		if m := heading.FindStringSubmatch(line); m != nil {
			id, flaws = m[2], nil
			day, _ = time.Parse("02 Jan 2006", m[1])
			continue
		}
		if list := strings.TrimSpace(line); strings.HasPrefix(list, "{") && strings.HasSuffix(list, "}") {
			flaws = strings.Fields(list[1 : len(list)-1])
			continue
		}
		m := fix.FindStringSubmatch(line)
		if m == nil || id == "" || strings.HasPrefix(m[3], "<") {
			continue // <not-affected>, <unfixed>, <end-of-life>
		}
		for _, flaw := range flaws {
			n.add([3]string{m[1], m[2], flaw}, id, day)
		}
	}
	return lines.Err()
}

func (n notices) add(key [3]string, id string, day time.Time) {
	if len(n) >= maxRows {
		return
	}
	found := n[key]
	if len(found.ids) < 20 && !slices.Contains(found.ids, id) {
		found.ids = append(found.ids, id)
	}
	if found.first.IsZero() || day.Before(found.first) && !day.IsZero() {
		found.first = day
	}
	n[key] = found
}
