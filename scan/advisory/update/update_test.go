package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/internal/feedserver"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/fetch"
)

// lines is a small feed: one document an ecosystem, one package a line.
type lines struct {
	info advisory.Info
	get  func(advisory.Update) error // asked first
}

func (f lines) Info() advisory.Info { return f.info }

func (f lines) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	if f.get != nil {
		if err := f.get(u); err != nil {
			return advisory.State{}, err
		}
	}
	next := advisory.State{Validators: map[string]advisory.Validator{}}
	for _, e := range f.info.Ecosystems {
		if !advisory.Wanted(u.Want, e) {
			continue
		}
		at := u.URL + "/" + e + ".txt"
		d, err := u.Client.Get(ctx, at, u.State.Validators[at])
		if err != nil {
			return advisory.State{}, err
		}
		defer d.Close()
		next.Validators[at] = d.Validator
		if d.Same {
			continue
		}
		data, err := io.ReadAll(d)
		if err != nil {
			return advisory.State{}, err
		}
		u.Sink.Replace(e)
		for i, name := range strings.Fields(string(data)) {
			if err := u.Sink.Record(advisory.Record{ID: fmt.Sprintf("%s-%d", e, i), Ecosystem: e, Package: name}); err != nil {
				return advisory.State{}, err
			}
		}
	}
	return next, nil
}

