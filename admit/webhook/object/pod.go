package object

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"sekisho"
	"sekisho/policy/fact"
)

// maxContainers bounds the containers of one object.
const maxContainers = 1000

// mirrorKey marks the API's picture of a pod that a node started from a file.
const mirrorKey = "kubernetes.io/config.mirror"

// Object is something that makes pods, or a pod.
type Object struct {
	Kind           string
	Name           string // or the prefix of the name that it will get
	Namespace      string
	Template       bool              // it makes pods, and is none
	Annotations    map[string]string // of the pod
	ServiceAccount string
	Owned          bool // another object makes it, and keeps making it
	Mirror         bool // a node started it from a file; the API only shows it
	Containers     []Container
}

// Container is one container, or an image that is mounted as a volume.
type Container struct {
	Path     string // JSON pointer of the image's reference
	Role     string // container, init, ephemeral or volume
	Name     string
	Image    string
	Workload fact.Workload
}

type owner struct {
	Controller bool `json:"controller"`
}

type metadata struct {
	OwnerReferences []owner           `json:"ownerReferences"`
	Name            string            `json:"name"`
	GenerateName    string            `json:"generateName"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
}

type podTemplate struct {
	Metadata metadata `json:"metadata"`
	Spec     podSpec  `json:"spec"`
}

type podSpec struct {
	InitContainers      []container     `json:"initContainers"`
	Containers          []container     `json:"containers"`
	EphemeralContainers []container     `json:"ephemeralContainers"`
	Volumes             []volume        `json:"volumes"`
	ServiceAccountName  string          `json:"serviceAccountName"`
	NodeName            string          `json:"nodeName"`
	HostNetwork         bool            `json:"hostNetwork"`
	HostPID             bool            `json:"hostPID"`
	HostIPC             bool            `json:"hostIPC"`
	SecurityContext     securityContext `json:"securityContext"`
}

type container struct {
	Name            string          `json:"name"`
	Image           string          `json:"image"`
	SecurityContext securityContext `json:"securityContext"`
}

// securityContext has the fields of both a pod's and a container's.
type securityContext struct {
	RunAsUser                *int64  `json:"runAsUser"`
	RunAsNonRoot             *bool   `json:"runAsNonRoot"`
	Privileged               *bool   `json:"privileged"`
	AllowPrivilegeEscalation *bool   `json:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   *bool   `json:"readOnlyRootFilesystem"`
	ProcMount                *string `json:"procMount"`
	Capabilities             struct {
		Add  []string `json:"add"`
		Drop []string `json:"drop"`
	} `json:"capabilities"`
	SeccompProfile *seccompProfile `json:"seccompProfile"`
	WindowsOptions struct {
		HostProcess *bool `json:"hostProcess"`
	} `json:"windowsOptions"`
}

type seccompProfile struct {
	Type string `json:"type"`
}

type volume struct {
	Name     string `json:"name"`
	HostPath *struct {
		Path string `json:"path"`
	} `json:"hostPath"`
	Image *struct {
		Reference string `json:"reference"`
	} `json:"image"`
}

// Makers are the kinds that make pods, and pods, with the resource's name and
// where the pod's template is (a JSON pointer). Package native and the manifest
// list the same.
func Makers() [9]Maker { // an array: it is asked for with every request, and a list would be made each time
	return [...]Maker{
		{"", "Pod", "pods", ""},
		{"", "PodTemplate", "podtemplates", "/template"},
		{"", "ReplicationController", "replicationcontrollers", "/spec/template"},
		{"apps", "Deployment", "deployments", "/spec/template"},
		{"apps", "ReplicaSet", "replicasets", "/spec/template"},
		{"apps", "StatefulSet", "statefulsets", "/spec/template"},
		{"apps", "DaemonSet", "daemonsets", "/spec/template"},
		{"batch", "Job", "jobs", "/spec/template"},
		{"batch", "CronJob", "cronjobs", "/spec/jobTemplate/spec/template"},
	}
}

