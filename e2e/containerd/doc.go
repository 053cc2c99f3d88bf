// Package containerd is a module of its own: it builds containerd 2 from its
// sources and stands the gates of a node before it. Nothing of it is in the
// program.
package containerd
