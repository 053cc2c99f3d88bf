package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sekisho"
	"sekisho/enforce/container"
	"sekisho/enforce/sensor"
)

// enforceFlags are the flags of the commands that listen to the kernel.
type enforceFlags struct {
	kinds      []string
	containers []string
	host       bool
	duration   time.Duration
	interval   time.Duration
	json       bool
	killDrift  bool
	probe      bool // try everything
}

// enforceCommand holds what watches the containers of this host.
func (a *app) enforceCommand() *cobra.Command {
	t := a.texts.Text
	f := &enforceFlags{}
	root := &cobra.Command{Use: "enforce", Short: t("cli.enforce.short"), Long: t("cli.enforce.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	probe := &cobra.Command{Use: "probe", Short: t("cli.enforce.probe"), Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return a.enforceProbe(f) }}
	probe.Flags().BoolVar(&f.json, "json", false, t("cli.flag.json"))
	events := &cobra.Command{Use: "events", Short: t("cli.enforce.events"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.enforceEvents(cmd.Context(), f) }}
	events.Flags().StringSliceVar(&f.kinds, "kind", nil, t("cli.flag.event_kind"))
	top := &cobra.Command{Use: "top", Short: t("cli.enforce.top"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.enforceTop(cmd.Context(), f) }}
	top.Flags().DurationVar(&f.interval, "interval", 2*time.Second, t("cli.flag.interval"))
	for _, c := range []*cobra.Command{events, top} {
		c.Flags().StringSliceVar(&f.containers, "container", nil, t("cli.flag.container"))
		c.Flags().BoolVar(&f.host, "host", false, t("cli.flag.host"))
		c.Flags().DurationVar(&f.duration, "for", 0, t("cli.flag.for"))
		c.Flags().BoolVar(&f.killDrift, "kill-drift", false, t("cli.flag.kill_drift"))
	}
	root.AddCommand(probe, events, top, a.enforceRulesCommand())
	root.AddCommand(a.enforcerCommands()...)
	return root
}

// costs says which kinds hook what every system call pays for.
func (f *enforceFlags) policy() (sensor.Policy, error) {
	p := sensor.Policy{Opens: sensor.OpensToWrite}
	for _, name := range f.kinds {
		if name == "all" {
			p.Kinds, p.Opens = sekisho.EventKinds(), sensor.OpensToWrite|sensor.OpensToRead
			continue
		}
		var k sekisho.EventKind
		if err := k.UnmarshalText([]byte(name)); err != nil {
			names := make([]string, 0, 40)
			for _, k := range sekisho.EventKinds() {
				names = append(names, k.String())
			}
			return p, sekisho.Errorf(sekisho.Usage, "--kind: %w", err).WithHint("one of all, %s", strings.Join(names, ", "))
		}
		p.Kinds = append(p.Kinds, k)
	}
	return p, nil
}

// listen opens a sensor for what the flags ask.
func (f *enforceFlags) listen() (*sensor.Sensor, *container.Tracker, error) {
	p, err := f.policy()
	if err != nil {
		return nil, nil, err
	}
	o := sensor.Options{Containers: container.New(container.Options{}), Default: p, Probe: f.probe}
	if f.host {
		o.Host = p
	}
	if f.killDrift {
		o.Default.Mode = sensor.KillUpper | sensor.KillMemory | sensor.KillMapped
	}
	s, err := sensor.Open(o)
	return s, o.Containers, err
}

// shown says whether the flags ask for an event.
func (f *enforceFlags) shown(e *sekisho.Event) bool {
	if e.Kind == sekisho.EventLost {
		return true
	}
	if e.Container == nil && !f.host {
		return false
	}
	if len(f.kinds) > 0 && !slices.Contains(f.kinds, e.Kind.String()) && !slices.Contains(f.kinds, "all") {
		return false
	}
	if len(f.containers) == 0 {
		return true
	}
	return e.Container != nil && slices.ContainsFunc(f.containers, func(want string) bool {
		return e.Container.Name == want || want != "" && strings.HasPrefix(e.Container.ID, want)
	})
}

func (f *enforceFlags) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if f.duration > 0 {
		return context.WithTimeout(ctx, f.duration)
	}
	return context.WithCancel(ctx)
}

func (a *app) enforceProbe(f *enforceFlags) error {
	f.kinds = []string{"all"}
	f.host, f.probe = true, true
	s, _, err := f.listen()
	if err != nil {
		return err
	}
	defer s.Close()
	features := s.Try(sensor.Modes) // what profiles can ask for too
	if f.json {
		return json.NewEncoder(a.Stdout).Encode(map[string]any{"schema": "sekisho.probe/v1", "features": features})
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	for _, x := range features {
		fmt.Fprintf(w, "%s\t%s\t%s\n", x.Name, a.texts.Text("enforce.state."+strings.ReplaceAll(x.State, " ", "_")), x.Why)
	}
	return w.Flush()
}

func (a *app) enforceEvents(ctx context.Context, f *enforceFlags) error {
	s, _, err := f.listen()
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := f.bound(ctx)
	defer cancel()
	out := bufio.NewWriterSize(a.Stdout, 1<<16)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var failed error
	last := time.Time{}
	fmt.Fprintln(a.Stderr, a.texts.Text("enforce.listening"))
	err = s.Run(ctx, func(e *sekisho.Event) {
		if failed != nil || !f.shown(e) {
			return
		}
		if failed = enc.Encode(e); failed == nil && (out.Buffered() < 1<<12 || e.Time.Sub(last) > 50*time.Millisecond) {
			failed = out.Flush()
			last = e.Time
		}
		if failed != nil {
			cancel()
		}
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}

// topRow is what a container did since the last look.
type topRow struct {
	c                                 *sekisho.Container
	execs, forks, files, net, drifted int
	last                              string
}

func (r *topRow) count(e *sekisho.Event) {
	switch e.Kind {
	case sekisho.EventExec:
		r.execs++
		r.last = strings.Join(e.Process.Args, " ")
		if o := e.Process.Origin; o == sekisho.OriginUpper || o == sekisho.OriginMemory || o == sekisho.OriginDeleted {
			r.drifted++
		}
	case sekisho.EventFork:
		r.forks++
	case sekisho.EventConnect, sekisho.EventAccept, sekisho.EventListen, sekisho.EventSend, sekisho.EventReceive, sekisho.EventDNS:
		r.net++
	case sekisho.EventOpen, sekisho.EventCreate, sekisho.EventRename, sekisho.EventUnlink, sekisho.EventMkdir, sekisho.EventRmdir, sekisho.EventChmod, sekisho.EventChown:
		r.files++
	}
}

func (a *app) enforceTop(ctx context.Context, f *enforceFlags) error {
	f.kinds = []string{"connect", "listen", "dns"}
	s, tracker, err := f.listen()
	if err != nil {
		return err
	}
	f.kinds = nil
	defer s.Close()
	ctx, cancel := f.bound(ctx)
	defer cancel()
	events := make(chan *sekisho.Event, 4096)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(e *sekisho.Event) {
			select {
			case events <- e:
			case <-ctx.Done():
			}
		})
	}()
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	rows := map[string]*topRow{}
	for {
		select {
		case e := <-events:
			if f.shown(e) {
				topRowOf(rows, e.Container).count(e)
			}
		case <-tick.C:
			for _, c := range tracker.List() {
				topRowOf(rows, c)
			}
			st, _ := s.Stats()
			a.printTop(rows, st)
			rows = map[string]*topRow{}
		case err := <-ended:
			return err
		}
	}
}

func topRowOf(rows map[string]*topRow, c *sekisho.Container) *topRow {
	id := ""
	if c != nil {
		id = c.ID
	}
	r := rows[id]
	if r == nil {
		r = &topRow{}
		rows[id] = r
	}
	r.c = c
	return r
}

func (a *app) printTop(rows map[string]*topRow, st sensor.Stats) {
	list := make([]*topRow, 0, len(rows))
	for _, r := range rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(x, y *topRow) int {
		if d := y.execs + y.forks + y.files + y.net - x.execs - x.forks - x.files - x.net; d != 0 {
			return d
		}
		return strings.Compare(topName(x.c), topName(y.c))
	})
	if out, ok := a.Stdout.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		io.WriteString(a.Stdout, "\x1b[H\x1b[2J")
	}
	fmt.Fprintln(a.Stdout, a.texts.Text("enforce.top.head", "containers", fmt.Sprint(len(list)), "processes", fmt.Sprint(st.Processes), "lost", fmt.Sprint(st.Total.Lost)))
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, a.texts.Text("enforce.top.columns"))
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", topName(r.c), r.execs, r.forks, r.files, r.net, r.drifted, printable(r.last, 60))
	}
	w.Flush()
}

func topName(c *sekisho.Container) string {
	switch {
	case c == nil:
		return "-"
	case c.Workload.Pod != "": // of which every one has a container of this name
		return printable(path.Join(c.Workload.Namespace, c.Workload.Pod, c.Workload.Container), 120)
	case c.Name != "":
		return printable(c.Name, 40)
	}
	return c.ID[:min(12, len(c.ID))]
}

// printable makes a string safe for a terminal and cuts it.
func printable(s string, n int) string {
	q := fmt.Sprintf("%+q", s)
	q = q[1 : len(q)-1]
	q = strings.ReplaceAll(q, `\"`, `"`)
	if len(q) > n {
		q = q[:n-1] + "…"
	}
	return q
}
