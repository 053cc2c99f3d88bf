package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sekisho"
)

// installFlags are the flags of admit runtime install and uninstall.
type installFlags struct {
	engine   string
	runtime  string
	daemon   string
	config   string
	link     string
	socket   string
	plugin   bool
	takeOver bool
	dryRun   bool
}

func (a *app) admitRuntimeCommand() *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{Use: "runtime", Short: t("cli.admit.runtime"), Long: t("cli.admit.runtime.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	for _, remove := range []bool{false, true} {
		f := &installFlags{}
		name := map[bool]string{false: "install", true: "uninstall"}[remove]
		cmd := &cobra.Command{Use: name, Short: t("cli.admit.runtime." + name), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
			RunE: func(*cobra.Command, []string) error { return a.install(f, remove) }}
		flags := cmd.Flags()
		flags.SortFlags = false
		flags.StringVar(&f.engine, "for", "docker", t("cli.flag.install_for"))
		flags.StringVar(&f.runtime, "runtime", "/usr/sbin/runc", t("cli.flag.install_runtime"))
		flags.StringVar(&f.daemon, "daemon-json", "/etc/docker/daemon.json", t("cli.flag.install_daemon"))
		flags.StringVar(&f.config, "runtime-config", runtimeConfigName, t("cli.flag.install_config"))
		flags.StringVar(&f.link, "link", "/usr/local/bin/sekisho-runc", t("cli.flag.install_link"))
		flags.StringVar(&f.socket, "socket", nodeSocketName, t("cli.flag.node_socket"))
		flags.BoolVar(&f.plugin, "plugin", false, t("cli.flag.install_plugin"))
		flags.BoolVar(&f.takeOver, "take-place", false, t("cli.flag.install_take"))
		flags.BoolVar(&f.dryRun, "dry-run", false, t("cli.flag.install_dry"))
		root.AddCommand(cmd)
	}
	return root
}

// step is one change of the machine.
type step struct {
	text string
	do   func() error
}

// aside is where the runtime goes when its place is taken.
func (f *installFlags) aside() string { return f.runtime + ".sekisho-real" }

// install makes the changes, or tells them.
func (a *app) install(f *installFlags, remove bool) error {
	if f.engine != "docker" && f.engine != "containerd" {
		return sekisho.Errorf(sekisho.Usage, "--for %s: want docker or containerd", f.engine)
	}
	steps, err := f.steps(remove)
	if err != nil {
		return err
	}
	for _, s := range steps {
		fmt.Fprintln(a.Stdout, s.text)
		if f.dryRun || s.do == nil {
			continue
		}
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.text, err)
		}
	}
	if f.dryRun {
		a.note("cli.admit.runtime.dry")
	}
	a.note("cli.admit.runtime.next_" + f.engine)
	return nil
}

func (f *installFlags) steps(remove bool) (steps []step, err error) {
	if !remove {
		steps = append(steps, f.configure(), f.place())
	}
	if f.takeOver {
		s, err := f.take(remove)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s...)
	}
	if f.engine == "docker" {
		s, err := f.daemonJSON(remove)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	} else if !f.takeOver {
		steps = append(steps, step{text: "# /etc/containerd/config.toml, version 2 (containerd 1.x); in version 3: plugins.'io.containerd.cri.v1.runtime'\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n  BinaryName = \"" + f.link + "\""})
	}
	if remove {
		steps = append(steps, step{"remove " + f.link, func() error { return gone(os.Remove(f.link)) }})
	}
	return steps, nil
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// configure writes runtime.yaml where there is none.
func (f *installFlags) configure() step {
	real := f.runtime
	if f.takeOver {
		real = f.aside()
	}
	text := fmt.Sprintf("runtime: %s\nsocket: %s\n", real, f.socket)
	if _, err := os.Stat(f.config); err == nil {
		return step{text: "# " + f.config + " is there already and stays; it should say:\n" + text}
	}
	return step{"write " + f.config + ":\n" + text, func() error {
		if err := os.MkdirAll(filepath.Dir(f.config), 0o755); err != nil {
			return err
		}
		return os.WriteFile(f.config, []byte(text), 0o644)
	}}
}

