package layer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/semaphore"

	"sekisho"
	"sekisho/image"
	"sekisho/internal/siphash"
	"sekisho/scan/analyze"
	"sekisho/scan/walk"
)

// small is the largest buffer, in bytes, that a reader keeps for the next file.
const small = 4 << 20

// held is how many bytes of files over small all layers hold together; a
// larger file is held alone.
const held = 80 << 20

// Reader reads layers. Its zero value is not ready: use NewReader.
type Reader struct {
	analyzers []analyze.Analyzer
	key       siphash.Key
	limits    walk.Limits
	memory    *semaphore.Weighted // bytes of files held whole, by all layers together
}

// NewReader returns a reader that shows files to the analyzers and hashes
// paths with the key. All layers of an image need one key.
func NewReader(analyzers []analyze.Analyzer, key siphash.Key, limits walk.Limits) *Reader {
	return &Reader{analyzers: analyzers, key: key, limits: limits, memory: semaphore.NewWeighted(held)}
}

// visit is the state of reading one layer.
type visit struct {
	*Reader
	ctx      context.Context
	root     string
	result   *Result
	file     analyze.File
	buffer   []byte
	wants    []analyze.Want
	wanted   map[string]uint64   // path of a file whose content was looked at: bit set of analyzers
	hardlink map[string][]string // first name to further names that some analyzer wants to see
	only     map[string][]string // on a second pass: nothing but these
	index    map[string]int      // path to its place in result.Files
}

