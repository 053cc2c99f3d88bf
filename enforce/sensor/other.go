//go:build !linux

package sensor

import (
	"context"

	"sekisho"
	"sekisho/enforce/container"
)

// Sensor exists on Linux only.
type Sensor struct{}

// Open says so.
func Open(Options) (*Sensor, error) {
	return nil, sekisho.Errorf(sekisho.Unavailable, "the enforcer needs Linux")
}

// Run does nothing.
func (*Sensor) Run(context.Context, func(*sekisho.Event)) error { return nil }

// Features returns nothing.
func (*Sensor) Features() []Feature { return nil }

// Stats returns nothing.
func (*Sensor) Stats() (Stats, error) { return Stats{}, nil }

// SetPolicy does nothing.
func (*Sensor) SetPolicy(uint32, Policy) error { return nil }

// Assign does nothing.
func (*Sensor) Assign(string, uint32, *Rules) error { return nil }

// Try returns nothing.
func (*Sensor) Try(Mode) []Feature { return nil }

// Expect does nothing.
func (*Sensor) Expect(Mode) {}

// Sweep does nothing.
func (*Sensor) Sweep() error { return nil }

// Exempt does nothing.
func (*Sensor) Exempt(uint64, uint32, uint64) error { return nil }

// Close does nothing.
func (*Sensor) Close() error { return nil }

// Outlived returns nothing.
func (*Sensor) Outlived() (*Outlived, bool) { return nil, true }

// Marks returns nothing.
func (*Sensor) Marks() *[2]uint64 { return nil }

// Abandoned says no.
func Abandoned(string) bool { return false }

// Look returns nothing.
func Look(string, *container.Tracker) (*Held, error) { return nil, nil }

// Unpin does nothing.
func Unpin(string) (int, error) { return 0, nil }
