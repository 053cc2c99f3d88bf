package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// languages are compared with osv-scanner: OSV's name, the type of a package
// URL, our feed.
var languages = []struct{ ecosystem, kind, feed string }{
	{"npm", "npm", "osv-npm"}, {"PyPI", "pypi", "osv-pypi"}, {"Go", "golang", "osv-go"}, {"Maven", "maven", "osv-maven"}, {"crates.io", "cargo", "osv-crates-io"},
}

// most is how many versions of a package are tried.
const most = 8

// osvRecord is what is read of a record to know which versions are worth
// trying.
type osvRecord struct {
	ID        string
	Withdrawn string
	Affected  []struct {
		Package  struct{ Ecosystem, Name string }
		Versions []string
		Ranges   []struct {
			Type   string
			Events []map[string]string
		}
	}
}

// osvScanner holds bills of materials made of the feeds themselves against
// osv-scanner, without network and with the same documents: of each package
// that a record names, the versions at its boundaries.
func (l *lab) osvScanner() error {
	program, err := l.tool("osv-scanner", "github.com/google/osv-scanner/cmd/osv-scanner@v1.9.2")
	if err != nil {
		return err
	}
	cache := filepath.Join(l.dir, "osv", "osv-scanner")
	for _, lang := range languages {
		if err := os.MkdirAll(filepath.Join(cache, lang.ecosystem), 0o755); err != nil {
			return err
		}
		document := filepath.Join(l.data, "advisories/osv", lang.ecosystem, "all.zip")
		if err := os.Symlink(document, filepath.Join(cache, lang.ecosystem, "all.zip")); err != nil {
			return err
		}
		db, err := l.database("osv-"+lang.kind, filepath.Join(l.data, "advisories"), lang.feed)
		if err != nil {
			return err
		}
		versions, records, err := boundaries(document, lang.ecosystem)
		if err != nil {
			return err
		}
		theirs, ours := set{}, set{}
		for i := range most {
			sbom := filepath.Join(l.dir, lang.kind+".cdx.json")
			if err := write(sbom, lang.kind, versions, i); err != nil {
				return err
			}
			if err := l.both(program, db, sbom, theirs, ours); err != nil {
				return err
			}
		}
		l.compare("osv-scanner", lang.ecosystem+": "+fmt.Sprint(len(versions))+" packages at their boundaries", theirs, ours, func(key string, mine bool) string {
			return strange(key, mine, records)
		})
	}
	return nil
}

// boundaries lists, by package, the versions that records name, and the records.
func boundaries(document, ecosystem string) (map[string][]string, map[string]*osvRecord, error) {
	z, err := zip.OpenReader(document)
	if err != nil {
		return nil, nil, err
	}
	defer z.Close()
	versions, records := map[string][]string{}, map[string]*osvRecord{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, nil, err
		}
		var rec osvRecord
		if err := json.NewDecoder(r).Decode(&rec); err != nil && err != io.EOF {
			return nil, nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		records[rec.ID] = &rec
		for _, a := range rec.Affected {
			if a.Package.Ecosystem != ecosystem || a.Package.Name == "toolchain" {
				continue
			}
			var list []string
			for _, x := range a.Ranges {
				for _, e := range x.Events {
					if x.Type != "GIT" {
						list = append(list, e["introduced"], e["fixed"], e["last_affected"])
					}
				}
			}
			if n := len(a.Versions); n > 0 {
				list = append(list, a.Versions[0], a.Versions[n-1], a.Versions[n/2])
			}
			name := a.Package.Name
			for _, v := range list {
				if v != "" && v != "0" && !slices.Contains(versions[name], v) && len(versions[name]) < most {
					versions[name] = append(versions[name], v)
				}
			}
		}
	}
	return versions, records, nil
}

// write makes a bill of materials of each package's i-th version.
func write(path, kind string, versions map[string][]string, i int) error {
	type component struct {
		Type    string `json:"type"`
		Ref     string `json:"bom-ref"`
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl"`
	}
	list := []component{}
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		if i >= len(versions[name]) {
			continue
		}
		v, whole := versions[name][i], name
		switch kind {
		case "maven":
			whole = strings.Replace(name, ":", "/", 1)
		case "npm":
			whole = strings.Replace(name, "@", "%40", 1)
		}
		purl := "pkg:" + kind + "/" + whole + "@" + strings.ReplaceAll(v, "+", "%2B")
		list = append(list, component{"library", fmt.Sprint(len(list)), name, v, purl})
	}
	data, err := json.Marshal(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": list})
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// both asks both about a bill of materials. Of one flaw under several names one
// that the other knows is enough.
func (l *lab) both(program, db, sbom string, theirs, ours set) error {
	cmd := exec.Command(program, "--experimental-offline", "--format", "json", "--sbom", sbom)
	cmd.Env = append(cmd.Environ(), "OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY="+filepath.Join(l.dir, "osv"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: it found something
		return told(err)
	}
	var doc struct {
		Results []struct {
			Packages []struct {
				Package         struct{ Name, Version string }
				Vulnerabilities []struct{ ID string }
			}
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return err
	}
	for _, r := range doc.Results {
		for _, p := range r.Packages {
			for _, v := range p.Vulnerabilities {
				theirs[p.Package.Name+"@"+strings.TrimPrefix(p.Package.Version, "v")+" "+v.ID] = true
			}
		}
	}
	found, err := l.scan(db, "sbom:"+sbom)
	if err != nil {
		return err
	}
	for _, f := range found {
		at, known := f.Package.Name+"@"+strings.TrimPrefix(f.Package.Version, "v")+" ", false
		for _, id := range f.names() {
			if theirs[at+id] {
				ours[at+id], known = true, true
			}
		}
		if !known {
			ours[at+f.Match.Record] = true
		}
	}
	return nil
}

// strange tells known reasons of disagreement.
func strange(key string, mine bool, records map[string]*osvRecord) string {
	at, id, _ := strings.Cut(key, " ")
	name := at[:strings.LastIndexByte(at, '@')]
	r := records[id]
	switch {
	case !mine || r == nil:
		return ""
	case strings.ToLower(name) != name:
		return "a name with capitals, which osv-scanner looks up in small letters"
	}
	for _, a := range r.Affected {
		for i, x := range a.Ranges {
			if strings.EqualFold(a.Package.Name, name) && x.Type == "GIT" && i+1 < len(a.Ranges) {
				return "a record whose range of commits stands before that of versions: osv-scanner reads no further"
			}
		}
	}
	return ""
}
