package rust

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"

	"sekisho"
	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/internal/object"
)

const (
	section = ".dep-v0"

	// In ELF files the section is not mapped, so the linker puts it behind the
	// segments; what is between it and the list of sections at the end are
	// symbols and debugging information. Both ends are kept up to this size.
	// Old programs have it mapped: what is not larger than both is kept whole.
	maxEnd = 8 << 20

	maxText = 32 << 20 // bytes of the inflated list
)

// executable keeps those parts of a file that streams by in which the section
// may be.
type executable struct {
	out     *analyze.Result
	size    uint64
	front   []byte
	parsed  bool
	outline object.Outline
	at      uint64
	keep    []kept
}

// kept is a range of the file.
type kept struct {
	from, to uint64
	data     []byte
}

// Write takes the next bytes of the file.
func (x *executable) Write(p []byte) (int, error) {
	n := len(p)
	if x.parsed {
		x.feed(p)
		return n, nil
	}
	if len(x.front) == 0 && len(p) >= object.FrontSize {
		x.begin(p[:object.FrontSize])
		x.feed(p)
		return n, nil
	}
	take := min(len(p), object.FrontSize-len(x.front))
	x.front = append(x.front, p[:take]...)
	if len(x.front) == object.FrontSize {
		x.begin(x.front)
		x.feed(x.front)
		x.front = nil
		x.feed(p[take:])
	}
	return n, nil
}

// Close ends the file and tells what was found.
func (x *executable) Close() error {
	if !x.parsed {
		x.begin(x.front)
		x.feed(x.front)
	}
	for _, s := range x.outline.Sections {
		if s.Name == section {
			return report(x.part(s.Off, s.Size), s.Size, x.out)
		}
	}
	if s, ok := x.outline.Find(section, x.part); ok {
		return report(x.part(s.Off, s.Size), s.Size, x.out)
	}
	return nil
}

func (x *executable) begin(front []byte) {
	x.parsed = true
	o, err := object.Parse(front)
	if err != nil {
		return
	}
	x.outline = o
	for _, s := range o.Sections {
		if s.Name == section && s.Size <= maxEnd {
			x.keep = append(x.keep, kept{from: s.Off, to: s.End()})
		}
	}
	if o.Format != object.ELF || o.Table.Off < 4096 { // where Go's linker puts the table
		return
	}
	mapped := uint64(0)
	for _, s := range o.Segments {
		mapped = max(mapped, s.End())
	}
	end := o.Table.Off + o.Table.Size()
	if end > x.size || mapped > o.Table.Off || end <= 2*maxEnd {
		mapped = 0 // a small one, or an unusual one: as much as is allowed
	}
	if end-mapped <= 2*maxEnd {
		x.keep = append(x.keep, kept{from: mapped, to: max(end, min(x.size, mapped+maxEnd))})
		return
	}
	x.keep = append(x.keep, kept{from: mapped, to: mapped + maxEnd}, kept{from: max(mapped+maxEnd, o.Table.Off-min(o.Table.Off, maxEnd)), to: end})
}

func (x *executable) feed(p []byte) {
	start := x.at
	x.at += uint64(len(p))
	for i := range x.keep {
		k := &x.keep[i]
		if from, to := max(k.from, start), min(k.to, x.at); from < to {
			k.data = append(k.data, p[from-start:to-start]...)
		}
	}
}

// part returns n bytes of the file, or nothing where they were not kept.
func (x *executable) part(off, n uint64) []byte {
	for _, k := range x.keep {
		if off >= k.from && off-k.from <= uint64(len(k.data)) && n <= uint64(len(k.data))-(off-k.from) {
			return k.data[off-k.from:][:n]
		}
	}
	return nil
}

// audit is the list as cargo-auditable writes it (its format's JSON schema,
// "cargo-auditable.schema.json").
type audit struct {
	Packages []struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Kind    string `json:"kind"` // "build" or, left out, "runtime"
	} `json:"packages"`
}

func report(packed []byte, size uint64, out *analyze.Result) error {
	if packed == nil {
		return fmt.Errorf("section %s: %d bytes are not at hand", section, size)
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("section %s: %w", section, err)
	}
	defer z.Close()
	text, err := io.ReadAll(io.LimitReader(z, maxText+1))
	if err != nil {
		return fmt.Errorf("section %s: %w", section, err)
	}
	if len(text) > maxText {
		return fmt.Errorf("section %s: inflates to more than %d bytes", section, maxText)
	}
	var list audit
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("section %s: %w", section, err)
	}
	for _, p := range list.Packages {
		if p.Name == "" {
			continue
		}
		q := crate(p.Name, p.Version, sekisho.Embedded)
		q.Dev = p.Kind == "build"
		out.Packages = append(out.Packages, q)
	}
	return nil
}
