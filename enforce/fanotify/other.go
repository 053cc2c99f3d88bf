//go:build !linux

package fanotify

import (
	"context"

	"sekisho"
)

// Guard exists on Linux only.
type Guard struct{}

// Open says so.
func Open(Options) (*Guard, error) {
	return nil, sekisho.Errorf(sekisho.Unavailable, "permission events need Linux")
}

// Run does nothing.
func (*Guard) Run(context.Context) error { return nil }

// Watch does nothing.
func (*Guard) Watch(*sekisho.Container, []string) error { return nil }

// Mounts does nothing.
func (*Guard) Mounts(*sekisho.Container, int) error { return nil }

// Forget does nothing.
func (*Guard) Forget(string) {}

// Alive says no.
func (*Guard) Alive() bool { return false }

// Stats returns nothing.
func (*Guard) Stats() Stats { return Stats{} }
