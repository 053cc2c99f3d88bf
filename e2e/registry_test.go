package e2e_test

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// startRegistry is "registry [referrers]": a registry in memory until the script
// ends; its address is in $REGISTRY.
func startRegistry(ts *testscript.TestScript, _ bool, args []string) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(len(args) > 0)))
	ts.Defer(s.Close)
	ts.Setenv("REGISTRY", strings.TrimPrefix(s.URL, "http://"))
}

// push is "push LAYOUT REF VARIABLE": the first image of an OCI layout goes to a
// registry, its digest into the variable.
func push(ts *testscript.TestScript, _ bool, args []string) {
	index, err := layout.ImageIndexFromPath(ts.MkAbs(args[0]))
	ts.Check(err)
	m, err := index.IndexManifest()
	ts.Check(err)
	img, err := index.Image(m.Manifests[0].Digest)
	ts.Check(err)
	ref, err := name.ParseReference(args[1], name.Insecure)
	ts.Check(err)
	ts.Check(remote.Write(ref, img))
	ts.Setenv(args[2], m.Manifests[0].Digest.String())
}

// pushIndex is "pushindex LAYOUT REF": the first index of an OCI layout goes to a
// registry with its images.
func pushIndex(ts *testscript.TestScript, _ bool, args []string) {
	outer, err := layout.ImageIndexFromPath(ts.MkAbs(args[0]))
	ts.Check(err)
	m, err := outer.IndexManifest()
	ts.Check(err)
	index, err := outer.ImageIndex(m.Manifests[0].Digest)
	ts.Check(err)
	ref, err := name.ParseReference(args[1], name.Insecure)
	ts.Check(err)
	ts.Check(remote.WriteIndex(ref, index))
}
