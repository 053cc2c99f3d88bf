package object_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho/admit/webhook/object"
	"sekisho/policy/fact"
)

func ptr[T any](v T) *T { return &v }

// plain is what Kubernetes makes of a container that says nothing.
func plain() fact.Workload {
	return fact.Workload{Kind: "Pod", Name: "cart", Container: "c", Namespace: ptr("shop"), Labels: map[string]string{}, RunAsNonRoot: ptr(false), Privileged: ptr(false), PrivilegeEscalation: ptr(true),
		AddCapabilities: []string{}, DropCapabilities: []string{}, HostNetwork: ptr(false), HostPID: ptr(false), HostIPC: ptr(false), HostPaths: []string{}, ReadOnlyRoot: ptr(false),
		Seccomp: ptr("Unconfined"), ProcMount: ptr("Default"), ServiceAccount: ptr("default")}
}

func TestWorkload(t *testing.T) {
	for name, c := range map[string]struct {
		container, pod string // security contexts
		more           string // of the pod's spec
		want           func(*fact.Workload)
	}{
		"nothing":         {"{}", "{}", "", func(*fact.Workload) {}},
		"null everywhere": {"null", "null", `,"volumes":null,"hostNetwork":null`, func(*fact.Workload) {}},
		"privileged":      {`{"privileged":true}`, "{}", "", func(w *fact.Workload) { w.Privileged = ptr(true) }},
		"a host process":  {"{}", `{"windowsOptions":{"hostProcess":true}}`, "", func(w *fact.Workload) { w.Privileged = ptr(true) }},
		"no host process": {`{"windowsOptions":{"hostProcess":false}}`, `{"windowsOptions":{"hostProcess":true}}`, "", func(*fact.Workload) {}},
		"no escalation":   {`{"allowPrivilegeEscalation":false}`, "{}", "", func(w *fact.Workload) { w.PrivilegeEscalation = ptr(false) }},
		"escalation by a capability": {`{"allowPrivilegeEscalation":false,"capabilities":{"add":["SYS_ADMIN"],"drop":["ALL"]}}`, "{}", "", func(w *fact.Workload) {
			w.AddCapabilities, w.DropCapabilities = []string{"SYS_ADMIN"}, []string{"ALL"}
		}},
		"the pod's user":                    {"{}", `{"runAsUser":1000,"runAsNonRoot":true}`, "", func(w *fact.Workload) { w.User, w.RunAsNonRoot = ptr("1000"), ptr(true) }},
		"the container's own":               {`{"runAsUser":0,"runAsNonRoot":false}`, `{"runAsUser":1000,"runAsNonRoot":true}`, "", func(w *fact.Workload) { w.User = ptr("0") }},
		"seccomp of the pod":                {"{}", `{"seccompProfile":{"type":"RuntimeDefault"}}`, "", func(w *fact.Workload) { w.Seccomp = ptr("RuntimeDefault") }},
		"seccomp, own":                      {`{"seccompProfile":{"type":"Localhost"}}`, `{"seccompProfile":{"type":"RuntimeDefault"}}`, "", func(w *fact.Workload) { w.Seccomp = ptr("Localhost") }},
		"seccomp of a privileged container": {`{"privileged":true,"seccompProfile":{"type":"Localhost"}}`, "{}", "", func(w *fact.Workload) { w.Privileged = ptr(true) }},
		"proc and root":                     {`{"procMount":"Unmasked","readOnlyRootFilesystem":true}`, "{}", "", func(w *fact.Workload) { w.ProcMount, w.ReadOnlyRoot = ptr("Unmasked"), ptr(true) }},
		"the host": {"{}", "{}", `,"hostNetwork":true,"hostPID":true,"hostIPC":true,"volumes":[{"name":"a","hostPath":{"path":"/etc"}},{"name":"b","emptyDir":{}}],"serviceAccountName":"till"`, func(w *fact.Workload) {
			w.HostNetwork, w.HostPID, w.HostIPC, w.HostPaths, w.ServiceAccount = ptr(true), ptr(true), ptr(true), []string{"/etc"}, ptr("till")
		}},
	} {
		data := `{"metadata":{"name":"cart"},"spec":{"securityContext":` + c.pod + `,"containers":[{"name":"c","image":"a","securityContext":` + c.container + `}]` + c.more + `}}`
		o, err := object.Read(object.Kind{Kind: "Pod"}, "shop", []byte(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := plain()
		c.want(&want)
		if d := cmp.Diff(want, o.Containers[0].Workload); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind object.Kind
		data string
	}{
		"an unknown kind":            {object.Kind{Group: "argoproj.io", Kind: "Rollout"}, "{}"},
		"a known name of another":    {object.Kind{Group: "evil.io", Kind: "Pod"}, `{"spec":{}}`},
		"nothing":                    {object.Kind{Kind: "Pod"}, "null"},
		"no object":                  {object.Kind{Kind: "Pod"}, ""},
		"a list":                     {object.Kind{Kind: "Pod"}, "[]"},
		"no template":                {object.Kind{Group: "apps", Kind: "Deployment"}, `{"spec":{"replicas":1}}`},
		"no template of a job":       {object.Kind{Group: "batch", Kind: "CronJob"}, `{"spec":{"jobTemplate":{}}}`},
		"more containers than fit":   {object.Kind{Kind: "Pod"}, `{"spec":{"containers":[` + strings.Repeat(`{"image":"a"},`, 1001) + `{}]}}`},
		"a number for an image":      {object.Kind{Kind: "Pod"}, `{"spec":{"containers":[{"image":1}]}}`},
		"nested deeper than is read": {object.Kind{Kind: "Pod"}, strings.Repeat(`{"spec":`, 20000)},
	} {
		if o, err := object.Read(c.kind, "shop", []byte(c.data)); err == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestMirror(t *testing.T) {
	read := func(data string) bool {
		o, err := object.Read(object.Kind{Kind: "Pod"}, "kube-system", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		return o.Mirror
	}
	if !read(`{"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"nodeName":"n1","containers":[{"image":"a"}]}}`) {
		t.Error("a static pod is not known")
	}
	if read(`{"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"containers":[{"image":"a"}]}}`) {
		t.Error("a pod that no node has is taken for a static one")
	}
}

// FuzzRead holds that whatever is read has its images where it says, so that a
// patch meets them.
func FuzzRead(f *testing.F) {
	f.Add("Pod", `{"spec":{"containers":[{"name":"c","image":"a"}],"initContainers":[null],"volumes":[{"image":{"reference":"b"}}]}}`)
	f.Add("Deployment", `{"spec":{"template":{"spec":{"containers":[{"image":"a"}]}}}}`)
	f.Add("CronJob", `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"image":"a"}]}}}}}}`)
	f.Fuzz(func(t *testing.T, kind, data string) {
		for _, m := range object.Makers() {
			if m.Kind != kind {
				continue
			}
			o, err := object.Read(object.Kind{Group: m.Group, Kind: kind}, "n", []byte(data))
			if err != nil {
				continue
			}
			for _, c := range o.Containers {
				if !strings.HasPrefix(c.Path, m.Path+"/spec/") {
					t.Errorf("%s: a path %s", kind, c.Path)
				}
			}
			if changed := o.Changed(o); len(changed) != 0 && !o.Template && distinct(o) {
				t.Errorf("%s differs from itself: %+v", data, changed)
			}
		}
	})
}

// distinct reports whether no two containers share role and name; the server
// refuses those.
func distinct(o *object.Object) bool {
	seen := map[[2]string]bool{}
	for _, c := range o.Containers {
		key := [2]string{c.Role, c.Name}
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

func FuzzHead(f *testing.F) {
	data, _ := json.Marshal(object.Review{APIVersion: object.APIVersion, Request: &object.Request{UID: "u", Namespace: "shop", Object: []byte(`{"a":[1,{"uid":"no"}]}`)}})
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		head, _ := object.Head(data)
		v, err := object.Decode(data)
		if err == nil && head.UID != "" && strings.Count(strings.ToLower(string(data)), "uid") == 1 && head.UID != v.Request.UID {
			t.Errorf("%q: the head says %q, the review %q", data, head.UID, v.Request.UID)
		}
	})
}