// Read reads a layer once. Hard links are the one exception: where a file's
// second name interests an analyzer that its first name did not, the layer is
// opened again for those files.
func (r *Reader) Read(ctx context.Context, l image.Layer, root string) (*Result, error) {
	v := &visit{Reader: r, ctx: ctx, root: root, result: &Result{}, wants: make([]analyze.Want, len(r.analyzers)),
		wanted: map[string]uint64{}, hardlink: map[string][]string{}, index: map[string]int{}}
	summary, err := walk.Layer(ctx, l, walk.Options{Limits: r.limits, Problem: v.problem}, v.entry)
	if err != nil {
		return nil, err
	}
	if err := v.again(l); err != nil {
		return nil, err
	}
	res := v.result
	res.Summary = summary
	slices.Sort(res.NonDirs)
	slices.Sort(res.Dirs)
	slices.Sort(res.Code)
	res.Files = slices.DeleteFunc(res.Files, func(f File) bool { return f.Empty() && len(f.Owns) == 0 })
	slices.SortFunc(res.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return res, nil
}

func (v *visit) again(l image.Layer) error {
	v.only = v.hardlink
	for target, names := range v.only {
		if seen := v.wanted[target]; seen != 0 {
			names = slices.DeleteFunc(names, func(name string) bool { return v.nameWants(name)&^seen == 0 })
		}
		if len(names) == 0 {
			delete(v.only, target)
		}
	}
	if len(v.only) == 0 {
		return nil
	}
	_, err := walk.Layer(v.ctx, l, walk.Options{Limits: v.limits, Problem: func(string, string) {}}, v.entryAgain)
	return err
}

func (v *visit) problem(path, message string) {
	v.result.Problems = append(v.result.Problems, sekisho.Problem{Path: path, Message: message})
}

func (v *visit) entry(e *walk.Entry, c *walk.Content) error {
	res := v.result
	switch e.Type {
	case walk.Whiteout:
		res.Whiteouts = append(res.Whiteouts, e.Path)
		return nil
	case walk.Opaque:
		res.Opaques = append(res.Opaques, e.Path)
		return nil
	case walk.Directory:
		res.Dirs = append(res.Dirs, v.key.Sum(e.Path))
	default:
		res.NonDirs = append(res.NonDirs, v.key.Sum(e.Path))
	}
	if i, ok := v.index[e.Path]; ok { // the layer names a path twice: the last one counts
		res.Files[i] = File{Path: e.Path}
	}
	switch e.Type {
	case walk.Symlink:
		res.Links = append(res.Links, Link{e.Path, e.Link})
	case walk.Hardlink:
		if v.nameWants(e.Path) != 0 {
			v.hardlink[e.Link] = append(v.hardlink[e.Link], e.Path)
		}
	case walk.Special:
		return nil
	}
	return v.look(e, e.Path, c)
}

func (v *visit) entryAgain(e *walk.Entry, c *walk.Content) error {
	names := v.only[e.Path]
	if e.Type != walk.Regular || len(names) == 0 {
		return nil
	}
	if e.Size > small {
		v.problem(names[0], fmt.Sprintf("hard link to %s is not looked at: %d bytes, want at most %d", e.Path, e.Size, small))
		return nil
	}
	data, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	for _, name := range names {
		v.set(e, name, data[:min(len(data), analyze.HeadSize)])
		v.ask()
		for i, a := range v.analyzers {
			if v.wants[i] == analyze.Whole || v.wants[i] == analyze.Stream {
				v.add(name, func(out *analyze.Result) error { return v.show(a, v.wants[i], data, out) })
			}
		}
	}
	return nil
}

// show lets one analyzer see a file that is in memory.
func (v *visit) show(a analyze.Analyzer, want analyze.Want, data []byte, out *analyze.Result) error {
	if want != analyze.Stream {
		v.file.Data = data
		defer func() { v.file.Data = nil }()
		return a.Analyze(&v.file, out)
	}
	s, ok := a.(analyze.Streamer)
	if !ok {
		return fmt.Errorf("%s wants a stream but takes none", a.Name())
	}
	w := s.Stream(&v.file, out)
	if _, err := w.Write(data); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}

func (v *visit) set(e *walk.Entry, path string, head []byte) {
	v.file = analyze.File{Path: path, Mode: e.Mode, Size: e.Size, UID: e.UID, GID: e.GID, Root: v.root, Head: head}
	if e.Type == walk.Symlink {
		v.file.Link = e.Link
	}
}

// ask fills v.wants and returns the strongest wish with the set of those who
// want content.
func (v *visit) ask() (most analyze.Want, content uint64) {
	for i, a := range v.analyzers {
		w := a.Wants(&v.file)
		v.wants[i] = w
		most = max(most, w)
		if w >= analyze.Whole {
			content |= 1 << (i % 64)
		}
	}
	return most, content
}

// nameWants returns who wants the content of a file of that name, its content
// unseen.
func (v *visit) nameWants(name string) uint64 {
	v.file = analyze.File{Path: name, Mode: 0o644, Size: 1, Root: v.root}
	_, content := v.ask()
	return content
}

func (v *visit) look(e *walk.Entry, path string, c *walk.Content) error {
	var head []byte
	if e.Type == walk.Regular {
		head = c.Peek(analyze.HeadSize)
		v.code(e, head)
	}
	v.set(e, path, head)
	if e.Type == walk.Directory {
		v.file.Mode |= fs.ModeDir
	}
	most, content := v.ask()
	if most == analyze.Skip {
		return nil
	}
	for i, a := range v.analyzers {
		if v.wants[i] == analyze.Header {
			v.add(path, func(out *analyze.Result) error { return a.Analyze(&v.file, out) })
		}
	}
	if content == 0 || e.Type != walk.Regular {
		return nil
	}
	v.wanted[path] = content
	if v.anyWants(analyze.Whole) {
		return v.whole(e, path, c)
	}
	return v.stream(e, path, c)
}

func (v *visit) anyWants(w analyze.Want) bool { return slices.Contains(v.wants, w) }

// whole reads the file into memory and shows it to all who want content. A
// file over analyze.MaxWhole is streamed to those who take streams; the others get a
// problem.
func (v *visit) whole(e *walk.Entry, path string, c *walk.Content) error {
	if e.Size > analyze.MaxWhole {
		names := v.names(analyze.Whole)
		v.problem(path, fmt.Sprintf("%d bytes is more than the %d that are held in memory: not read by %s", e.Size, analyze.MaxWhole, names))
		return v.stream(e, path, c)
	}
	if e.Size > small {
		weight := min(e.Size, held)
		if err := v.memory.Acquire(v.ctx, weight); err != nil {
			return err
		}
		defer v.memory.Release(weight)
	}
	data, err := v.read(c, e.Size)
	if err != nil {
		return err
	}
	v.file.Head = data[:min(len(data), analyze.HeadSize)]
	v.file.Size = int64(len(data))
	for i, a := range v.analyzers {
		if v.wants[i] >= analyze.Whole {
			v.add(path, func(out *analyze.Result) error { return v.show(a, v.wants[i], data, out) })
		}
	}
	return nil
}

func (v *visit) names(w analyze.Want) string {
	var list []string
	for i, a := range v.analyzers {
		if v.wants[i] == w {
			list = append(list, a.Name())
		}
	}
	return strings.Join(list, ", ")
}

// read returns the whole content, in the reader's own buffer when it is small.
func (v *visit) read(c *walk.Content, size int64) ([]byte, error) {
	buf := v.buffer
	if int64(cap(buf)) < size {
		buf = make([]byte, 0, size)
		if size <= small {
			v.buffer = buf
		}
	}
	buf = buf[:size]
	n, err := io.ReadFull(c, buf)
	if err == io.ErrUnexpectedEOF || err == io.EOF { // a directory's file that shrank
		err = nil
	}
	return buf[:n], err
}

// sink is one analyzer's stream.
type sink struct {
	io.WriteCloser
	out  analyze.Result
	fail error
}

func (v *visit) stream(e *walk.Entry, path string, c *walk.Content) error {
	var sinks []*sink
	v.file.Head = bytes.Clone(v.file.Head) // streams outlive the peek
	file := v.file
	for i, a := range v.analyzers {
		if s, ok := a.(analyze.Streamer); ok && v.wants[i] == analyze.Stream {
			k := &sink{}
			k.WriteCloser = s.Stream(&file, &k.out)
			sinks = append(sinks, k)
		}
	}
	for len(sinks) > 0 {
		chunk, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		for _, k := range sinks {
			if k.fail == nil {
				_, k.fail = k.Write(chunk)
			}
		}
	}
	for _, k := range sinks {
		if err := k.Close(); k.fail == nil {
			k.fail = err
		}
		v.add(path, func(out *analyze.Result) error { *out = k.out; return k.fail })
	}
	return nil
}

// add runs an analyzer and keeps what it told about the file at path. One that
// panics on a file is a problem of that file, not the end of the scan.
func (v *visit) add(path string, run func(*analyze.Result) error) {
	var out analyze.Result
	if err := guarded(run, &out); err != nil {
		out.Problem(err.Error())
	}
	if out.Empty() {
		return
	}
	i, ok := v.index[path]
	if !ok {
		i = len(v.result.Files)
		v.index[path] = i
		v.result.Files = append(v.result.Files, File{Path: path})
	}
	f := &v.result.Files[i]
	for _, o := range out.Owns {
		f.Owns = append(f.Owns, Owned{o.Package, v.hashes(o.Paths)})
	}
	f.Packages = append(f.Packages, out.Packages...)
	f.Findings = append(f.Findings, out.Findings...)
	f.Problems = append(f.Problems, out.Problems...)
	f.Licences = append(f.Licences, out.Licences...)
	f.Facts = append(f.Facts, out.Facts...)
	if out.OS != nil {
		f.OS = out.OS
	}
	if out.Symbols.Known() {
		f.Symbols = out.Symbols
	}
}

func guarded(run func(*analyze.Result) error, out *analyze.Result) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reader gave up: %v", r)
		}
	}()
	return run(out)
}

func (v *visit) hashes(paths []string) []uint64 {
	list := make([]uint64, len(paths))
	for i, p := range paths {
		list[i] = v.key.Sum(strings.TrimPrefix(p, "/"))
	}
	return list
}
