package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sekisho"
)

// Bounds of a directory.
const (
	maxFiles = 200_000
	maxFetch = 10_000 // documents of a repository that one report may need
)

// Load reads files and directories. A directory gives all its documents,
// except below a VEX repository (a directory with index.json, described by
// vex-repository.json), of which only what a report needs is read when the set
// is applied. What does not have its form is among Problems; what is not there
// is an error.
func Load(paths ...string) (*Set, error) {
	s := &Set{}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.NotFound, "open VEX: %w", err)
		}
		if !info.IsDir() {
			if err := s.file(os.DirFS(filepath.Dir(p)), filepath.Base(p), p); err != nil {
				s.problem(p, err)
			}
			continue
		}
		if err := s.directory(p); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Set) problem(name string, err error) {
	text := strings.TrimPrefix(err.Error(), name+": ")
	s.Problems = append(s.Problems, sekisho.Problem{Path: name, Message: "VEX: " + text})
}

func (s *Set) file(from fs.FS, name, shown string) error {
	data, err := readFile(from, name)
	if err != nil {
		return err
	}
	d, err := Read(shown, data)
	if err != nil {
		return err
	}
	s.Add(d)
	return nil
}

func readFile(from fs.FS, name string) ([]byte, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, sekisho.Errorf(sekisho.Invalid, "more than %d bytes", MaxSize)
	}
	return data, nil
}

// directory walks a directory. JSON of other kinds is passed over.
func (s *Set) directory(dir string) error {
	root := os.DirFS(dir)
	files := 0
	err := fs.WalkDir(root, ".", func(name string, e fs.DirEntry, err error) error {
		shown := filepath.Join(dir, filepath.FromSlash(name))
		if err != nil {
			s.problem(shown, err)
			return nil
		}
		if e.IsDir() {
			repo, err := openRepository(dir, root, name)
			if err != nil {
				s.problem(shown, err)
				return fs.SkipDir
			}
			if repo != nil {
				s.repositories = append(s.repositories, repo)
				return fs.SkipDir
			}
			return nil
		}
		if !e.Type().IsRegular() || path.Ext(name) != ".json" {
			return nil
		}
		if files++; files > maxFiles {
			return fmt.Errorf("%s: more than %d files", dir, maxFiles)
		}
		if err := s.file(root, name, shown); err != nil && !errors.Is(err, ErrOther) {
			s.problem(shown, err)
		}
		return nil
	})
	if err != nil {
		return sekisho.Errorf(sekisho.Invalid, "read VEX: %w", err)
	}
	return nil
}

// repository is a directory of documents by PURL (VEX Repository
// Specification 0.1).
type repository struct {
	dir    string // that documents must be in
	index  map[string][]string
	loaded map[string]bool
}

// openRepository opens the repository at a directory, or returns nil when
// there is none. The newest version of the form that is known is taken.
func openRepository(dir string, root fs.FS, name string) (*repository, error) {
	described := false
	if _, err := fs.Stat(root, path.Join(name, "vex-repository.json")); err == nil {
		described = true
	}
	for _, at := range []string{"0.1", "."} {
		if at == "0.1" && !described {
			continue
		}
		data, err := readFile(root, path.Join(name, at, "index.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		repo := &repository{dir: filepath.Join(dir, filepath.FromSlash(name)), index: map[string][]string{}, loaded: map[string]bool{}}
		ok, err := repo.read(data, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(at, "index.json"), err)
		}
		if ok {
			return repo, nil
		}
	}
	return nil, nil
}

// read reads the index. Without packages it is some other index.
func (r *repository) read(data []byte, at string) (bool, error) {
	var index struct {
		Packages []struct {
			ID       string `json:"id"`
			Location string `json:"location"`
		} `json:"packages"`
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields["packages"] == nil {
		return false, nil
	}
	if err := decode(data, &index); err != nil {
		return false, err
	}
	for i, p := range index.Packages {
		u, ok := parsePURL(p.ID)
		if !ok {
			return false, formatError(fmt.Sprintf("packages[%d].id", i), "%q is no PURL", p.ID)
		}
		where := path.Join(at, p.Location)
		if !fs.ValidPath(where) || strings.Contains(p.Location, "://") {
			return false, formatError(fmt.Sprintf("packages[%d].location", i), "%q is not inside the repository", p.Location)
		}
		r.index[u.base()] = append(r.index[u.base()], where)
	}
	return true, nil
}

// fetch reads the documents of a repository that speak of the target or its
// packages.
func (s *Set) fetch(r *repository, t *target) {
	keys := []string{}
	for base := range t.software {
		keys = append(keys, base)
	}
	if i := strings.LastIndexByte(t.repository, '/'); i >= 0 {
		keys = append(keys, packageURL{kind: "oci", name: t.repository[i+1:]}.base())
	}
	slices.Sort(keys)
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		s.problem(r.dir, err)
		return
	}
	defer root.Close()
	for _, key := range keys {
		for _, name := range r.index[key] {
			if r.loaded[name] || len(r.loaded) >= maxFetch {
				continue
			}
			r.loaded[name] = true
			shown := filepath.Join(r.dir, filepath.FromSlash(name))
			if err := s.file(root.FS(), name, shown); err != nil {
				s.problem(shown, err)
			}
		}
	}
}
