// Command bench measures sekisho beside the floor (decompress, hash, read tar
// headers; layers in parallel, with the standard library) and beside every peer
// found on the machine, in one run, on images that images.sh makes. It prints
// one row a tool and image: medians of whole processes, and ratios to the floor.
package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sekisho/image"
	"sekisho/image/layout"
	"sekisho/internal/inflate"
)

func main() {
	dir := flag.String("dir", "/var/tmp/sekisho-bench", "where the images are made")
	names := flag.String("images", "base,node,gobin,javapy,big", "images to measure")
	only := flag.String("only", "", "measure one table: layouts, archives, files or advisories (default: all)")
	runs := flag.Int("runs", 3, "counted runs, after one that is not")
	floor := flag.String("floor", "", "be the floor for this layout and end")
	least := flag.String("least", "", "be the least for this layout and end")
	work := flag.String("prepare", "", "make what the advisories are measured with in this directory and end")
	flag.Parse()
	var err error
	switch {
	case *floor != "":
		err = beFloor(*floor, floorLayer)
	case *least != "":
		err = beFloor(*least, leastLayer)
	case *work != "":
		err = prepare(*work)
	default:
		err = run(*dir, strings.Split(*names, ","), *runs, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(dir string, names []string, runs int, only string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if only != "advisories" {
		script := exec.Command("bench/images.sh", append([]string{dir}, names...)...)
		script.Stderr = os.Stderr
		if err := script.Run(); err != nil {
			return fmt.Errorf("images.sh: %w", err)
		}
	}
	for _, t := range []struct {
		name    string
		measure func(dir string, names []string, runs int) error
	}{{"layouts", func(dir string, names []string, runs int) error { return layouts(self, dir, names, runs) }}, {"archives", saved}, {"files", search}, {"advisories", advisories}} {
		if only != "" && only != t.name {
			continue
		}
		if err := t.measure(dir, names, runs); err != nil {
			return err
		}
	}
	return nil
}

// layouts measures on gzip layers, as a registry has them.
func layouts(self, dir string, names []string, runs int) error {
	fmt.Println("| image | tool | wall s | CPU s | peak MB | written MB | CPU / floor | wall / floor |\n|---|---|--:|--:|--:|--:|--:|--:|")
	for _, name := range names {
		if err := measure(tools(self), filepath.Join(dir, name), name, runs); err != nil {
			return err
		}
	}
	return nil
}

// saved measures on what docker save would write, where nothing is to be
// decompressed and peers that read no layout can take part.
func saved(dir string, names []string, runs int) error {
	if _, err := exec.LookPath("skopeo"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no archives without skopeo")
		return nil
	}
	list := append([]tool{
		{"sekisho, SBOM", []string{"./sekisho", "sbom", "-q", "--no-cache", "archive:LAYOUT"}, false},
		{"sekisho, configuration", []string{"./sekisho", "scan", "-q", "--no-cache", "--kind", "misconfiguration", "--format", "json", "archive:LAYOUT"}, false},
		{"sekisho, all", []string{"./sekisho", "scan", "-q", "--no-cache", "--format", "json", "archive:LAYOUT"}, false},
	}, present([]tool{
		{"dockle, configuration", []string{"dockle", "--input", "LAYOUT", "-f", "json", "--exit-code", "0"}, false},
		{"syft, SBOM", []string{"syft", "scan", "docker-archive:LAYOUT", "-q", "-o", "cyclonedx-json"}, false},
		{"trivy, SBOM", slices.Concat(trivySBOM, []string{"LAYOUT"}), false},
		{"osv-scanner", []string{"osv-scanner", "scan", "image", "--offline", "--archive", "LAYOUT"}, false},
	})...)
	fmt.Println("\n| archive of | tool | wall s | CPU s | peak MB | written MB | CPU / sekisho, SBOM | wall |\n|---|---|--:|--:|--:|--:|--:|--:|")
	for _, name := range names {
		tar := filepath.Join(dir, name+".tar")
		if _, err := os.Stat(tar); err != nil {
			if out, err := exec.Command("skopeo", "--insecure-policy", "copy", "-q", "oci:"+filepath.Join(dir, name), "docker-archive:"+tar+":"+name+":1.0").CombinedOutput(); err != nil {
				return fmt.Errorf("skopeo: %w: %s", err, out)
			}
		}
		if err := measure(list, tar, name, runs); err != nil {
			return err
		}
	}
	return nil
}

// trivySBOM lacks its last word, the image. Jars are left out: they would need
// a database from the network.
var trivySBOM = []string{"trivy", "image", "--cache-dir", "CACHE", "--offline-scan", "--skip-version-check", "--skip-files", "**/*.jar",
	"--format", "cyclonedx", "-q", "--input"}

// search measures those who look inside files, on the same files unpacked and,
// for malware, with the same signatures.
func search(dir string, names []string, runs int) error {
	signatures, err := filepath.Abs("scan/malware/clamav/testdata")
	if err != nil {
		return err
	}
	list := present([]tool{
		{"sekisho, secrets", []string{"./sekisho", "scan", "-q", "--no-cache", "--kind", "secret", "--format", "json", "dir:LAYOUT"}, false},
		{"gitleaks, secrets", []string{"gitleaks", "dir", "LAYOUT", "--no-banner", "--exit-code", "0", "--log-level", "error"}, false},
		{"trivy, secrets", []string{"trivy", "fs", "--scanners", "secret", "--offline-scan", "--skip-version-check", "-q", "-f", "json", "LAYOUT"}, false},
		{"sekisho, malware", []string{"./sekisho", "scan", "-q", "--no-cache", "--kind", "malware", "--signatures", signatures, "--format", "json", "dir:LAYOUT"}, false},
		{"clamscan, malware", []string{"clamscan", "-r", "--quiet", "-d", signatures, "LAYOUT"}, false},
		{"sekisho, all", []string{"./sekisho", "scan", "-q", "--no-cache", "--format", "json", "dir:LAYOUT"}, false},
	})
	fmt.Println("\n| files of | tool | wall s | CPU s | peak MB | written MB | CPU / sekisho, secrets | wall |\n|---|---|--:|--:|--:|--:|--:|--:|")
	for _, name := range names {
		root := filepath.Join(dir, name+".files")
		if err := unpack(filepath.Join(dir, name), root); err != nil {
			return err
		}
		if err := measure(list, root, name, runs); err != nil {
			return err
		}
	}
	return nil
}

// unpack lays an image's layers over one another with the tar program;
// whiteouts do not matter here.
func unpack(path, root string) error {
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	img, err := layout.Open(context.Background(), path, layout.Options{})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, l := range img.Layers {
		rc, err := l.Open(context.Background())
		if err != nil {
			return err
		}
		cmd := exec.Command("tar", "-xzf", "-", "-C", root, "--no-same-owner", "--exclude=dev/*")
		cmd.Stdin = rc
		out, err := cmd.CombinedOutput()
		rc.Close()
		if err != nil {
			return fmt.Errorf("tar: %w: %s", err, out)
		}
	}
	return nil
}

// present leaves out the programs that are not on this machine.
func present(list []tool) []tool {
	return slices.DeleteFunc(list, func(t tool) bool {
		_, err := exec.LookPath(t.args[0])
		return err != nil
	})
}

// tool is a command to measure; LAYOUT stands for the image and CACHE for a
// fresh directory.
type tool struct {
	name string
	args []string
	warm bool // measured with what the run before left
}

func tools(self string) []tool {
	list := []tool{
		{"floor", []string{self, "-floor", "LAYOUT"}, false},
		{"least", []string{self, "-least", "LAYOUT"}, false},
		{"sekisho", []string{"./sekisho", "scan", "-q", "--format", "json", "--cache-dir", "CACHE", "oci:LAYOUT"}, false},
		{"sekisho, SBOM", []string{"./sekisho", "sbom", "-q", "--cache-dir", "CACHE", "oci:LAYOUT"}, false},
		{"sekisho, unchanged", []string{"./sekisho", "scan", "-q", "--format", "json", "--cache-dir", "CACHE", "oci:LAYOUT"}, true},
	}
	return append(list, present([]tool{
		{"syft", []string{"syft", "scan", "oci-dir:LAYOUT", "-q", "-o", "cyclonedx-json"}, false},
		{"trivy, SBOM", slices.Concat(trivySBOM, []string{"LAYOUT"}), false},
		{"grype", []string{"grype", "oci-dir:LAYOUT", "-q", "-o", "json"}, false},
		{"trivy, secrets", []string{"trivy", "image", "--cache-dir", "CACHE", "--offline-scan", "--skip-version-check", "--scanners", "secret", "--format", "json", "-q", "--input", "LAYOUT"}, false},
	})...)
}

// figures of one process.
type figures struct{ wall, cpu, peak, written float64 }

func measure(tools []tool, image, name string, runs int) error {
	var base figures
	for i, t := range tools {
		var list []figures
		cache, err := os.MkdirTemp("", "sekisho-bench-")
		if err != nil {
			return err
		}
		for n := range runs + 1 {
			if !t.warm {
				os.RemoveAll(cache)
			}
			f, err := once(t, image, cache)
			if err != nil && t.args[0] != "./sekisho" && i > 0 { // a peer that cannot do it here
				fmt.Fprintf(os.Stderr, "bench: %s on %s: %v\n", t.name, name, err)
				break
			}
			if err != nil {
				return fmt.Errorf("%s on %s: %w", t.name, name, err)
			}
			if n > 0 {
				list = append(list, f)
			}
		}
		os.RemoveAll(cache)
		if len(list) == 0 {
			fmt.Printf("| %s | %s | failed | | | | | |\n", name, t.name)
			continue
		}
		m := figures{median(list, func(f figures) float64 { return f.wall }), median(list, func(f figures) float64 { return f.cpu }),
			median(list, func(f figures) float64 { return f.peak }), median(list, func(f figures) float64 { return f.written })}
		if i == 0 {
			base = m
		}
		fmt.Printf("| %s | %s | %.2f | %.2f | %.0f | %.1f | %.2f | %.2f |\n", name, t.name, m.wall, m.cpu, m.peak, m.written, m.cpu/base.cpu, m.wall/base.wall)
	}
	return nil
}

func median(list []figures, of func(figures) float64) float64 {
	var v []float64
	for _, f := range list {
		v = append(v, of(f))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func once(t tool, image, cache string) (figures, error) {
	var args []string
	for _, a := range t.args {
		args = append(args, strings.NewReplacer("LAYOUT", image, "CACHE", cache).Replace(a))
	}
	var fail strings.Builder
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &fail
	start := time.Now()
	if err := cmd.Run(); err != nil && (args[0] != "clamscan" || cmd.ProcessState.ExitCode() != 1) { // 1: it found something
		return figures{}, fmt.Errorf("%w: %s", err, fail.String())
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return figures{time.Since(start).Seconds(), cpu.Seconds(), float64(u.Maxrss) / 1024, float64(u.Oublock) * 512 / 1e6}, nil
}

// beFloor does the least that any scanner must: decompress, hash, read headers.
func beFloor(path string, read func(image.Layer) error) error {
	img, err := layout.Open(context.Background(), path, layout.Options{})
	if err != nil {
		return err
	}
	errs := make([]error, len(img.Layers))
	slots := make(chan struct{}, 2)
	var wait sync.WaitGroup
	for i, l := range img.Layers {
		wait.Go(func() {
			slots <- struct{}{}
			errs[i] = read(l)
			<-slots
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return json.NewEncoder(io.Discard).Encode(errs)
}

// leastLayer decompresses and hashes with our own code and does nothing else: no
// scanner that reads a layer costs less.
func leastLayer(l image.Layer) error {
	rc, err := l.Open(context.Background())
	if err != nil {
		return err
	}
	defer rc.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{inflate.NewReader(rc)}, make([]byte, 256<<10)); err != nil {
		return err
	}
	return compare(l, h)
}

func compare(l image.Layer, h hash.Hash) error {
	if got := fmt.Sprintf("sha256:%x", h.Sum(nil)); got != string(l.DiffID) {
		return fmt.Errorf("diff id %s, want %s", got, l.DiffID)
	}
	return nil
}

func floorLayer(l image.Layer) error {
	rc, err := l.Open(context.Background())
	if err != nil {
		return err
	}
	defer rc.Close()
	z, err := gzip.NewReader(rc)
	if err != nil {
		return err
	}
	h := sha256.New()
	in := io.TeeReader(z, h)
	r := tar.NewReader(in)
	for {
		if _, err := r.Next(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return compare(l, h)
}
