package repository_test

import (
	"slices"
	"testing"

	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/repository"
)

// A content manifest, as images of Red Hat's older build service have it.
const ubi = `{"metadata": {"icm_version": 1, "image_layer_index": 1},
"content_sets": ["rhel-8-for-x86_64-baseos-rpms", "rhel-8-for-x86_64-appstream-rpms", "two words"], "image_contents": []}`

const extras = `[amzn2extra-docker]
enabled = 1
name = Amazon Extras repo for docker
[amzn2extra-docker-source]
enabled = 1
[amzn2extra-nginx1]
enabled = 0
[amzn2extra-kernel-5.10]
name = no word of enabled
`

func TestRepositories(t *testing.T) {
	for _, c := range []struct {
		path, data string
		want       []string
	}{
		{"root/buildinfo/content_manifests/ubi8-container-8.9-1.json", ubi, []string{"rhel-8-for-x86_64-baseos-rpms", "rhel-8-for-x86_64-appstream-rpms"}},
		{"usr/share/buildinfo/content-sets.json", ubi, []string{"rhel-8-for-x86_64-baseos-rpms", "rhel-8-for-x86_64-appstream-rpms"}},
		{"usr/share/buildinfo/labels.json", `{"name": "ubi9"}`, nil},
		{"etc/yum.repos.d/amzn2-extras.repo", extras, []string{"amzn2extra-docker", "amzn2extra-kernel-5.10"}},
	} {
		f := &analyze.File{Path: c.path, Size: int64(len(c.data)), Data: []byte(c.data)}
		if repository.New().Wants(f) != analyze.Whole {
			t.Errorf("%s is not read", c.path)
		}
		var out analyze.Result
		if err := repository.New().Analyze(f, &out); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
		var got []string
		for _, x := range out.Facts {
			if x.Kind == repository.Fact {
				got = append(got, x.Value)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.path, got, c.want)
		}
	}
	if repository.New().Wants(&analyze.File{Path: "home/x/root/buildinfo/content_manifests/a.json"}) != analyze.Skip {
		t.Error("a manifest anywhere is read")
	}
}

func FuzzRepositories(f *testing.F) {
	f.Add([]byte(ubi), false)
	f.Add([]byte(extras), true)
	f.Fuzz(func(t *testing.T, data []byte, yum bool) {
		path := "usr/share/buildinfo/content-sets.json"
		if yum {
			path = "etc/yum.repos.d/amzn2-extras.repo"
		}
		var out analyze.Result
		_ = repository.New().Analyze(&analyze.File{Path: path, Data: data}, &out)
		if len(out.Facts) > 1000 {
			t.Errorf("%d repositories", len(out.Facts))
		}
		for _, x := range out.Facts {
			if x.Value == "" || len(x.Value) > 200 {
				t.Errorf("repository %q", x.Value)
			}
		}
	})
}
