package golang

import (
	"path"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
)

// info is the build information of one executable.
type info struct {
	version string // of Go
	modules string // as runtime/debug.ParseBuildInfo reads it
}

// unframe takes away the marks around module information.
func unframe(b []byte) string {
	if len(b) < 2*frameSize+1 || b[len(b)-frameSize-1] != '\n' {
		return ""
	}
	return string(b[frameSize : len(b)-frameSize])
}

// devel is the version of what was built from a working directory.
const devel = "(devel)"

func (i info) report(out *analyze.Result) {
	if v := goVersion(i.version); v != "" {
		out.Packages = append(out.Packages, pkg("stdlib", v, sekisho.Embedded))
	}
	build, err := debug.ParseBuildInfo(i.modules)
	if err != nil {
		out.Problem("Go build information: " + err.Error())
		return
	}
	if build.Main.Path != "" {
		main := effective(&build.Main)
		if main.Version == devel || main.Version == "" {
			main.Version = worktree(build)
		}
		out.Packages = append(out.Packages, pkg(main.Path, main.Version, sekisho.Embedded))
	}
	for _, dep := range build.Deps {
		m := effective(dep)
		out.Packages = append(out.Packages, pkg(m.Path, m.Version, sekisho.Embedded))
	}
}

// effective is the module whose code was compiled: what replaces the one that
// was asked for. A directory that replaces it has no name of its own and is
// not the version that was asked for.
func effective(m *debug.Module) debug.Module {
	if m.Replace == nil {
		return *m
	}
	if local(m.Replace.Path) || m.Replace.Version == "" || m.Replace.Version == devel {
		return debug.Module{Path: m.Path, Version: devel}
	}
	return *m.Replace
}

func local(path string) bool {
	return strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") || strings.HasPrefix(path, "/") || len(path) > 1 && path[1] == ':'
}

func pkg(name, version, found string) sekisho.Package {
	dir, base := path.Split(name)
	known := version
	if known == devel {
		known = ""
	}
	return sekisho.Package{Name: name, Version: version, Type: "golang", PURL: purl.New("golang", dir, base, known), Found: found}
}

// goVersion takes the number out of "go1.22.3", "go1.20.5 X:boringcrypto" or
// "devel go1.23-7eac18 Mon Jan …".
func goVersion(s string) string {
	s = strings.TrimPrefix(s, "devel ")
	s, _, _ = strings.Cut(s, " ")
	v, ok := strings.CutPrefix(s, "go")
	if !ok || v == "" || v[0] < '0' || v[0] > '9' {
		return ""
	}
	return v
}

// worktree finds a version for a main module that was built from a working
// directory: the one that its makers gave to the linker, else the one that Go
// itself would derive from the commit, else none.
func worktree(b *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range b.Settings {
		settings[s.Key] = s.Value
	}
	if v := linked(settings["-ldflags"], b.Main.Path); v != "" {
		return v
	}
	commit := settings["vcs.revision"]
	when, err := time.Parse(time.RFC3339, settings["vcs.time"])
	if settings["vcs"] != "git" || len(commit) < 12 || err != nil {
		return devel
	}
	v := "v0.0.0-" + when.UTC().Format("20060102150405") + "-" + commit[:12]
	if settings["vcs.modified"] == "true" {
		v += "+dirty"
	}
	return v
}

var (
	setting = regexp.MustCompile(`-X[ =]['"]?([^\s'"=]+)\.([A-Za-z]+)=([^\s'"]*)`)
	release = regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.+-]+)?$`)
)

// linked finds the version that -ldflags "-X PACKAGE.VARIABLE=VALUE" gives,
// when all variables named after a version in packages of the module's own
// makers agree.
func linked(flags, module string) string {
	if len(flags) > 64<<10 {
		return ""
	}
	version := ""
	for _, m := range setting.FindAllStringSubmatch(flags, 64) {
		from, name, value := m[1], strings.ToLower(m[2]), m[3]
		switch name {
		case "version", "gitversion", "buildversion", "appversion", "releaseversion":
		default:
			continue
		}
		if from != "main" && maker(from) != maker(module) || !release.MatchString(value) {
			continue
		}
		value = "v" + strings.TrimPrefix(value, "v")
		if version != "" && version != value {
			return ""
		}
		version = value
	}
	return version
}

// maker is the part of a module's path that names who makes it.
func maker(module string) string {
	host, rest, _ := strings.Cut(module, "/")
	switch host {
	case "github.com", "gitlab.com", "bitbucket.org", "codeberg.org":
		owner, _, _ := strings.Cut(rest, "/")
		return host + "/" + owner
	}
	return host
}
