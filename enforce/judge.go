package enforce

import (
	"fmt"
	"slices"
	"time"

	"sekisho"
	"sekisho/enforce/profile"
	"sekisho/enforce/respond"
	"sekisho/enforce/settings"
)

func (e *Enforcer) judgeAll() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	batch := make([]*sekisho.Event, 0, 256)
	for e.judging.take(&batch, cap(batch), tick.C) {
		if n := e.judging.lost(); n > 0 {
			e.lost("judging", n)
		}
		for _, ev := range batch {
			e.judge(ev)
		}
		if len(batch) == 0 {
			e.settle()
			e.flushRules(e.Now())
		}
		clear(batch)
		batch = batch[:0]
	}
	e.settle()
	e.flushRules(e.Now().Add(365 * 24 * time.Hour))
}

// settle tells of drift that nothing more was heard about.
func (e *Enforcer) settle() {
	if ev := e.pending; ev != nil {
		e.pending = nil
		e.tellDrift(ev, profile.Enforce, "")
	}
}

func (e *Enforcer) flushRules(now time.Time) {
	if e.Rules == nil {
		return
	}
	for _, m := range e.Rules.Flush(now) {
		if m.Event != nil {
			e.matched(m.Event, m.Event.Container, "", &m)
		}
	}
}

// lost tells of events that were lost, by class.
func (e *Enforcer) lost(class string, n uint64) {
	e.addLost(class, n)
	e.alert(&Alert{Kind: KindLost, Severity: "high", Rule: "events were lost", What: class})
}

// judge holds one event against drift, profile and rules.
func (e *Enforcer) judge(ev *sekisho.Event) {
	if ev.Kind == sekisho.EventLost && ev.Container != nil {
		e.alert(&Alert{Kind: KindFlood, Severity: "high", Rule: "beyond its budget", What: ev.Path, Event: ev, Container: ev.Container})
		return
	}
	if ev.Kind == sekisho.EventLost {
		e.lost(ev.Path, uint64(max(ev.Number, 0)))
		e.profiles.observeLost(ev)
		return
	}
	if ev.Container == nil {
		e.match(ev, nil, "")
		return
	}
	x := e.table.get(ev.Container.ID)
	if x == nil {
		return // it ended long ago
	}
	if x.isCanary() {
		return
	}
	mode, matcher, origins, service, name := x.judgement()
	ev = e.touched(ev)
	if e.pending != nil && ev.Kind == sekisho.EventKill && ev.Process == e.pending.Process {
		e.pending = nil
	}
	e.settle()
	drifted := e.drift(ev, mode, origins) || mode != profile.Learn && len(origins) > 0 && e.script(ev, mode)
	if byProfile(ev) {
		e.stopped(ev, mode, service, name)
	} else if d := e.usual(ev, mode, matcher, service, name, drifted); d != nil {
		late := mode == profile.Enforce && slices.Contains(x.stopped(), d.Kind) && killable(d)
		e.respond(&Alert{Kind: KindProfile, Severity: "medium", Rule: d.Kind, What: d.What, Why: d.Why, Mode: mode, Event: ev, Container: ev.Container, late: late}, settings.OnProfile)
	}
	e.match(ev, ev.Container, mode)
	e.noteFile(ev)
}

// touched corrects the origin of a file that was copied up with the image's
// content: for profiles and rules it is the image's. The event that is kept as
// evidence stays as the kernel told it.
func (e *Enforcer) touched(ev *sekisho.Event) *sekisho.Event {
	exec := ev.Kind == sekisho.EventExec && ev.Process != nil && ev.Process.Origin == sekisho.OriginUpper
	if e.Drift == nil || !exec && (ev.Kind != sekisho.EventMap || ev.Origin != sekisho.OriginUpper) || !e.Drift.Touched(ev) {
		return ev
	}
	out := *ev
	out.Origin = sekisho.OriginImage
	if exec {
		p := *ev.Process
		p.Origin = sekisho.OriginImage
		out.Process = &p
	}
	return &out
}

