package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit/coverage"
	"sekisho/audit"
	"sekisho/enforce/container"
	"sekisho/image/containerd"
	"sekisho/image/daemon"
	"sekisho/image/storage"
	"sekisho/store"
)

// coverageFlags are the flags of admit coverage.
type coverageFlags struct {
	admit   *admitFlags
	engines []string
	format  string
	all     bool
	fail    bool
}

func (a *app) admitCoverageCommand(shared *admitFlags) *cobra.Command {
	t := a.texts.Text
	f := &coverageFlags{admit: shared}
	cmd := &cobra.Command{Use: "coverage", Short: t("cli.admit.coverage"), Long: t("cli.admit.coverage.long"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.admitCoverage(cmd.Context(), f) }}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.engines, "engine", nil, t("cli.flag.coverage_engine"))
	flags.StringVar(&f.format, "format", "text", t("cli.flag.explain_format"))
	flags.BoolVar(&f.all, "all", false, t("cli.flag.coverage_all"))
	flags.BoolVar(&f.fail, "fail", false, t("cli.flag.coverage_fail"))
	return cmd
}

// coverageReport is the document of admit coverage.
type coverageReport struct {
	Schema     string          `json:"schema"`
	Generated  time.Time       `json:"generated"`
	Running    int             `json:"running"`
	Alerts     int             `json:"alerts"`
	Engines    []string        `json:"engines"`     // that were asked
	NotReached []string        `json:"not_reached"` // that did not answer
	Containers []coverage.Line `json:"containers"`
}

// admitCoverage compares what runs with what was judged.
func (a *app) admitCoverage(ctx context.Context, f *coverageFlags) error {
	if f.format != "text" && f.format != "json" {
		return sekisho.Errorf(sekisho.Usage, "format %q: want text or json", f.format)
	}
	c, err := a.placesOf(f.admit)
	if err != nil {
		return err
	}
	r := coverageReport{Schema: "sekisho.coverage/v1", Generated: a.clockOf()(), Engines: []string{}, NotReached: []string{}, Containers: []coverage.Line{}}
	running, err := a.throughGate(c).running(ctx, f, &r)
	if err != nil {
		return err
	}
	judged, err := judgements(c)
	if err != nil {
		return err
	}
	for _, x := range running {
		l := judged.State(x)
		r.Running++
		if l.Alert() {
			r.Alerts++
		}
		if l.Alert() || f.all || f.format == "json" {
			r.Containers = append(r.Containers, l)
		}
	}
	if f.format == "json" {
		err = a.encode(r)
	} else {
		err = a.coverageTable(&r)
	}
	if err == nil && f.fail && r.Alerts > 0 {
		return sekisho.Errorf(sekisho.Denied, "%s", a.texts.Text("cli.coverage.alerts", "count", r.Alerts, "running", r.Running))
	}
	return err
}

// judgements reads the audit log; digests with the same facts are one image.
func judgements(c *admitConfig) (*coverage.Log, error) {
	facts, err := store.OpenFacts(c.Facts)
	if err != nil {
		return nil, err
	}
	log := coverage.NewLog(facts.Version)
	return log, audit.Read(c.Audit, func(e audit.Entry) error { log.Add(&e); return nil })
}

// running lists the containers of the engines that are named, or of those that
// are there. What both know is Docker's.
func (a *app) running(ctx context.Context, f *coverageFlags, r *coverageReport) (list []coverage.Container, err error) {
	ask := map[string]func(context.Context) ([]coverage.Container, error){"docker": a.runningDocker, "containerd": a.runningContainerd, "cri-o": a.runningStored}
	engines := f.engines
	if len(engines) == 0 {
		engines = []string{"docker", "containerd", "cri-o"}
	}
	seen := map[string]bool{}
	for _, e := range engines {
		if ask[e] == nil {
			return nil, sekisho.Errorf(sekisho.Usage, "--engine %s: want docker, containerd or cri-o", e)
		}
		more, err := ask[e](ctx)
		if err != nil {
			if len(f.engines) > 0 || sekisho.KindOf(err) != sekisho.Unavailable {
				return nil, err
			}
			r.NotReached = append(r.NotReached, e)
			continue
		}
		r.Engines = append(r.Engines, e)
		for _, c := range more {
			if !seen[c.ID] {
				list = append(list, c)
			}
			seen[c.ID] = true
		}
	}
	if len(r.Engines) == 0 {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no engine answers: %s", strings.Join(r.NotReached, ", "))
	}
	slices.SortStableFunc(list, func(x, y coverage.Container) int { return x.Started.Compare(y.Started) })
	return list, nil
}

