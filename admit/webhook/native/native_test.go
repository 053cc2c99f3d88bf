package native_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"sekisho"
	"sekisho/admit/webhook/native"
	"sekisho/admit/webhook/object"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
	"sekisho/policy/ready"
)

// judged is a policy as the API server judges it.
type judged struct {
	policy    *native.Policy
	programs  map[string]cel.Program
	variables []string
}

func compile(t testing.TB, p *native.Policy) judged {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType), cel.Variable("request", cel.DynType), cel.Variable("variables", cel.DynType), ext.Strings(ext.StringsVersion(2)))
	if err != nil {
		t.Fatal(err)
	}
	j := judged{policy: p, programs: map[string]cel.Program{}}
	add := func(text string) {
		ast, issues := env.Compile(text)
		if issues.Err() != nil {
			t.Fatalf("%s: %v", text, issues.Err())
		}
		if j.programs[text], err = env.Program(ast); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range p.Spec.Variables {
		add(v.Expression)
	}
	for _, c := range p.Spec.MatchConditions {
		add(c.Expression)
	}
	for _, v := range p.Spec.Validations {
		add(v.Expression)
		if v.MessageExpression != "" {
			add(v.MessageExpression)
		}
	}
	return j
}

// denies evaluates as the API server does: conditions, variables, validations.
func (j judged) denies(t testing.TB, namespace string, o, old map[string]any) (bool, string) {
	t.Helper()
	variables := map[string]any{}
	in := map[string]any{"object": o, "oldObject": nil, "request": map[string]any{"namespace": namespace}, "variables": variables}
	if old != nil {
		in["oldObject"] = old
	}
	eval := func(text string) any {
		v, _, err := j.programs[text].Eval(in)
		if err != nil {
			t.Fatalf("%s on %v: %v", text, o, err)
		}
		return v.Value()
	}
	for _, c := range j.policy.Spec.MatchConditions {
		if eval(c.Expression) != true {
			return false, ""
		}
	}
	for _, v := range j.policy.Spec.Variables {
		variables[v.Name] = eval(v.Expression)
	}
	for _, v := range j.policy.Spec.Validations {
		if eval(v.Expression) == true {
			continue
		}
		if v.MessageExpression == "" {
			return true, v.Message
		}
		message, _ := eval(v.MessageExpression).(string)
		return true, message
	}
	return false, ""
}

const everything = `
name: everything
mode: deny
scope:
  namespaces: [shop-*, bank]
  exclude: {labels: {tier: "lab*"}}
controls:
`

// controls are all that can be written natively, with parameters.
var controls = []string{"{control: privileged}", "{control: privilege-escalation}", "{control: read-only-root}", "{control: capabilities}", "{control: capabilities, allowed: [NET_BIND_SERVICE, cap_chown], drop_all: true}",
	"{control: capabilities, denied: [SYS_ADMIN]}", "{control: host-access}", "{control: host-access, allowed: [pid], allowed_paths: [/var/log/**, /etc/localtime, /run/*.sock]}", "{control: root-user}", "{control: root-user, numeric: true}",
	"{control: root-user, minimum_uid: 1000}", "{control: registries, allowed: [docker.io, '*.example.org', 'localhost:5000']}", "{control: digest-pinned}"}

// someone makes pods that differ in all that the controls look at.
type someone struct{ *rand.Rand }

func pick[T any](r someone, list ...T) T { return list[r.IntN(len(list))] }

func (r someone) context() map[string]any {
	c := map[string]any{}
	set := func(key string, values ...any) {
		if v := pick(r, values...); v != nil && r.IntN(2) == 0 {
			c[key] = v
		}
	}
	set("privileged", true, false)
	set("allowPrivilegeEscalation", true, false, false)
	set("readOnlyRootFilesystem", true, true, false)
	set("runAsUser", 0, 1, 999, 1000, 10001)
	set("runAsNonRoot", true, false)
	set("capabilities", map[string]any{"add": []any{"NET_BIND_SERVICE"}}, map[string]any{"add": []any{"CAP_CHOWN", "net_raw"}, "drop": []any{"ALL"}}, map[string]any{"drop": []any{"all"}}, map[string]any{"add": []any{"SYS_ADMIN"}}, map[string]any{"add": []any{"ALL"}}, map[string]any{})
	set("windowsOptions", map[string]any{"hostProcess": true}, map[string]any{"hostProcess": false}, map[string]any{})
	return c
}

func (r someone) image() string {
	return pick(r, "nginx", "library/nginx:1", "docker.io/library/nginx", "index.docker.io/a/b", "r.example.org/a:1", "R.example.org/a", "localhost/a", "localhost:5000/a", "evil.example.com/docker.io/a", "r.example.org:5000/a") +
		pick(r, "", "", "@sha256:"+strings.Repeat("a", 64))
}

