package content

import (
	"bytes"
	"fmt"
	"io"

	"sekisho/scan/analyze"
)

// A file that is too large for memory is searched for secrets in windows that
// overlap.
const (
	window  = 8 << 20
	overlap = 64 << 10
)

type stream struct {
	*session
	name   string
	out    *analyze.Result
	buf    []byte
	before int             // lines before the window
	seen   map[string]bool // what the overlap showed already
}

// Stream implements analyze.Streamer. Of an archive, each member is looked at
// as it passes by.
func (a *Analyzer) Stream(f *analyze.File, r *analyze.Result) io.WriteCloser {
	if open := streamOpener(f.Head); open != nil {
		name, limit := f.Path, max(maxExpanded, maxRatio*min(f.Size, 1<<40))
		return analyze.Pull(func(in io.Reader) error {
			s := a.session()
			defer s.unlock()
			s.limit = limit
			err := open(s, name, in, 0, r)
			a.pool.Put(s) // not after a panic
			return err
		})
	}
	if a.malware != nil {
		r.Problem(fmt.Sprintf("%d bytes is more than the %d that are held in memory: not searched for malware", f.Size, analyze.MaxWhole))
	}
	return &stream{session: a.session(), name: f.Path, out: r, seen: map[string]bool{}}
}

func (w *stream) Write(b []byte) (int, error) {
	if w.secret == nil {
		return len(b), nil
	}
	w.buf = append(w.buf, b...)
	if len(w.buf) >= window {
		w.scan()
		cut := len(w.buf) - overlap
		w.before += bytes.Count(w.buf[:cut], []byte{'\n'})
		w.buf = append(w.buf[:0], w.buf[cut:]...)
	}
	return len(b), nil
}

func (w *stream) Close() error {
	if w.secret != nil {
		w.scan()
	}
	w.pool.Put(w.session)
	return nil
}

func (w *stream) scan() {
	w.find(w.name, w.buf, classify(w.buf) != plain)
	found, problems := w.secret.End()
	for _, x := range found {
		x.Location.Path = w.name
		x.Location.Line += w.before
		if key := fmt.Sprint(x.ID, x.Location.Line, x.Same); !w.seen[key] && len(w.seen) < 10_000 {
			w.seen[key] = true
			w.out.Findings = append(w.out.Findings, x)
		}
	}
	for _, p := range problems {
		w.out.Problem(p)
	}
}
