package runtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/node"
	"sekisho/admit/runtime"
)

const id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func image(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// TestParse reads calls as containerd's shims, BuildKit and people make them.
func TestParse(t *testing.T) {
	for line, want := range map[string]runtime.Command{
		"--root /run/r --log /l.json --log-format json create --bundle /b --pid-file /p " + id:           {Name: "create", ID: id, Bundle: "/b", Log: "/l.json", LogFormat: "json"},
		"--log=/l.json --log-format=json --systemd-cgroup create -b /b --console-socket /s --no-pivot x": {Name: "create", ID: "x", Bundle: "/b", Log: "/l.json", LogFormat: "json"},
		"--log /l --log-format json run --bundle /b --keep y":                                            {Name: "run", ID: "y", Bundle: "/b", Log: "/l", LogFormat: "json"},
		"exec --process /p --detach --pid-file /q x":                                                     {Name: "exec", ID: "x", LogFormat: "text"},
		"exec -t x sh -c --bundle=/no":                                                                   {Name: "exec", ID: "x", LogFormat: "text"},
		"create -- -odd":                                                                                 {Name: "create", ID: "-odd", LogFormat: "text"},
		"state x":                                                                                        {Name: "state", ID: "x", LogFormat: "text"},
		"--version":                                                                                      {LogFormat: "text"},
		"delete --new-option x":                                                                          {Name: "delete", ID: "x", LogFormat: "text"},
	} {
		c, err := runtime.Parse(strings.Fields(line))
		if err != nil || !reflect.DeepEqual(*c, want) {
			t.Errorf("%s: %+v, %v, want %+v", line, *c, err, want)
		}
	}
	for _, line := range []string{"create --new-option x", "run --bundle"} {
		if c, err := runtime.Parse(strings.Fields(line)); err == nil {
			t.Errorf("%s: %+v, want an error", line, c)
		}
	}
}

// place is a machine: an engine's records, a bundle, a gate that keeps what it
// was asked.
type place struct {
	dir   string
	asked []admit.Question
	gate  *runtime.Gate
}

func newPlace(t *testing.T, config string) *place {
	t.Helper()
	p := &place{dir: t.TempDir()}
	c, err := runtime.ParseConfig(strings.NewReader("runtime: /usr/sbin/runc\ndocker: ["+p.dir+"/docker]\n"+config), "runtime.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p.gate = &runtime.Gate{Config: c, Text: func(key string, pairs ...any) string { return key + fmt.Sprint(pairs...) },
		Ask: func(_ context.Context, q admit.Question) (node.Answer, error) {
			p.asked = append(p.asked, q)
			if len(q.Images) > 0 && q.Images[0].Digest == sekisho.Digest(image(2)) {
				return node.Answer{Result: sekisho.Deny, Message: "not this one"}, nil
			}
			if len(q.Images) > 0 && q.Images[0].Digest == "" {
				return node.Answer{Result: sekisho.Deny, Message: "unknown"}, nil
			}
			if len(q.Images) > 0 && q.Images[0].Digest == sekisho.Digest(image(3)) {
				return node.Answer{}, errors.New("no answer")
			}
			return node.Answer{Result: sekisho.Allow}, nil
		},
		Storage: func(id string) (*runtime.Image, error) {
			n := map[string]int{"c1": 1, "c2": 2}[id]
			if n == 0 {
				return nil, sekisho.Errorf(sekisho.NotFound, "no container")
			}
			return &runtime.Image{Reference: "localhost/x:1", Digest: sekisho.Digest(image(n))}, nil
		},
		Containerd: func(_ context.Context, namespace, id string) (*runtime.Image, error) {
			if namespace != "k8s.io" {
				return nil, sekisho.Errorf(sekisho.NotFound, "no container")
			}
			return &runtime.Image{Reference: "docker.io/library/x:1", Digest: sekisho.Digest(image(1))}, nil
		}}
	return p
}

func (p *place) write(t *testing.T, name, text string) string {
	t.Helper()
	full := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(full)
}

func (p *place) docker(t *testing.T, image string) {
	t.Helper()
	p.write(t, "docker/containers/"+id+"/config.v2.json", fmt.Sprintf(`{"ID":%q,"Name":"/web","Image":%q,"Config":{"Image":"app:1","Labels":{"team":"web"}}}`, id, image))
}

// TestCheck asks about containers of every engine.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		config, image, bundle, id string
		want                      string // part of the message
		action                    string // asked with
	}{
		"an image that may":           {"", image(1), "run/moby/" + id, id, "", "create"},
		"an image that may not":       {"", image(2), "run/moby/" + id, id, "not this one", "create"},
		"no answer":                   {"", image(3), "run/moby/" + id, id, "runtime.failed", "create"},
		"no answer, open":             {"on_error: allow\n", image(3), "run/moby/" + id, id, "", "create"},
		"a record without an image":   {"", "", "run/moby/" + id, id, "unknown", "create"},
		"without an image, allowed":   {"unidentified: allow\n", "", "run/moby/" + id, id, "", "create"},
		"a bad digest":                {"", "sha256:x", "run/moby/" + id, id, "runtime.failed", ""},
		"containerd":                  {"", "-", "run/k8s.io/c1", "c1", "", "create"},
		"containerd does not know":    {"", "-", "run/other/c1", "c1", "unknown", "create"},
		"CRI-O":                       {"", "-", "run/overlay-containers/c1/userdata", "c1", "", "create"},
		"CRI-O, denied":               {"", "-", "run/overlay-containers/c2/userdata", "c2", "not this one", "create"},
		"CRI-O does not know":         {"", "-", "run/overlay-containers/c3/userdata", "c3", "unknown", "create"},
		"another's bundle":            {"", "-", "run/overlay-containers/c1/userdata", "c2", "unknown", "create"},
		"a step of BuildKit":          {"", "-", "docker/buildkit/executor/b1", "b1", "unknown", "build"},
		"a step of BuildKit, allowed": {"builds: allow\n", "-", "docker/buildkit/executor/b1", "b1", "", "build"},
	} {
		p := newPlace(t, c.config)
		if c.image != "-" {
			p.docker(t, c.image)
		}
		dir := p.write(t, c.bundle+"/config.json", `{"process":{"user":{"uid":0}}}`)
		_, message := p.gate.Check(t.Context(), []string{"create", "--bundle", dir, c.id})
		if !strings.Contains(message, c.want) || message != "" && c.want == "" {
			t.Errorf("%s: %q, want %q", name, message, c.want)
		}
		if (len(p.asked) > 0) != (c.action != "") || len(p.asked) > 0 && (p.asked[0].Action != c.action || p.asked[0].Details["container"] != c.id) {
			t.Errorf("%s: asked %+v", name, p.asked)
		}
	}
}

