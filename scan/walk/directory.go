package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"sekisho"
	"sekisho/image"
)

// maxDepth bounds how deep directories may nest.
const maxDepth = 512

// dirWalk walks a directory of this machine. Every step opens one name below
// an open directory, so no link or race leads out of it.
type dirWalk struct {
	ctx     context.Context
	options Options
	visit   Visitor
	overlay bool
	leave   func(path string, dir bool) bool
	device  uint64
	summary Summary
	buffer  []byte
}

func directory(ctx context.Context, l image.Layer, o Options, visit Visitor) (Summary, error) {
	root, err := os.OpenRoot(l.Dir)
	if err != nil {
		return Summary{}, sekisho.Errorf(sekisho.NotFound, "read directory: %w", err)
	}
	defer root.Close()
	w := &dirWalk{ctx: ctx, options: o, visit: visit, overlay: l.Overlay, leave: l.Leave, buffer: make([]byte, 64<<10)}
	info, err := root.Stat(".")
	if err != nil {
		return Summary{}, fmt.Errorf("read directory: %w", err)
	}
	w.device, _, _ = owner(info)
	if err := w.dir(root, "", 0); err != nil {
		return Summary{}, fmt.Errorf("read directory %s: %w", l.Dir, err)
	}
	return w.summary, nil
}

func (w *dirWalk) dir(root *os.Root, dir string, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		w.options.Problem(dir, fmt.Sprintf("directories nest more than %d deep", maxDepth))
		return nil
	}
	f, err := root.Open(".")
	if err != nil {
		w.options.Problem(dir, reason(err))
		return nil
	}
	list, err := f.ReadDir(-1)
	if w.overlay && isOpaque(f) {
		if err := w.visit(&Entry{Path: dir, Type: Opaque}, &Content{}); err != nil {
			f.Close()
			return err
		}
	}
	f.Close()
	if err != nil {
		w.options.Problem(dir, reason(err))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, d := range list {
		name := d.Name()
		full := name
		if dir != "" {
			full = dir + "/" + name
		}
		if err := w.one(root, name, full, depth); err != nil {
			return err
		}
	}
	return nil
}

// reason says what went wrong without the path, which the problem has.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

func (w *dirWalk) one(root *os.Root, name, full string, depth int) error {
	info, err := root.Lstat(name)
	if err != nil {
		w.options.Problem(full, reason(err))
		return nil
	}
	if w.leave != nil && w.leave(full, info.IsDir()) {
		return nil
	}
	if w.summary.Entries++; w.summary.Entries > w.options.Limits.Entries {
		return sekisho.Errorf(sekisho.Invalid, "more than %d entries, at %s", w.options.Limits.Entries, full)
	}
	e := &Entry{Path: full, Mode: info.Mode(), Size: info.Size(), ModTime: info.ModTime()}
	device, rdev, uidgid := owner(info)
	e.UID, e.GID = uidgid[0], uidgid[1]
	switch {
	case info.Mode().IsRegular():
		return w.file(root, name, e)
	case info.IsDir():
		e.Type, e.Size = Directory, 0
		if err := w.visit(e, &Content{}); err != nil {
			return err
		}
		if device != w.device && isVirtual(root, name) {
			return nil // proc, sysfs and the like below a live root
		}
		return w.below(root, name, full, depth)
	case info.Mode()&fs.ModeSymlink != 0:
		e.Type, e.Size = Symlink, 0
		if e.Link, err = root.Readlink(name); err != nil {
			w.options.Problem(full, reason(err))
			return nil
		}
	case w.overlay && info.Mode()&fs.ModeCharDevice != 0 && rdev == 0:
		e.Type, e.Size = Whiteout, 0
	default:
		e.Type, e.Size = Special, 0
	}
	return w.visit(e, &Content{})
}

func (w *dirWalk) below(root *os.Root, name, full string, depth int) error {
	sub, err := root.OpenRoot(name)
	if err != nil {
		w.options.Problem(full, reason(err))
		return nil
	}
	defer sub.Close()
	return w.dir(sub, full, depth+1)
}

// file shows a regular file, which is opened when its content is first asked
// for.
func (w *dirWalk) file(root *os.Root, name string, e *Entry) error {
	e.Type = Regular
	w.summary.Size += e.Size
	src := &fileSource{root: root, name: name, buffer: w.buffer}
	defer src.close()
	c := &Content{left: e.Size, more: src.more}
	err := w.visit(e, c)
	if src.fail != nil && !errors.Is(src.fail, io.EOF) {
		w.options.Problem(e.Path, reason(src.fail))
		return nil // the visitor's error is this one's
	}
	if err != nil && errors.Is(err, errShrunk) {
		w.options.Problem(e.Path, errShrunk.Error())
		return nil
	}
	return err
}

var errShrunk = errors.New("the file became shorter while it was read")

// fileSource feeds a Content from a file.
type fileSource struct {
	root   *os.Root
	name   string
	file   *os.File
	buffer []byte
	chunk  chunk
	fail   error
}

func (s *fileSource) more(*chunk) (*chunk, error) {
	if s.file == nil && s.fail == nil {
		s.file, s.fail = s.root.OpenFile(s.name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if s.fail == nil {
			if info, err := s.file.Stat(); err != nil || !info.Mode().IsRegular() {
				s.fail = errors.New("it is no regular file any more")
			}
		}
	}
	if s.fail != nil {
		return nil, s.fail
	}
	n, err := s.file.Read(s.buffer)
	if n > 0 {
		s.chunk.data = s.buffer[:n]
		return &s.chunk, nil
	}
	if err == nil || err == io.EOF {
		return nil, errShrunk
	}
	s.fail = err
	return nil, err
}

func (s *fileSource) close() {
	if s.file != nil {
		s.file.Close()
	}
}
