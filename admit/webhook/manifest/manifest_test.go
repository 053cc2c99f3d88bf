package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sekisho"
	"sekisho/admit/webhook"
	"sekisho/admit/webhook/manifest"
)

func write(t *testing.T, o manifest.Options) (docs []map[string]any) {
	t.Helper()
	var b strings.Builder
	if err := manifest.Write(&b, o); err != nil {
		t.Fatal(err)
	}
	for text := range strings.SplitSeq(b.String(), "\n---\n") {
		var doc map[string]any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		docs = append(docs, doc)
	}
	return docs
}

// TestConfiguration holds that the servers of the manifest understand the
// configuration that it gives them.
func TestConfiguration(t *testing.T) {
	docs := write(t, manifest.Options{Namespace: "gatehouse", Image: "r.example/sekisho:1", Policies: []string{"baseline", "own.yaml"}, Files: map[string]string{"own.yaml": "name: own\nmode: deny\n"}, Open: []string{"kube-system"}})
	for _, d := range docs {
		if d["kind"] != "ConfigMap" {
			continue
		}
		data := d["data"].(map[string]any)
		c, err := webhook.ParseConfig(strings.NewReader(data["admit.yaml"].(string)), "admit.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if c.Namespace != "gatehouse" || c.Certificate.Names[0] != "sekisho.gatehouse.svc" || c.Failure != webhook.Closed || c.Scopes[0].Failure != webhook.Open || strings.TrimSpace(data["own.yaml"].(string)) != "name: own\nmode: deny" {
			t.Errorf("the configuration is %+v, %q", c, data["own.yaml"])
		}
		return
	}
	t.Error("there is no configuration")
}

func TestOutside(t *testing.T) {
	docs := write(t, manifest.Options{Namespace: "gatehouse", URL: "https://gate.example.org:8443/", CA: []byte("certificate")})
	if len(docs) != 2 {
		t.Fatalf("%d objects, want the two configurations", len(docs))
	}
	for _, o := range []manifest.Options{{URL: "https://gate"}, {URL: "https://gate", Open: []string{"kube-system"}}} {
		for _, d := range write(t, o) {
			for _, h := range d["webhooks"].([]any) {
				if s, ok := h.(map[string]any)["namespaceSelector"].(map[string]any); ok {
					for _, e := range s["matchExpressions"].([]any) {
						if len(e.(map[string]any)["values"].([]any)) == 0 {
							t.Errorf("%v: an empty selector, which the API server refuses", o)
						}
					}
				}
			}
		}
	}
	hook := docs[1]["webhooks"].([]any)[0].(map[string]any)["clientConfig"].(map[string]any)
	if hook["url"] != "https://gate.example.org:8443/validate" || hook["caBundle"] != "Y2VydGlmaWNhdGU=" {
		t.Errorf("it calls %v", hook)
	}
}

// TestStorage holds that each server gets a volume of its own that stays, and
// that without it nothing else is asked of the cluster.
func TestStorage(t *testing.T) {
	kinds := func(o manifest.Options) (list []any, servers map[string]any) {
		o.Namespace, o.Image = "a", "x"
		for _, d := range write(t, o) {
			list = append(list, d["kind"])
			if d["kind"] == "StatefulSet" || d["kind"] == "Deployment" {
				servers = d["spec"].(map[string]any)
			}
		}
		return list, servers
	}
	list, spec := kinds(manifest.Options{Storage: "5Gi", StorageClass: "fast"})
	claim, _ := spec["volumeClaimTemplates"].([]any)
	if !slices.Contains(list, any("StatefulSet")) || slices.Contains(list, any("Deployment")) || len(claim) != 1 {
		t.Fatalf("objects %v, claims %v", list, claim)
	}
	c := claim[0].(map[string]any)["spec"].(map[string]any)
	if c["storageClassName"] != "fast" || c["resources"].(map[string]any)["requests"].(map[string]any)["storage"] != "5Gi" {
		t.Errorf("it claims %v", c)
	}
	if list, spec := kinds(manifest.Options{}); !slices.Contains(list, any("Deployment")) || spec["volumeClaimTemplates"] != nil {
		t.Errorf("without storage: %v", list)
	}
}

func TestRefused(t *testing.T) {
	for name, o := range map[string]manifest.Options{
		"no image":                  {Namespace: "a"},
		"no namespace":              {Image: "x"},
		"a namespace that is none":  {Namespace: "A b", Image: "x"},
		"plain HTTP":                {Namespace: "a", URL: "http://gate"},
		"a query":                   {Namespace: "a", URL: "https://gate/?a=b"},
		"its own namespace open":    {Namespace: "a", Image: "x", Open: []string{"a"}},
		"a failure that is none":    {Namespace: "a", Image: "x", Failure: "maybe"},
		"a file elsewhere":          {Namespace: "a", Image: "x", Files: map[string]string{"../x": ""}},
		"a size that is none":       {Namespace: "a", Image: "x", Storage: "much"},
		"a class without a size":    {Namespace: "a", Image: "x", StorageClass: "fast"},
		"a class that is none":      {Namespace: "a", Image: "x", Storage: "1Gi", StorageClass: "x\ny"},
		"storage of a gate outside": {URL: "https://gate", Storage: "1Gi"},
		"YAML in an image":          {Namespace: "a", Image: "x\"\nkind: y"},
	} {
		var b strings.Builder
		if err := manifest.Write(&b, o); sekisho.KindOf(err) != sekisho.Usage || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
