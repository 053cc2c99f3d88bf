package nri_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	validator "github.com/containerd/nri/plugins/default-validator/builtin"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/node"
	"sekisho/admit/nri"
)

func image(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// runtime is the side of NRI that containerd has, by the library that containerd
// uses, and the plugin beside it.
type runtime struct {
	*adaptation.Adaptation
	options nri.Options
	mu      sync.Mutex
	asked   []admit.Question
	told    chan string
	synced  chan error
	stop    func()
}

func start(t *testing.T, require bool) *runtime {
	t.Helper()
	dir, err := os.MkdirTemp("", "nri-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &runtime{told: make(chan string, 100), synced: make(chan error, 100)}
	socket := filepath.Join(dir, "nri.sock")
	settings := []adaptation.Option{adaptation.WithSocketPath(socket), adaptation.WithPluginPath(dir + "/none"), adaptation.WithPluginConfigPath(dir + "/none")}
	if require {
		settings = append(settings, adaptation.WithDefaultValidator(&validator.DefaultValidatorConfig{Enable: true, RequiredPlugins: []string{nri.Name}, TolerateMissingAnnotation: "sekisho.example/tolerate"}))
	}
	r.Adaptation, err = adaptation.New("containerd", "2.0.0", func(ctx context.Context, sync adaptation.SyncCB) error {
		_, err := sync(ctx, nil, nil)
		r.synced <- err
		return err
	},
		func(context.Context, []*adaptation.ContainerUpdate) ([]*adaptation.ContainerUpdate, error) {
			return nil, nil
		}, settings...)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	<-r.synced // with the plugins that it starts itself: none
	t.Cleanup(r.Stop)
	r.options = nri.Options{Socket: socket, OnError: "deny", Deadline: 10 * time.Second, Every: 10 * time.Millisecond,
		Text: func(key string, pairs ...any) string { return key + " " + fmt.Sprint(pairs...) },
		Tell: func(key string, _ ...any) { r.told <- key },
		Ask:  r.ask,
		Lookup: func(_ context.Context, _, name string) (nri.Image, error) {
			switch {
			case strings.Contains(name, "good"):
				return nri.Image{Digest: sekisho.Digest(image(1)), Source: "containerd/k8s.io:" + name}, nil
			case strings.Contains(name, "bad"):
				return nri.Image{Digest: sekisho.Digest(image(2))}, nil
			}
			return nri.Image{}, sekisho.Errorf(sekisho.NotFound, "containerd has no image %s", name)
		}}
	return r
}

func (r *runtime) ask(_ context.Context, q admit.Question) (node.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	switch q.Images[0].Digest {
	case sekisho.Digest(image(1)):
		return node.Answer{Result: sekisho.Allow}, nil
	case sekisho.Digest(image(2)):
		return node.Answer{Result: sekisho.Deny, Message: "sekisho: denied by strict"}, nil
	}
	return node.Answer{}, errors.New("the gate is ill")
}

// connect serves the plugin until stop is called.
func (r *runtime) connect(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- nri.Serve(ctx, r.options) }()
	once := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r.stop = once
	t.Cleanup(once)
	for key := range r.told {
		if key == "cli.admit.nri.serving" {
			break
		}
	}
	if err := <-r.synced; err != nil {
		t.Fatal(err)
	}
	r.BlockPluginSync().Unblock() // until the runtime counts it among its plugins
}

func (r *runtime) create(t *testing.T, c *api.Container) error {
	t.Helper()
	pod := &api.PodSandbox{Id: "p", Name: "cart-1", Namespace: "shop", Uid: "u", Labels: map[string]string{"app": "cart"}, Annotations: map[string]string{"kubernetes.io/config.source": "file"},
		Linux: &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{{Type: "ipc"}, {Type: "pid"}}}}
	c.Id, c.PodSandboxId, c.Name = "c", "p", "cart"
	_, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: pod, Container: c})
	return err
}

func named(name string) *api.Container {
	return &api.Container{Annotations: map[string]string{"io.kubernetes.cri.image-name": name}}
}

// TestAgain: what was let in before is told from what is new, by what the
// kubelet says alone.
func TestAgain(t *testing.T) {
	r := start(t, false)
	for _, gate := range []bool{false, true} {
		r.options.APIGate = gate
		r.connect(t)
		for name, c := range map[string]struct {
			source, restarts string
			again            bool
		}{
			"a new pod of the API":          {"api", "0", gate},
			"a restart in a pod of the API": {"api", "1", true},
			"a new static pod":              {"file", "0", false},
			"a restart in a static pod":     {"file", "3", true},
			"nothing is told":               {"", "", false},
			"something else is told":        {"api ", "-1", false},
		} {
			pod := &api.PodSandbox{Id: "p", Name: "cart-1", Namespace: "shop", Annotations: map[string]string{"kubernetes.io/config.source": c.source}, Linux: &api.LinuxPodSandbox{}}
			box := named("registry.example.org/good:1")
			box.Id, box.PodSandboxId, box.Name, box.Annotations["io.kubernetes.container.restartCount"] = "c", "p", "cart", c.restarts
			if _, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: pod, Container: box}); err != nil {
				t.Fatal(err)
			}
			if got := r.last().Images[0].Request.Again; got != c.again {
				t.Errorf("%s, a gate at the API %v: again %v, want %v", name, gate, got, c.again)
			}
		}
		r.stop()
	}
}

