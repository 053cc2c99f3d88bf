// Package respond carries out what the enforcer decided about a container:
// kill a process, pause or stop the container, cut its network; and seals what
// is known about it before. Orders go in; cases and changed containers come
// out. It acts only on processes that are still those of the order.
package respond

import (
	"context"
	"crypto/ed25519"
	"time"

	"sekisho"
	"sekisho/enforce/settings"
)

// Order is one thing to do about one container.
type Order struct {
	Time      time.Time
	Do        string // a response of the settings
	Container *sekisho.Container
	Service   string
	Reason    string
	PID       int // of the process, 0 for none
	Started   time.Time
	Event     *sekisho.Event
	Recent    time.Duration // events before the order that belong to its case
	Case      string        // set when it is sealed
}

// Responder acts on this host.
type Responder struct {
	Dir      string // of cases
	MaxCases int64  // bytes of all cases; the oldest go
	Log      string // the directory of the evidence log
	Key      ed25519.PrivateKey
	Host     string
	Proc     string // /proc, as this process sees it
	Cgroup   string // /sys/fs/cgroup
	Docker   string // its socket; empty for none
	Mask     func(string) string
	Now      func() time.Time
}

// Act carries out an order.
func (r *Responder) Act(ctx context.Context, o *Order) error {
	switch o.Do {
	case settings.Kill:
		return r.kill(o)
	case settings.Pause:
		return r.pause(ctx, o.Container)
	case settings.Stop:
		return r.stop(ctx, o.Container)
	case settings.Quarantine:
		return r.cut(o.Container)
	}
	return nil
}
