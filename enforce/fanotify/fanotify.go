// Package fanotify denies executions before an instruction runs, and politely:
// the caller gets EPERM. The kernel asks about every execution in the file
// systems of watched containers; a verdict goes back. What was allowed once is
// not asked again until the file changes. It watches only the file systems of
// containers in enforcement: whatever happens to it, the host goes on. A
// question that is not answered in time gets the configured answer.
package fanotify

import (
	"time"

	"sekisho"
	"sekisho/enforce/drift"
)

// Options of a guard.
type Options struct {
	Deadline time.Duration // of an answer
	Closed   bool          // what is not answered in time is denied
	Judge    *drift.Judge
	// Exempt tells the kernel's killer that a copied-up file may run.
	Exempt func(inode, device uint64, changed time.Time) error
	// Denied is told of each denial, by one goroutine.
	Denied func(Denial)
	Find   func(pid int) *sekisho.Container // of a process; nil for the host's
	Proc   string
}

// Denial is an execution that was denied.
type Denial struct {
	Time      time.Time
	Container *sekisho.Container
	PID       int
	Path      string
	Origin    string // upper, volume, memory
	Late      bool   // by the deadline, not by a verdict
}

// Stats count answers.
type Stats struct {
	Asked   uint64 `json:"asked"`
	Allowed uint64 `json:"allowed"`
	Denied  uint64 `json:"denied"`
	Late    uint64 `json:"late"` // answered by the deadline
	Lost    uint64 `json:"lost"` // denials that could not be told
}
