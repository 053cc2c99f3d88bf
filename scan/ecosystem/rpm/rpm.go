// Package rpm reads the database of installed packages of RPM in its three
// forms: Berkeley DB hash (Packages), NDB (Packages.db) and SQLite
// (rpmdb.sqlite), and the package manifest of Azure Linux's distroless images.
// It links no database library: a read-only walk over the pages is enough.
package rpm

import (
	"bytes"
	"fmt"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "rpm" }
func (reader) Version() int { return 1 }

// Wants knows the databases by name below the places that distributions use.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 17 || !f.Mode.IsRegular() {
		return analyze.Skip
	}
	switch p[strings.LastIndexByte(p, '/')+1:] {
	case "Packages", "Packages.db", "rpmdb.sqlite":
		if place(p) {
			return analyze.Whole
		}
	case "rpmdb.sqlite-wal":
		if place(p) && f.Size > 0 {
			return analyze.Header
		}
	case "container-manifest-2":
		if p == "var/lib/rpmmanifest/container-manifest-2" {
			return analyze.Whole
		}
	}
	return analyze.Skip
}

func place(p string) bool {
	return strings.HasPrefix(p, "var/lib/rpm/") || strings.HasPrefix(p, "usr/lib/sysimage/rpm/") || strings.HasPrefix(p, "usr/share/rpm/")
}

// Analyze reads one database.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	add := func(blob []byte) {
		h, err := parseHeader(blob)
		if err != nil {
			out.Problem(err.Error())
			return
		}
		h.add(out)
	}
	switch f.Base() {
	case "rpmdb.sqlite-wal":
		out.Problem("changes that were not written back to rpmdb.sqlite: packages of the last transaction may be missing")
		return nil
	case "container-manifest-2":
		manifest(f.Data, out)
		return nil
	}
	switch data := f.Data; {
	case bytes.HasPrefix(data, []byte("SQLite format 3\x00")):
		return sqlite(data, add)
	case bytes.HasPrefix(data, []byte("RpmP")):
		return ndb(data, add)
	case len(data) == 0:
		return nil
	default:
		return bdb(data, add)
	}
}

// header is what is kept of a package's header.
type header struct {
	name, version, release, arch, source, licence, vendor, module string
	epoch                                                         int64
	hasEpoch                                                      bool
	base, dirs                                                    []string
	index                                                         []uint32
}

// evr writes [epoch:]version-release.
func (h *header) evr() string {
	v := h.version
	if h.release != "" {
		v += "-" + h.release
	}
	if h.hasEpoch && h.epoch != 0 {
		v = fmt.Sprintf("%d:%s", h.epoch, v)
	}
	return v
}

func (h *header) add(out *analyze.Result) {
	if h.name == "" || h.name == "gpg-pubkey" { // keys are kept as if they were packages
		return
	}
	p := sekisho.Package{Name: h.name, Version: h.evr(), Type: "rpm", Arch: h.arch, Licence: licence.SPDX(h.licence), Vendor: h.vendor,
		Module: h.module, Found: sekisho.Installed, Source: source(h.source)}
	if p.Source.Name == "" {
		p.Source = sekisho.Source{Name: h.name, Version: h.version + "-" + h.release}
	}
	epoch, upstream := "", ""
	if h.hasEpoch {
		epoch = fmt.Sprint(h.epoch)
	}
	if h.source != "" && h.source != "(none)" {
		upstream = h.source
	}
	version := h.version
	if h.release != "" {
		version += "-" + h.release
	}
	p.PURL = purl.New("rpm", "", h.name, version, [2]string{"arch", h.arch}, [2]string{"epoch", epoch}, [2]string{"upstream", upstream})
	out.Packages = append(out.Packages, p)
	if paths := h.paths(); len(paths) > 0 {
		out.Owns = append(out.Owns, analyze.Owned{Package: "rpm:" + h.name, Paths: paths})
	}
}

// source reads NAME-VERSION-RELEASE.src.rpm.
func source(file string) sekisho.Source {
	s := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(file, ".rpm"), ".src"), ".nosrc")
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		if j := strings.LastIndexByte(s[:i], '-'); j > 0 {
			return sekisho.Source{Name: s[:j], Version: s[j+1:]}
		}
	}
	return sekisho.Source{}
}

func (h *header) paths() []string {
	if len(h.base) != len(h.index) {
		return nil
	}
	list := make([]string, 0, len(h.base))
	for i, b := range h.base {
		if int(h.index[i]) < len(h.dirs) {
			list = append(list, h.dirs[h.index[i]]+b)
		}
	}
	return list
}

// manifest reads container-manifest-2: lines of tab-separated name,
// version-release, times, vendor, epoch, size, arch, epochs and source.
func manifest(data []byte, out *analyze.Result) {
	for line := range bytes.Lines(data) {
		w := strings.Split(strings.TrimRight(string(line), "\r\n"), "\t")
		if len(w) < 10 {
			continue
		}
		h := header{name: w[0], arch: w[7], source: w[9], vendor: w[4]}
		h.version, h.release, _ = strings.Cut(w[1], "-")
		h.add(out)
	}
}
