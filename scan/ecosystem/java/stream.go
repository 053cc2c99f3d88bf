package java

import (
	"compress/flate"
	"fmt"
	"io"

	"sekisho/internal/zipstream"
	"sekisho/scan/analyze"
)

// Bounds of an archive that is not held, in bytes.
const (
	maxStreamed = 32 << 20 // of one archive nested in it
	maxPassed   = 8 << 30  // of all members, also of those that only pass by
)

// Stream implements analyze.Streamer.
func (r *reader) Stream(f *analyze.File, out *analyze.Result) io.WriteCloser {
	location := f.Path
	return analyze.Pull(func(in io.Reader) error {
		s := &scan{reader: r, out: out}
		s.inflater, _ = r.inflaters.Get().(io.ReadCloser)
		if s.inflater == nil {
			s.inflater = flate.NewReader(nil)
		}
		defer r.inflaters.Put(s.inflater)
		return s.stream(location, in)
	})
}

// stream reads the archive at the location member by member. What was found
// before something goes wrong counts.
func (s *scan) stream(location string, in io.Reader) error {
	z := zipstream.New(in)
	c := content{location: location}
	fail := s.streamed(&c, z)
	s.out.Packages = append(s.out.Packages, c.packages()...)
	return fail
}

func (s *scan) streamed(c *content, z *zipstream.Reader) error {
	for {
		m, err := z.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the rest of the archive was not read: %w", err)
		}
		if s.members++; s.members > maxMembers {
			return fmt.Errorf("more than %d members in all", maxMembers)
		}
		if z.Expanded() > maxPassed {
			return fmt.Errorf("its members expand to more than %d bytes", int64(maxPassed))
		}
		kind := sortOf([]byte(m.Name))
		if kind == other {
			continue
		}
		if kind == propertiesMember || kind == pomMember {
			if s.poms++; s.poms > maxPoms {
				return fmt.Errorf("more than %d descriptions of artifacts", maxPoms)
			}
		}
		if err := s.take(c, z, found{member: member{name: []byte(m.Name)}, sort: kind}); err != nil {
			s.out.Problem(fmt.Sprintf("%s: %v", clip([]byte(m.Name)), err))
		}
	}
}

// take reads one member worth reading.
func (s *scan) take(c *content, z *zipstream.Reader, m found) error {
	limit := int64(maxMetadata)
	if m.sort == nestedMember {
		limit = maxStreamed
	}
	limit = min(limit, int64(maxExpanded-s.expanded))
	data, err := io.ReadAll(io.LimitReader(z, limit+1))
	s.expanded += len(data)
	switch {
	case err != nil:
		return fmt.Errorf("not read: %w", err)
	case int64(len(data)) > limit:
		return fmt.Errorf("not read: more than %d bytes", limit)
	case m.sort != nestedMember:
		c.add(m, data)
		return nil
	}
	if s.nested++; s.nested > maxNested {
		return fmt.Errorf("not read: more than %d nested archives", maxNested)
	}
	if len(data) == 0 {
		return nil
	}
	if err := s.archive(c.location+"!/"+string(m.name), data, 1); err != nil {
		s.out.Problem(err.Error())
	}
	return nil
}
