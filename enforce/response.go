package enforce

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"sekisho"
	"sekisho/audit"
	"sekisho/enforce/respond"
	"sekisho/enforce/settings"
)

// limit bounds how many containers of one service responses may hit within a
// window. It outlives a restart.
type limit struct {
	mu     sync.Mutex
	most   int
	window time.Duration
	acted  map[string][]time.Time // by service; one time for each container
	hit    map[string]time.Time   // containers that were hit already
}

func newLimit(most int, window time.Duration, before map[string][]time.Time) *limit {
	return &limit{most: most, window: window, acted: before, hit: map[string]time.Time{}}
}

// allow says whether another container of a service may be hit, and counts it.
// One that was hit already may be hit again: it is lost already.
func (l *limit) allow(service, container string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, at := range l.hit {
		if now.Sub(at) >= l.window {
			delete(l.hit, id)
		}
	}
	if _, ok := l.hit[container]; ok {
		return true
	}
	recent := slices.DeleteFunc(slices.Clone(l.acted[service]), func(at time.Time) bool { return now.Sub(at) >= l.window })
	if len(recent) >= l.most {
		l.acted[service] = recent
		return false
	}
	l.acted[service], l.hit[container] = append(recent, now), now
	return true
}

// history is what was done within the window.
func (l *limit) history() map[string][]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string][]time.Time, len(l.acted))
	for k, v := range l.acted {
		out[k] = slices.Clone(v)
	}
	return out
}

// lane is one responder with the orders that wait for it.
type lane struct {
	orders *queue[*respond.Order]
	sealed map[string]time.Time // containers, by when their last case was sealed
}

// lane is the same for all orders about a container.
func (e *Enforcer) lane(container string) *lane {
	h := fnv.New32a()
	h.Write([]byte(container))
	return e.lanes[h.Sum32()%responders]
}

func (e *Enforcer) respondAll(ctx context.Context, l *lane) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	batch := make([]*respond.Order, 0, 1)
	for l.orders.take(&batch, 1, tick.C) {
		if n := l.orders.lost(); n > 0 {
			e.lost("responses", n)
		}
		for _, o := range batch {
			e.carryOut(ctx, l, o)
		}
		clear(batch)
		batch = batch[:0]
	}
}

// carryOut seals the evidence, then acts. Evidence that cannot be had delays a
// response no longer than its time, and is told.
func (e *Enforcer) carryOut(ctx context.Context, l *lane, o *respond.Order) {
	if o.Do != settings.Alert && !e.cap.allow(o.Service, o.Container.ID, e.Now()) {
		e.note("response.capped", o, "denied", nil)
		e.alert(&Alert{Kind: KindCap, Severity: "critical", Rule: "response left out", What: o.Service, Why: o.Do, Container: o.Container})
		return
	}
	e.seal(ctx, l, o)
	if o.Do == settings.Alert {
		return
	}
	err := e.Responder.Act(ctx, o)
	e.note("response."+o.Do, o, "done", err)
	e.mu.Lock()
	if err == nil {
		e.state.doc.Responses[o.Do]++
	} else {
		e.state.doc.Responses[o.Do+" failed"]++
	}
	e.mu.Unlock()
	if err != nil {
		e.alert(&Alert{Kind: KindResponse, Severity: "critical", Rule: "response failed", What: o.Do, Why: err.Error(), Container: o.Container})
	}
}

// seal seals a case unless one of this container was sealed a moment ago.
func (e *Enforcer) seal(ctx context.Context, l *lane, o *respond.Order) {
	now := e.Now()
	last, ok := l.sealed[o.Container.ID]
	if ok && now.Sub(last) < time.Duration(e.Settings.Evidence.CaseEach) {
		return
	}
	if len(l.sealed) > maxContainers {
		clear(l.sealed)
	}
	l.sealed[o.Container.ID] = now
	if err := e.Log.Flush(); err != nil {
		e.Logger.Error("evidence not flushed", "error", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(e.Settings.Evidence.Time))
	defer cancel()
	name, err := e.Responder.Seal(ctx, o)
	e.note("evidence.seal", o, "done", err)
	if err != nil {
		e.alert(&Alert{Kind: KindResponse, Severity: "critical", Rule: "evidence not sealed", What: o.Reason, Why: err.Error(), Container: o.Container})
		return
	}
	o.Case = name
}

// note writes who did what to the audit log.
func (e *Enforcer) note(action string, o *respond.Order, result string, err error) {
	if e.Audit == nil {
		return
	}
	x := audit.Entry{Time: e.Now().UTC(), Actor: "sekisho enforce", Action: action, Subject: o.Service, Gate: "enforce", Result: result,
		Reasons: []sekisho.Reason{{Message: o.Reason}}, Details: map[string]string{"container": o.Container.ID, "name": o.Container.Name, "host": e.Host, "case": o.Case}}
	if err != nil {
		x.Result = "error"
		x.Details["error"] = err.Error()
	}
	if err := e.Audit.Append(x); err != nil {
		e.Logger.Error("audit entry not kept", "error", err)
	}
}
