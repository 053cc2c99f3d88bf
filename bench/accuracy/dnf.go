package main

import (
	"archive/zip"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// erratum is one of AlmaLinux's, as OSV has it.
type erratum struct {
	ID, Summary string
	Affected    []struct {
		Package struct{ Ecosystem, Name string }
		Ranges  []struct {
			Events []struct{ Fixed string }
		}
	}
}

// dnf holds AlmaLinux's errata against real rpm databases, with its own tool:
// the errata become a repository's updateinfo.xml.
func (l *lab) dnf() error {
	for _, name := range []string{"dnf", "createrepo_c", "modifyrepo_c"} {
		if _, err := l.tool(name, ""); err != nil {
			return err
		}
	}
	errata, err := l.errata()
	if err != nil {
		return err
	}
	db, err := l.database("alma-db", filepath.Join(l.data, "advisories"), "osv-almalinux")
	if err != nil {
		return err
	}
	for _, c := range []struct{ fixture, release, stream string }{{"nevra-ubi8", "8", ""}, {"nevra-ubi9", "9", ""}, {"nevra-ubi9-nodejs-module", "9", "nodejs:18"}} {
		if err := l.alma(errata, db, c.fixture, c.release, c.stream); err != nil {
			return fmt.Errorf("%s: %w", c.fixture, err)
		}
	}
	return nil
}

func (l *lab) errata() ([]erratum, error) {
	z, err := zip.OpenReader(filepath.Join(l.data, "advisories/osv/AlmaLinux/all.zip"))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var list []erratum
	for _, f := range z.File {
		if !strings.HasPrefix(f.Name, "ALSA-") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		var e erratum
		if err := json.NewDecoder(r).Decode(&e); err != nil && err != io.EOF {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

func (l *lab) alma(errata []erratum, db, fixture, release, stream string) error {
	root, repo := filepath.Join(l.dir, fixture), filepath.Join(l.dir, fixture+"-repo")
	database, err := os.ReadFile(filepath.Join(l.data, "fixtures/rpm", fixture, "rpmdb.sqlite"))
	if err != nil {
		return err
	}
	expected, err := os.ReadFile(filepath.Join(l.data, "fixtures/rpm", fixture, "expected.tsv"))
	if err != nil {
		return err
	}
	list := map[string]string{"var/lib/rpm/rpmdb.sqlite": string(database), "home/.rpmdb/rpmdb.sqlite": string(database), "etc/os-release": "ID=almalinux\nVERSION_ID=\"" + release + ".5\"\n"}
	if name, id, ok := strings.Cut(stream, ":"); ok {
		list["etc/dnf/modules.d/"+name+".module"] = fmt.Sprintf("[%s]\nname=%s\nstream=%s\nprofiles=\nstate=enabled\n", name, name, id)
	}
	modules := modulesOf(errata, release)
	if err := files(root, list); err != nil {
		return err
	}
	if err := files(repo, map[string]string{"updateinfo.xml": updateinfo(errata, release), "modules.yaml": modules}); err != nil {
		return err
	}
	for _, args := range [][]string{{"createrepo_c", "-q", repo}, {"modifyrepo_c", filepath.Join(repo, "updateinfo.xml"), filepath.Join(repo, "repodata")},
		{"modifyrepo_c", "--mdtype=modules", filepath.Join(repo, "modules.yaml"), filepath.Join(repo, "repodata")}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	cmd := exec.Command("dnf", "--installroot="+root, "--releasever="+release, "--disablerepo=*", "--repofrompath=x,file://"+repo, "--nogpgcheck", "--forcearch=x86_64",
		"--setopt=reposdir=/dev/null", "--setopt=module_platform_id=platform:el"+release, "-q", "updateinfo", "list", "--available", "--security")
	cmd.Env = append(cmd.Environ(), "HOME=/home") // where Debian's rpm looks for its database
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("dnf: %w: %s", err, out)
	}
	theirs, ours, plain := set{}, set{}, set{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && strings.HasPrefix(f[0], "ALSA-") {
			key := nameOf(f[2]) + " " + f[0]
			theirs[key] = true
			if !strings.Contains(f[2], ".module") {
				plain[key] = true
			}
		}
	}
	found, err := l.scan(db, "dir:"+root)
	if err != nil {
		return err
	}
	for _, f := range found {
		for _, id := range f.names() {
			if strings.HasPrefix(id, "ALSA-") {
				ours[f.Package.Name+" "+id] = true
			}
		}
	}
	l.compare("dnf updateinfo", "AlmaLinux "+release+": packages of "+fixture, theirs, ours, func(key string, mine bool) string {
		name, _, _ := strings.Cut(key, " ")
		if plain[key] && modular(string(expected), name) {
			return "a fix of the ordinary package, for a build of a module stream: its epoch is greater, but it is another line"
		}
		return withoutCode(key, mine)
	})
	return nil
}

// modular reports whether a package of a list by name, epoch, version, release …
// is a module's build.
func modular(list, name string) bool {
	for line := range strings.Lines(list) {
		if f := strings.Split(line, "\t"); f[0] == name && strings.Contains(line, ".module") {
			return true
		}
	}
	return false
}

// nameOf cuts version, release and architecture off: name-version-release.arch.
func nameOf(nevra string) string {
	for range 2 {
		nevra = nevra[:max(strings.LastIndexByte(nevra, '-'), 0)]
	}
	return nevra
}

type update struct {
	XMLName     xml.Name     `xml:"update"`
	From        string       `xml:"from,attr"`
	Status      string       `xml:"status,attr"`
	Type        string       `xml:"type,attr"`
	Version     string       `xml:"version,attr"`
	ID          string       `xml:"id"`
	Title       string       `xml:"title"`
	Severity    string       `xml:"severity"`
	Collections []collection `xml:"pkglist>collection"`
}

type collection struct {
	Short    string    `xml:"short,attr"`
	Name     string    `xml:"name"`
	Module   *module   `xml:"module,omitempty"`
	Packages []updated `xml:"package"`
}

type module struct {
	Name    string `xml:"name,attr"`
	Stream  string `xml:"stream,attr"`
	Version string `xml:"version,attr"`
	Context string `xml:"context,attr"`
	Arch    string `xml:"arch,attr"`
}

type updated struct {
	Name     string `xml:"name,attr"`
	Version  string `xml:"version,attr"`
	Release  string `xml:"release,attr"`
	Epoch    string `xml:"epoch,attr"`
	Arch     string `xml:"arch,attr"`
	Filename string `xml:"filename"`
}

var streams = regexp.MustCompile(`\b[A-Za-z0-9][A-Za-z0-9._+-]*:[A-Za-z0-9][A-Za-z0-9._+-]*`)

// updateinfo writes errata as a repository has them.
func updateinfo(errata []erratum, release string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<updates>\n")
	for _, e := range errata {
		var plain, modular []updated
		for _, a := range e.Affected {
			if a.Package.Ecosystem != "AlmaLinux:"+release {
				continue
			}
			for _, r := range a.Ranges {
				for _, v := range r.Events {
					if v.Fixed == "" {
						continue
					}
					if strings.Contains(v.Fixed, ".module") {
						modular = append(modular, builds(a.Package.Name, v.Fixed)...)
					} else {
						plain = append(plain, builds(a.Package.Name, v.Fixed)...)
					}
				}
			}
		}
		u := update{From: "x", Status: "final", Type: "security", Version: "1", ID: e.ID, Title: e.Summary, Severity: "Important"}
		if len(plain) > 0 {
			u.Collections = append(u.Collections, collection{Short: "plain", Name: "plain", Packages: plain})
		}
		for _, s := range streams.FindAllString(e.Summary, -1) {
			if name, stream, _ := strings.Cut(s, ":"); len(modular) > 0 {
				u.Collections = append(u.Collections, collection{Short: s, Name: s, Module: &module{name, stream, "1", "c", "x86_64"}, Packages: modular})
			}
		}
		if len(u.Collections) > 0 {
			text, _ := xml.Marshal(u) // plain strings
			b.Write(append(text, '\n'))
		}
	}
	return b.String() + "</updates>\n"
}

// builds are a version for the architectures that an erratum is for.
func builds(name, version string) []updated {
	epoch, rest, ok := strings.Cut(version, ":")
	if !ok {
		epoch, rest = "0", version
	}
	v, r, _ := strings.Cut(rest, "-")
	var list []updated
	for _, arch := range []string{"x86_64", "noarch", "i686"} {
		list = append(list, updated{name, v, r, epoch, arch, name + "-" + rest + "." + arch + ".rpm"})
	}
	return list
}

// modulesOf writes the module streams that errata name, which dnf wants to
// know before it compares any.
func modulesOf(errata []erratum, release string) string {
	var list []string
	for _, e := range errata {
		if len(e.Affected) > 0 && e.Affected[0].Package.Ecosystem == "AlmaLinux:"+release {
			list = append(list, streams.FindAllString(e.Summary, -1)...)
		}
	}
	slices.Sort(list)
	var b strings.Builder
	for _, s := range slices.Compact(list) {
		name, stream, _ := strings.Cut(s, ":")
		fmt.Fprintf(&b, "---\ndocument: modulemd\nversion: 2\ndata:\n  name: %q\n  stream: %q\n  version: 1\n  context: c\n  arch: x86_64\n  summary: x\n  description: x\n  license:\n    module: [MIT]\n  dependencies:\n  - requires:\n      platform: [el%s]\n...\n", name, stream, release)
	}
	return b.String()
}
