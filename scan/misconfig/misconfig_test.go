package misconfig_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/i18n"
	"sekisho/image"
	"sekisho/scan/analyze"
	"sekisho/scan/misconfig"
)

var now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// good is a configuration that nothing speaks against.
func good() image.Config {
	created := now.AddDate(0, 0, -3)
	return image.Config{Created: &created, Config: image.Run{User: "10001", Cmd: []string{"/app"},
		Healthcheck: &image.Healthcheck{Test: []string{"CMD", "/app", "-check"}},
		Labels:      map[string]string{"org.opencontainers.image.source": "https://example.org", "org.opencontainers.image.revision": "1"}}}
}

type file struct {
	path    string
	mode    fs.FileMode
	size    int64
	content string
}

func judge(t *testing.T, c image.Config, name string, os *sekisho.OS, files ...file) []misconfig.Judged {
	t.Helper()
	in := misconfig.Input{Kind: image.KindImage, Name: name, Config: c, OS: os, Now: now}
	for _, f := range files {
		x := analyze.File{Path: f.path, Mode: f.mode, Size: max(f.size, int64(len(f.content))), Root: image.KindImage}
		var out analyze.Result
		if w := (misconfig.Files{}).Wants(&x); w == analyze.Skip {
			continue
		}
		x.Data = []byte(f.content)
		if err := (misconfig.Files{}).Analyze(&x, &out); err != nil {
			t.Fatal(err)
		}
		for _, fact := range out.Facts {
			in.Facts = append(in.Facts, misconfig.Placed{Fact: fact, Path: f.path})
		}
	}
	return misconfig.Image(in)
}

func TestImage(t *testing.T) {
	with := func(change func(*image.Config)) image.Config { c := good(); change(&c); return c }
	for _, c := range []struct {
		name, want string // ids with evidence after a space, or "" for none
		config     image.Config
		ref        string
		os         *sekisho.OS
		files      []file
	}{
		{name: "nothing to say", config: good(), ref: "app:1.2"},
		{name: "no user", want: "SKS-IMG-001", config: with(func(c *image.Config) { c.Config.User = "" })},
		{name: "root by name", want: "SKS-IMG-001", config: with(func(c *image.Config) { c.Config.User = "root:root" })},
		{name: "a name with uid 0", want: "SKS-IMG-001,SKS-IMG-006,SKS-IMG-007 app", config: with(func(c *image.Config) { c.Config.User = "app" }), files: []file{{path: "etc/passwd", content: "root:x:0:0::/:/bin/sh\napp:x:0:0::/:/bin/sh\n"}, {path: "etc/shadow", content: "root:*:1::::::\n"}}},
		{name: "no healthcheck", want: "SKS-IMG-002", config: with(func(c *image.Config) { c.Config.Healthcheck = nil })},
		{name: "setuid", want: "SKS-IMG-003 4755 uid=0", config: good(), files: []file{{path: "usr/bin/su", mode: 0o755 | fs.ModeSetuid}}},
		{name: "setuid without an execute bit", config: good(), files: []file{{path: "usr/bin/su", mode: 0o644 | fs.ModeSetuid}}},
		{name: "world-writable", want: "SKS-IMG-004", config: good(), files: []file{{path: "etc/app.conf", mode: 0o666}}},
		{name: "sticky directory, link and data", config: good(), files: []file{{path: "usr/tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777}, {path: "etc/x", mode: fs.ModeSymlink | 0o777}, {path: "data/x", mode: 0o666}}},
		{name: "empty password", want: "SKS-IMG-005 bob", config: good(), files: []file{{path: "etc/shadow", content: "root:*:1::::::\nbob::1::::::\n"}}},
		{name: "same uid twice", want: "SKS-IMG-006 a, b: 7", config: good(), files: []file{{path: "etc/passwd", content: "a:x:7:7::/:\nb:x:7:7::/:\n"}}},
		{name: "password in env", want: "SKS-IMG-008 ENV DB_PASSWORD=********", config: with(func(c *image.Config) { c.Config.Env = []string{"DB_PASSWORD=Tr0ub4dor-and-3"} })},
		{name: "token by form", want: "SKS-IMG-008 ENV X=********", config: with(func(c *image.Config) { c.Config.Env = []string{"X=ghp_0123456789abcdefghijABCDEFGHIJ012345"} })},
		{name: "password in a URL", want: "SKS-IMG-008 ENV DATABASE_URL=********", config: with(func(c *image.Config) { c.Config.Env = []string{"DATABASE_URL=postgres://app:hunter22@db/app"} })},
		{name: "no secrets", config: with(func(c *image.Config) {
			c.Config.Env = []string{"PASSWORD_FILE=/run/secrets/x", "TOKEN=$TOKEN", "API_KEY=changeme", "SECRET=", "TOKEN_URL=https://example.org/t", "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", "PASSWORD=xxxxxxxxxxxx"}
		})},
		{name: "secret in a build argument", want: "SKS-IMG-009 NPM_TOKEN=********", config: with(func(c *image.Config) {
			c.History = []image.History{{CreatedBy: "RUN |1 NPM_TOKEN=a1b2c3d4e5f6g7h8 /bin/sh -c npm ci"}}
		})},
		{name: "repository left", want: "SKS-IMG-012", config: good(), files: []file{{path: "app/.git", mode: fs.ModeDir | 0o755}}},
		{name: "package cache", want: "SKS-IMG-013 20.0 MiB", config: good(), files: []file{{path: "var/lib/apt/lists/x_Packages", mode: 0o644, size: 20 << 20}}},
		{name: "small package cache", config: good(), files: []file{{path: "var/lib/apt/lists/x_Packages", mode: 0o644, size: 1 << 10}}},
		{name: "ssh", want: "SKS-IMG-016,SKS-IMG-017 22/tcp ssh", config: with(func(c *image.Config) { c.Config.ExposedPorts = map[string]struct{}{"22/tcp": {}, "8080/tcp": {}} }), files: []file{{path: "usr/sbin/sshd", mode: 0o755}}},
		{name: "setuid sudo is both", want: "SKS-IMG-003 4755,SKS-IMG-018", config: good(), files: []file{{path: "usr/bin/sudo", mode: 0o755 | fs.ModeSetuid}}},
		{name: "sudo", want: "SKS-IMG-018", config: good(), files: []file{{path: "usr/bin/sudo", mode: 0o755}, {path: "etc/sudo", mode: 0o755}}},
		{name: "volume", want: "SKS-IMG-019 VOLUME /etc/", config: with(func(c *image.Config) { c.Config.Volumes = map[string]struct{}{"/etc/": {}, "/data": {}} })},
		{name: "end of support", want: "SKS-IMG-020 Old 1: 2020-01-01", config: good(), os: &sekisho.OS{ID: "old", Name: "Old 1", SupportedUntil: "2020-01-01"}},
		{name: "old image", want: "SKS-IMG-021 2025-11-24", config: with(func(c *image.Config) { t := now.AddDate(-1, 0, 0); c.Created = &t })},
		{name: "reproducible image", config: with(func(c *image.Config) { t := time.Unix(0, 0); c.Created = &t })},
		{name: "latest", want: "SKS-IMG-027 app:latest", config: good(), ref: "app:latest"},
		{name: "no tag", want: "SKS-IMG-027 host:5000/app", config: good(), ref: "host:5000/app"},
		{name: "digest", config: good(), ref: "app@sha256:" + strings.Repeat("a", 64)},
		{name: "add from a URL", want: "SKS-DKF-005 ADD https://example.org/x.tgz", config: with(func(c *image.Config) {
			c.History = []image.History{{CreatedBy: "ADD https://example.org/x.tgz /opt/ # buildkit"}}
		})},
		{name: "curl into a shell", want: "SKS-DKF-006 curl -sL https://example.org/i.sh | bash", config: with(func(c *image.Config) {
			c.History = []image.History{{CreatedBy: "RUN /bin/sh -c curl -sL https://example.org/i.sh | bash"}}
		})},
		{name: "shell form", want: "SKS-IMG-035 /bin/sh -c", config: with(func(c *image.Config) { c.Config.Cmd = []string{"/bin/sh", "-c", "node server.js"} })},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, j := range judge(t, c.config, c.ref, c.os, c.files...) {
				got = append(got, strings.TrimSpace(j.ID+" "+j.Evidence))
			}
			slices.Sort(got)
			want := []string{}
			if c.want != "" {
				want = strings.Split(c.want, ",SKS")
			}
			for i := 1; i < len(want); i++ {
				want[i] = "SKS" + want[i]
			}
			if len(got) != len(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("got %q, want %q", got[i], want[i])
				}
			}
		})
	}
}

