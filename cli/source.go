package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekisho"
	"sekisho/image"
	"sekisho/image/archive"
	"sekisho/image/container"
	"sekisho/image/containerd"
	"sekisho/image/daemon"
	"sekisho/image/git"
	"sekisho/image/layout"
	"sekisho/image/registry"
	"sekisho/image/rootfs"
	"sekisho/image/single"
	"sekisho/image/storage"
	"sekisho/scan/sbom"
)

// sourceFlags choose among what a source offers.
type sourceFlags struct {
	platform  string
	choose    string
	namespace string
	insecure  bool
	staged    bool
}

// source is an image to scan or a bill of materials that was read.
type source struct {
	image  *image.Image
	report *sekisho.Report
}

// schemes are the words before the colon of a target.
var schemes = []string{"archive", "oci", "docker", "containerd", "storage", "registry", "dir", "container", "sbom", "file", "git"}

func clock() time.Time { return time.Now() }

// open opens a target.
func (a *app) open(ctx context.Context, target string, f sourceFlags) (source, error) {
	scheme, rest, err := a.scheme(ctx, target)
	if err != nil {
		return source{}, err
	}
	var platform sekisho.Platform
	if f.platform != "" {
		if platform, err = sekisho.ParsePlatform(f.platform); err != nil {
			return source{}, err
		}
	}
	if scheme == "sbom" {
		return a.openSBOM(rest)
	}
	img, err := a.openImage(ctx, scheme, rest, platform, f)
	if err != nil {
		return source{}, err
	}
	if len(img.Platforms) > 1 && f.platform == "" {
		a.note("cli.note.platform", "chosen", img.Platform, "offered", join(img.Platforms))
	}
	return source{image: img}, nil
}

func join(platforms []sekisho.Platform) string {
	var list []string
	for _, p := range platforms {
		list = append(list, p.String())
	}
	return strings.Join(list, ", ")
}

// note tells something on standard error.
func (a *app) note(key string, pairs ...any) {
	fmt.Fprintf(a.Stderr, "sekisho: %s\n", visible(a.texts.Text(key, pairs...)))
}

func (a *app) openImage(ctx context.Context, scheme, rest string, platform sekisho.Platform, f sourceFlags) (*image.Image, error) {
	switch scheme {
	case "archive":
		o := archive.Options{Ref: f.choose, Platform: platform}
		if rest == "-" {
			return openStdin(ctx, a.Stdin, o)
		}
		return archive.Open(ctx, rest, o)
	case "oci":
		path, ref := splitLayout(rest)
		return layout.Open(ctx, path, layout.Options{Ref: cmp.Or(f.choose, ref), Platform: platform})
	case "dir":
		return rootfs.Open(rest)
	case "file":
		if rest == "-" {
			return single.Read(a.Stdin)
		}
		return single.Open(rest)
	case "git":
		return git.Open(ctx, rest, git.Options{Staged: f.staged})
	case "docker":
		return daemon.Open(ctx, rest, a.dockerOptions(platform))
	case "container":
		return a.openContainer(ctx, rest, platform, f)
	case "storage":
		return storage.Open(rest, a.storageOptions(platform))
	case "containerd":
		return containerd.Open(ctx, rest, a.containerdOptions(platform, f))
	}
	return registry.Open(ctx, rest, registry.Options{Platform: platform, Insecure: f.insecure})
}

func (a *app) containerdOptions(platform sekisho.Platform, f sourceFlags) containerd.Options {
	return containerd.Options{Address: a.Getenv("CONTAINERD_ADDRESS"), Namespace: cmp.Or(f.namespace, a.Getenv("CONTAINERD_NAMESPACE")), Platform: platform}
}

// storageOptions say where CRI-O and Podman keep images: SEKISHO_STORAGE has
// directories, with colons between them.
func (a *app) storageOptions(platform sekisho.Platform) storage.Options {
	return storage.Options{Roots: filepath.SplitList(a.Getenv("SEKISHO_STORAGE")), Platform: platform}
}

// openContainer asks containerd where the user speaks of it, and where there
// is no Docker; else Docker.
func (a *app) openContainer(ctx context.Context, id string, platform sekisho.Platform, f sourceFlags) (*image.Image, error) {
	o := a.containerdOptions(platform, f)
	if o.Address != "" || o.Namespace != "" {
		return containerd.Container(ctx, id, o)
	}
	img, err := container.Open(ctx, id, container.Options{Docker: a.dockerOptions(platform)})
	var known *sekisho.Error
	if errors.As(err, &known) && known.Kind == sekisho.Unavailable {
		if other, failed := containerd.Container(ctx, id, o); failed == nil {
			return other, nil
		}
	}
	return img, err
}