// TestBuild asks about a step of BuildKit by the image that it is laid over:
// the topmost of Docker's own store, or what containerd tells.
func TestBuild(t *testing.T) {
	const step = "docker/buildkit/executor/b1"
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	both := "sha256:" + fmt.Sprintf("%x", sha256.Sum256([]byte(one+" "+two)))
	for name, c := range map[string]struct {
		lower  string // directories of layers, topmost first
		upper  string
		want   string
		digest string
	}{
		"on the whole image":          {"c2:c1", "docker/overlay2/u/diff", "", image(1)},
		"on steps above the image":    {"s:c2:c1", "docker/overlay2/u/diff", "", image(1)},
		"on the image below":          {"s:c1", "docker/overlay2/u/diff", "not this one", image(2)},
		"on none":                     {"s", "docker/overlay2/u/diff", "unknown", ""},
		"in containerd":               {"x", "docker/containerd/snapshots/7/fs", "", image(1)},
		"in containerd, on none":      {"x", "docker/containerd/snapshots/8/fs", "unknown", ""},
		"without a directory it owns": {"c2:c1", "", "unknown", ""},
	} {
		p := newPlace(t, "")
		dir := p.write(t, step+"/config.json", `{"root":{"path":"`+p.dir+"/"+step+`/rootfs"}}`)
		for id, text := range map[string]string{image(1): one + `","` + two, image(2): one} {
			p.write(t, "docker/image/overlay2/imagedb/content/sha256/"+strings.TrimPrefix(id, "sha256:"), `{"rootfs":{"diff_ids":["`+text+`"]}}`)
		}
		p.write(t, "docker/image/overlay2/repositories.json", `{"Repositories":{"app":{"app:1":"`+image(1)+`","app@sha256:x":"`+image(1)+`"}}}`)
		p.write(t, "docker/image/overlay2/layerdb/sha256/"+strings.TrimPrefix(one, "sha256:")+"/cache-id", "c1")
		p.write(t, "docker/image/overlay2/layerdb/sha256/"+strings.TrimPrefix(both, "sha256:")+"/cache-id", "c2\n")
		var lower []string
		for l := range strings.SplitSeq(c.lower, ":") {
			p.write(t, "docker/overlay2/"+l+"/diff/x", "")
			lower = append(lower, p.dir+"/docker/overlay2/"+l+"/diff")
		}
		options := "rw,lowerdir=" + strings.Join(lower, ":")
		if c.upper != "" {
			options += ",upperdir=" + p.dir + "/" + c.upper + ",workdir=/w"
		}
		p.write(t, "mountinfo", "1 0 0:1 / / rw - ext4 /dev/x rw\n5 1 0:39 / "+p.dir+"/"+step+"/rootfs rw,relatime shared:2 - overlay overlay "+options+"\n")
		p.gate.Mountinfo = p.dir + "/mountinfo"
		p.gate.Base = func(_ context.Context, upper string) (*runtime.Image, error) {
			if !strings.HasSuffix(upper, "/7/fs") {
				return nil, sekisho.Errorf(sekisho.NotFound, "no snapshot")
			}
			return &runtime.Image{Reference: "docker.io/library/app:1", Digest: sekisho.Digest(image(1))}, nil
		}
		_, message := p.gate.Check(t.Context(), []string{"run", "--bundle", dir, "b1"})
		if !strings.Contains(message, c.want) || message != "" && c.want == "" {
			t.Errorf("%s: %q, want %q", name, message, c.want)
		}
		if len(p.asked) != 1 || p.asked[0].Action != "build" || string(p.asked[0].Images[0].Digest) != c.digest || c.digest == image(1) && !strings.HasSuffix(p.asked[0].Images[0].Reference, "app:1") {
			t.Errorf("%s: asked %+v", name, p.asked)
		}
	}
}

