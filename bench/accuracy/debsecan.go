package main

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tracker is the Debian security tracker's document: by source and CVE.
type tracker map[string]map[string]struct {
	Releases map[string]struct {
		Status string
		Fixed  string `json:"fixed_version"`
	}
}

// debsecan holds packages of Debian's releases against Debian's own tool: as
// they are, with older versions around each fix, and one package of every
// source that the tracker knows.
func (l *lab) debsecan() error {
	program, err := l.tool("debsecan", "")
	if err != nil {
		return err
	}
	for _, c := range []struct{ document, suite, version string }{
		{"tracker-from-changelogs", "bookworm", "12"}, {"tracker-from-changelogs", "bullseye", "11"}, {"tracker-from-changelogs", "trixie", "13"},
		{"tracker-from-dsa-dla", "bullseye", "11"}, {"tracker-from-dsa-dla", "buster", "10"},
	} {
		if err := l.debian(program, c.document, c.suite, c.version); err != nil {
			return fmt.Errorf("%s, %s: %w", c.document, c.suite, err)
		}
	}
	return nil
}

func (l *lab) debian(program, document, suite, version string) error {
	raw, err := exec.Command("xz", "-dc", filepath.Join(l.data, "advisories/debian-security-tracker/derived", document+".json.xz")).Output()
	if err != nil {
		return err
	}
	if document == "tracker-from-dsa-dla" {
		if raw, err = reopened(raw); err != nil {
			return err
		}
	}
	var t tracker
	if err := json.Unmarshal(raw, &t); err != nil {
		return err
	}
	mirror := filepath.Join(l.dir, document+suite)
	if err := files(mirror, map[string]string{"debian/data/json": string(raw)}); err != nil {
		return err
	}
	db, err := l.database(document+suite+"-db", mirror, "debian")
	if err != nil {
		return err
	}
	source, stop, err := serve(t.debsecan(suite))
	if err != nil {
		return err
	}
	defer stop()
	list := map[string]string{}
	if status, err := os.ReadFile(filepath.Join(l.data, "fixtures/dpkg/debian-"+suite, "var/lib/dpkg/status")); err == nil && document == "tracker-from-changelogs" {
		list["installed packages"] = string(status)
		list["the same packages before their fixes"] = older(string(status), t, suite)
	}
	for _, nth := range []int{0, 1} {
		for _, mark := range []string{"", "~"} {
			list[fmt.Sprintf("every source, at the %s fix%s", []string{"first", "middle"}[nth], map[string]string{"": "", "~": ", just before"}[mark])] = t.status(suite, nth, mark)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		root := filepath.Join(l.dir, "root")
		if err := files(root, map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=\"" + version + "\"\nVERSION_CODENAME=" + suite + "\n", "var/lib/dpkg/status": list[name]}); err != nil {
			return err
		}
		if err := l.ask(program, source, suite, root, db, "Debian "+version+": "+name+" ("+document[len("tracker-from-"):]+")"); err != nil {
			return err
		}
	}
	return nil
}

// reopened takes the fix away of every seventh flaw: the extracts know fixed
// ones only.
func reopened(raw []byte) ([]byte, error) {
	var doc map[string]map[string]map[string]map[string]map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	n := 0
	for _, source := range slices.Sorted(maps.Keys(doc)) {
		for _, cve := range slices.Sorted(maps.Keys(doc[source])) {
			if n++; n%7 != 0 {
				continue
			}
			for _, release := range doc[source][cve]["releases"] {
				release["status"] = "open"
				delete(release, "fixed_version")
			}
		}
	}
	return json.Marshal(doc)
}