// drift alerts on content that the image does not have, and returns whether
// it did.
func (e *Enforcer) drift(ev *sekisho.Event, mode string, origins []string) bool {
	if byProfile(ev) {
		return false
	}
	origin := ev.Origin
	if ev.Kind == sekisho.EventExec && ev.Process != nil {
		origin = ev.Process.Origin
	}
	stopped := ""
	switch ev.Kind {
	case sekisho.EventKill:
		stopped = DoneKilled
	case sekisho.EventDenied:
		stopped = DoneDenied
	case sekisho.EventExec:
	case sekisho.EventMap:
		if !slices.Contains(origins, settings.Libraries) {
			return false
		}
	default:
		return false
	}
	class := Class(origin)
	if stopped == "" && (mode == profile.Learn || class == "" || !slices.Contains(origins, class)) {
		return false
	}
	if stopped == "" && mode == profile.Enforce && e.pending == nil {
		e.pending = ev // the kernel tells what it killed right after
		return true
	}
	e.tellDrift(ev, mode, stopped)
	return true
}

func (e *Enforcer) tellDrift(ev *sekisho.Event, mode, stopped string) {
	origin := ev.Origin
	if origin == "" && ev.Process != nil {
		origin = ev.Process.Origin
	}
	e.respond(&Alert{Kind: KindDrift, Severity: "critical", Rule: "drift", What: subject(ev), Why: origin, Mode: mode, Event: ev, Container: ev.Container, Done: stopped}, settings.OnDrift)
}

// script alerts on a script of the own layer that an interpreter was given.
// The kernel does not see it: it is answered after its start.
func (e *Enforcer) script(ev *sekisho.Event, mode string) bool {
	if e.Drift == nil {
		return false
	}
	path, drifted := e.Drift.Script(ev)
	if !drifted {
		return false
	}
	e.respond(&Alert{Kind: KindDrift, Severity: "high", Rule: "drifted script", What: path, Why: sekisho.OriginUpper, Mode: mode, Event: ev, Container: ev.Container}, settings.OnDrift)
	return true
}

// subject is the path that an event is about.
func subject(ev *sekisho.Event) string {
	if ev.Path == "" && ev.Process != nil {
		return ev.Process.Path
	}
	return ev.Path
}

// Class is the word of the settings for an origin, "" for one that is no
// drift.
func Class(origin string) string {
	switch origin {
	case sekisho.OriginUpper:
		return settings.Upper
	case sekisho.OriginVolume:
		return settings.Volume
	case sekisho.OriginMemory, sekisho.OriginDeleted:
		return settings.Memory
	}
	return ""
}

// usual learns from an event, or holds it against the profile. What is new is
// proposed, never taken over.
func (e *Enforcer) usual(ev *sekisho.Event, mode string, m *profile.Matcher, service, name string, drifted bool) *profile.Deviation {
	if setup(ev) {
		return nil
	}
	if mode == profile.Learn {
		e.profiles.learn(service, ev)
		return nil
	}
	if m == nil || drifted {
		return nil
	}
	d := m.Judge(ev)
	if d != nil {
		e.profiles.propose(name, service, ev)
	}
	return d
}

// killable reports whether the process is killed for what the kernel let pass:
// it compares no content and no patterns.
func killable(d *profile.Deviation) bool {
	return d.Kind == profile.KindWrite || d.Kind == profile.KindProcess && (d.Why == "unknown" || d.Why == "other content")
}

// byProfile says whether the kernel stopped something because a profile does
// not have it.
func byProfile(ev *sekisho.Event) bool { return ev.Reason != "" && ev.Reason != KindDrift }

// stopped tells what the kernel stopped by itself because the profile does not
// have it, and proposes it.
func (e *Enforcer) stopped(ev *sekisho.Event, mode, service, name string) {
	tried, what, done := *ev, subject(ev), DoneKilled
	switch ev.Kind {
	case sekisho.EventDenied:
		tried.Kind, what = attempted(ev)
		done = DoneDenied
	case sekisho.EventKill:
		switch {
		case ev.Reason == profile.KindListen:
			_, what = attempted(ev)
		case ev.Path == "" && ev.Reason == profile.KindWrite:
			what = "io_uring" // the path is not told
		case ev.Path == "" && ev.Reason == sensorSocket:
			what = "packet"
		}
		tried.Kind = sekisho.EventNone // it was proposed before
	default: // that it was killed for this is told next
		done = ""
	}
	if name != "" && tried.Kind != sekisho.EventNone {
		e.profiles.propose(name, service, &tried)
	}
	if done != "" {
		e.respond(&Alert{Kind: KindProfile, Severity: "medium", Rule: ev.Reason, What: what, Why: "unknown", Mode: mode, Event: ev, Container: ev.Container, Done: done}, settings.OnProfile)
	}
}

