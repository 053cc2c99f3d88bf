//go:build !linux

package respond

import (
	"context"

	"sekisho"
)

func notHere() error {
	return sekisho.Errorf(sekisho.Unavailable, "containers run on Linux; this is another system")
}

func (r *Responder) kill(*Order) error                               { return notHere() }
func (r *Responder) pause(context.Context, *sekisho.Container) error { return notHere() }
func (r *Responder) stop(context.Context, *sekisho.Container) error  { return notHere() }
func (r *Responder) cut(*sekisho.Container) error                    { return notHere() }
func (r *Responder) freeze(int) (func(), error)                      { return nil, notHere() }

// Restore undoes a quarantine.
func (r *Responder) Restore(*sekisho.Container) error { return notHere() }

// Release undoes a pause and a quarantine.
func (r *Responder) Release(context.Context, *sekisho.Container) error { return notHere() }