// TestInstruction holds that a finding of the configuration names the
// instruction that made it, its secret masked.
func TestInstruction(t *testing.T) {
	c := good()
	c.Config.Env = []string{"DB_PASSWORD=Tr0ub4dor-and-3"}
	c.History = []image.History{{CreatedBy: "RUN make"}, {CreatedBy: "ENV DB_PASSWORD=Tr0ub4dor-and-3", EmptyLayer: true}, {CreatedBy: "CMD x", EmptyLayer: true}}
	for _, j := range judge(t, c, "", nil) {
		if j.ID == "SKS-IMG-008" && j.Location.Instruction != "ENV DB_PASSWORD=********" {
			t.Errorf("made by %q", j.Location.Instruction)
		}
	}
}

// TestWords holds that every check can be explained in both languages.
func TestWords(t *testing.T) {
	for _, lang := range i18n.Languages() {
		p := i18n.New(lang)
		for _, id := range misconfig.Checks() {
			for _, part := range []string{"title", "fix"} {
				if key := "check." + id + "." + part; !p.Has(key) {
					t.Errorf("%s: no %s", lang, key)
				}
			}
		}
	}
}

func FuzzFiles(f *testing.F) {
	f.Add("etc/passwd", []byte("root:x:0:0:root:/root:/bin/bash\n::\n"))
	f.Add("etc/shadow", []byte("a::\n"))
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		x := analyze.File{Path: path, Mode: 0o4755, Data: data}
		var out analyze.Result
		if (misconfig.Files{}).Wants(&x) != analyze.Skip {
			_ = (misconfig.Files{}).Analyze(&x, &out)
		}
	})
}

func BenchmarkWants(b *testing.B) {
	x := analyze.File{Path: "usr/lib/node_modules/npm/node_modules/abbrev/lib/index.js", Mode: 0o644}
	b.ReportAllocs()
	for b.Loop() {
		(misconfig.Files{}).Wants(&x)
	}
}
