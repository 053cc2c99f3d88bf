// Package git opens a repository as layers: every file of its history, and
// what is staged for the next commit. It asks the git program for objects and
// runs nothing that the repository brings along: no hooks, no filters, no
// helpers, no network.
package git

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"sekisho"
	"sekisho/image"
)

// Options choose what of a repository is looked at.
type Options struct {
	Staged bool // only what is staged, below it what the same files hold now
}

// repository is an open one.
type repository struct {
	dir     string
	mu      sync.Mutex
	commits map[string]string // by object: the commit that brought it
	head    map[string]bool   // objects that the current commit has
}

// Open opens the repository at dir.
func Open(ctx context.Context, dir string, o Options) (*image.Image, error) {
	r := &repository{dir: dir, commits: map[string]string{}, head: map[string]bool{}}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "no git program: %w", err).WithHint("install git, or scan the files alone: dir:%s", dir)
	}
	if _, err := r.run(ctx, "rev-parse", "--git-dir"); err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "%s is no git repository: %w", dir, err)
	}
	_, err := r.run(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	born := err == nil
	if born {
		if err := r.readHead(ctx); err != nil {
			return nil, err
		}
	}
	img := &image.Image{Kind: image.KindRepository, Reference: "git:" + dir, Origin: r.origin}
	before := image.Layer{Size: -1, CreatedBy: "history", Open: r.history}
	if o.Staged {
		before = image.Layer{Size: -1, CreatedBy: "before", Open: func(ctx context.Context) (io.ReadCloser, error) { return r.changes(ctx, born, 2) }}
	}
	img.Layers = []image.Layer{before, {Size: -1, CreatedBy: "staged", Writable: true, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return r.changes(ctx, born, 3)
	}}}
	return img, nil
}

// command is git with everything off that a repository could use to run a
// program or reach the network.
func (r *repository) command(ctx context.Context, args ...string) *exec.Cmd {
	off := []string{"-C", r.dir, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never", "-c", "safe.directory=*", "--no-optional-locks", "--no-pager", "--no-replace-objects"}
	cmd := exec.CommandContext(ctx, "git", append(off, args...)...)
	cmd.Env = append(cmd.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "LC_ALL=C", "GIT_EXTERNAL_DIFF=")
	return cmd
}

func (r *repository) run(ctx context.Context, args ...string) ([]byte, error) {
	out, err := r.command(ctx, args...).Output()
	if err != nil {
		return nil, gitError(args[0], err)
	}
	return out, nil
}

func gitError(what string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		line, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return fmt.Errorf("git %s: %s", what, line)
	}
	return fmt.Errorf("git %s: %w", what, err)
}

func (r *repository) readHead(ctx context.Context) error {
	out, err := r.run(ctx, "ls-tree", "-r", "-z", "HEAD")
	if err != nil {
		return err
	}
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		meta, name, ok := bytes.Cut(entry, []byte{'\t'})
		fields := bytes.Fields(meta)
		if ok && len(fields) == 3 {
			r.head[string(fields[2])[:short]+" "+string(name)] = true
		}
	}
	return nil
}

// short is how many digits of an object's name stand behind its path.
const short = 16

// history writes every version of every file that any reference reaches.
func (r *repository) history(ctx context.Context) (io.ReadCloser, error) {
	list := r.command(ctx, "rev-list", "--objects", "--all")
	out, err := list.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("git rev-list: %w", err)
	}
	if err := list.Start(); err != nil {
		return nil, fmt.Errorf("git rev-list: %w", err)
	}
	return r.pack(ctx, closer(func() error { out.Close(); return list.Wait() }), func(want func(object, path string) error) error {
		lines := bufio.NewScanner(out)
		lines.Buffer(make([]byte, 64<<10), 1<<20)
		for lines.Scan() {
			if object, path, ok := strings.Cut(lines.Text(), " "); ok && path != "" {
				if err := want(object, path); err != nil {
					return err
				}
			}
		}
		return lines.Err()
	})
}

