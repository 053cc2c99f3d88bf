package enforce

import (
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
		clear(batch)
		batch = batch[:0]
	}
}

// lost tells of events that were lost, by class.
func (e *Enforcer) lost(class string, n uint64) {
	e.addLost(class, n)
	e.alert(&Alert{Kind: KindLost, Severity: "high", Rule: "events were lost", What: class})
}

// judge holds one event against drift, profile and rules.
func (e *Enforcer) judge(ev *sekisho.Event) {
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
	mode, matcher, origins, service, name := x.judgement()
	drifted := e.drift(ev, mode, origins)
	e.usual(ev, mode, matcher, service, name, drifted)
	e.match(ev, ev.Container, mode)
	e.noteFile(ev)
}

// drift alerts on content that the image does not have, and returns whether
// it did.
func (e *Enforcer) drift(ev *sekisho.Event, mode string, origins []string) bool {
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
	if stopped == "" && class == settings.Upper && e.Drift != nil && e.Drift.Touched(ev) {
		return false
	}
	what := ev.Path
	if what == "" && ev.Process != nil {
		what = ev.Process.Path
	}
	a := &Alert{Kind: KindDrift, Severity: "critical", Rule: "drift", What: what, Why: origin, Mode: mode, Event: ev, Container: ev.Container, Done: stopped}
	e.respond(a, settings.OnDrift)
	return true
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
func (e *Enforcer) usual(ev *sekisho.Event, mode string, m *profile.Matcher, service, name string, drifted bool) {
	if mode == profile.Learn {
		e.profiles.learn(service, ev)
		return
	}
	if m == nil || drifted {
		return
	}
	d := m.Judge(ev)
	if d == nil {
		return
	}
	e.profiles.propose(name, service, ev)
	e.respond(&Alert{Kind: KindProfile, Severity: "medium", Rule: d.Kind, What: d.What, Why: d.Why, Mode: mode, Event: ev, Container: ev.Container}, settings.OnProfile)
}

func (e *Enforcer) match(ev *sekisho.Event, c *sekisho.Container, mode string) {
	if e.Rules == nil {
		return
	}
	for _, m := range e.Rules.Match(ev) {
		what := ev.Path
		if what == "" && ev.Process != nil {
			what = ev.Process.Path
		}
		e.respond(&Alert{Kind: KindRule, Severity: m.Severity, Rule: m.Rule, Output: m.Output, Tags: m.Tags, What: what, Mode: mode, Event: ev, Container: c}, settings.OnRule)
	}
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
	if on == settings.OnDrift && a.Response == settings.Alert && a.Mode == profile.Enforce && a.Done == "" {
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
		if !e.orders.put(o, act != settings.Alert) && act != settings.Alert {
			a.Done = DoneDropped
		}
	}
	e.alert(a)
}