func (r someone) spec() map[string]any {
	s := map[string]any{}
	for _, field := range []string{"containers", "initContainers", "ephemeralContainers"} {
		if field != "containers" && r.IntN(3) > 0 {
			continue
		}
		var list []any
		for i := range 1 + r.IntN(2) {
			c := map[string]any{"name": fmt.Sprint("c", i), "image": r.image()}
			if r.IntN(5) > 0 {
				c["securityContext"] = r.context()
			}
			list = append(list, c)
		}
		s[field] = list
	}
	for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if r.IntN(4) == 0 {
			s[field] = pick(r, true, false)
		}
	}
	if r.IntN(2) == 0 {
		c := r.context()
		for _, key := range []string{"privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"} {
			delete(c, key)
		}
		s["securityContext"] = c
	}
	if r.IntN(2) == 0 {
		s["volumes"] = []any{map[string]any{"name": "v", "hostPath": map[string]any{"path": pick(r, "/var/log/pods", "/var/log", "/var/log/", "/etc/localtime", "/run/a.sock", "/run/x/a.sock", "/", "/etc/")}},
			map[string]any{"name": "e", "emptyDir": map[string]any{}}, map[string]any{"name": "i", "image": map[string]any{"reference": r.image()}}}
	}
	return s
}

// object makes something that makes pods.
func (r someone) object(m object.Maker) map[string]any {
	meta := map[string]any{"name": "x"}
	if r.IntN(3) == 0 {
		meta["labels"] = map[string]any{"tier": pick(r, "lab-1", "front", "")}
	}
	out := map[string]any{"metadata": meta, "spec": r.spec()}
	if m.Path != "" {
		parts := strings.Split(m.Path[1:], "/")
		for i := len(parts) - 1; i >= 0; i-- {
			out = map[string]any{parts[i]: out}
		}
		out["metadata"] = map[string]any{"name": "x"}
	}
	out["kind"] = m.Kind
	data, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	out = map[string]any{}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return whole(out).(map[string]any)
}

// whole makes numbers whole, as the API server's are.
func whole(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = whole(x[k])
		}
	case []any:
		for i := range x {
			x[i] = whole(x[i])
		}
	case json.Number:
		n, err := x.Int64()
		if err != nil {
			panic(err)
		}
		return n
	}
	return v
}

// ours decides as the webhook does, of an image that itself is fine.
func ours(t testing.TB, p *assurance.Policy, m object.Maker, namespace string, o map[string]any) string {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	read, err := object.Read(object.Kind{Group: m.Group, Kind: m.Kind}, namespace, data)
	if err != nil {
		t.Fatal(err)
	}
	user, result := "10001", sekisho.Allow
	for _, c := range read.Containers {
		x := assurance.Prepare(&fact.Image{User: &user}, nil)
		v := assurance.Evaluate(assurance.NewSet(p), x, &fact.Request{Now: time.Now(), Stage: fact.Run, Reference: c.Image, Workload: &c.Workload})
		result = sekisho.Worst(result, v.Result)
	}
	return result
}

// TestSame holds that the API server decides by the exported policy as sekisho
// decides by the policy.
func TestSame(t *testing.T) {
	for n, c := range controls {
		text := everything + "  - " + c + "\n"
		p, err := assurance.Parse(strings.NewReader(text), "policy.yaml")
		if err != nil {
			t.Fatal(err)
		}
		out, _, _, err := native.Export([]byte(text), native.Options{})
		if err != nil || out == nil {
			t.Fatalf("%s: %v", c, err)
		}
		j := compile(t, out)
		r := someone{rand.New(rand.NewPCG(1, uint64(n)))}
		denied := 0
		for range 600 {
			makers := object.Makers()
			m := pick(r, makers[:]...)
			o, namespace := r.object(m), pick(r, "shop-1", "shop", "bank", "other")
			deny, message := j.denies(t, namespace, o, nil)
			want := ours(t, p, m, namespace, o) == sekisho.Deny
			if deny != want {
				data, _ := json.Marshal(o)
				t.Fatalf("%s in %s: natively denied %v (%s), by sekisho %v: %s", c, namespace, deny, message, want, data)
			}
			if deny {
				denied++
				if !strings.HasPrefix(message, "sekisho: ") {
					t.Fatalf("%s: the message is %q", c, message)
				}
				if again, _ := j.denies(t, namespace, o, o); again {
					t.Fatalf("%s: an update that changes nothing is denied", c)
				}
			}
		}
		if denied < 20 || denied > 580 {
			t.Errorf("%s: %d of 600 denied: the objects do not try it", c, denied)
		}
	}
}

// TestReady holds what of the ready-made policies is said natively.
func TestReady(t *testing.T) {
	for _, name := range ready.Names() {
		data, err := ready.Source(name)
		if err != nil {
			t.Fatal(err)
		}
		p, b, left, err := native.Export(data, native.Options{Exempt: []string{"kube-system", "sekisho"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			t.Errorf("%s: nothing was left out, though it looks at vulnerabilities", name)
		}
		if p == nil {
			continue
		}
		compile(t, p)
		if b.Spec.PolicyName != p.Metadata.Name || len(b.Spec.ValidationActions) == 0 {
			t.Errorf("%s: binding %+v", name, b)
		}
	}
}

func TestLeftOut(t *testing.T) {
	p, _, left, err := native.Export([]byte("name: x\nscope: {images: ['*/**']}\ncontrols: [{control: privileged}]"), native.Options{})
	if err != nil || p != nil || len(left) != 1 {
		t.Errorf("a scope of images: %v, %v, %v", p, left, err)
	}
	p, _, left, err = native.Export([]byte("name: x\ncontrols: [{control: privileged, effect: note}, {control: severity, maximum: low}]\nrules: [{rule: a}]"), native.Options{})
	if err != nil || p != nil || len(left) != 3 {
		t.Errorf("nothing that can be said: %v, %v, %v", p, left, err)
	}
}
