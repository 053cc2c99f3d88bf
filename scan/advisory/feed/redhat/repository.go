package redhat

import (
	"context"
	"encoding/json"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// maxRepositories bounds the list of repositories in bytes.
const maxRepositories = 64 << 20

// Repository returns the id of the detail that tells a repository's CPEs, those
// of the products that its packages belong to. Images name the repositories
// that they are built from (content sets); statements name CPEs.
func Repository(name string) string { return "repository:" + name }

// repositories tells the CPEs of each repository, as details of the feed.
// Repositories of debug information and of sources hold nothing that images
// have. A mirror may be without the list.
func (r *update) repositories(ctx context.Context, again bool) error {
	root, ok := strings.CutSuffix(r.URL, "/csaf/v2/vex")
	if !ok {
		return nil
	}
	url := root + "/metrics/repository-to-cpe.json"
	if again {
		delete(r.state.Validators, url)
	}
	doc, err := source.Open(ctx, r.Client, r.state, url, maxRepositories)
	if sekisho.KindOf(err) == sekisho.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	defer doc.Close()
	if doc.Same {
		return nil
	}
	var list struct {
		Data map[string]struct {
			CPEs []string `json:"cpes"`
		} `json:"data"`
	}
	if err := json.NewDecoder(doc).Decode(&list); err != nil || len(list.Data) == 0 {
		return sekisho.Errorf(sekisho.Invalid, "read %s: no list of repositories", url)
	}
	for name, repo := range list.Data {
		if len(repo.CPEs) == 0 || len(name) > 200 || strings.HasSuffix(name, "-debug-rpms") || strings.HasSuffix(name, "-source-rpms") {
			continue
		}
		if err := r.Sink.Detail(advisory.Detail{ID: Repository(name), Group: group, CPEs: repo.CPEs}, advisory.Text{ID: Repository(name), Group: group}); err != nil {
			return err
		}
	}
	return nil
}