func (a *app) runningDocker(ctx context.Context) (list []coverage.Container, err error) {
	client, err := daemon.NewClient(a.dockerOptions(sekisho.Platform{}))
	if err != nil {
		return nil, err
	}
	var running []struct{ ID string }
	if err := client.Get(ctx, "/containers/json", &running); err != nil {
		return nil, err
	}
	for _, x := range running {
		var c struct {
			Name                    string
			Image                   sekisho.Digest
			ImageManifestDescriptor *struct{ Digest sekisho.Digest }
			Config                  struct{ Image string }
			State                   struct{ StartedAt time.Time }
		}
		err := client.Get(ctx, "/containers/"+x.ID+"/json", &c)
		if sekisho.KindOf(err) == sekisho.NotFound {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		out := coverage.Container{Engine: "docker", ID: x.ID, Name: strings.TrimPrefix(c.Name, "/"), Image: c.Config.Image, Started: c.State.StartedAt, Digests: []sekisho.Digest{}}
		if d := c.ImageManifestDescriptor; d != nil && d.Digest != "" {
			out.Digests = append(out.Digests, d.Digest)
		}
		if c.Image != "" {
			out.Digests = append(out.Digests, c.Image)
		}
		list = append(list, out)
	}
	return list, nil
}

func (a *app) runningContainerd(ctx context.Context) (list []coverage.Container, err error) {
	running, err := containerd.ListRunning(ctx, a.containerdOptions(sekisho.Platform{}, sourceFlags{}))
	if err != nil {
		return nil, err
	}
	for _, x := range running {
		c := coverage.Container{Engine: "containerd", Namespace: x.Namespace, ID: x.ID, Problem: x.Problem, Sandbox: x.Sandbox, Digests: []sekisho.Digest{}}
		if info, err := os.Stat("/proc/" + strconv.FormatUint(uint64(x.PID), 10)); err == nil {
			c.Started = info.ModTime().UTC()
		}
		if i := x.Identity; i != nil {
			c.Image, c.Digests = i.Reference, append(c.Digests, i.Digests...)
			c.Name = strings.Trim(i.Labels["io.kubernetes.pod.namespace"]+"/"+i.Labels["io.kubernetes.pod.name"]+"/"+i.Labels["io.kubernetes.container.name"], "/")
		}
		list = append(list, c)
	}
	return list, nil
}

// inhabited tells whether a process is in a control group of a container, or
// below it.
func inhabited(id string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	return slices.ContainsFunc(files, func(name string) bool {
		data, err := os.ReadFile(name)
		return err == nil && strings.Contains(string(data), id)
	})
}

// runningStored lists the containers of CRI-O: those that have control groups
// now. Their images it reads where CRI-O keeps them.
func (a *app) runningStored(context.Context) (list []coverage.Container, err error) {
	t := container.New(container.Options{Now: a.clockOf()})
	t.Running()
	for _, x := range t.List() {
		if x.Runtime != "cri-o" {
			continue
		}
		c := coverage.Container{Engine: "cri-o", Namespace: x.Workload.Namespace, ID: x.ID, Name: strings.Trim(x.Workload.Pod+"/"+x.Name, "/"), Image: x.Image, Digests: []sekisho.Digest{}}
		c.Started, _ = time.Parse(time.RFC3339Nano, x.Labels["io.kubernetes.cri-o.Created"]) // it is made a moment before it starts
		c.Sandbox = x.Labels["io.kubernetes.cri-o.ContainerType"] == "sandbox"
		if i, err := storage.Identify(x.ID, a.storageOptions(sekisho.Platform{})); err == nil {
			c.Digests = append(c.Digests, i.Digests...)
		} else if x.ImageID != "" {
			c.Digests = append(c.Digests, x.ImageID)
		} else if !inhabited(x.ID) {
			continue // a control group that somebody forgot
		} else {
			c.Problem = err.Error()
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no container of CRI-O runs here")
	}
	return list, nil
}

func (a *app) coverageTable(r *coverageReport) error {
	t := a.texts.Text
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range r.Containers {
		id := l.ID
		if len(id) > 12 {
			id = id[:12]
		}
		why := l.Gate
		if !l.Time.IsZero() {
			why += " " + l.Time.UTC().Format(time.RFC3339)
		}
		if l.Problem != "" {
			why += " " + l.Problem
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t("coverage."+l.State), strings.Trim(l.Engine+"/"+l.Namespace, "/"), id, visible(l.Name), visible(l.Image), visible(why))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.Stdout, "%s\n", t("cli.coverage.sum", "running", r.Running, "alerts", r.Alerts, "engines", strings.Join(r.Engines, ", ")))
	return err
}