// Maker is one of them.
type Maker struct{ Group, Kind, Resource, Path string }

// Read reads an object of a kind.
func Read(kind Kind, namespace string, data []byte) (*Object, error) {
	all := Makers()
	i := slices.IndexFunc(all[:], func(m Maker) bool { return m.Group == kind.Group && m.Kind == kind.Kind })
	if i < 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s of group %q is not known to make pods", kind.Kind, kind.Group)
	}
	m := all[i]
	meta, t, err := template(m, data)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "read %s: %w", kind.Kind, err)
	}
	if t == nil { // the server fills in a missing template only for kinds that cannot be without
		return nil, sekisho.Errorf(sekisho.Invalid, "read %s: there is no template of a pod at %s", kind.Kind, m.Path)
	}
	o := &Object{Kind: kind.Kind, Name: meta.Name, Namespace: namespace, Template: m.Path != "", Annotations: t.Metadata.Annotations, ServiceAccount: t.Spec.ServiceAccountName}
	if o.Name == "" {
		o.Name = meta.GenerateName
	}
	o.Owned = slices.ContainsFunc(meta.OwnerReferences, func(r owner) bool { return r.Controller })
	_, mirrored := t.Metadata.Annotations[mirrorKey]
	o.Mirror = mirrored && !o.Template && t.Spec.NodeName != ""
	o.containers(t, m.Path+"/spec")
	if len(o.Containers) > maxContainers {
		return nil, sekisho.Errorf(sekisho.Invalid, "read %s: %d containers, want at most %d", kind.Kind, len(o.Containers), maxContainers)
	}
	return o, nil
}

// template finds the pod or its template, and the object's own metadata.
func template(m Maker, data []byte) (meta metadata, t *podTemplate, err error) {
	switch m.Path {
	case "":
		if err = json.Unmarshal(data, &t); t != nil {
			meta = t.Metadata
		}
	case "/template":
		var v struct {
			Metadata metadata     `json:"metadata"`
			Template *podTemplate `json:"template"`
		}
		err = json.Unmarshal(data, &v)
		meta, t = v.Metadata, v.Template
	case "/spec/template":
		var v struct {
			Metadata metadata `json:"metadata"`
			Spec     struct {
				Template *podTemplate `json:"template"`
			} `json:"spec"`
		}
		err = json.Unmarshal(data, &v)
		meta, t = v.Metadata, v.Spec.Template
	default:
		var v struct {
			Metadata metadata `json:"metadata"`
			Spec     struct {
				JobTemplate struct {
					Spec struct {
						Template *podTemplate `json:"template"`
					} `json:"spec"`
				} `json:"jobTemplate"`
			} `json:"spec"`
		}
		err = json.Unmarshal(data, &v)
		meta, t = v.Metadata, v.Spec.JobTemplate.Spec.Template
	}
	return meta, t, err
}

func (o *Object) containers(t *podTemplate, at string) {
	for _, list := range []struct {
		field, role string
		containers  []container
	}{{"initContainers", "init", t.Spec.InitContainers}, {"containers", "container", t.Spec.Containers}, {"ephemeralContainers", "ephemeral", t.Spec.EphemeralContainers}} {
		for i := range list.containers {
			c := &list.containers[i]
			o.Containers = append(o.Containers, Container{Path: fmt.Sprintf("%s/%s/%d/image", at, list.field, i), Role: list.role, Name: c.Name, Image: c.Image,
				Workload: o.workload(t, c.Name, &c.SecurityContext)})
		}
	}
	for i, v := range t.Spec.Volumes {
		if v.Image == nil || v.Image.Reference == "" {
			continue
		}
		yes, nobody := true, int64(65534) // nothing of it starts: it is mounted read-only, without devices and set-user-id
		none := &securityContext{RunAsNonRoot: &yes, ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: new(bool)}
		none.Capabilities.Drop, none.RunAsUser, none.WindowsOptions.HostProcess = []string{"ALL"}, &nobody, new(bool)
		o.Containers = append(o.Containers, Container{Path: fmt.Sprintf("%s/volumes/%d/image/reference", at, i), Role: "volume", Name: v.Name, Image: v.Image.Reference,
			Workload: o.workload(t, v.Name, none)})
	}
}

