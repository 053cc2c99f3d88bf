package java

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"sekisho/scan/analyze"
)

// Bounds of one file with all that is nested in it.
const (
	maxDepth    = 5         // archives in archives
	maxNested   = 10_000    // archives
	maxMembers  = 1_000_000 // of all archives together
	maxPoms     = 5_000     // descriptions of artifacts
	maxExpanded = 512 << 20 // bytes
	maxInner    = 128 << 20 // bytes of one nested archive
	maxMetadata = 4 << 20   // bytes of a manifest, a description, a licence
)

// scan is the reading of one file.
type scan struct {
	*reader
	out      *analyze.Result
	nested   int
	members  int
	poms     int
	expanded int
	buffers  [maxDepth + 1][]byte // of nested archives, by depth
	text     []byte               // of metadata
	inflater io.ReadCloser
}

func (r *reader) archive(path string, data []byte, out *analyze.Result) error {
	s := &scan{reader: r, out: out}
	s.inflater, _ = r.inflaters.Get().(io.ReadCloser)
	if s.inflater == nil {
		s.inflater = flate.NewReader(nil)
	}
	defer r.inflaters.Put(s.inflater)
	return s.archive(path, data, 0)
}

// inside is a location as it is named in a problem: the file itself is known.
func inside(location string) string {
	if _, in, ok := strings.Cut(location, "!/"); ok {
		return in + ": "
	}
	return ""
}

// found is a member worth reading, with its place.
type found struct {
	member
	from, to uint64
	sort     sort
}

type sort uint8

const (
	other sort = iota
	manifestMember
	propertiesMember
	pomMember
	licenceMember
	nestedMember
)

func sortOf(name []byte) sort {
	n := len(name)
	if n < 5 || name[n-1] == '/' || n > 4096 {
		return other
	}
	switch name[n-1] {
	case 's', 'l':
		if name[n-1] == 's' && (n < 6 || name[n-2] == 's') { // .class
			return other
		}
		if i := bytes.Index(name, []byte("META-INF/maven/")); i < 0 {
			return other
		}
		if bytes.HasSuffix(name, []byte("/pom.properties")) {
			return propertiesMember
		}
		if bytes.HasSuffix(name, []byte("/pom.xml")) {
			return pomMember
		}
		return other
	}
	if string(name) == "META-INF/MANIFEST.MF" {
		return manifestMember
	}
	switch string(name) {
	case "META-INF/LICENSE", "META-INF/LICENSE.txt", "META-INF/LICENSE.md", "LICENSE", "LICENSE.txt":
		return licenceMember
	}
	if c := name[n-1] | 0x20; (c == 'r' || c == 'i' || c == 'g') && isArchive(string(name)) {
		return nestedMember
	}
	return other
}

// archive reads one archive at the location, and those in it.
func (s *scan) archive(location string, data []byte, depth int) error {
	d, err := openDirectory(data)
	if err != nil {
		return fmt.Errorf("%s%w", inside(location), err)
	}
	list, err := s.list(&d, location)
	if err != nil {
		return err
	}
	c := content{location: location}
	for _, m := range list {
		if m.sort == nestedMember {
			if err := s.open(&d, m, location, depth+1); err != nil {
				s.out.Problem(err.Error())
			}
			continue
		}
		text, err := s.expand(&d, m, maxMetadata, &s.text)
		if err != nil {
			s.out.Problem(fmt.Sprintf("%s%s: %v", inside(location), clip(m.name), err))
			continue
		}
		c.add(m, text)
	}
	s.out.Packages = append(s.out.Packages, c.packages()...)
	return nil
}

// list picks the members worth reading, in the order of their places, and
// refuses those that overlap.
func (s *scan) list(d *directory, location string) ([]found, error) {
	var list []found
	for {
		m, more, err := d.next()
		if err != nil {
			return nil, fmt.Errorf("%s%w", inside(location), err)
		}
		if !more {
			break
		}
		if s.members++; s.members > maxMembers {
			return nil, fmt.Errorf("%smore than %d members in all", inside(location), maxMembers)
		}
		f := found{member: m, sort: sortOf(m.name)}
		if f.sort == other {
			continue
		}
		if f.sort == propertiesMember || f.sort == pomMember {
			if s.poms++; s.poms > maxPoms {
				return nil, fmt.Errorf("%smore than %d descriptions of artifacts", inside(location), maxPoms)
			}
		}
		if f.from, f.to, err = d.span(m); err != nil {
			s.out.Problem(fmt.Sprintf("%s%s: %v", inside(location), clip(m.name), err))
			continue
		}
		list = append(list, f)
	}
	slices.SortStableFunc(list, func(a, b found) int {
		if a.from < b.from {
			return -1
		}
		return int(min(a.from-b.from, 1))
	})
	for i := 1; i < len(list); i++ {
		if list[i].from < list[i-1].to {
			return nil, fmt.Errorf("%s%s and %s overlap", inside(location), clip(list[i-1].name), clip(list[i].name))
		}
	}
	return list, nil
}

// clip makes a name from an archive fit for a message.
func clip(name []byte) string { return string(name[:min(len(name), 256)]) }

// open reads a nested archive.
func (s *scan) open(d *directory, m found, location string, depth int) error {
	at := location + "!/" + string(m.name)
	if depth > maxDepth {
		return fmt.Errorf("%snot read: archives nest more than %d deep", inside(at), maxDepth)
	}
	if s.nested++; s.nested > maxNested {
		return fmt.Errorf("%snot read: more than %d nested archives", inside(at), maxNested)
	}
	if m.packed == 0 {
		return nil
	}
	data, err := s.expand(d, m, maxInner, &s.buffers[depth])
	if err != nil {
		return fmt.Errorf("%s%w", inside(at), err)
	}
	return s.archive(at, data, depth)
}

// expand returns a member's bytes: those in the archive when they are stored
// as they are, else inflated into the buffer.
func (s *scan) expand(d *directory, m found, limit uint64, buffer *[]byte) ([]byte, error) {
	packed := d.data[m.from:m.to]
	const encrypted = 1
	switch {
	case m.flags&encrypted != 0:
		return nil, fmt.Errorf("not read: encrypted")
	case m.size > limit:
		return nil, fmt.Errorf("not read: %d bytes, want at most %d", m.size, limit)
	case m.method == stored:
		return packed, nil
	case m.method != deflated:
		return nil, fmt.Errorf("not read: compression method %d", m.method)
	}
	left := uint64(maxExpanded - s.expanded)
	if m.size > left {
		return nil, fmt.Errorf("not read: the archives in this file expand to more than %d bytes", maxExpanded)
	}
	const ratio = 1032 // deflate's limit
	if m.size/ratio > m.packed {
		return nil, fmt.Errorf("it says that it expands to %d bytes from %d, which cannot be", m.size, m.packed)
	}
	if err := s.inflater.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
		return nil, err
	}
	b := *buffer
	if uint64(cap(b)) <= m.size {
		b = make([]byte, m.size+1)
	}
	b = b[:m.size+1]
	*buffer = b
	n, err := io.ReadFull(s.inflater, b)
	s.expanded += n
	switch {
	case err == nil:
		return nil, fmt.Errorf("it is larger than the %d bytes that the directory says", m.size)
	case uint64(n) < m.size:
		return nil, fmt.Errorf("inflate: %w", err)
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("inflate: %w", err)
	}
	return b[:min(uint64(n), math.MaxInt)], nil
}
