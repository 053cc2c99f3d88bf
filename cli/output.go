package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sekisho"
	"sekisho/internal/atomicfile"
	"sekisho/report/format"
)

// output is one format and where it goes; an empty file is standard output.
type output struct {
	format string
	file   string
}

// outputs reads -o FORMAT=FILE and --format. Without either, a table goes to a
// terminal and to a pipe alike: what a pipe gets must not depend on chance.
func (a *app) outputs(f *scanFlags) ([]output, error) {
	var list []output
	for _, o := range f.outputs {
		name, file, ok := strings.Cut(o, "=")
		if !ok || file == "" {
			return nil, sekisho.Errorf(sekisho.Usage, "--output %s: want FORMAT=FILE, as html=report.html", o)
		}
		list = append(list, output{name, file})
	}
	if f.format != "" || len(list) == 0 {
		list = append(list, output{cmp.Or(f.format, "table"), ""})
	}
	for _, o := range list {
		if !slices.Contains(format.Names(), o.format) {
			return nil, sekisho.Errorf(sekisho.Usage, "format %q: want one of %s", o.format, strings.Join(format.Names(), ", "))
		}
	}
	return list, nil
}

func (a *app) write(r *sekisho.Report, outputs []output, f *scanFlags) error {
	format.Describe(r, a.texts)
	format.Normalise(r)
	for _, o := range outputs {
		if err := a.writeOne(r, o, f); err != nil {
			return fmt.Errorf("write %s: %w", o.format, err)
		}
	}
	return nil
}

func (a *app) writeOne(r *sekisho.Report, o output, f *scanFlags) error {
	opts := format.Options{Printer: a.texts, All: f.all}
	if o.file != "" && o.file != "-" {
		return writeFile(o.file, func(w io.Writer) error { return format.Write(w, o.format, r, opts) })
	}
	if width, ok := terminal(a.Stdout); ok {
		opts.Width, opts.Color = width, !f.noColor && a.Getenv("NO_COLOR") == ""
	}
	w := bufio.NewWriter(a.Stdout)
	if err := format.Write(w, o.format, r, opts); err != nil {
		return err
	}
	return w.Flush()
}

// input opens a file, or standard input for "-"; what is it for errors.
func (a *app) input(name, what string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.Stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "open %s: %w", what, err)
	}
	return f, nil
}

// writeFile writes beside the place and renames, so that a reader sees the old
// file or the new one, never half of it. What is no regular file (a pipe,
// /dev/stdout) is written in place.
func writeFile(name string, write func(io.Writer) error) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return writeTo(name, os.O_WRONLY, write)
	}
	return atomicfile.Stream(name, 0o644, write)
}

func writeTo(name string, mode int, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, mode, 0)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(write(w), w.Flush(), f.Close())
}

// progress shows, on a terminal only, how many layers are done.
type progress struct {
	app   *app
	shown bool
}

func (a *app) progress(quiet bool) *progress {
	_, ok := terminal(a.Stderr)
	return &progress{app: a, shown: ok && !quiet}
}

func (p *progress) layer(done, total int, cached bool) {
	if !p.shown {
		return
	}
	key := "cli.progress"
	if total == 0 {
		key = "cli.progress.stream"
	}
	fmt.Fprintf(p.app.Stderr, "\r\x1b[K%s", p.app.texts.Text(key, "done", done, "total", total))
}

func (p *progress) done() {
	if p.shown {
		fmt.Fprint(p.app.Stderr, "\r\x1b[K")
	}
}
