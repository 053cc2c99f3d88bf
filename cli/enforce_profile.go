package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/enforce"
	"sekisho/enforce/profile"
)

// profileKinds are what a profile holds, in the words of its differences.
var profileKinds = []string{"process", "write", "connection", "listen", "capability", "syscall"}

func (a *app) enforceProfileCommand(f *enforcerFlags) *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{Use: "profile", Short: t("cli.enforce.profile"), Long: t("cli.enforce.profile.long"), Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	list := &cobra.Command{Use: "list", Short: t("cli.enforce.profile.list"), Args: usageArgs(cobra.NoArgs), RunE: func(*cobra.Command, []string) error { return a.profileList(f) }}
	show := &cobra.Command{Use: "show NAME", Short: t("cli.enforce.profile.show"), Args: usageArgs(cobra.ExactArgs(1)), RunE: func(_ *cobra.Command, args []string) error { return a.profileShow(f, args[0]) }}
	diff := &cobra.Command{Use: "diff NAME [NEWER]", Short: t("cli.enforce.profile.diff"), Args: usageArgs(cobra.RangeArgs(1, 2)), RunE: func(_ *cobra.Command, args []string) error { return a.profileDiff(f, args) }}
	var kinds []string
	var mode string
	promote := &cobra.Command{Use: "promote NAME", Short: t("cli.enforce.profile.promote"), Args: usageArgs(cobra.ExactArgs(1)), Example: "  sekisho enforce profile promote web --mode audit\n  sekisho enforce profile promote web --kind process,connection",
		RunE: func(_ *cobra.Command, args []string) error { return a.profilePromote(f, args[0], mode, kinds) }}
	promote.Flags().StringVar(&mode, "mode", "", t("cli.flag.profile_mode"))
	promote.Flags().StringSliceVar(&kinds, "kind", nil, t("cli.flag.profile_kind"))
	var form string
	export := &cobra.Command{Use: "export NAME seccomp|apparmor|readonly", Short: t("cli.enforce.profile.export"), Args: usageArgs(cobra.ExactArgs(2)), RunE: func(_ *cobra.Command, args []string) error { return a.profileExport(f, args[0], args[1], form) }}
	export.Flags().StringVar(&form, "form", profile.Compose, t("cli.flag.profile_form"))
	root.AddCommand(list, show, diff, promote, export)
	return root
}

// profilePath takes a profile's name or its file.
func (a *app) profilePath(f *enforcerFlags, name string) (path, dir string, err error) {
	s, err := a.enforceSettings(f)
	if err != nil {
		return "", "", err
	}
	if strings.ContainsRune(name, '/') || strings.HasSuffix(name, ".yaml") {
		return name, s.Profiles, nil
	}
	return filepath.Join(s.Profiles, name+".yaml"), s.Profiles, nil
}

func (a *app) openProfile(f *enforcerFlags, name string) (*profile.Profile, string, string, error) {
	path, dir, err := a.profilePath(f, name)
	if err != nil {
		return nil, "", "", err
	}
	p, err := enforce.ReadProfile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = sekisho.Errorf(sekisho.NotFound, "no profile %s", name).WithHint("sekisho enforce profile list")
	}
	return p, path, dir, err
}

func (a *app) profileList(f *enforcerFlags) error {
	s, err := a.enforceSettings(f)
	if err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(s.Profiles, "*.yaml"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, a.texts.Text("enforce.profile.columns"))
	for _, name := range names {
		p, err := enforce.ReadProfile(name)
		if err != nil {
			fmt.Fprintf(w, "%s\t%s\n", filepath.Base(name), visible(err.Error()))
			continue
		}
		proposal := 0
		if n, err := enforce.ReadProfile(enforce.ProposalPath(s.Profiles, p.Name)); err == nil {
			for _, c := range profile.Diff(p, n) {
				if c.Added {
					proposal++
				}
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%d\t%d\t%.1f\t%d\n", printable(p.Name, 80), printable(p.Workload, 80), a.texts.Text("enforce.mode."+p.Mode), p.Coverage.Hours, p.Coverage.Starts, len(p.Images), p.Coverage.Quiet, proposal)
	}
	return w.Flush()
}

func (a *app) profileShow(f *enforcerFlags, name string) error {
	p, _, _, err := a.openProfile(f, name)
	if err != nil {
		return err
	}
	return p.Write(a.Stdout)
}

// profileDiff compares a profile with another, or with what is proposed for it.
func (a *app) profileDiff(f *enforcerFlags, args []string) error {
	p, _, dir, err := a.openProfile(f, args[0])
	if err != nil {
		return err
	}
	newer, removed := (*profile.Profile)(nil), len(args) == 2
	if removed {
		newer, _, _, err = a.openProfile(f, args[1])
	} else if newer, err = enforce.ReadProfile(enforce.ProposalPath(dir, p.Name)); errors.Is(err, fs.ErrNotExist) {
		a.note("enforce.profile.nothing", "name", p.Name)
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range profile.Diff(p, newer) {
		sign := "+"
		if !c.Added {
			if sign = "-"; !removed {
				continue // a proposal has only what is new
			}
		}
		fmt.Fprintf(a.Stdout, "%s %s %s\n", sign, c.Kind, printable(c.What, 300))
	}
	return nil
}

// profilePromote takes over what is proposed, of the kinds that are named, and
// sets the mode. Nothing else widens a profile.
func (a *app) profilePromote(f *enforcerFlags, name, mode string, kinds []string) error {
	if mode == "" && len(kinds) == 0 {
		return sekisho.Errorf(sekisho.Usage, "promote: want --mode, --kind or both")
	}
	if mode != "" && !slices.Contains([]string{profile.Learn, profile.Audit, profile.Enforce}, mode) {
		return sekisho.Errorf(sekisho.Usage, "--mode %q: want learn, audit or enforce", mode)
	}
	for _, k := range kinds {
		if !slices.Contains(profileKinds, k) {
			return sekisho.Errorf(sekisho.Usage, "--kind %q: want one of %s", k, strings.Join(profileKinds, ", "))
		}
	}
	p, path, dir, err := a.openProfile(f, name)
	if err != nil {
		return err
	}
	before := p
	if len(kinds) > 0 {
		proposal, err := enforce.ReadProfile(enforce.ProposalPath(dir, p.Name))
		if err != nil {
			return sekisho.Errorf(sekisho.NotFound, "nothing is proposed for %s: %w", p.Name, err)
		}
		p = profile.Promote(p, proposal, kinds...)
	}
	for _, c := range profile.Diff(before, p) {
		fmt.Fprintf(a.Stdout, "+ %s %s\n", c.Kind, printable(c.What, 300))
	}
	if mode != "" {
		fmt.Fprintf(a.Stdout, "mode: %s → %s\n", a.texts.Text("enforce.mode."+before.Mode), a.texts.Text("enforce.mode."+mode))
		p.Mode = mode
	}
	if err := enforce.WriteProfile(path, p); err != nil {
		return err
	}
	if len(kinds) == len(profileKinds) {
		return os.Remove(enforce.ProposalPath(dir, p.Name))
	}
	return nil
}

func (a *app) profileExport(f *enforcerFlags, name, what, form string) error {
	p, _, _, err := a.openProfile(f, name)
	if err != nil {
		return err
	}
	switch what {
	case "seccomp":
		return p.Seccomp(a.Stdout)
	case "apparmor":
		return p.AppArmor(a.Stdout)
	case "readonly":
		return p.ReadOnlyLines(a.Stdout, form)
	}
	return sekisho.Errorf(sekisho.Usage, "export %q: want seccomp, apparmor or readonly", what)
}
