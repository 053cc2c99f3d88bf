package scope_test

import (
	"strings"
	"testing"

	"sekisho/policy/scope"
)

func TestParse(t *testing.T) {
	const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	for in, want := range map[string]string{
		"nginx":                        "docker.io/library/nginx:latest",
		"nginx:1.27":                   "docker.io/library/nginx:1.27",
		"bitnami/redis":                "docker.io/bitnami/redis:latest",
		"index.docker.io/library/a":    "docker.io/library/a:latest",
		"localhost:5000/a/b@" + digest: "localhost:5000/a/b@" + digest,
		"r.example/a:1@" + digest:      "r.example/a:1@" + digest,
		"R.example/a":                  "R.example/a:latest",
	} {
		r, err := scope.Parse(in)
		if err != nil || r.String() != want {
			t.Errorf("%s: got %v, %v; want %s", in, r, err, want)
		}
	}
	for _, in := range []string{"", "UPPER", "a b", "-a", "a@sha256:12", "https://r.example/a", "r.example/a:", "a_b.example/c", strings.Repeat("a", 2000)} {
		if r, err := scope.Parse(in); err == nil {
			t.Errorf("%q was read as %v", in, r)
		}
	}
}

func TestImage(t *testing.T) {
	for _, c := range []struct {
		pattern, image string
		want           bool
	}{
		{"nginx", "docker.io/library/nginx:1.27", true},
		{"nginx:1.27", "nginx:1.27", true},
		{"nginx:1.27", "nginx:1.28", false},
		{"registry.example.org/**", "registry.example.org/a/b/c:1", true},
		{"registry.example.org/**", "registry.example.org.evil.com/a", false},
		{"registry.example.org/**", "evil.com/registry.example.org/a", false},
		{"registry.example.org/*", "registry.example.org/a", true},
		{"registry.example.org/*", "registry.example.org/a/b", false},
		{"registry.example.org/pay/*:1.*", "registry.example.org/pay/app:1.9", true},
		{"registry.example.org/pay/*:1.*", "registry.example.org/pay/app:2.1", false},
		{"registry.example.org/pay/*:1.*", "registry.example.org/pay/app@sha256:1111111111111111111111111111111111111111111111111111111111111111", false},
		{"localhost:5000/**", "localhost:5000/a", true},
		{"localhost:5000/**", "localhost:5001/a", false},
		{"*.example.org/app", "eu.example.org/app", true},
		{"*.example.org/app", "example.org/app", false},
		{"**/nginx", "docker.io/library/nginx", true},
		{"**/nginx", "r.example/x/y/nginx", true},
		{"**/nginx", "r.example/nginx-evil", false},
		{"**/x/**", "r.example/x/y", true},
		{"**", "anything", true},
		{"docker.io/library/debian:12*", "debian:12-slim", true},
	} {
		p, err := scope.ParseImage(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		r, err := scope.Parse(c.image)
		if err != nil {
			t.Fatal(err)
		}
		if p.Match(r) != c.want {
			t.Errorf("%s on %s: got %v", c.pattern, r, !c.want)
		}
	}
	for _, bad := range []string{"", "app*", "team/*", "registry.example.org/[ab]", "registry.example.org/a**", "**/a/**/b/**/c/**", "r.example/a@sha256:1111111111111111111111111111111111111111111111111111111111111111", "UPPER"} {
		if _, err := scope.ParseImage(bad); err == nil {
			t.Errorf("%q could be meant in two ways and was taken", bad)
		}
	}
}

func text(s string) *string { return &s }

// TestScope holds above all that what is not known takes nothing out of a
// scope.
func TestScope(t *testing.T) {
	r, err := scope.Parse("registry.example.org/pay/app:1")
	if err != nil {
		t.Fatal(err)
	}
	known := scope.Subject{Reference: &r, Namespace: text("prod-a"), Host: text("node1"), Environment: text("production"), Labels: map[string]string{"tier": "web"}}
	for _, c := range []struct {
		name    string
		scope   scope.Scope
		subject scope.Subject
		want    bool
	}{
		{"empty", scope.Scope{}, scope.Subject{}, true},
		{"all match", scope.Scope{Images: []string{"registry.example.org/**"}, Namespaces: []string{"prod-*"}, Environments: []string{"production"}, Labels: map[string]string{"tier": "*"}}, known, true},
		{"one does not", scope.Scope{Images: []string{"registry.example.org/**"}, Namespaces: []string{"dev"}}, known, false},
		{"one of several patterns", scope.Scope{Registries: []string{"a.example", "registry.*"}}, known, true},
		{"label missing", scope.Scope{Labels: map[string]string{"team": "*"}}, known, false},
		{"nothing known", scope.Scope{Images: []string{"a.example/**"}, Registries: []string{"a.example"}, Namespaces: []string{"x"}, Hosts: []string{"x"}, Labels: map[string]string{"a": "b"}}, scope.Subject{}, true},
		{"excluded", scope.Scope{Exclude: &scope.Scope{Namespaces: []string{"prod-a"}}}, known, false},
		{"excluded needs all", scope.Scope{Exclude: &scope.Scope{Namespaces: []string{"prod-a"}, Hosts: []string{"node2"}}}, known, true},
		{"what is not known is not excluded", scope.Scope{Exclude: &scope.Scope{Namespaces: []string{"*"}, Labels: map[string]string{"a": "*"}}}, scope.Subject{}, true},
	} {
		m, err := c.scope.Compile()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.Match(&c.subject) != c.want {
			t.Errorf("%s: got %v", c.name, !c.want)
		}
	}
	for _, bad := range []scope.Scope{{Images: []string{"x*"}}, {Hosts: []string{""}}, {Namespaces: []string{"[a]"}}, {Exclude: &scope.Scope{}}, {Exclude: &scope.Scope{Hosts: []string{"a"}, Exclude: &scope.Scope{}}}} {
		if _, err := bad.Compile(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func FuzzImage(f *testing.F) {
	f.Add("registry.example.org/**:1.*", "registry.example.org/a/b:1.2")
	f.Add("**/**/**/a", "x/y/z")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := scope.ParseImage(pattern)
		if err != nil {
			return
		}
		r, err := scope.Parse(name)
		if err != nil {
			return
		}
		p.Match(r)
		if again, err := scope.Parse(r.String()); err != nil || again != r {
			t.Errorf("%q reads as %v, and that as %v (%v)", name, r, again, err)
		}
	})
}
