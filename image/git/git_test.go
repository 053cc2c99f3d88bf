package git_test

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/image"
	"sekisho/image/git"
)

// repository runs git in a fresh directory.
func repository(t *testing.T) (dir string, run func(args ...string) string) {
	t.Helper()
	dir = t.TempDir()
	run = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q", "-b", "main")
	return dir, run
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// entries reads a layer: path to content.
func entries(t *testing.T, l image.Layer) map[string]string {
	t.Helper()
	rc, err := l.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	found := map[string]string{}
	for r := tar.NewReader(rc); ; {
		h, err := r.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = string(data)
	}
}

// TestHistory wants every version of every file with the commit that brought
// it, and whether it is still there; and what is staged.
func TestHistory(t *testing.T) {
	dir, run := repository(t)
	write(t, dir, "a b.env", "one")
	write(t, dir, "kept", "kept")
	run("add", ".")
	run("commit", "-qm", "first")
	first := run("rev-parse", "HEAD")
	write(t, dir, "a b.env", "two")
	run("commit", "-qam", "second")
	second := run("rev-parse", "HEAD")
	run("switch", "-qc", "side")
	write(t, dir, "side", "on a branch")
	run("add", ".")
	run("commit", "-qm", "third")
	run("switch", "-q", "main")
	write(t, dir, "new", "staged")
	write(t, dir, "loose", "not staged")
	run("add", "new")

	img, err := git.Open(context.Background(), dir, git.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if img.Kind != image.KindRepository || len(img.Layers) != 2 {
		t.Fatalf("got %+v", img)
	}
	type origin struct {
		path, commit string
		current      bool
	}
	got := map[string]origin{}
	for name, text := range entries(t, img.Layers[0]) {
		path, commit, current := img.Origin(context.Background(), name)
		got[text] = origin{path, commit, current}
	}
	if len(got) != 4 || got["one"] != (origin{"a b.env", first, false}) || got["two"] != (origin{"a b.env", second, true}) || got["kept"] != (origin{"kept", first, true}) || got["on a branch"].current {
		t.Errorf("history: %+v", got)
	}
	staged := entries(t, img.Layers[1])
	for name, text := range staged {
		if path, commit, _ := img.Origin(context.Background(), name+"!/in.zip"); path != "new!/in.zip" || commit != "" || text != "staged" {
			t.Errorf("staged: %q at %q, commit %q", text, path, commit)
		}
	}
	if len(staged) != 1 {
		t.Errorf("staged: %v", staged)
	}
	img, err = git.Open(context.Background(), dir, git.Options{Staged: true})
	if err != nil || len(img.Layers) != 2 || len(entries(t, img.Layers[0])) != 0 || len(entries(t, img.Layers[1])) != 1 {
		t.Errorf("only staged: %+v, %v", img, err)
	}
	write(t, dir, "a b.env", "three")
	run("add", "a b.env")
	run("rm", "-q", "--cached", "kept")
	before, after := entries(t, img.Layers[0]), entries(t, img.Layers[1])
	if len(before) != 2 || len(after) != 2 {
		t.Errorf("before %v, after %v", before, after)
	}
}

// TestUnborn wants what is staged before the first commit.
func TestUnborn(t *testing.T) {
	dir, run := repository(t)
	write(t, dir, "x", "text")
	run("add", ".")
	img, err := git.Open(context.Background(), dir, git.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := entries(t, img.Layers[0]); len(got) != 0 {
		t.Errorf("history: %v", got)
	}
	if got := entries(t, img.Layers[1]); len(got) != 1 {
		t.Errorf("staged: %v", got)
	}
}

// TestHostileRepository wants that nothing of a repository is run.
func TestHostileRepository(t *testing.T) {
	dir, run := repository(t)
	write(t, dir, "x", "text")
	write(t, dir, ".gitattributes", "x diff=evil filter=evil\n")
	run("add", ".")
	run("commit", "-qm", "first")
	mark := filepath.Join(t.TempDir(), "mark")
	evil := filepath.Join(dir, "evil.sh")
	if err := os.WriteFile(evil, []byte("#!/bin/sh\ntouch "+mark+"\ncat\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.smudge", "filter.evil.clean", "core.pager", "core.sshCommand", "gpg.program", "core.editor"} {
		run("config", key, evil)
	}
	os.Remove(mark) // our own git may have run it
	img, err := git.Open(context.Background(), dir, git.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range img.Layers {
		for name := range entries(t, l) {
			img.Origin(context.Background(), name)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the repository's program was run")
	}
}

func TestNoRepository(t *testing.T) {
	if _, err := git.Open(context.Background(), t.TempDir(), git.Options{}); err == nil || !strings.Contains(err.Error(), "no git repository") {
		t.Errorf("got %v", err)
	}
}

// TestStopsEarly closes a layer before its end.
func TestStopsEarly(t *testing.T) {
	dir, run := repository(t)
	write(t, dir, "x", strings.Repeat("x", 4<<20))
	run("add", ".")
	run("commit", "-qm", "first")
	img, err := git.Open(context.Background(), dir, git.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rc, err := img.Layers[0].Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, rc, 10); err != nil {
		t.Fatal(err)
	}
	rc.Close()
}