func openStdin(ctx context.Context, in *os.File, o archive.Options) (*image.Image, error) {
	info, err := in.Stat()
	if err == nil && info.Mode().IsRegular() {
		return archive.OpenFile(ctx, in, o)
	}
	return archive.Stream(in, o), nil
}

// engineAt is a Docker engine and what is sent to it with every request.
type engineAt struct {
	host   string
	header http.Header
}

func (a *app) dockerOptions(platform sekisho.Platform) daemon.Options {
	return daemon.Options{Host: cmp.Or(a.engine.host, a.Getenv("DOCKER_HOST")), Header: a.engine.header, CertPath: a.Getenv("DOCKER_CERT_PATH"), Platform: platform,
		Save: func(r io.Reader) *image.Image { return archive.Stream(r, archive.Options{Platform: platform}) }}
}

// splitLayout cuts PATH:TAG and PATH@DIGEST where PATH exists; what exists as
// it is written stays whole.
func splitLayout(rest string) (path, ref string) {
	exists := func(name string) bool { _, err := os.Stat(name); return err == nil }
	if exists(rest) {
		return rest, ""
	}
	for i := range len(rest) {
		if (rest[i] == ':' || rest[i] == '@') && exists(rest[:i]) {
			return rest[:i], rest[i+1:]
		}
	}
	return rest, ""
}

func (a *app) openSBOM(name string) (source, error) {
	in, err := a.input(name, "bill of materials")
	if err != nil {
		return source{}, err
	}
	defer in.Close()
	r, err := sbom.Read(in, name)
	return source{report: r}, err
}

// scheme splits the target, or guesses what is meant where that is clear.
func (a *app) scheme(ctx context.Context, target string) (scheme, rest string, err error) {
	if head, tail, ok := strings.Cut(target, ":"); ok {
		for _, s := range schemes {
			if s == head {
				if tail == "" {
					return "", "", sekisho.Errorf(sekisho.Usage, "target %q names nothing behind the colon", target)
				}
				return s, tail, nil
			}
		}
	}
	if target == "-" {
		return "archive", "-", nil
	}
	info, err := os.Stat(target)
	switch {
	case err == nil && info.IsDir():
		if _, err := os.Stat(filepath.Join(target, "oci-layout")); err == nil {
			return "oci", target, nil
		}
		return "dir", target, nil
	case err == nil:
		return sniff(target)
	case !errors.Is(err, os.ErrNotExist):
		return "", "", fmt.Errorf("open target: %w", err)
	case strings.HasPrefix(target, "/") || strings.HasPrefix(target, "."):
		return "", "", sekisho.Errorf(sekisho.NotFound, "%s: no such file or directory", target)
	}
	if path, ref := splitLayout(target); ref != "" {
		if _, err := os.Stat(filepath.Join(path, "oci-layout")); err == nil {
			return "oci", target, nil
		}
	}
	return a.guessName(ctx, target)
}

// sniff tells an archive from a bill of materials by its first bytes.
func sniff(name string) (scheme, rest string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", "", fmt.Errorf("open target: %w", err)
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return "", "", fmt.Errorf("read target: %w", err)
	}
	head = head[:n]
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}), bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) > 262 && bytes.Equal(head[257:262], []byte("ustar")):
		return "archive", name, nil
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("<")), bytes.HasPrefix(text, []byte("SPDXVersion")):
		return "sbom", name, nil
	}
	return "", "", sekisho.Errorf(sekisho.Usage, "%s is neither an image archive nor a bill of materials", name).
		WithHint("say what it is: archive:%[1]s, oci:%[1]s or sbom:%[1]s", name)
}

// guessName decides between a local engine and a registry for an image's name:
// the engine when it is there and has the image.
func (a *app) guessName(ctx context.Context, target string) (scheme, rest string, err error) {
	if daemon.Has(ctx, target, a.dockerOptions(sekisho.Platform{})) {
		a.note("cli.note.guess", "scheme", "docker")
		return "docker", target, nil
	}
	a.note("cli.note.guess", "scheme", "registry")
	return "registry", target, nil
}
