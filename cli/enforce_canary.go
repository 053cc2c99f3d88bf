package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/enforce"
	"sekisho/enforce/canary"
	"sekisho/enforce/evidence"
	"sekisho/enforce/sensor"
	"sekisho/enforce/settings"
)

func (a *app) enforceCanaryCommand(f *enforcerFlags) *cobra.Command {
	c := &cobra.Command{Use: "canary", Short: a.texts.Text("cli.enforce.canary"), Long: a.texts.Text("cli.enforce.canary.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.enforceCanary(cmd.Context(), f) }}
	c.Flags().BoolVar(&f.json, "json", false, a.texts.Text("cli.flag.json"))
	return c
}

// canaryActorCommand is what runs in the throw-away container.
func (a *app) canaryActorCommand() *cobra.Command {
	return &cobra.Command{Use: "canary-actor", Hidden: true, Args: usageArgs(cobra.MaximumNArgs(1)), RunE: func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && args[0] == canary.Ran:
			return &status{canary.RanStatus()}
		case len(args) == 1 && args[0] == canary.Wrote:
			if err := canary.TryWrite(); canary.Refused(err) {
				return &status{canary.RefusedStatus}
			}
			return &status{canary.RanStatus()}
		}
		return canary.Act(cmd.Context(), a.Stdout)
	}}
}

// status ends the program with a status and says nothing.
type status struct{ code int }

func (s *status) Error() string { return fmt.Sprintf("status %d", s.code) }

func (a *app) enforceCanary(ctx context.Context, f *enforcerFlags) error {
	s, err := a.enforceSettings(f)
	if err != nil {
		return err
	}
	list := a.fly(ctx, s)
	if f.json {
		e := json.NewEncoder(a.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	for _, p := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.texts.Text("enforce.canary."+canaryKey(p.Attempt)), a.effective(p.State), p.Time.Format(time.RFC3339), visible(p.Detail))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range list {
		if p.State == enforce.Open || p.State == enforce.Degraded {
			return sekisho.Errorf(sekisho.Denied, "%s", a.texts.Text("enforce.canary.open", "attempt", a.texts.Text("enforce.canary."+canaryKey(p.Attempt))))
		}
	}
	return nil
}

func canaryKey(attempt string) string {
	return strings.ReplaceAll(attempt, " ", "_")
}

// fly lets a canary try. The enforcer knows the container by a name that only
// root could leave in its state.
func (a *app) fly(ctx context.Context, s *settings.Settings) []enforce.Proof {
	var token [16]byte
	_, _ = rand.Read(token[:])
	name := canary.Prefix + hex.EncodeToString(token[:])
	note := enforce.CanaryFile(s.State)
	fail := func(err error) []enforce.Proof {
		return []enforce.Proof{{Time: time.Now().UTC(), Attempt: canary.Drift, State: enforce.Degraded, Detail: err.Error()}}
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(note), 0o700); err != nil {
		return fail(err)
	}
	if err := os.WriteFile(note, []byte(name), 0o600); err != nil {
		return fail(err)
	}
	defer os.Remove(note)
	var env []string
	if h := a.Getenv("DOCKER_HOST"); h != "" {
		env = append(env, "DOCKER_HOST="+h)
	}
	list := canary.Fly(ctx, canary.Options{Name: name, Docker: []string{"docker"}, Env: env, Binary: self, Actor: []string{"enforce", "canary-actor"}, Enabled: a.claimed(s), Now: time.Now})
	if err := enforce.WriteProofs(s.State, list); err != nil {
		return fail(err)
	}
	return list
}

// claimed are the attempts that the enforcer of this state says it can stop;
// all where none ran yet.
func (a *app) claimed(s *settings.Settings) map[string]bool {
	features := map[string]string{}
	if st, err := enforce.ReadStatus(s.State); err == nil {
		features = st.Features
	}
	list := map[string]bool{canary.Drift: true}
	for attempt, needs := range map[string]string{canary.Process: "exec", canary.Connection: "connect IPv4", canary.Write: "call openat"} {
		list[attempt] = !strings.HasPrefix(features[needs], sensor.NotSupported)
	}
	if !settings.On(s.Syscalls) {
		list[canary.Write] = false
	}
	return list
}

func (a *app) enforceReleaseCommand(f *enforcerFlags) *cobra.Command {
	return &cobra.Command{Use: "release CONTAINER", Short: a.texts.Text("cli.enforce.release"), Args: usageArgs(cobra.ExactArgs(1)), RunE: func(cmd *cobra.Command, args []string) error { return a.enforceRelease(cmd.Context(), f, args[0]) }}
}

// enforceRelease undoes a pause or a quarantine of a container that the log
// knows.
func (a *app) enforceRelease(ctx context.Context, f *enforcerFlags, name string) error {
	s, err := a.enforceSettings(f)
	if err != nil {
		return err
	}
	var c *sekisho.Container
	if _, err := evidence.Read(evidenceDir(s), evidence.Query{Container: name}, func(e *sekisho.Event) error { c = e.Container; return nil }); err != nil {
		return err
	}
	if c == nil {
		return sekisho.Errorf(sekisho.NotFound, "the evidence knows no container %s", name)
	}
	return a.responder(s, "", nil, nil).Release(ctx, c)
}