func (l *lab) ask(program, source, suite, root, db, on string) error {
	out, err := exec.Command(program, "--suite", suite, "--source", source, "--status", filepath.Join(root, "var/lib/dpkg/status"), "--format", "simple", "--history", "/dev/null", "--whitelist", "").Output()
	if err != nil {
		return err
	}
	theirs, ours := set{}, set{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 {
			theirs[f[1]+" "+f[0]] = true
		}
	}
	found, err := l.scan(db, "dir:"+root)
	if err != nil {
		return err
	}
	for _, f := range found {
		ours[f.Package.Name+" "+f.ID] = true
	}
	l.compare("debsecan", on, theirs, ours, withoutCode)
	return nil
}

// withoutCode tells why a distribution's tool names a package and sekisho does
// not.
func withoutCode(key string, mine bool) string {
	if name, _, _ := strings.Cut(key, " "); !mine && textual(name) {
		return "a binary package that holds texts or headers, not the code of its source"
	}
	return ""
}

// textual tells packages that hold no code by their names.
func textual(name string) bool {
	if slices.Contains([]string{"locales", "locales-all", "linux-libc-dev", "libc-l10n", "kernel-headers"}, name) {
		return true
	}
	return slices.ContainsFunc([]string{"-doc", "-docs", "-l10n", "-i18n", "-man", "-manpages", "-lang"}, func(s string) bool { return strings.HasSuffix(name, s) })
}

// debsecan writes the document that the tool reads, "VERSION 1": names of
// flaws, then "source,flaw,flags,fixed version,other fixed versions", then the
// binaries of sources.
func (t tracker) debsecan(suite string) []byte {
	numbers, names, flaws := map[string]int{}, "", ""
	for _, source := range slices.Sorted(maps.Keys(t)) {
		for _, cve := range slices.Sorted(maps.Keys(t[source])) {
			r, ok := t[source][cve].Releases[suite]
			if !ok || r.Fixed == "0" {
				continue
			}
			if _, ok := numbers[cve]; !ok {
				numbers[cve] = len(numbers)
				names += cve + ",,\n"
			}
			flaws += fmt.Sprintf("%s,%d,S  %s,%s,\n", source, numbers[cve], map[bool]string{true: "F", false: " "}[r.Fixed != ""], r.Fixed)
		}
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write([]byte("VERSION 1\n" + names + "\n" + flaws + "\n\n"))
	_ = z.Close()
	return b.Bytes()
}

// fix returns the first or the middle one of a source's fixed versions.
func (t tracker) fix(source, suite string, nth int) string {
	var list []string
	for _, cve := range slices.Sorted(maps.Keys(t[source])) {
		if r := t[source][cve].Releases[suite]; r.Fixed != "" && r.Fixed != "0" {
			list = append(list, r.Fixed)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return list[len(list)/2*nth]
}

// status writes a dpkg status file with one package of every source.
func (t tracker) status(suite string, nth int, mark string) string {
	var b strings.Builder
	for _, source := range slices.Sorted(maps.Keys(t)) {
		if v := t.fix(source, suite, nth); v != "" {
			fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nVersion: %s%s\nArchitecture: amd64\n\n", source, v, mark)
		}
	}
	return b.String()
}

// older gives the packages of a status file versions before a fix of their
// source.
func older(status string, t tracker, suite string) string {
	var out []string
	for stanza := range strings.SplitSeq(status, "\n\n") {
		name, source := field(stanza, "Package"), field(stanza, "Source")
		if source, _, _ = strings.Cut(source, " "); source == "" {
			source = name
		}
		v := t.fix(source, suite, 1)
		if v == "" {
			continue
		}
		out = append(out, fmt.Sprintf("Package: %s\nStatus: install ok installed\nSource: %s (%s~)\nVersion: %s~+b1\nArchitecture: amd64\n", name, source, v, v))
	}
	return strings.Join(out, "\n")
}

func field(stanza, name string) string {
	for line := range strings.Lines(stanza) {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// serve answers every request with one document.
func serve(document []byte) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })}
	go func() { _ = s.Serve(l) }()
	return "http://" + l.Addr().String() + "/", func() { _ = s.Close() }, nil
}
