package squash_test

import (
	"slices"
	"strings"
	"testing"

	"sekisho/internal/siphash"
	"sekisho/scan/analyze"
	"sekisho/scan/layer"
	"sekisho/scan/squash"
)

var key = siphash.Key{1, 2, 3}

// build makes a layer from words: "f" a file that tells something, "d/" a
// directory, "-w" a whiteout, "!o" an opaque directory, "l>t" a link.
func build(words string) *layer.Result {
	r := &layer.Result{}
	for _, w := range strings.Fields(words) {
		link, target, isLink := strings.Cut(w, ">")
		switch {
		case isLink:
			r.Links = append(r.Links, layer.Link{Path: link, Target: target})
			r.NonDirs = append(r.NonDirs, key.Sum(link))
		case w[0] == '-':
			r.Whiteouts = append(r.Whiteouts, w[1:])
		case w[0] == '!':
			r.Opaques = append(r.Opaques, strings.TrimPrefix(w[1:], "."))
		case strings.HasSuffix(w, "/"):
			r.Dirs = append(r.Dirs, key.Sum(strings.TrimSuffix(w, "/")))
		default:
			r.NonDirs = append(r.NonDirs, key.Sum(w))
			r.Files = append(r.Files, layer.File{Path: w, Result: analyze.Result{Facts: []analyze.Fact{{Kind: "x"}}}})
		}
	}
	slices.Sort(r.NonDirs)
	slices.Sort(r.Dirs)
	return r
}

func TestSquash(t *testing.T) {
	for _, c := range []struct{ name, lower, upper, want string }{
		{"both are seen", "a/ a/x", "a/ a/y", "a/x a/y"},
		{"replaced", "a/ a/x", "a/ a/x", "a/x"},
		{"whiteout of a file", "a/ a/x a/y", "-a/x", "a/y"},
		{"whiteout of a directory", "a/ a/b/ a/b/x c", "-a", "c"},
		{"whiteout is not a prefix", "ab a/ a/x", "-a", "ab"},
		{"opaque hides lower content only", "a/ a/x a/b/ a/b/y", "a/ !a a/z", "a/z"},
		{"opaque root", "a/ a/x y", "!. z", "z"},
		{"whiteout and new directory in one layer", "a/ a/x", "-a a/ a/y", "a/y"},
		{"file in the place of a directory", "a/ a/x", "a", "a"},
		{"link in the place of a directory", "a/ a/x", "a>b", ""},
		{"directory in the place of a file", "a", "a/ a/x", "a/x"},
		{"directory over a directory keeps its files", "a/ a/x", "a/", "a/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen []string
			for _, f := range squash.Squash([]*layer.Result{build(c.lower), build(c.upper)}, key).Files {
				if !f.Hidden {
					seen = append(seen, f.Path)
				}
			}
			if got := strings.Join(seen, " "); got != c.want {
				t.Errorf("a container sees %q, want %q", got, c.want)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	tree := squash.Squash([]*layer.Result{build("lib>usr/lib etc/os-release>../usr/lib/os-release usr/ usr/lib/ usr/lib/os-release loop>loop2 loop2>loop out>../../../etc")}, key)
	for in, want := range map[string]string{
		"lib/os-release":  "usr/lib/os-release",
		"etc/os-release":  "usr/lib/os-release",
		"/etc/os-release": "usr/lib/os-release",
		"out/passwd":      "etc/passwd",
		"usr/lib":         "usr/lib",
	} {
		if got, ok := tree.Resolve(in); !ok || got != want {
			t.Errorf("Resolve(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
	if f, ok := tree.Find("etc/os-release"); !ok || f.Path != "usr/lib/os-release" {
		t.Errorf("Find does not see through links: %v", f)
	}
	if _, ok := tree.Resolve("loop/x"); ok {
		t.Error("a loop of links resolves")
	}
}