func (r *runtime) last() admit.Question {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[len(r.asked)-1]
}

// TestCreate judges containers as containerd asks about them.
func TestCreate(t *testing.T) {
	r := start(t, false)
	r.connect(t)
	good := named("registry.example.org/good:1")
	good.User = &api.User{Uid: 5}
	good.Mounts = []*api.Mount{{Type: "bind", Source: "/etc", Options: []string{"rbind"}}, {Type: "bind", Source: "/var/lib/kubelet/pods/u/etc-hosts"}, {Type: "proc", Source: "proc"}}
	if err := r.create(t, good); err != nil {
		t.Errorf("a good image: %v", err)
	}
	q := r.asked[0]
	w := q.Images[0].Request.Workload
	if q.Gate != "nri" || q.Subject != "pods/shop/cart-1/cart" || q.Details["static"] != "true" || q.Details["container"] != "c" || q.Images[0].Reference != "registry.example.org/good:1" || q.Images[0].Source != "containerd/k8s.io:registry.example.org/good:1" {
		t.Errorf("asked %+v", q)
	}
	if *w.Namespace != "shop" || w.Labels["app"] != "cart" || *w.User != "5" || !slices.Equal(w.HostPaths, []string{"/etc"}) || !*w.HostNetwork || *w.HostPID || *w.HostIPC || w.Privileged != nil {
		t.Errorf("workload %+v", w)
	}
	for name, c := range map[string]struct {
		container *api.Container
		want      string
	}{
		"a bad image":             {named("bad:1"), "denied by strict"},
		"an image nobody has":     {named("other:1"), "containerd has no image other:1"},
		"no name":                 {&api.Container{}, "does not tell the image"},
		"a digest that tells":     {&api.Container{Image: &api.Image{Name: "good:1", Digest: image(1), ConfigDigest: image(2)}}, "denied by strict"},
		"a digest without a name": {&api.Container{Image: &api.Image{Digest: image(2)}}, "denied by strict"},
		"a gate that is ill":      {&api.Container{Image: &api.Image{Digest: image(3)}}, "the gate is ill"},
		"CRI-O's annotation":      {&api.Container{Annotations: map[string]string{"io.kubernetes.cri-o.ImageName": "bad:2"}}, "denied by strict"},
		"a digest that is none":   {&api.Container{Image: &api.Image{Name: "bad:1", ConfigDigest: "x"}}, "denied by strict"},
	} {
		if err := r.create(t, c.container); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestRequired holds that the runtime fails closed while the plugin is gone when
// it is required, that its own pod may be let through, and that the plugin comes
// back by itself.
func TestRequired(t *testing.T) {
	r := start(t, true)
	if err := r.create(t, named("good:1")); err == nil || !strings.Contains(err.Error(), `"sekisho"`) {
		t.Errorf("without the plugin: %v", err)
	}
	r.connect(t)
	if err := r.create(t, named("good:1")); err != nil {
		t.Errorf("with the plugin: %v", err)
	}
	r.stop()
	if err := r.create(t, named("good:1")); err == nil {
		t.Error("after the plugin has gone a container starts")
	}
	pod := &api.PodSandbox{Id: "q", Name: "sekisho", Annotations: map[string]string{"sekisho.example/tolerate": "true"}}
	if _, err := r.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: pod, Container: &api.Container{Id: "d", PodSandboxId: "q", Name: "gate"}}); err != nil {
		t.Errorf("the gate's own pod: %v", err)
	}
	r.connect(t)
	if err := r.create(t, named("bad:1")); err == nil || !strings.Contains(err.Error(), "denied by strict") {
		t.Errorf("after it came back: %v", err)
	}
}

// TestOpen holds that a gate that may fail open does, for errors only.
func TestOpen(t *testing.T) {
	r := start(t, false)
	r.options.OnError = "allow"
	r.connect(t)
	if err := r.create(t, named("other:1")); err != nil {
		t.Errorf("an error: %v", err)
	}
	if err := r.create(t, named("bad:1")); err == nil {
		t.Error("a denial passes")
	}
}