// changes writes the files that differ between the current commit and the
// index, as one side has them: field 2 of a line of git-diff-index is the
// object before, 3 the one staged.
func (r *repository) changes(ctx context.Context, born bool, field int) (io.ReadCloser, error) {
	base := "HEAD"
	if !born {
		empty := r.command(ctx, "hash-object", "-t", "tree", "--stdin")
		empty.Stdin = strings.NewReader("")
		out, err := empty.Output()
		if err != nil {
			return nil, gitError("hash-object", err)
		}
		base = strings.TrimSpace(string(out))
	}
	out, err := r.run(ctx, "diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", base)
	if err != nil {
		return nil, err
	}
	return r.pack(ctx, closer(func() error { return nil }), func(want func(object, path string) error) error {
		fields := strings.Split(string(out), "\x00")
		for i := 0; i+1 < len(fields); i += 2 {
			meta := strings.Fields(fields[i])
			if len(meta) == 5 && strings.Trim(meta[field], "0") != "" && meta[field-2] != "160000" && meta[field-2] != ":160000" {
				if err := want(meta[field], fields[i+1]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type closer func() error

func (c closer) Close() error { return c() }

// pack turns objects into an archive; each is asked for and read in turn.
func (r *repository) pack(ctx context.Context, source io.Closer, each func(want func(object, path string) error) error) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	cat := r.command(ctx, "cat-file", "--batch")
	in, err := cat.StdinPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	out, err := cat.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	if err := cat.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	done := closer(func() error {
		cancel()
		in.Close()
		cat.Wait() // ended by us
		source.Close()
		return nil
	})
	objects := bufio.NewReaderSize(out, 256<<10)
	return image.Pack(done, func(t *tar.Writer) error {
		err := each(func(object, path string) error { return object1(t, in, objects, object, path) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}), nil
}

// object1 writes one object to the archive if it is a file's content.
func object1(t *tar.Writer, in io.Writer, objects *bufio.Reader, object, path string) error {
	if _, err := io.WriteString(in, object+"\n"); err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	head, err := objects.ReadString('\n')
	if err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	fields := strings.Fields(head)
	if len(fields) == 2 && fields[1] == "missing" {
		return nil // a partial clone
	}
	if len(fields) != 3 {
		return fmt.Errorf("git cat-file: answer %q: want object, type and size", head)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return fmt.Errorf("git cat-file: answer %q: %w", head, err)
	}
	if fields[1] == "blob" && len(object) >= short {
		if err := t.WriteHeader(&tar.Header{Name: path + "@" + object[:short], Mode: 0o644, Size: size, Typeflag: tar.TypeReg, Format: tar.FormatPAX}); err != nil {
			return fmt.Errorf("pack %s: %w", path, err)
		}
		if _, err := io.CopyN(t, objects, size); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
	} else if _, err := io.CopyN(io.Discard, objects, size); err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	_, err = objects.Discard(1)
	return err
}

// origin turns the path of an entry into the file's path, the commit that
// first had this version, and whether the current commit still has it.
func (r *repository) origin(ctx context.Context, entry string) (path, commit string, current bool) {
	file, inner, nested := strings.Cut(entry, "!/")
	at := strings.LastIndexByte(file, '@')
	if at < 0 {
		return entry, "", true
	}
	path, object := file[:at], file[at+1:]
	current = r.head[object+" "+path]
	r.mu.Lock()
	defer r.mu.Unlock()
	commit, known := r.commits[object]
	if !known {
		out, err := r.run(ctx, "log", "--all", "--reverse", "--format=%H", "--no-textconv", "--no-ext-diff", "--find-object="+object)
		if first, _, _ := strings.Cut(string(out), "\n"); err == nil {
			commit = strings.TrimSpace(first)
		}
		r.commits[object] = commit
	}
	if nested {
		path += "!/" + inner
	}
	return path, commit, current
}
