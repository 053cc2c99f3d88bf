package container

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
)

var id = strings.Repeat("0123456789abcdef", 4)

// TestName reads cgroup paths as runtimes make them, and nothing else.
func TestName(t *testing.T) {
	for _, c := range []struct{ path, id, runtime string }{
		{"/docker/" + id, id, "docker"},
		{"/system.slice/docker-" + id + ".scope", id, "docker"},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + id + ".scope", id, "containerd"},
		{"/kubepods/besteffort/pod-1/" + id, id, ""},
		{"/machine.slice/libpod-" + id + ".scope", id, "podman"},
		{"/kubepods.slice/crio-" + id + ".scope", id, "cri-o"},
		{"/docker/" + id + "/init.scope", "", ""},
		{"/docker/" + id[1:], "", ""},
		{"/docker/" + strings.ToUpper(id), "", ""},
		{"/evil-" + id, "", ""},
		{"/", "", ""},
	} {
		if id, runtime := Name(c.path); id != c.id || runtime != c.runtime {
			t.Errorf("%s: %q of %q, want %q of %q", c.path, id, runtime, c.id, c.runtime)
		}
	}
}

// TestCommandLines reads those of runtimes and shims.
func TestCommandLines(t *testing.T) {
	for _, c := range []struct {
		args       string
		id, bundle string
	}{
		{"runc --root /run/runc --log /b/log.json create --bundle /b --pid-file /b/init.pid " + id, id, "/b"},
		{"/usr/bin/crun --systemd-cgroup create --bundle=/c web", "web", "/c"},
		{"runc run web", "web", "/cwd"},
		{"runc --root /run/runc delete --force " + id, "", ""},
		{"runc exec --process /p " + id, "", ""},
		{"runc create --bundle relative web", "", ""},
		{"runc create --bundle /b ../../etc", "", ""},
		{"runc", "", ""},
	} {
		if id, bundle := creates(strings.Fields(c.args), "/cwd"); id != c.id || bundle != c.bundle {
			t.Errorf("%s: %q in %q, want %q in %q", c.args, id, bundle, c.id, c.bundle)
		}
	}
	name, p := shim(strings.Fields("/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id web -address /run/containerd/containerd.sock"))
	if name != "web" || p != (place{"/run/containerd/containerd.sock", "k8s.io"}) {
		t.Errorf("shim: %q at %+v", name, p)
	}
}

// TestWorkloadOf says what containers are instances of.
func TestWorkloadOf(t *testing.T) {
	for _, c := range []struct {
		labels map[string]string
		want   sekisho.Workload
	}{
		{map[string]string{"io.kubernetes.pod.name": "web-7d4b9c6f5d-x2x9z", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.container.name": "nginx"},
			sekisho.Workload{Platform: "kubernetes", Kind: "Deployment", Namespace: "shop", Name: "web", Pod: "web-7d4b9c6f5d-x2x9z", Container: "nginx"}},
		{map[string]string{"io.kubernetes.cri.sandbox-name": "db-0", "io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.container-name": "pg"},
			sekisho.Workload{Platform: "kubernetes", Kind: "StatefulSet", Namespace: "shop", Name: "db", Pod: "db-0", Container: "pg"}},
		{map[string]string{"io.kubernetes.cri.sandbox-name": "log-agent-x7k2p"}, sekisho.Workload{Platform: "kubernetes", Kind: "Pod", Name: "log-agent", Pod: "log-agent-x7k2p"}},
		{map[string]string{"io.kubernetes.cri.sandbox-name": "nightly-29412000-bq5vz"}, sekisho.Workload{Platform: "kubernetes", Kind: "CronJob", Name: "nightly", Pod: "nightly-29412000-bq5vz"}},
		{map[string]string{"io.kubernetes.cri.sandbox-name": "nginx"}, sekisho.Workload{Platform: "kubernetes", Kind: "Pod", Name: "nginx", Pod: "nginx"}},
		{map[string]string{"io.kubernetes.cri.sandbox-name": "web-cache1"}, sekisho.Workload{Platform: "kubernetes", Kind: "Pod", Name: "web-cache1", Pod: "web-cache1"}},
		{map[string]string{"io.kubernetes.cri.sandbox-name": "etcd-node-1", "io.kubernetes.cri.sandbox-uid": "0123456789abcdef0123456789abcdef"}, sekisho.Workload{Platform: "kubernetes", Kind: "Pod", Name: "etcd-node-1", Pod: "etcd-node-1"}},
		{map[string]string{"io.kubernetes.cri.sandbox-name": "etcd-1", "io.kubernetes.cri.sandbox-uid": "ce612a69-371f-4c0c-b857-7727ca685f62"}, sekisho.Workload{Platform: "kubernetes", Kind: "StatefulSet", Name: "etcd", Pod: "etcd-1"}},
		{map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}, sekisho.Workload{Platform: "compose", Kind: "service", Namespace: "shop", Name: "web"}},
		{map[string]string{"com.amazonaws.ecs.task-definition-family": "pay", "com.amazonaws.ecs.container-name": "app"}, sekisho.Workload{Platform: "ecs", Kind: "task", Name: "pay", Container: "app"}},
		{nil, sekisho.Workload{Platform: "docker", Name: "lonely"}},
	} {
		if got := WorkloadOf(&sekisho.Container{Name: "lonely", Runtime: "docker", Labels: c.labels}); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.labels, got, c.want)
		}
	}
}

