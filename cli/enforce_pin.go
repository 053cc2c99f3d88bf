package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/enforce"
	"sekisho/enforce/kernel"
	"sekisho/enforce/sensor"
	"sekisho/enforce/settings"
)

func (a *app) enforceUnpinCommand(f *enforcerFlags) *cobra.Command {
	all := false
	c := &cobra.Command{Use: "unpin", Short: a.texts.Text("cli.enforce.unpin"), Long: a.texts.Text("cli.enforce.unpin.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return a.enforceUnpin(f, all) }}
	c.Flags().BoolVar(&all, "all", false, a.texts.Text("cli.flag.unpin_all"))
	return c
}

// enforceUnpin ends what the kernel goes on with.
func (a *app) enforceUnpin(f *enforcerFlags, all bool) error {
	s, err := a.enforceSettings(f)
	if err != nil {
		return err
	}
	dirs := []string{string(s.Pin)}
	if all {
		more, err := filepath.Glob(settings.PinRoot + "/*")
		if err != nil {
			return fmt.Errorf("list pins: %w", err)
		}
		dirs = append(dirs, more...)
	}
	var failed error
	total := 0
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		n, err := sensor.Unpin(dir)
		failed = errors.Join(failed, err)
		total += n
	}
	if failed != nil {
		return failed
	}
	if all {
		_ = os.Remove(settings.PinRoot)
	}
	fmt.Fprintln(a.Stdout, a.texts.Text("enforce.unpinned", "count", fmt.Sprint(total)))
	return nil
}

// tellPinned says at the end what stays.
func (a *app) tellPinned(s *settings.Settings) {
	if _, err := os.Stat(string(s.Pin)); s.Pin == "" || err != nil {
		return
	}
	fmt.Fprintln(a.Stderr, a.texts.Text("enforce.pinned."+s.OnLoss, "dir", string(s.Pin)))
}

// lookAway writes into a status what holds while no enforcer lives: what the
// kernel was found to do, not what was meant.
func (a *app) lookAway(s *settings.Settings, st *enforce.Status) error {
	held, err := kernel.Look(s)
	if err != nil {
		if !errors.Is(err, os.ErrPermission) {
			return err
		}
		return sekisho.Errorf(sekisho.Forbidden, "%w", err).WithHint("run it as root")
	}
	since := st.Alive.Format(time.RFC3339)
	seen := map[string]bool{}
	for i := range st.Containers {
		c := &st.Containers[i]
		seen[c.ID] = true
		if !c.Ended.IsZero() {
			continue
		}
		var kills []string
		if held != nil {
			var lives bool
			if kills, lives = held.Kills[c.ID]; !lives && !held.Other {
				c.Ended = time.Now().UTC()
				continue
			}
		}
		a.away(c, kills, since, held != nil && held.Strict)
	}
	if held == nil {
		return nil
	}
	for id, kills := range held.Kills { // began while nobody was there
		if !seen[id] {
			c := enforce.ContainerStatus{ID: id, Name: cmp.Or(held.Names[id], id[:min(12, len(id))])}
			a.away(&c, kills, since, held.Strict)
			st.Containers = append(st.Containers, c)
		}
	}
	st.Pinned = &enforce.Pinned{Dir: string(s.Pin), Programs: held.Attached, Unknown: held.Unknown, Strict: held.Strict, Unreadable: held.Other}
	return nil
}

// away says how a container is treated while nobody lives.
func (a *app) away(c *enforce.ContainerStatus, kills []string, since string, strict bool) {
	c.Kills, c.OpenSince = kills, since
	if len(kills) == 0 {
		if c.State == enforce.Enforcing || c.State == enforce.Degraded || c.State == "" {
			c.State, c.Why = enforce.Open, a.texts.Text("enforce.away.open", "since", since)
		}
		return
	}
	c.State, c.Why = enforce.Degraded, a.texts.Text("enforce.away.held", "kills", strings.Join(kills, ", "), "since", since)
	if strict {
		c.Why = a.texts.Text("enforce.away.held_strict", "kills", strings.Join(kills, ", "), "since", since)
	}
}

// printPinned prints what the kernel goes on with.
func (a *app) printPinned(p *enforce.Pinned) {
	t := a.texts.Text
	switch {
	case p == nil:
		fmt.Fprintln(a.Stdout, t("enforce.away.nothing"))
	case p.Unreadable:
		fmt.Fprintln(a.Stdout, t("enforce.away.other", "dir", p.Dir))
	default:
		fmt.Fprintln(a.Stdout, t("enforce.away.pinned", "count", fmt.Sprint(len(p.Programs)), "dir", p.Dir))
		if len(p.Unknown) > 0 {
			fmt.Fprintln(a.Stdout, t("enforce.away.unknown", "kills", strings.Join(p.Unknown, ", ")))
		}
	}
}
