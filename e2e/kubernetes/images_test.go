package kubernetes_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// images is a registry that serves images made by the tests.
type images struct {
	*httptest.Server
	mu    sync.Mutex
	blobs map[string][]byte // by digest
	types map[string]string // media types of manifests, by digest
	tags  map[string]string // digests, by name:tag
	parts map[string][]byte // of blobs that are being pushed, by path

	release chan struct{} // closed when what hangs may end
}

func newRegistry(t testing.TB) *images {
	r := &images{blobs: map[string][]byte{}, types: map[string]string{}, tags: map[string]string{}, parts: map[string][]byte{}, release: make(chan struct{})}
	r.Server = httptest.NewUnstartedServer(r)
	if l := listener(t); l != nil {
		r.Listener.Close()
		r.Listener = l
	}
	r.Start()
	t.Cleanup(r.Close)
	t.Cleanup(func() { close(r.release) })
	return r
}

// host is the registry as images name it.
func (r *images) host() string { return strings.TrimPrefix(r.URL, "http://") }

func (r *images) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	path := strings.TrimPrefix(q.URL.Path, "/v2/")
	if path == "" {
		return
	}
	name, what, isManifest := strings.Cut(path, "/manifests/")
	if !isManifest {
		_, what, _ = strings.Cut(path, "/blobs/")
	}
	if what == "hangs" { // as a registry that is overloaded does
		<-r.release
	}
	if q.Method == "POST" || q.Method == "PUT" || q.Method == "PATCH" {
		r.receive(w, q, name, what, isManifest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	digest := what
	if d, ok := r.tags[name+":"+what]; ok && isManifest {
		digest = d
	}
	data, ok := r.blobs[digest]
	if !ok {
		http.NotFound(w, q)
		return
	}
	if isManifest {
		w.Header().Set("Content-Type", r.types[digest])
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data)
}

// receive takes what a client pushes: a blob in one piece, or a manifest (OCI
// distribution specification, "Push").
func (r *images) receive(w http.ResponseWriter, q *http.Request, name, reference string, isManifest bool) {
	data, err := io.ReadAll(q.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	part := r.parts[q.URL.Path]
	if q.Method == "PATCH" {
		r.parts[q.URL.Path] = append(part, data...)
	}
	r.mu.Unlock()
	switch {
	case q.Method == "POST", q.Method == "PATCH":
		at := q.URL.Path
		if q.Method == "POST" {
			at += rand.Text()
		}
		w.Header().Set("Location", at)
		w.WriteHeader(http.StatusAccepted)
	case isManifest:
		d := r.blob(data)
		r.mu.Lock()
		r.types[d] = q.Header.Get("Content-Type")
		r.tags[name+":"+reference] = d
		r.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
	default:
		r.blob(append(part, data...))
		w.WriteHeader(http.StatusCreated)
	}
}

func (r *images) blob(data []byte) (digest string) {
	sum := sha256.Sum256(data)
	digest = "sha256:" + hex.EncodeToString(sum[:])
	r.mu.Lock()
	r.blobs[digest] = data
	r.mu.Unlock()
	return digest
}

// push makes an image of Alpine with packages, and returns its digest.
func (r *images) push(name, tag string, packages ...string) string {
	return r.add(name, tag, content{packages: packages, user: "10001"})
}

// add makes an image, and returns its digest.
func (r *images) add(name, tag string, i content) string {
	var packed bytes.Buffer
	layer := i.layer()
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(layer)
	_ = z.Close()
	l := r.blob(packed.Bytes())
	configuration := i.configuration(layer)
	c := r.blob(configuration)
	const media = "application/vnd.oci.image."
	m, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": media + "manifest.v1+json", "config": map[string]any{"mediaType": media + "config.v1+json", "digest": c, "size": len(configuration)},
		"layers": []any{map[string]any{"mediaType": media + "layer.v1.tar+gzip", "digest": l, "size": packed.Len()}}})
	d := r.blob(m)
	r.mu.Lock()
	r.types[d], r.tags[name+":"+tag] = media+"manifest.v1+json", d
	r.mu.Unlock()
	return d
}

// content is what an image holds.
type content struct {
	packages []string // of Alpine
	files    map[string]string
	links    map[string]string
	user     string
	command  []string
	entry    []string
}

// runnable is an image with a shell that runs a command.
func runnable(command ...string) content {
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		panic(err)
	}
	i := content{packages: []string{"musl"}, files: map[string]string{"bin/busybox": string(busybox), "tmp/keep": ""}, links: map[string]string{}, command: command}
	for _, name := range []string{"sh", "sleep", "cat", "cp", "ls", "wget", "httpd", "true", "touch", "id"} {
		i.links["bin/"+name] = "busybox"
	}
	return i
}

// layer is the tar of its files.
func (i content) layer() []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	installed := ""
	for _, p := range i.packages {
		installed += "P:" + p + "\nV:1.0-r0\nA:x86_64\nL:MIT\n\n"
	}
	files := map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.0\nPRETTY_NAME=\"Alpine Linux v3.22\"\n", "lib/apk/db/installed": installed}
	maps.Copy(files, i.files)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		mode := int64(0o644)
		if strings.HasPrefix(path, "bin/") {
			mode = 0o755
		}
		_ = w.WriteHeader(&tar.Header{Name: path, Mode: mode, Size: int64(len(files[path])), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(files[path]))
	}
	for _, path := range slices.Sorted(maps.Keys(i.links)) {
		_ = w.WriteHeader(&tar.Header{Name: path, Linkname: i.links[path], Mode: 0o777, Typeflag: tar.TypeSymlink})
	}
	_ = w.Close()
	return out.Bytes()
}

func (i content) configuration(layer []byte) []byte {
	diff := sha256.Sum256(layer)
	data, _ := json.Marshal(map[string]any{"os": "linux", "architecture": runtime.GOARCH, "config": map[string]any{"User": i.user, "Cmd": i.command, "Entrypoint": i.entry, "Env": []string{"PATH=/bin"}}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(diff[:])}}})
	return data
}
