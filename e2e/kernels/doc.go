// Package kernels is a module of its own: it boots kernels of Debian in
// virtual machines and tries the enforcer there, on cgroup v1, v2 and both.
// Nothing of it is in the program.
package kernels