// place makes the name by which engines call the gate.
func (f *installFlags) place() step {
	return step{"link " + f.link + " to this program", func() error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		if err := gone(os.Remove(f.link)); err != nil {
			return err
		}
		return os.Symlink(self, f.link)
	}}
}

// take puts the gate in the runtime's place by name, or gives it back. A
// package's update of the runtime must not undo that: dpkg is told.
func (f *installFlags) take(remove bool) ([]step, error) {
	_, err := os.Lstat(f.aside())
	moved := err == nil
	switch {
	case remove && !moved:
		return nil, nil
	case remove:
		return []step{{"give " + f.runtime + " back", func() error { return os.Rename(f.aside(), f.runtime) }},
			{text: "# where dpkg was told: dpkg-divert --remove --no-rename " + f.runtime}}, nil
	case moved:
		return []step{{text: "# " + f.aside() + " is there already: its place was taken before"}}, nil
	}
	return []step{
		{text: "# on Debian and Ubuntu, so that an update does not undo it: dpkg-divert --local --no-rename --divert " + f.aside() + " --add " + f.runtime},
		{"link " + f.aside() + " and put " + f.link + " in the place of " + f.runtime, func() error {
			if err := os.Link(f.runtime, f.aside()); err != nil {
				return err
			}
			next := f.runtime + ".sekisho-new"
			if err := os.Symlink(f.link, next); err != nil {
				return err
			}
			return os.Rename(next, f.runtime) // at no moment without a runtime
		}}}, nil
}

// daemonJSON changes the engine's configuration; what else stands in it stays.
func (f *installFlags) daemonJSON(remove bool) (step, error) {
	settings := map[string]json.RawMessage{}
	data, err := os.ReadFile(f.daemon)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return step{}, err
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &settings); err != nil {
			return step{}, sekisho.Errorf(sekisho.Usage, "%s: %w", f.daemon, err)
		}
	}
	if err := f.settings(settings, remove); err != nil {
		return step{}, sekisho.Errorf(sekisho.Usage, "%s: %w", f.daemon, err)
	}
	out, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return step{}, err
	}
	out = append(out, '\n')
	return step{"write " + f.daemon + ":\n" + string(out), func() error {
		if err := os.MkdirAll(filepath.Dir(f.daemon), 0o755); err != nil {
			return err
		}
		return writeFile(f.daemon, func(w io.Writer) error { _, err := w.Write(out); return err })
	}}, nil
}

func (f *installFlags) settings(s map[string]json.RawMessage, remove bool) error {
	runtimes, plugins, standard := map[string]json.RawMessage{}, []string{}, ""
	for key, into := range map[string]any{"runtimes": &runtimes, "authorization-plugins": &plugins, "default-runtime": &standard} {
		if s[key] == nil {
			continue
		}
		if err := json.Unmarshal(s[key], into); err != nil {
			return err
		}
	}
	plugins = slices.DeleteFunc(plugins, func(p string) bool { return p == "sekisho" && (remove || f.plugin) })
	delete(runtimes, "sekisho")
	if remove && standard == "sekisho" {
		standard = ""
	}
	if !remove {
		standard = "sekisho"
		path, err := json.Marshal(map[string]string{"path": f.link})
		if err != nil {
			return err
		}
		runtimes["sekisho"] = path
		if f.plugin {
			plugins = append(plugins, "sekisho")
		}
	}
	for key, v := range map[string]struct {
		value any
		empty bool
	}{"runtimes": {runtimes, len(runtimes) == 0}, "authorization-plugins": {plugins, len(plugins) == 0}, "default-runtime": {standard, standard == ""}} {
		if delete(s, key); v.empty {
			continue
		}
		data, err := json.Marshal(v.value)
		if err != nil {
			return err
		}
		s[key] = data
	}
	return nil
}
