//go:build !node

package kubernetes_test

import (
	"net"
	"testing"
)

// tags are those that the server is built with, and program is its name then.
const tags, program = "", "testkube"

// node is what a cluster without any has.
type node struct{}

// prepare says what the API server needs to know.
func (c *cluster) prepare() error {
	c.flags = []string{"--service-cluster-ip-range=10.96.0.0/16"}
	return nil
}

// join adds nothing to the API server.
func (c *cluster) join(string) error { return nil }

// listener is nil: a registry listens where nobody but the host reaches it.
func listener(testing.TB) net.Listener { return nil }