// workload joins a container's security context with its pod's and with the
// platform's defaults (Kubernetes API reference, SecurityContext and
// PodSecurityContext).
func (o *Object) workload(t *podTemplate, name string, c *securityContext) fact.Workload {
	pod := &t.Spec.SecurityContext
	labels := t.Metadata.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	w := fact.Workload{Kind: o.Kind, Name: o.Name, Container: name, Namespace: &o.Namespace, Labels: labels,
		RunAsNonRoot: either(c.RunAsNonRoot, pod.RunAsNonRoot), ReadOnlyRoot: either(c.ReadOnlyRootFilesystem),
		Privileged:      either(c.Privileged),
		AddCapabilities: append([]string{}, c.Capabilities.Add...), DropCapabilities: append([]string{}, c.Capabilities.Drop...),
		HostNetwork: &t.Spec.HostNetwork, HostPID: &t.Spec.HostPID, HostIPC: &t.Spec.HostIPC, HostPaths: []string{}}
	if p := either(c.WindowsOptions.HostProcess, pod.WindowsOptions.HostProcess); *p {
		w.Privileged = p // a host process of Windows is in no container at all
	}
	escalates := c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation || *w.Privileged || slices.ContainsFunc(c.Capabilities.Add, administers)
	w.PrivilegeEscalation = &escalates
	for _, u := range []*int64{c.RunAsUser, pod.RunAsUser} {
		if u != nil {
			s := strconv.FormatInt(*u, 10)
			w.User = &s
			break
		}
	}
	seccomp, proc, account := "Unconfined", "Default", t.Spec.ServiceAccountName
	for _, p := range []*seccompProfile{pod.SeccompProfile, c.SeccompProfile} {
		if p != nil && !*w.Privileged { // a privileged container has none, whatever is written
			seccomp = p.Type
		}
	}
	if c.ProcMount != nil {
		proc = *c.ProcMount
	}
	if account == "" {
		account = "default"
	}
	w.Seccomp, w.ProcMount, w.ServiceAccount = &seccomp, &proc, &account
	for _, v := range t.Spec.Volumes {
		if v.HostPath != nil {
			w.HostPaths = append(w.HostPaths, v.HostPath.Path)
		}
	}
	return w
}

// administers: with it, a process gains rights whatever the field says.
func administers(c string) bool { return c == "SYS_ADMIN" || c == "CAP_SYS_ADMIN" || c == "ALL" }

// either is the first that is set, else false.
func either(list ...*bool) *bool {
	for _, b := range list {
		if b != nil {
			v := *b
			return &v
		}
	}
	return new(bool)
}

// Changed lists the containers that an update changes. Of a pod, each that is
// not as it was; of what makes pods, all when anything of them or of the pod's
// labels is: they all start again. An update of anything else starts nothing,
// and must not be stopped by what became known since: it may be the removal of
// a finalizer.
func (o *Object) Changed(old *Object) []Container {
	if old == nil {
		return o.Containers
	}
	if o.Template {
		if reflect.DeepEqual(o.Containers, old.Containers) {
			return nil
		}
		return o.Containers
	}
	was := map[[2]string]Container{}
	for _, c := range old.Containers {
		was[[2]string{c.Role, c.Name}] = c
	}
	var out []Container
	for _, c := range o.Containers {
		before, ok := was[[2]string{c.Role, c.Name}]
		if ok {
			before.Path, before.Workload.Labels = c.Path, c.Workload.Labels // labels of a pod start nothing
		}
		if !ok || !reflect.DeepEqual(before, c) {
			out = append(out, c)
		}
	}
	return out
}
