package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/image/registry"
	"sekisho/scan/vex"
)

// vexFlags are the flags of vex beyond those of scan.
type vexFlags struct {
	scanFlags
	vex vex.Options
	as  string // the name of the image, for exceptions
}

// vexCommand writes what the user judged of a target's vulnerabilities.
func (a *app) vexCommand() *cobra.Command {
	t := a.texts.Text
	f := &vexFlags{}
	cmd := &cobra.Command{Use: "vex [SCHEME:]TARGET", Short: t("cli.vex.short"), Long: t("cli.vex.long"), Example: t("cli.vex.examples"),
		Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error { return a.vex(cmd.Context(), args[0], f) }}
	a.sharedFlags(cmd, &f.scanFlags)
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "openvex", t("cli.flag.vex_format"))
	flags.StringVar(&f.vex.Author, "author", "", t("cli.flag.author"))
	flags.StringVar(&f.vex.Namespace, "author-url", "", t("cli.flag.author_url"))
	flags.StringVar(&f.vex.Product, "product", "", t("cli.flag.product"))
	flags.StringVar(&f.as, "as", "", t("cli.flag.as"))
	flags.BoolVar(&f.vex.Undecided, "undecided", false, t("cli.flag.undecided"))
	flags.StringVar(&f.exceptions, "exceptions", "", t("cli.flag.exceptions"))
	flags.StringVar(&f.db, "db", "", t("cli.flag.db"))
	return cmd
}

func (a *app) vex(ctx context.Context, target string, f *vexFlags) error {
	o := f.vex
	o.Author = cmp.Or(o.Author, a.Getenv("SEKISHO_AUTHOR"))
	if o.Author == "" {
		return sekisho.Errorf(sekisho.Usage, "%s", a.texts.Text("cli.vex.no_author")).WithHint("--author 'Example Security <security@example.com>'")
	}
	o.Tool = sekisho.Tool{Name: "sekisho", Version: version()}
	var err error
	if o.Now, err = a.now(); err != nil {
		return err
	}
	if o.Exceptions, err = a.exceptions(f.exceptions); err != nil {
		return err
	}
	report, err := storedReport(target)
	if err == nil && report == nil {
		report, err = a.judged(ctx, target, f, o.Tool)
	}
	if err != nil {
		return err
	}
	o.Subject = subject(report, f.as)
	if len(f.outputs) == 0 {
		o.Format = f.format
		return vex.Write(a.Stdout, report, o)
	}
	for _, out := range f.outputs {
		format, name, ok := strings.Cut(out, "=")
		if !ok || name == "" {
			return sekisho.Errorf(sekisho.Usage, "--output %q: want FORMAT=FILE", out)
		}
		o.Format = format
		if err := writeFile(name, func(w io.Writer) error { return vex.Write(w, report, o) }); err != nil {
			return sekisho.Errorf(sekisho.Usage, "write VEX: %w", err)
		}
	}
	return nil
}

// judged scans a target for its vulnerabilities.
func (a *app) judged(ctx context.Context, target string, f *vexFlags, tool sekisho.Tool) (*sekisho.Report, error) {
	f.kinds = []string{sekisho.Vulnerability}
	report, err := a.read(ctx, target, &f.scanFlags, tool)
	if err != nil {
		return nil, err
	}
	return report, a.vulnerabilities(report, &f.scanFlags)
}

// storedReport reads a report that scan wrote as JSON. What is none is nil.
func storedReport(name string) (*sekisho.Report, error) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	if scheme, _, err := sniff(name); err != nil || scheme != "sbom" {
		return nil, nil
	}
	report, err := openReport(name)
	if errors.Is(err, errNoReport) {
		return nil, nil
	}
	return report, err
}

// statements lets the documents of --vex, and those beside the image, speak
// about the report. Those that could not be read are problems of the report.
func (a *app) statements(ctx context.Context, r *sekisho.Report, f *scanFlags) error {
	if len(f.vex) == 0 && !f.vexAttached {
		return nil
	}
	set, err := vex.Load(f.vex...)
	if err != nil {
		return sekisho.Errorf(sekisho.Usage, "--vex: %w", err)
	}
	if f.vexAttached {
		if err := a.attachedStatements(ctx, r, set, f.policy.trust, f.source.insecure); err != nil {
			return err
		}
	}
	done := set.Apply(r)
	r.Problems = append(r.Problems, set.Problems...)
	a.note("cli.note.vex", "documents", set.Documents(), "suppressed", done.Suppressed, "annotated", done.Annotated)
	return nil
}

// errUnsignedVEX is that a gate should hear statements of which nobody says
// whose count.
var errUnsignedVEX = sekisho.Errorf(sekisho.Usage, "vex_attached goes with trust: only statements that are signed by somebody in it are heard")

// attachedStatements adds what lies beside the image in its registry and is
// signed by somebody in trust.yaml: whoever may push to a repository may say what
// they like. Other documents that lie there are passed over, those that nobody
// trusted has signed are told.
func (a *app) attachedStatements(ctx context.Context, r *sekisho.Report, set *vex.Set, trustFile string, insecure bool) error {
	ref, ok := strings.CutPrefix(r.Target.Reference, "registry:")
	if !ok || r.Target.Digest == "" {
		return sekisho.Errorf(sekisho.Usage, "--vex-attached: %s is not in a registry", r.Target.Reference)
	}
	v, err := a.voucher(trustFile, "", insecure)
	if err != nil {
		return err
	}
	if v == nil {
		return sekisho.Errorf(sekisho.Usage, "--vex-attached wants --trust FILE: only statements that are signed by somebody in it are heard")
	}
	p, err := v.about(ctx, ref, r.Target.Platform, r.Target.Digest)
	if err != nil {
		return err
	}
	heard := 0
	for _, x := range p.signed.Verified {
		if x.Statement == nil {
			continue
		}
		d, err := vex.Read(x.Where, x.Statement.Predicate)
		switch {
		case errors.Is(err, vex.ErrOther):
		case err != nil:
			set.Problems = append(set.Problems, sekisho.Problem{Path: "--vex-attached", Message: strings.TrimPrefix(err.Error(), x.Where+": ")})
		default:
			set.Add(d)
			heard++
		}
	}
	return a.unheard(ctx, r, set, ref, insecure, heard)
}

// unheard tells of statements beside the image that were not heard.
func (a *app) unheard(ctx context.Context, r *sekisho.Report, set *vex.Set, ref string, insecure bool, heard int) error {
	list, err := registry.Attached(ctx, ref, r.Target.Digest, vex.MediaTypes(), registry.Options{Insecure: insecure})
	if err != nil {
		return err
	}
	for _, x := range list {
		if _, err := vex.Read(x.Name, x.Data); err == nil {
			heard--
		}
	}
	if heard < 0 {
		set.Problems = append(set.Problems, sekisho.Problem{Path: "--vex-attached", Message: fmt.Sprintf("not heard: documents signed by nobody in --trust: %d", -heard)})
	}
	return nil
}
