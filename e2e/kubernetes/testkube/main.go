// Command testkube is one binary that holds etcd and kube-apiserver and, built
// with the tag node, also kube-controller-manager, kube-scheduler and kubelet,
// made of Go modules alone. It exists only for tests: nothing of it is shipped.
// The first argument says which of them runs.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// parts makes the command of each part. Only the chosen one is made: each
// registers flags and metrics when it is.
var parts = map[string]func() *cobra.Command{"kube-apiserver": apiserver.NewAPIServerCommand}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	os.Args = os.Args[1:]
	if os.Args[0] == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	part, ok := parts[os.Args[0]]
	if !ok {
		usage()
	}
	os.Exit(cli.Run(part()))
}

func usage() {
	fmt.Fprintf(os.Stderr, "usage: testkube etcd|%s [flags]\n", strings.Join(slices.Sorted(maps.Keys(parts)), "|"))
	os.Exit(2)
}