// sensorSocket is why a socket is stopped that is none of connections.
const sensorSocket = "socket"

// attempted is what a denied event would have been, and in words.
func attempted(ev *sekisho.Event) (kind sekisho.EventKind, what string) {
	if ev.Net == nil {
		return sekisho.EventNone, subject(ev)
	}
	switch ev.Syscall {
	case "connect":
		return sekisho.EventConnect, profile.Peer(ev)
	case "sendto":
		return sekisho.EventSend, profile.Peer(ev)
	case "socket":
		return sekisho.EventNone, ev.Net.Protocol
	}
	return sekisho.EventListen, fmt.Sprintf("%d/%s", ev.Net.Local.Port(), ev.Net.Protocol)
}

// setup says whether a container's runtime did something before it became the
// container's first program: its own executable has no path in there.
func setup(ev *sekisho.Event) bool {
	p := ev.Process
	return p != nil && ev.Kind != sekisho.EventExec && (p.Path == "/" || p.Path == "" || p.Origin == sekisho.OriginHost)
}

func (e *Enforcer) match(ev *sekisho.Event, c *sekisho.Container, mode string) {
	if e.Rules == nil || c != nil && setup(ev) {
		return
	}
	for _, m := range e.Rules.Observe(e.Now(), ev) {
		e.matched(ev, c, mode, &m)
	}
}

func (e *Enforcer) matched(ev *sekisho.Event, c *sekisho.Container, mode string, m *Match) {
	a := &Alert{Kind: KindRule, Severity: m.Severity, Rule: m.Rule, Output: m.Output, Tags: m.Tags, What: subject(ev), Mode: mode, Event: ev, Container: c, Note: m.Note, folded: m.Folded}
	if m.Note != "" { // a count of what was told and answered already
		a.Count = m.Count
		e.alert(a)
		return
	}
	e.respond(a, settings.OnRule)
}

// What an alert says was done.
const (
	DoneKilled  = "killed"
	DoneDenied  = "denied"
	DoneWould   = "would " // followed by the response: the mode is not enforce
	DoneOrdered = "ordered"
	DoneDropped = "too many responses wait"
)

// respond decides what follows an alert, and tells it. The alert goes first:
// it never waits for the response.
func (e *Enforcer) respond(a *Alert, on string) {
	a.Response = e.Settings.Respond(on, a.Rule, a.Severity, a.Container)
	if (on == settings.OnDrift || a.late) && a.Response == settings.Alert && a.Mode == profile.Enforce && a.Done == "" {
		a.Response = settings.Kill // where the kernel could not stop it by itself
	}
	if a.Time.IsZero() {
		a.Time = e.Now().UTC()
		if a.Event != nil {
			a.Time = a.Event.Time
		}
	}
	act := a.Response
	if act == settings.Kill && a.Done != "" {
		act = settings.Alert // there is nobody left to kill
	}
	if act != settings.Alert && a.Mode != profile.Enforce {
		a.Done = DoneWould + act
		act = settings.Alert
	}
	seal := a.Container != nil && e.Responder != nil && settings.Rank(a.Severity) >= settings.Rank(e.Settings.Evidence.Severity)
	if a.Container != nil && e.Responder != nil && (act != settings.Alert || seal) {
		o := &respond.Order{Time: a.Time, Do: act, Container: a.Container, Reason: a.Kind + ": " + a.Rule + ": " + a.What, Service: settings.Service(a.Container), Event: a.Event, Recent: time.Duration(e.Settings.Evidence.Recent)}
		if a.Event != nil && a.Event.Process != nil {
			o.PID, o.Started = a.Event.Process.PID, a.Event.Process.Started
		}
		if act != settings.Alert {
			a.Done = DoneOrdered + " " + act
		}
		if !e.lane(a.Container.ID).orders.put(o, act != settings.Alert) && act != settings.Alert {
			a.Done = DoneDropped
		}
	}
	if !a.folded {
		e.alert(a)
	}
}
