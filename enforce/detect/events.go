package detect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sekisho"
)

// Bounds of a file of events.
const (
	maxLine      = 1 << 20 // bytes
	maxAncestors = 64
)

// line is an event as files of tests write it: an event of the stream, with
// the ancestors of its process, nearest first, and its environment.
type line struct {
	sekisho.Event
	Ancestors []*sekisho.Process `json:"ancestors"`
	Env       []string           `json:"env"`
}

// ReadEvents reads events, one JSON object a line, and hands them on; empty
// lines and lines that begin with # are left out.
func ReadEvents(r io.Reader, each func(n int, e *sekisho.Event) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for in.Scan() {
		n++
		text := bytes.TrimSpace(in.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		e, err := readEvent(text)
		if err != nil {
			return sekisho.Errorf(sekisho.Usage, "line %d: %w", n, err)
		}
		if e.Seq == 0 {
			e.Seq = uint64(n)
		}
		if err := each(n, e); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return sekisho.Errorf(sekisho.Usage, "line %d: %w", n+1, err)
	}
	return nil
}

func readEvent(text []byte) (*sekisho.Event, error) {
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one object")
	}
	if len(l.Ancestors) > maxAncestors {
		return nil, fmt.Errorf("%d ancestors, want at most %d", len(l.Ancestors), maxAncestors)
	}
	p := l.Process
	if p == nil && (len(l.Ancestors) > 0 || len(l.Env) > 0) {
		return nil, errors.New("ancestors or env without a process")
	}
	if p != nil {
		p.Env = l.Env
	}
	for _, up := range l.Ancestors {
		if up == nil {
			return nil, errors.New("an ancestor is null")
		}
		p.Parent, p = up, up
	}
	e := l.Event
	return &e, nil
}
