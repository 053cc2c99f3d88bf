package kernels_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// suites of Debian, and where each is.
var suites = map[string]string{
	"bullseye": "debian", "bullseye-security": "debian-security",
	"bookworm": "debian", "bookworm-security": "debian-security",
	"trixie": "debian", "trixie-security": "debian-security", "sid": "debian",
}

const mirror = "http://deb.debian.org/"

// cache is kept between runs. What is in it was compared with the sums of the
// index it was found in.
func cache(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "sekisho-e2e", "kernels")
	must(t, os.MkdirAll(dir, 0o755))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// stanza is one package of an index.
type stanza map[string]string

// index reads the packages of a suite, of this run or an earlier one.
func index(t *testing.T, suite, arch string) []stanza {
	t.Helper()
	name := filepath.Join(cache(t), "Packages-"+suite+"-"+arch+".xz")
	if _, err := os.Stat(name); err != nil {
		must(t, download(mirror+suites[suite]+"/dists/"+suite+"/main/binary-"+arch+"/Packages.xz", name, ""))
	}
	cmd := exec.Command("xz", "-dc", name)
	out, err := cmd.Output()
	must(t, err)
	var list []stanza
	for block := range bytes.SplitSeq(out, []byte("\n\n")) {
		s := stanza{}
		for line := range strings.Lines(string(block)) {
			if k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok && k[0] != ' ' {
				s[k] = v
			}
		}
		list = append(list, s)
	}
	return list
}

var errGone = fmt.Errorf("not there")

func download(url, name, sum string) error {
	client := http.Client{Timeout: 10 * time.Minute}
	r, err := client.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusNotFound {
		return errGone
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, r.Status)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "part-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), r.Body); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); sum != "" && got != sum {
		return fmt.Errorf("%s: sum %s, want %s", url, got, sum)
	}
	return os.Rename(f.Name(), name)
}

// unpack fetches packages by name and unpacks them into a directory of the
// cache, once.
func unpack(t *testing.T, suite, arch, dir string, names ...string) error {
	t.Helper()
	list := index(t, suite, arch)
	for _, want := range names {
		i := slices.IndexFunc(list, func(s stanza) bool { return s["Package"] == want })
		if i < 0 {
			return fmt.Errorf("%s has no %s", suite, want)
		}
		deb := filepath.Join(cache(t), path.Base(list[i]["Filename"]))
		if err := download(mirror+suites[suite]+"/"+list[i]["Filename"], deb, list[i]["SHA256"]); err != nil {
			return fmt.Errorf("%s: %w", want, err)
		}
		must(t, os.MkdirAll(dir, 0o755))
		command(t, "dpkg-deb", "-x", deb, dir)
		must(t, os.Remove(deb))
	}
	return nil
}

// kernel is one of Debian's for clouds, unpacked.
type kernel struct {
	dir, arch, release string
}

// fetch finds the newest kernel of some suites, the first that has one.
func fetch(t *testing.T, arch string, from ...string) *kernel {
	t.Helper()
	dir := filepath.Join(cache(t), strings.TrimSuffix(from[len(from)-1], "-security")+"-"+arch)
	for _, suite := range from {
		if _, err := os.Stat(dir + "/done"); err == nil {
			break
		}
		list := index(t, suite, arch)
		name := regexp.MustCompile(`^linux-image-[0-9].*-cloud-` + arch + `$`)
		var images []string
		for _, s := range list {
			if name.MatchString(s["Package"]) {
				images = append(images, s["Package"])
			}
		}
		for _, image := range slices.Backward(images) { // the newest is the last
			need := []string{image}
			for _, s := range list { // newer ones are split
				if p := s["Package"]; p == strings.Replace(image, "-image-", "-binary-", 1) || p == strings.Replace(image, "-image-", "-modules-", 1) {
					need = append(need, p)
				}
			}
			must(t, os.RemoveAll(dir))
			if err := unpack(t, suite, arch, dir, need...); err != nil {
				t.Log(err) // an index may name what is no longer kept
				continue
			}
			must(t, os.WriteFile(dir+"/done", nil, 0o644))
			break
		}
	}
	k := &kernel{dir: dir, arch: arch}
	for _, pattern := range []string{"/lib/modules/*", "/usr/lib/modules/*"} {
		if found, _ := filepath.Glob(dir + pattern); len(found) == 1 {
			k.release = filepath.Base(found[0])
			k.dir = strings.TrimSuffix(found[0], "/modules/"+k.release)
		}
	}
	if k.release == "" {
		t.Fatalf("no kernel of %v for %s", from, arch)
	}
	return k
}

// image is the kernel itself.
func (k *kernel) image(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"../boot/vmlinu*", "../../boot/vmlinu*", "modules/*/vmlinu*"} {
		if found, _ := filepath.Glob(filepath.Join(k.dir, pattern)); len(found) == 1 {
			return found[0]
		}
	}
	t.Fatalf("no image of the kernel %s", k.release)
	return ""
}

// modules are the files of modules with those they need, in the order in
// which they are loaded.
func (k *kernel) modules(t *testing.T, names ...string) (files []string) {
	t.Helper()
	byName := map[string]string{}
	root := filepath.Join(k.dir, "modules", k.release)
	must(t, filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if base, _, ok := strings.Cut(filepath.Base(name), ".ko"); ok {
			byName[strings.ReplaceAll(base, "-", "_")] = name
		}
		return err
	}))
	var add func(string)
	add = func(name string) {
		file := byName[name]
		if file == "" || slices.Contains(files, file) { // built in
			return
		}
		for need := range strings.SplitSeq(depends(t, file), ",") {
			add(need)
		}
		files = append(files, file)
	}
	for _, n := range names {
		add(n)
	}
	return files
}

// content is a module without its compression.
func content(t *testing.T, file string) []byte {
	t.Helper()
	if !strings.HasSuffix(file, ".xz") {
		data, err := os.ReadFile(file)
		must(t, err)
		return data
	}
	out, err := exec.Command("xz", "-dc", file).Output()
	must(t, err)
	return out
}

// depends reads what a module needs.
func depends(t *testing.T, file string) string {
	t.Helper()
	for field := range bytes.SplitSeq(content(t, file), []byte{0}) {
		if v, ok := bytes.CutPrefix(field, []byte("depends=")); ok {
			return string(v)
		}
	}
	return ""
}
