package enforce_test

import (
	"context"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce"
)

// drain is a log that keeps nothing.
type drain struct{}

func (drain) Append(...*sekisho.Event) error { return nil }
func (drain) Flush() error                   { return nil }

// BenchmarkHandle is what the one who reads from the kernel pays for an event.
func BenchmarkHandle(b *testing.B) {
	bench := newBench(b, "mode: audit\n")
	c := box("a", "web:1")
	s := &sensor{during: func(each func(*sekisho.Event)) {
		e := exec(c, time.Second, "/bin/sh", sekisho.OriginImage)
		b.ReportAllocs()
		for b.Loop() {
			each(e)
		}
	}}
	e, err := enforce.New(enforce.Options{Settings: bench.settings, Sensor: s, Log: drain{}, Tick: make(chan time.Time)})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Run(context.Background()); err != nil {
		b.Fatal(err)
	}
}
