// Package scan is the build wing: an image goes in, a report comes out. It
// reads every layer once, several at a time, takes unchanged ones from the
// cache, lays them over one another and gathers what a container would see.
package scan

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho"
	"sekisho/image"
	"sekisho/internal/siphash"
	"sekisho/scan/analyze"
	"sekisho/scan/cache"
	"sekisho/scan/layer"
	"sekisho/scan/squash"
	"sekisho/scan/symbol"
	"sekisho/scan/walk"
)

// Options are what a scan needs besides the image. Analyzers may come from
// Analyzers().
type Options struct {
	Analyzers []analyze.Analyzer
	Cache     *cache.Cache // nil reads every layer
	Jobs      int          // layers read at the same time, at least 1
	Limits    walk.Limits
	Now       time.Time
	Tool      sekisho.Tool
	Text      func(string) []sekisho.Finding     // looks for secrets in the configuration, may be nil
	Mask      func(string) string                // masks secrets in what is shown, may be nil
	Layer     func(done, total int, cached bool) // called after each layer, may be nil
	Programs  func(path string, set symbol.Set)  // called for each program whose functions are known, by path, may be nil; packages have the path among their Locations
}

// Scan reads the image and reports what is in it.
func Scan(ctx context.Context, img *image.Image, o Options) (*sekisho.Report, error) {
	s := &scanner{Options: o, img: img, version: version(o.Analyzers)}
	if o.Cache != nil {
		s.key = o.Cache.Key()
	} else {
		s.key = cache.NewKey()
	}
	s.reader = layer.NewReader(o.Analyzers, s.key, o.Limits)
	if err := s.layers(ctx); err != nil {
		return nil, err
	}
	return s.report(ctx, squash.Squash(s.results, s.key)), nil
}

// version names the analyzers and how results are written.
func version(list []analyze.Analyzer) string {
	v := fmt.Sprintf("format/%d", layer.Format)
	for _, a := range list {
		v += fmt.Sprintf(" %s/%d", a.Name(), a.Version())
	}
	return v
}

type scanner struct {
	Options
	img      *image.Image
	key      siphash.Key
	version  string
	reader   *layer.Reader
	results  []*layer.Result
	problems []sekisho.Problem
	done     int
}

func (s *scanner) layers(ctx context.Context) error {
	if s.img.Stream != nil {
		return s.streamed(ctx)
	}
	s.results = make([]*layer.Result, len(s.img.Layers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(s.Jobs, 1))
	finished := make(chan bool, len(s.img.Layers))
	for i, l := range s.img.Layers {
		group.Go(func() error {
			r, err := s.layer(ctx, l)
			if err != nil {
				return fmt.Errorf("layer %d: %w", i, err)
			}
			s.results[i] = r
			finished <- r.Cached
			return nil
		})
	}
	wait := make(chan error, 1)
	go func() { wait <- group.Wait(); close(finished) }()
	for cached := range finished {
		s.progress(len(s.img.Layers), cached)
	}
	return <-wait
}

func (s *scanner) progress(total int, cached bool) {
	s.done++
	if s.Layer != nil {
		s.Layer(s.done, total, cached)
	}
}

// layer returns the result of one layer, from the cache when it is there.
func (s *scanner) layer(ctx context.Context, l image.Layer) (*layer.Result, error) {
	if r := s.cached(l.DiffID); r != nil {
		return r, nil
	}
	r, err := s.reader.Read(ctx, l, s.img.Kind)
	if err != nil {
		return nil, err
	}
	return r, s.keep(r)
}

func (s *scanner) cached(id sekisho.Digest) *layer.Result {
	if s.Cache == nil || id == "" {
		return nil
	}
	data, ok := s.Cache.Get(id, s.version+" "+s.img.Kind)
	if !ok {
		return nil
	}
	r, err := layer.Decode(data)
	if err != nil {
		return nil // of another make; read again
	}
	return r
}

func (s *scanner) keep(r *layer.Result) error {
	if s.Cache == nil || r.Summary.DiffID == "" {
		return nil
	}
	data, err := r.Encode()
	if err != nil {
		return err
	}
	if err := s.Cache.Put(r.Summary.DiffID, s.version+" "+s.img.Kind, data); err != nil {
		s.problem("", fmt.Sprintf("cache: %v", err))
	}
	return nil
}

func (s *scanner) problem(path, message string) {
	s.problems = append(s.problems, sekisho.Problem{Path: path, Message: message})
}

// streamed reads layers as the source brings them and puts them in order when
// the source has told the order.
func (s *scanner) streamed(ctx context.Context) error {
	known := map[sekisho.Digest]*layer.Result{}
	all := len(s.img.Layers) > 0
	for _, l := range s.img.Layers {
		if r := s.cached(l.DiffID); r != nil {
			known[l.DiffID] = r
		} else {
			all = false
		}
	}
	if !all {
		err := s.img.Stream(ctx, func(l image.Layer) error {
			r, err := s.layer(ctx, l)
			if err != nil {
				return err
			}
			known[r.Summary.DiffID] = r
			s.progress(0, r.Cached)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i, l := range s.img.Layers {
		r := known[l.DiffID]
		if r == nil {
			return sekisho.Errorf(sekisho.Corrupt, "layer %d: the source has no layer with diff id %s", i, l.DiffID)
		}
		s.results = append(s.results, r)
	}
	return nil
}
