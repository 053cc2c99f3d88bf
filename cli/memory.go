package cli

import (
	"runtime"
	"runtime/debug"

	"sekisho/admit"
)

// The memory of a scan, in bytes.
const (
	scanMemory  = 90 << 20 // how far the heap may grow beyond the rules before the garbage collector works harder
	plainMemory = 48 << 20 // the most that our own rules fill, with what making them ready leaves behind
)

// limitMemory is the one place that bounds the memory of a scan: once the
// rules are loaded, and relative to them, as signatures may fill any size.
// GOMEMLIMIT overrides it.
func (a *app) limitMemory() {
	if a.Getenv("GOMEMLIMIT") != "" || a.serves {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > plainMemory { // many rules: what they left behind is not theirs to keep
		runtime.GC()
		runtime.ReadMemStats(&m)
	}
	debug.SetMemoryLimit(int64(m.HeapAlloc) + scanMemory)
}

// serveMemory is the most, in bytes, that a gate's heap grows to before the
// garbage collector works harder.
const serveMemory = 2 << 30

// keepServing tells that the process answers others until it is ended. It keeps facts
// ready, so its heap is large and lives long: collecting it seldom is what keeps
// answers quick. A scan on demand must not bound it. GOGC and GOMEMLIMIT
// override it.
func (a *app) keepServing() {
	a.serves = true
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(admit.GCPercent)
	}
	if a.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(serveMemory)
	}
}

// enforceMemory is how far, in bytes, the enforcer's heap may grow beyond what
// it loaded before the garbage collector works harder. A flood of events fills
// it; ordinary life takes a few megabytes.
const enforceMemory = 32 << 20

// enforceGarbage is how much garbage may wait, in percent of what is in use:
// what an event leaves behind is small, and most of what is in use is rules.
const enforceGarbage = 50

// keepEnforcing gives back what starting took, and bounds what running may
// take. GOGC and GOMEMLIMIT override it.
func (a *app) keepEnforcing() {
	debug.FreeOSMemory()
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(enforceGarbage)
	}
	if a.Getenv("GOMEMLIMIT") != "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetMemoryLimit(int64(m.Sys-m.HeapReleased) + enforceMemory)
}
