// Package kubernetes feeds the flaws that the Kubernetes project announces, in
// the OSV form that its security response committee keeps. A zip file of a
// repository comes in; records of the components, by module path, come out.
package kubernetes

import (
	"context"
	"errors"
	"path"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/osv/schema"
)

type feed struct{}

// New returns the feed.
func New() advisory.Feed { return feed{} }

// Info describes the feed.
func (feed) Info() advisory.Info {
	return advisory.Info{
		Name: "kubernetes", Title: "Kubernetes CVE feed", URL: "https://github.com/kubernetes-sigs/cve-feed-osv/archive/refs/heads", Licence: "Apache-2.0",
		Ecosystems: []string{"Kubernetes"}, Default: true,
	}
}

// Update reads the whole when it changed; it is tens of kilobytes. The names
// are those of the feed: "k8s.io/kubelet", "k8s.io/apiserver".
func (feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	address := u.URL + "/main.zip"
	doc, err := u.Client.Get(ctx, address, u.State.Validators[address])
	if err != nil {
		return u.State, err
	}
	if doc.Same {
		return u.State, doc.Close()
	}
	u.Sink.Replace("Kubernetes")
	d := schema.Decoder{
		Order: schema.OrderOf,
		Place: func(ecosystem string) string { return strings.Replace(ecosystem, "kubernetes", "Kubernetes", 1) },
		Keep:  func(ecosystem string) bool { return ecosystem == "Kubernetes" },
		Entry: func(name string) bool { return path.Base(path.Dir(name)) == "vulns" },
	}
	sum, err := d.Zip(ctx, doc.ReaderAt, doc.Size, u.Sink)
	if err = errors.Join(err, doc.Close()); err != nil {
		return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", address, err)
	}
	if sum.Records == 0 {
		return u.State, sekisho.Errorf(sekisho.Invalid, "read %s: no records under vulns", address)
	}
	return advisory.State{Validators: map[string]advisory.Validator{address: doc.Validator}, Newest: sum.Newest, Skipped: sum.Skipped}, nil
}
