// Package kubernetes tries the gate at the Kubernetes API on the real thing: an
// etcd and a kube-apiserver that testkube/ builds from Go modules. It is a
// module of its own, so that none of that comes near the product.
//
//	go test .
//
// builds the server once, under the user's cache directory (about 8 CPU minutes
// from nothing; TESTKUBE names one that is there already), starts it on free
// ports of 127.0.0.1, and stops it at the end.
//
//	go test -tags node -run '^TestNode' .
//
// adds a node: controller manager, scheduler, kubelet, and a containerd 2 built
// from ../containerd, whose binaries are kept in the same place (about 4 CPU
// minutes more). It needs root, busybox-static, runc and
// containernetworking-plugins. Bridge, addresses, control groups and directories
// are its own, so that several can run on one host. With SEKISHO_LOGS a failed
// test leaves its logs in that directory.
package kubernetes