// TestQuestion holds what a policy learns of a container.
func TestQuestion(t *testing.T) {
	p := newPlace(t, "")
	p.docker(t, image(1))
	dir := p.write(t, "run/moby/"+id+"/config.json", `{"root":{"path":"rootfs","readonly":true},"process":{"user":{"uid":7},"noNewPrivileges":true,"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_ADMIN"]}},
"mounts":[{"destination":"/proc","type":"proc","source":"proc"},{"destination":"/x","type":"bind","source":"/etc/../srv","options":["rbind"]},{"destination":"/y","source":"/home","options":["bind"]},
{"destination":"/etc/hosts","type":"bind","source":"`+p.dir+`/docker/containers/`+id+`/hosts"},{"destination":"/v","type":"bind","source":"`+p.dir+`/docker/volumes/v/_data"}],
"linux":{"namespaces":[{"type":"mount"},{"type":"network","path":"/proc/1/ns/net"},{"type":"ipc"}],"resources":{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"access":"rwm"}]}}}`)
	if _, message := p.gate.Check(t.Context(), []string{"run", "-b", dir, id}); message != "" {
		t.Fatal(message)
	}
	q := p.asked[0]
	w := q.Images[0].Request.Workload
	if q.Subject != "container/web" || q.Images[0].Reference != "app:1" || q.Images[0].Source != "docker:"+image(1) || w.Labels["team"] != "web" {
		t.Errorf("asked %+v of %+v", q, w)
	}
	if !slices.Equal(w.HostPaths, []string{"/srv", "/home"}) || *w.User != "7" || !*w.ReadOnlyRoot || *w.PrivilegeEscalation || !*w.HostNetwork || !*w.HostPID || *w.HostIPC || !*w.Privileged {
		t.Errorf("workload %+v", w)
	}
	if !slices.Equal(w.AddCapabilities, []string{"SYS_ADMIN"}) || slices.Contains(w.DropCapabilities, "CHOWN") || !slices.Contains(w.DropCapabilities, "NET_RAW") {
		t.Errorf("added %v, dropped %v", w.AddCapabilities, w.DropCapabilities)
	}
}

// TestNoCapabilities holds that a container without any dropped all.
func TestNoCapabilities(t *testing.T) {
	var b runtime.Bundle
	if err := json.Unmarshal([]byte(`{"process":{"capabilities":{"bounding":["CAP_NET_ADMIN"]}}}`), &b); err != nil {
		t.Fatal(err)
	}
	w := b.Workload(func(string, string) bool { return false }, func(string) bool { return false })
	if !slices.Equal(w.DropCapabilities, []string{"ALL"}) || !slices.Equal(w.AddCapabilities, []string{"NET_ADMIN"}) || !*w.HostNetwork {
		t.Errorf("%+v", w)
	}
}

