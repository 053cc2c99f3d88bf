// Package manifest writes what installs the gate in a Kubernetes cluster: its
// namespace, rights, servers, and the webhook configurations that call them. It
// refuses options that would let the gate lock itself or its cluster out.
package manifest

import (
	_ "embed"
	"encoding/base64"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"sekisho"
	"sekisho/admit/webhook/object"
)

//go:embed install.yaml.tmpl
var text string

// Options of an installation. Policies are required, and Namespace and Image
// without a URL.
type Options struct {
	Namespace    string // the gate's own, which is exempt; may be empty with URL
	Image        string
	Policies     []string          // as the configuration names them
	Files        map[string]string // policy files that go into the configuration
	Replicas     int
	Failure      string   // fail or ignore, when no gate answers
	Open         []string // namespaces whose requests pass while no gate answers
	Exempt       []string // namespaces that are not judged at all
	Storage      string   // of each server's persistent volume, as 20Gi; empty for a volume that goes with its pod
	StorageClass string   // of these volumes; empty for the cluster's own choice
	URL          string   // of a gate outside the cluster; empty for one inside
	CA           []byte   // PEM, of that gate
}

var (
	namespaceForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	sizeForm      = regexp.MustCompile(`^[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$`) // of Kubernetes' quantities those for sizes
	classForm     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	fileForm      = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.]{0,100}$`)
)

// Write writes the objects as YAML.
func Write(w io.Writer, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	t, err := template.New("install").Funcs(template.FuncMap{
		"quote": quote, "list": func(l []string) string { return "[" + strings.Join(quoteAll(l), ", ") + "]" },
		"base64": base64.StdEncoding.EncodeToString, "indent": indent,
	}).Parse(text)
	if err != nil {
		return err
	}
	never := o.Exempt
	if o.Namespace != "" {
		never = slices.Concat([]string{o.Namespace}, o.Exempt)
	}
	return t.Execute(w, values{o, resources(), never, slices.Concat(never, o.Open)})
}

// values are what the template is filled with.
type values struct {
	Options
	Resources []group
	Never     []string // namespaces that no webhook sees
	NotClosed []string // namespaces that the strict webhook does not see
}

// group is the resources of an API group that make pods.
type group struct {
	Name      string
	Resources []string
}

func resources() (out []group) {
	for _, m := range object.Makers() {
		i := slices.IndexFunc(out, func(g group) bool { return g.Name == m.Group })
		if i < 0 {
			out, i = append(out, group{Name: m.Group}), len(out)
		}
		out[i].Resources = append(out[i].Resources, m.Resource)
		if m.Resource == "pods" {
			out[i].Resources = append(out[i].Resources, "pods/ephemeralcontainers")
		}
	}
	return out
}

func (o *Options) check() error {
	if o.Failure == "" {
		o.Failure = "fail"
	}
	if o.Replicas == 0 {
		o.Replicas = 2
	}
	for _, n := range slices.Concat([]string{o.Namespace}, o.Open, o.Exempt) {
		if n == "" && n == o.Namespace && o.URL != "" {
			continue // a gate outside the cluster has none
		}
		if !namespaceForm.MatchString(n) {
			return sekisho.Errorf(sekisho.Usage, "namespace %q: want lower-case letters, digits and dashes, at most 63", n)
		}
	}
	switch {
	case o.Failure != "fail" && o.Failure != "ignore":
		return sekisho.Errorf(sekisho.Usage, "failure %q: want fail or ignore", o.Failure)
	case o.Replicas < 1 || o.Replicas > 100:
		return sekisho.Errorf(sekisho.Usage, "%d replicas: want 1 to 100", o.Replicas)
	case o.Storage != "" && !sizeForm.MatchString(o.Storage):
		return sekisho.Errorf(sekisho.Usage, "storage %q: want a size, as 20Gi", o.Storage)
	case o.StorageClass != "" && (o.Storage == "" || !classForm.MatchString(o.StorageClass)):
		return sekisho.Errorf(sekisho.Usage, "storage class %q: want the name of one, beside a size of storage", o.StorageClass)
	case o.Storage != "" && o.URL != "":
		return sekisho.Errorf(sekisho.Usage, "storage is of servers in the cluster, and a URL names one outside")
	case slices.Contains(o.Open, o.Namespace):
		return sekisho.Errorf(sekisho.Usage, "namespace %s is the gate's own and exempt already", o.Namespace)
	case o.URL != "" && (!strings.HasPrefix(o.URL, "https://") || strings.ContainsAny(o.URL, "?# \n\"")):
		return sekisho.Errorf(sekisho.Usage, "URL %q: want https://HOST[:PORT] without a query, which the API server does not allow", o.URL)
	case o.URL == "" && (o.Image == "" || strings.ContainsAny(o.Image, " \n\"")):
		return sekisho.Errorf(sekisho.Usage, "image %q: want the reference of sekisho's image", o.Image)
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	for name := range o.Files {
		if !fileForm.MatchString(name) {
			return sekisho.Errorf(sekisho.Usage, "policy file %q: want a name of letters, digits, dashes and dots", name)
		}
	}
	return nil
}

// quote writes a text as a double-quoted scalar of YAML. Its values have no
// control characters.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func quoteAll(list []string) (out []string) {
	for _, s := range list {
		out = append(out, quote(s))
	}
	return out
}

// indent makes a text part of a block scalar.
func indent(n int, s string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+pad)
}

// At is the values for one path of the server.
func (v values) At(path string) any {
	return struct {
		values
		Path string
	}{v, path}
}
