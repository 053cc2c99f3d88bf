// Package e2e holds sessions of the real binary: scripts in testdata, and in
// real_test.go tests with a real registry, Docker engine and containerd.
package e2e