// TestExec holds the rule for further processes, and that what ends containers
// is never in the way.
func TestExec(t *testing.T) {
	p := newPlace(t, "exec: deny\n")
	if _, message := p.gate.Check(t.Context(), []string{"exec", "x", "sh"}); !strings.Contains(message, "runtime.exec") || len(p.asked) != 1 {
		t.Errorf("exec: %q", message)
	}
	for _, line := range []string{"delete x", "kill x 9", "state x", "events --new x", "--version", "", "start x"} {
		if _, message := p.gate.Check(t.Context(), strings.Fields(line)); message != "" {
			t.Errorf("%s: %s", line, message)
		}
	}
	if _, message := p.gate.Check(t.Context(), []string{"create", "--bundle", "/none", "x"}); !strings.Contains(message, "runtime.failed") {
		t.Errorf("a bundle that is not there: %q", message)
	}
}

// TestReport writes a denial as runc does: containerd reads the file.
func TestReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.json")
	var stderr bytes.Buffer
	if err := runtime.Report(&runtime.Command{Log: file, LogFormat: "json"}, "no \"way\"", time.Unix(0, 0).UTC(), &stderr); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	var line struct{ Level, Msg, Time string }
	if err != nil || json.Unmarshal(data, &line) != nil || line.Level != "error" || line.Msg != "no \"way\"" || line.Time != "1970-01-01T00:00:00Z" || stderr.String() != "no \"way\"\n" {
		t.Errorf("%s, %v, %s", data, err, stderr.String())
	}
}

// TestConfig holds that mistakes are told.
func TestConfig(t *testing.T) {
	for text, want := range map[string]string{"{}": "absolute path", "runtime: runc": "absolute path", "runtime: /r\nexec: no": "exec", "runtime: /r\ndeadline: 1": "deadline", "runtime: /r\nfoo: 1": "unknown field"} {
		if _, err := runtime.ParseConfig(strings.NewReader(text), "r.yaml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzBundle holds that no bundle panics, and that one without a network
// namespace is always said to share the host's.
func FuzzBundle(f *testing.F) {
	f.Add([]byte(`{"process":{"user":{"uid":0},"capabilities":{"bounding":["CAP_X"]}},"mounts":[{"type":"bind","source":"../.."}],"linux":{"namespaces":[{"type":"network"}]}}`))
	f.Add([]byte(`{"linux":{"resources":{"devices":[{"allow":true}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b runtime.Bundle
		if json.Unmarshal(data, &b) != nil {
			return
		}
		w := b.Workload(func(string, string) bool { return false }, func(string) bool { return false })
		named := false
		if b.Linux != nil {
			for _, n := range b.Linux.Namespaces {
				named = named || n.Type == "network"
			}
		}
		if w.HostNetwork == nil || !named && !*w.HostNetwork {
			t.Errorf("%s: %+v", data, w)
		}
	})
}

// FuzzParse holds that no call panics, and that an option nobody knows in front
// of the container makes a start an error.
func FuzzParse(f *testing.F) {
	f.Add("--root /r", "--bundle /b")
	f.Add("--debug", "--")
	f.Fuzz(func(t *testing.T, global, options string) {
		before, behind := strings.Fields(global), strings.Fields(options)
		c, err := runtime.Parse(slices.Concat(before, []string{"create"}, behind, []string{"x"}))
		if c == nil {
			t.Fatalf("%q %q: nothing", global, options)
		}
		if len(before) > 0 || slices.Contains(behind, "--") || len(behind) > 0 && strings.HasPrefix(behind[len(behind)-1], "-") {
			return
		}
		if _, odd := runtime.Parse(slices.Concat([]string{"create"}, behind, []string{"--unheard-of", "x"})); err == nil && odd == nil {
			t.Errorf("%q: an option nobody knows passes", options)
		}
	})
}

// TestAgain holds that a container that ran before is asked about as one that
// starts once more, and a new one is not.
func TestAgain(t *testing.T) {
	for started, want := range map[string]bool{"0001-01-01T00:00:00Z": false, "2026-11-20T08:00:00.5Z": true} {
		p := newPlace(t, "")
		p.write(t, "docker/containers/"+id+"/config.v2.json", fmt.Sprintf(`{"ID":%q,"Name":"/web","Image":%q,"State":{"StartedAt":%q},"Config":{"Image":"app:1"}}`, id, image(1), started))
		dir := p.write(t, "run/moby/"+id+"/config.json", `{"process":{"user":{"uid":0}}}`)
		if _, message := p.gate.Check(t.Context(), []string{"create", "--bundle", dir, id}); message != "" {
			t.Fatal(message)
		}
		if got := p.asked[0].Images[0].Request.Again; got != want {
			t.Errorf("started %s: asked about as a restart: %v", started, got)
		}
	}
}