// known lists what a feed says, as ECOSYSTEM/PACKAGE.
func known(t *testing.T, o Options, feed string) (list []string) {
	t.Helper()
	db, err := advisory.Open(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, e := range db.Ecosystems() {
		for _, name := range []string{"left-pad", "minimist", "urllib3", "openssl", "glibc", "xz-utils", "a", "b", "x"} {
			found, err := db.Find(e, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Feed == feed {
					list = append(list, e+"/"+name)
				}
			}
		}
	}
	return list
}

// feed returns what the database says about a feed.
func feed(t *testing.T, o Options, name string) advisory.FeedInfo {
	t.Helper()
	db, err := advisory.Open(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, f := range db.Feeds() {
		if f.Name == name {
			return f
		}
	}
	return advisory.FeedInfo{}
}

// setup is a host with three feeds of it.
func setup(t *testing.T) (*feedserver.Server, Options) {
	t.Helper()
	s := feedserver.New(t)
	s.Put("/one/npm.txt", []byte("left-pad minimist"))
	s.Put("/one/PyPI.txt", []byte("urllib3"))
	s.Put("/two/Debian:12.txt", []byte("openssl"))
	s.Put("/two/Debian:13.txt", []byte("glibc xz-utils"))
	s.Put("/three/Wolfi.txt", []byte("busybox"))
	c, err := fetch.New(fetch.Options{Temp: t.TempDir(), Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	dir := t.TempDir()
	store, err := advisory.OpenStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	return s, Options{
		Feeds: []advisory.Feed{
			lines{info: advisory.Info{Name: "one", URL: s.URL + "/one", Ecosystems: []string{"npm", "PyPI"}, Default: true}},
			lines{info: advisory.Info{Name: "two", URL: s.URL + "/two/", Ecosystems: []string{"Debian:12", "Debian:13"}}},
			lines{info: advisory.Info{Name: "three", URL: s.URL + "/three", Licence: "CC-BY-NC-ND-4.0", Restricted: true, Ecosystems: []string{"Wolfi"}, Default: true}},
		},
		Dir: dir, Store: store, Client: c, Now: func() time.Time { return now },
	}
}

// outcomes runs an update and says "feed outcome records bytes".
func outcomes(t *testing.T, o Options) []string {
	t.Helper()
	results, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range results {
		list = append(list, fmt.Sprintf("%s %s %d %d", r.Feed, r.Outcome, r.Stats.Records, r.Bytes))
	}
	return list
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestNeeded: what is updated is the default, and what scans have met.
func TestNeeded(t *testing.T) {
	s, o := setup(t)
	want(t, outcomes(t, o), "one updated 3 24")
	want(t, outcomes(t, o), "one unchanged 3 0")
	if err := Met(o.Dir, []string{"Debian:12", "Slackware"}); err != nil {
		t.Fatal(err)
	}
	want(t, outcomes(t, o), "one unchanged 3 0", "two updated 1 7")
	if err := Met(o.Dir, []string{"Debian:13"}); err != nil {
		t.Fatal(err)
	}
	want(t, outcomes(t, o), "one unchanged 3 0", "two updated 3 21")
	want(t, outcomes(t, o), "one unchanged 3 0", "two unchanged 3 0")
	s.Put("/one/npm.txt", []byte("left-pad"))
	want(t, outcomes(t, o), "one updated 2 8", "two unchanged 3 0")
	want(t, known(t, o, "one"), "PyPI/urllib3", "npm/left-pad")
	o.Again = true
	want(t, outcomes(t, o), "one updated 2 15", "two updated 3 21")
}

// TestMore: what is met later is fetched beside what is known, which is not
// fetched again; another release of what is known makes all be read again.
func TestMore(t *testing.T) {
	s, o := setup(t)
	s.Put("/many/npm.txt", []byte("left-pad"))
	s.Put("/many/Ubuntu.txt", []byte("openssl glibc"))
	s.Put("/many/Rocky Linux:9.txt", []byte("openssl"))
	s.Put("/many/Rocky Linux:8.txt", []byte("openssl"))
	o.Feeds = []advisory.Feed{lines{info: advisory.Info{Name: "many", URL: s.URL + "/many", Ecosystems: []string{"npm", "Ubuntu", "Rocky Linux:8", "Rocky Linux:9"}}}}
	met := func(e string) {
		if err := Met(o.Dir, []string{e}); err != nil {
			t.Fatal(err)
		}
	}
	met("npm")
	want(t, outcomes(t, o), "many updated 1 8")
	met("Ubuntu")
	want(t, outcomes(t, o), "many updated 3 13")
	want(t, outcomes(t, o), "many unchanged 3 0")
	met("Rocky Linux:9")
	want(t, outcomes(t, o), "many updated 4 7")
	met("Rocky Linux:8")
	want(t, outcomes(t, o), "many updated 5 35")
	want(t, outcomes(t, o), "many unchanged 5 0")
}

// TestAsked: names, --all, --enable and the configuration choose.
func TestAsked(t *testing.T) {
	yes, no := true, false
	tests := map[string]struct {
		set  func(*Options)
		want []string
		says string
	}{
		"by name":         {func(o *Options) { o.Names = []string{"two"} }, []string{"two updated 3 21"}, ""},
		"all":             {func(o *Options) { o.All = true }, []string{"one updated 3 24", "two updated 3 21"}, ""},
		"enabled":         {func(o *Options) { o.Enable = []string{"three"} }, []string{"one updated 3 24", "three updated 1 7"}, ""},
		"enabled in file": {func(o *Options) { o.Config.Feeds = map[string]Feed{"three": {Enabled: &yes}, "one": {Enabled: &no}} }, []string{"three updated 1 7"}, ""},
		"wanted in file": {func(o *Options) {
			o.Config.Feeds = map[string]Feed{"one": {Want: []string{"npm"}}, "two": {Want: []string{"Debian:13"}}}
		}, []string{"one updated 2 17", "two updated 2 14"}, ""},
		"restricted":      {func(o *Options) { o.Names = []string{"three"} }, nil, "CC-BY-NC-ND-4.0"},
		"switched off":    {func(o *Options) { o.Names = []string{"one"}; o.Config.Feeds = map[string]Feed{"one": {Enabled: &no}} }, nil, "switched off"},
		"unknown":         {func(o *Options) { o.Names = []string{"four"} }, nil, `no feed "four": want one of one, three, two`},
		"unknown in file": {func(o *Options) { o.Config.Feeds = map[string]Feed{"for": {}} }, nil, `no feed "for"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, o := setup(t)
			tt.set(&o)
			if tt.says == "" {
				want(t, outcomes(t, o), tt.want...)
				return
			}
			_, err := Run(t.Context(), o)
			if sekisho.KindOf(err) != sekisho.Usage || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
		})
	}
}

// TestFamily: the name of a source stands for its feeds that are needed.
func TestFamily(t *testing.T) {
	s, o := setup(t)
	for _, e := range []string{"npm", "PyPI", "Ubuntu"} {
		s.Put("/all/"+e+".txt", []byte("a"))
	}
	one := func(name, ecosystem string, always bool) advisory.Feed {
		return lines{info: advisory.Info{Name: name, URL: "http://nowhere.example", Ecosystems: []string{ecosystem}, Default: always}}
	}
	o.Feeds = append(o.Feeds, one("all-npm", "npm", true), one("all-pypi", "PyPI", true), one("all-ubuntu", "Ubuntu", false))
	o.Config.Feeds = map[string]Feed{"all": {URL: s.URL + "/all"}}
	o.Names = []string{"all"}
	want(t, outcomes(t, o), "all-npm updated 1 1", "all-pypi updated 1 1")
	o.Names = []string{"all-ubuntu"}
	want(t, outcomes(t, o), "all-ubuntu updated 1 1")
	off := false
	o.Config.Feeds["all-npm"] = Feed{Enabled: &off}
	o.Names = []string{"all"}
	want(t, outcomes(t, o), "all-pypi unchanged 1 0")
	o.Config.Feeds = map[string]Feed{"all": {URL: s.URL + "/all", Want: []string{"npm"}}}
	want(t, outcomes(t, o), "all-npm unchanged 1 0")
}

// TestIsolated: a feed that fails, or whose decoder breaks, leaves its last
// good state, and the others are updated.
func TestIsolated(t *testing.T) {
	s, o := setup(t)
	o.All = true
	want(t, outcomes(t, o), "one updated 3 24", "two updated 3 21")
	good := o.Store.State("two")
	s.Put("/one/npm.txt", []byte("x"))
	s.Put("/two/Debian:12.txt", []byte("y"))
	s.Fail("/two/Debian:13.txt", feedserver.Fault{Status: 503})
	want(t, outcomes(t, o), "one updated 2 1", "two failed 0 1")
	want(t, known(t, o, "two"), "Debian:12/openssl", "Debian:13/glibc", "Debian:13/xz-utils")
	if diff := cmp.Diff(good, o.Store.State("two")); diff != "" {
		t.Error(diff)
	}
	later := o.Now().Add(48 * time.Hour)
	o.Now = func() time.Time { return later }
	two := o.Feeds[1].(lines)
	two.get = func(advisory.Update) error { var m map[string]int; m["x"]++; return nil }
	o.Feeds[1] = two
	want(t, outcomes(t, o), "one unchanged 2 0", "two failed 0 0")
	if f := feed(t, o, "two"); !strings.Contains(f.Error, "nil map") || f.Records != 3 || !f.Failed.Equal(later) || f.Failed.Sub(f.Checked) != 48*time.Hour {
		t.Errorf("the failed feed: %+v", f)
	}
	if f := feed(t, o, "one"); f.Error != "" || !f.Checked.Equal(later) {
		t.Errorf("the other: %+v", f)
	}
	two.get = nil
	o.Feeds[1] = two
	want(t, outcomes(t, o), "one unchanged 2 0", "two updated 3 1")
	if f := feed(t, o, "two"); f.Error != "" || !f.Failed.IsZero() {
		t.Errorf("after a good one: %+v", f)
	}
}

// TestOtherSource: what was remembered of one address is not used for another.
func TestOtherSource(t *testing.T) {
	s, o := setup(t)
	want(t, outcomes(t, o), "one updated 3 24")
	o.Config.Feeds = map[string]Feed{"one": {URL: s.URL + "/copy"}}
	var state advisory.State
	one := o.Feeds[0].(lines)
	one.get = func(u advisory.Update) error { state = u.State; return errors.New("enough") }
	o.Feeds[0] = one
	want(t, outcomes(t, o), "one failed 0 0")
	if state.Validators != nil {
		t.Errorf("state of the other source: %+v", state)
	}
}

// TestPassword: a password in an address is kept nowhere.
func TestPassword(t *testing.T) {
	s, o := setup(t)
	o.Config.Feeds = map[string]Feed{"one": {URL: strings.Replace(s.URL, "://", "://user:sesame@", 1) + "/one"}}
	want(t, outcomes(t, o), "one updated 3 24")
	want(t, outcomes(t, o), "one unchanged 3 0")
	if h := s.Requests("/one/npm.txt")[0].Header.Get("Authorization"); h == "" {
		t.Error("the host did not get the password")
	}
	err := filepath.WalkDir(o.Dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if strings.Contains(string(data), "sesame") {
			t.Errorf("%s holds the password", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := feed(t, o, "one"); f.URL != s.URL+"/one" {
		t.Errorf("URL %s", f.URL)
	}
}

func TestMirror(t *testing.T) {
	_, o := setup(t)
	o.From = t.TempDir()
	for name, text := range map[string]string{"one/npm.txt": "a", "one/PyPI.txt": "b"} {
		if err := os.MkdirAll(filepath.Join(o.From, "one"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.From, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o.All = true
	want(t, outcomes(t, o), "one updated 2 2", "two missing 0 0")
	want(t, known(t, o, "one"), "PyPI/b", "npm/a")
	if f := feed(t, o, "two"); f.Name != "" {
		t.Errorf("a feed that the mirror never had: %+v", f)
	}
	o.Names = []string{"two"}
	want(t, outcomes(t, o), "two failed 0 0")
	o.Names, o.All = nil, false
	if err := os.RemoveAll(filepath.Join(o.From, "one")); err != nil {
		t.Fatal(err)
	}
	want(t, outcomes(t, o), "one failed 0 0")
	_, other := setup(t)
	other.From = t.TempDir()
	if _, err := Run(t.Context(), other); sekisho.KindOf(err) != sekisho.NotFound || !strings.Contains(err.Error(), "has no feed") {
		t.Errorf("a mirror of nothing: %v", err)
	}
}

// TestSideBySide: feeds wait for one another's words, so they run at a time.
func TestSideBySide(t *testing.T) {
	_, o := setup(t)
	o.All, o.Jobs = true, 2
	a, b := make(chan struct{}), make(chan struct{})
	meet := func(mine, other chan struct{}) func(advisory.Update) error {
		return func(advisory.Update) error { close(mine); <-other; return nil }
	}
	one, two := o.Feeds[0].(lines), o.Feeds[1].(lines)
	one.get, two.get = meet(a, b), meet(b, a)
	o.Feeds = []advisory.Feed{one, two}
	want(t, outcomes(t, o), "one updated 3 24", "two updated 3 21")
}

func TestCancelled(t *testing.T) {
	_, o := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	one := o.Feeds[0].(lines)
	one.get = func(advisory.Update) error { cancel(); return nil }
	o.Feeds[0] = one
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if list, err := filepath.Glob(filepath.Join(o.Dir, "status", "*")); err != nil || len(list) != 0 {
		t.Errorf("an interrupted feed counts as failed: %v %v", list, err)
	}
}

func TestMet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := Met(dir, []string{"npm", "", strings.Repeat("x", 1000), "Debian:12", "npm"}); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(dir, metName))
	if err != nil {
		t.Fatal(err)
	}
	if err := Met(dir, []string{"npm"}); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(filepath.Join(dir, metName)); err != nil || !os.SameFile(before, after) {
		t.Error("written without something new")
	}
	got, err := MetBefore(dir)
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "Debian:12", "npm")
	if err := os.WriteFile(filepath.Join(dir, metName), []byte("{broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Met(dir, []string{"PyPI"}); err != nil {
		t.Fatal(err)
	}
	got, err = MetBefore(dir)
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "PyPI")
}

func TestConfig(t *testing.T) {
	const good = `# the hall's mirror
from: mirror
ca: /etc/ca.pem
trusted: [keys/a.pem]
max_age: 3d
proxy: {http: http://proxy:3128, no: .example}
feeds:
  alpine: {url: https://mirror.example/secdb, want: ["Alpine:v3.22"]}
  wolfi: {enabled: true}
`
	dir := t.TempDir()
	name := filepath.Join(dir, ConfigName)
	if err := os.WriteFile(name, []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(name, true)
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	if diff := cmp.Diff(Config{From: filepath.Join(dir, "mirror"), CA: "/etc/ca.pem", Trusted: []string{filepath.Join(dir, "keys/a.pem")},
		MaxAge: Age{72 * time.Hour}, Proxy: Proxy{HTTP: "http://proxy:3128", No: ".example"},
		Feeds: map[string]Feed{"alpine": {URL: "https://mirror.example/secdb", Want: []string{"Alpine:v3.22"}}, "wolfi": {Enabled: &yes}}}, c); diff != "" {
		t.Error(diff)
	}
	for text, says := range map[string]string{
		"form: mirror\n":                              "[1:1] unknown field \"form\"",
		"feeds:\n  alpine:\n    enable: true\n":       "[3:5] unknown field \"enable\"",
		"feeds:\n  alpine: {url: ftp://x}\n":          "feeds.alpine.url",
		"max_age: soon\n":                             "max_age",
		"max_age: -3h\n":                              "max_age",
		"feeds: {alpine: {want: ['']}}\n":             "feeds.alpine.want",
		"from: [\n":                                   "[1:7]",
		"x: " + strings.Repeat("y", maxConfig) + "\n": "more than",
	} {
		if _, err := parseConfig(strings.NewReader(text), "advisory.yaml"); err == nil || !strings.Contains(err.Error(), says) || sekisho.KindOf(err) != sekisho.Usage {
			t.Errorf("%.40q: error %v, want %q", text, err, says)
		}
	}
	if c, err := ReadConfig(filepath.Join(dir, "none"), false); err != nil || c.From != "" {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := ReadConfig(filepath.Join(dir, "none"), true); sekisho.KindOf(err) != sekisho.Usage {
		t.Errorf("a file that is asked for and not there: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("from: x\nfeeds: {a: {url: https://x, enabled: true, want: [b]}}\nmax_age: 3d\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseConfig(bytes.NewReader(data), "advisory.yaml")
	})
}