// TestKubernetes reads the bundle that containerd's CRI plugin writes, and a
// cgroup that the container makes below its own stays the container's.
func TestKubernetes(t *testing.T) {
	root := t.TempDir()
	bundle := "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id
	config := `{"root":{"path":"rootfs"},"process":{"capabilities":{"bounding":["CAP_CHOWN"]}},"linux":{"cgroupsPath":"kubepods:cri-containerd:` + id + `","maskedPaths":["/proc/kcore"]},
"mounts":[{"destination":"/proc","type":"proc"},{"destination":"/data","type":"bind","source":"/srv","options":["rbind","ro"]}],
"annotations":{"io.kubernetes.cri.container-name":"nginx","io.kubernetes.cri.image-name":"registry.example/nginx@sha256:` + id + `","io.kubernetes.cri.sandbox-name":"web-7d4b9c6f5d-x2x9z","io.kubernetes.cri.sandbox-namespace":"shop"}}`
	if err := os.MkdirAll(filepath.Join(root, bundle), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, bundle, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	tr := New(Options{Root: root, Now: func() time.Time { return time.Unix(1e9, 0) }})
	c := tr.Made(Cgroup{Key: 7, Path: "/kubepods.slice/cri-containerd-" + id + ".scope"})
	if c == nil || c.Name != "nginx" || c.Runtime != "containerd" || c.ImageDigest != sekisho.Digest("sha256:"+id) || c.Workload.String() != "shop/web/nginx" || c.Privileged || c.Root != bundle+"/rootfs" {
		t.Fatalf("%+v", c)
	}
	if len(c.Mounts) != 1 || c.Mounts[0] != (sekisho.Mount{Source: "/srv", Destination: "/data", Type: "bind", ReadOnly: true}) {
		t.Errorf("mounts: %+v", c.Mounts)
	}
	if in := tr.Inherit(8, 7); in != c || tr.Container(8) != c || len(tr.Keys(id)) != 2 {
		t.Errorf("a cgroup below: %+v", in)
	}
	if tr.Made(Cgroup{Key: 9, Path: "/system.slice/ssh.service"}) != nil || tr.Container(9) != nil {
		t.Error("a service was taken for a container")
	}
	tr.Removed(7)
	tr.Removed(8)
	if tr.Container(8) != nil || len(tr.List()) != 0 {
		t.Error("a container that is gone is still known")
	}
}

// TestNeighbours finds a pod's further containers where its shim is, and knows
// which containerd to ask about them.
func TestNeighbours(t *testing.T) {
	root := t.TempDir()
	home := "/var/own/state/io.containerd.runtime.v2.task/k8s.io"
	config := `{"root":{"path":"rootfs"},"annotations":{"io.kubernetes.cri.container-name":"nginx","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop"}}`
	if err := os.MkdirAll(filepath.Join(root, home, id), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, home, id, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	tr := New(Options{Root: root})
	sandbox := strings.Repeat("5", 64)
	tr.Executed(&sekisho.Process{Args: []string{"/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", sandbox, "-address", "/run/own.sock", "start"}, Directory: home + "/" + sandbox})
	c := tr.Made(Cgroup{Key: 3, Path: "/kubepods/pod5/" + id})
	if c == nil || c.Workload.String() != "shop/web/nginx" {
		t.Fatalf("%+v", c)
	}
	if p := tr.where(tr.byID[id]); p != (place{"/run/own.sock", "k8s.io"}) {
		t.Errorf("it is asked at %+v", p)
	}
}

// TestCRIO reads the bundle that CRI-O writes, whose annotations tell the image
// and, without a kubelet's labels, the pod in a name; elsewhere they count
// nothing.
func TestCRIO(t *testing.T) {
	annotations := `"annotations":{"io.container.manager":"cri-o","io.kubernetes.cri-o.Name":"k8s_nginx_web-7d4b9c6f5d-x2x9z_shop_u_0","io.kubernetes.cri-o.Labels":"null","io.kubernetes.cri-o.ImageName":"registry.example/nginx:1",
"io.kubernetes.cri-o.ImageRef":"` + id + `","io.kubernetes.cri-o.ImageRepoDigests":"registry.example/nginx@sha256:` + id + `,other@x"}`
	mount := `"mounts":[{"destination":"/run/.containerenv","type":"bind","source":"/var/lib/containers/storage/overlay-containers/x/userdata/.containerenv"}]`
	for bundle, runtime := range map[string]string{"/run/containers/storage/overlay-containers/" + id + "/userdata": "cri-o", "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id: "containerd"} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, bundle), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, bundle, "config.json"), []byte(`{"root":{"path":"/s/overlay/l/merged"},`+mount+`,`+annotations+`}`), 0o644); err != nil {
			t.Fatal(err)
		}
		c := New(Options{Root: root}).Made(Cgroup{Key: 7, Path: "/kubepods/" + id})
		if c == nil || c.Runtime != runtime || c.Upper != "/s/overlay/l/diff" || c.Image != "registry.example/nginx:1" || len(c.Mounts) != 0 {
			t.Fatalf("%+v", c)
		}
		known := c.Name == "nginx" && c.ImageID == sekisho.Digest("sha256:"+id) && c.ImageDigest == sekisho.Digest("sha256:"+id) && c.Workload.String() == "shop/web/nginx"
		if known != (runtime == "cri-o") {
			t.Errorf("%s: %+v", bundle, c)
		}
	}
	for line, want := range map[string]string{
		"/usr/bin/conmon -b /run/b/userdata -c " + id + " -n k8s_x": "/run/b/userdata",
		"conmon --cid " + id + " --bundle /b":                       "/b",
		"conmon -b relative -c " + id:                               "",
		"conmon -b /b -c ../x":                                      "",
		"sh -b /b -c " + id:                                         "",
	} {
		if _, bundle := conmon(strings.Fields(line)); bundle != want {
			t.Errorf("%s: %q, want %q", line, bundle, want)
		}
	}
}

// TestBuildKit: the steps of builds go by one name.
func TestBuildKit(t *testing.T) {
	root := t.TempDir()
	bundle := "/var/lib/docker/buildkit/executor/wotk71ct94vkmb7zg00iy784w"
	if err := os.MkdirAll(filepath.Join(root, bundle), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, bundle, "config.json"), []byte(`{"root":{"path":"`+bundle+`/rootfs"},"linux":{"cgroupsPath":"/docker/buildkit/wotk71ct94vkmb7zg00iy784w"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	tr := New(Options{Root: root})
	tr.Executed(&sekisho.Process{Args: strings.Fields("runc --log /l run --bundle " + bundle + " --keep wotk71ct94vkmb7zg00iy784w")})
	c := tr.Made(Cgroup{Key: 7, Path: "/docker/buildkit/wotk71ct94vkmb7zg00iy784w"})
	if c == nil || c.Name != "buildkit" || c.Runtime != "buildkit" || c.ID != "wotk71ct94vkmb7zg00iy784w" || c.Workload.String() != "buildkit" {
		t.Errorf("%+v", c)
	}
}

// FuzzSpec reads configurations that a hostile image may have shaped.
func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"root":{"path":"/x"},"mounts":[{"destination":"/etc/hosts","source":"/var/lib/docker/containers/x/hosts"}],"annotations":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s spec
		if json.Unmarshal(data, &s) != nil {
			return
		}
		c := &sekisho.Container{ID: id, Labels: s.Annotations}
		crio(c)
		annotated(c)
		if list := mounts(s); len(list) > 1024 {
			t.Errorf("%d mounts", len(list))
		}
		dockerDirectory(s, id)
		_ = WorkloadOf(c).String()
	})
}

func FuzzNameservers(f *testing.F) {
	f.Add([]byte("nameserver 10.0.0.2\nsearch x\nnameserver fe80::1%eth0\nnameserver ::ffff:10.0.0.3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list := nameservers(data)
		if len(list) > maxResolvers {
			t.Errorf("%d name servers", len(list))
		}
		for _, a := range list {
			if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
				t.Errorf("name server %v", a)
			}
		}
	})
}
