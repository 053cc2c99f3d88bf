package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/image"
	"sekisho/report/format"
	"sekisho/scan"
	"sekisho/scan/analyze"
	"sekisho/scan/cache"
	"sekisho/scan/symbol"
)

// scanFlags are the flags of scan.
type scanFlags struct {
	source              sourceFlags
	content             contentFlags
	policy              policyFlags
	onlyPackages        bool
	outputs             []string
	format              string
	failOn              string
	signatureAge        int
	advisoryAge         int
	db                  string
	programs            programs         // set by the scan
	names               []sekisho.Digest // further digests of the image, set by the scan
	keepFacts           bool
	severity            string
	kinds, paths, skip  []string
	exceptions          string
	vex                 []string // files and directories of statements
	vexAttached         bool
	all, quiet, noCache bool
	noColor             bool
	cacheDir            string
	cacheMiB            int64
	jobs                int
}

func (a *app) scanCommand() *cobra.Command {
	t := a.texts.Text
	f := &scanFlags{}
	cmd := &cobra.Command{Use: "scan [SCHEME:]TARGET", Short: t("cli.scan.short"), Long: t("cli.scan.long"),
		Example: t("cli.scan.examples"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error { return a.scan(cmd.Context(), args[0], f) }}
	a.sharedFlags(cmd, f)
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", t("cli.flag.format"))
	flags.StringVar(&f.failOn, "fail-on", "", t("cli.flag.fail_on"))
	a.policyFlags(cmd, &f.policy)
	flags.IntVar(&f.signatureAge, "max-signature-age", 0, t("cli.flag.signature_age"))
	flags.StringVar(&f.db, "db", "", t("cli.flag.db"))
	flags.IntVar(&f.advisoryAge, "max-advisory-age", 0, t("cli.flag.advisory_age"))
	flags.StringVar(&f.severity, "severity", "", t("cli.flag.severity"))
	flags.StringSliceVar(&f.kinds, "kind", nil, t("cli.flag.kind"))
	flags.StringSliceVar(&f.paths, "path", nil, t("cli.flag.path"))
	flags.StringSliceVar(&f.skip, "skip-path", nil, t("cli.flag.skip_path"))
	flags.StringVar(&f.exceptions, "exceptions", "", t("cli.flag.exceptions"))
	flags.StringArrayVar(&f.vex, "vex", nil, t("cli.flag.vex"))
	flags.BoolVar(&f.vexAttached, "vex-attached", false, t("cli.flag.vex_attached"))
	flags.StringArrayVar(&f.content.secretRules, "secret-rules", nil, t("cli.flag.secret_rules"))
	flags.StringArrayVar(&f.content.signatures, "signatures", nil, t("cli.flag.signatures"))
	flags.StringVar(&f.content.clamd, "clamd", "", t("cli.flag.clamd"))
	flags.BoolVar(&f.source.staged, "staged", false, t("cli.flag.staged"))
	flags.BoolVar(&f.all, "all", false, t("cli.flag.all"))
	flags.BoolVar(&f.keepFacts, "keep-facts", a.Getenv("SEKISHO_FACTS_DIR") != "", t("cli.flag.keep_facts"))
	return cmd
}

// sbomCommand is scan with an SBOM as its output.
func (a *app) sbomCommand() *cobra.Command {
	t := a.texts.Text
	f := &scanFlags{onlyPackages: true}
	cmd := &cobra.Command{Use: "sbom [SCHEME:]TARGET", Short: t("cli.sbom.short"), Long: t("cli.sbom.long"),
		Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error { return a.scan(cmd.Context(), args[0], f) }}
	a.sharedFlags(cmd, f)
	cmd.Flags().StringVar(&f.format, "format", "cyclonedx", t("cli.flag.sbom_format"))
	return cmd
}

func (a *app) sharedFlags(cmd *cobra.Command, f *scanFlags) {
	t, flags := a.texts.Text, cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, t("cli.flag.output"))
	flags.StringVar(&f.source.platform, "platform", "", t("cli.flag.platform"))
	flags.StringVar(&f.source.choose, "image", "", t("cli.flag.image"))
	flags.StringVar(&f.source.namespace, "namespace", "", t("cli.flag.namespace"))
	flags.BoolVar(&f.source.insecure, "insecure", false, t("cli.flag.insecure"))
	flags.BoolVar(&f.noCache, "no-cache", false, t("cli.flag.no_cache"))
	flags.StringVar(&f.cacheDir, "cache-dir", "", t("cli.flag.cache_dir"))
	flags.Int64Var(&f.cacheMiB, "cache-size", cache.DefaultSize>>20, t("cli.flag.cache_size"))
	flags.IntVar(&f.jobs, "jobs", runtime.NumCPU(), t("cli.flag.jobs"))
	flags.BoolVarP(&f.quiet, "quiet", "q", false, t("cli.flag.quiet"))
	flags.BoolVar(&f.noColor, "no-color", false, t("cli.flag.no_color"))
}

func (a *app) scan(ctx context.Context, target string, f *scanFlags) error {
	now, err := a.now()
	if err != nil {
		return err
	}
	filter, err := newFilter(f)
	if err != nil {
		return err
	}
	outputs, err := a.outputs(f)
	if err != nil {
		return err
	}
	accepted, err := a.exceptions(f.exceptions)
	if err != nil {
		return err
	}
	f.policy.signed = f.vexAttached
	judge, err := a.judge(&f.policy, accepted, now)
	if err != nil {
		return err
	}
	report, err := a.read(ctx, target, f, sekisho.Tool{Name: "sekisho", Version: version()})
	if err != nil {
		return err
	}
	report.Generated = now
	if err := a.vulnerabilities(report, f); err != nil {
		return err
	}
	if err := a.statements(ctx, report, f); err != nil {
		return err
	}
	if err := a.keepFacts(report, f); err != nil {
		return err
	}
	if accepted != nil {
		accepted.Apply(report.Findings, subject(report, f.policy.as), now)
	}
	if judge != nil {
		format.Describe(report, a.texts)
		if judge.vouched, err = a.vouched(ctx, report, f); err != nil {
			return err
		}
		report.Decision = a.decision(judge, report)
	}
	filter.apply(report)
	report.Decision = joinDecisions(report.Decision, filter.decide(report))
	if err := a.write(report, outputs, f); err != nil {
		return err
	}
	return filter.verdict(report, a.texts)
}

// read turns the target into a report: a scan, or a bill of materials read.
func (a *app) read(ctx context.Context, target string, f *scanFlags, tool sekisho.Tool) (*sekisho.Report, error) {
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	src, err := a.open(ctx, target, f.source)
	if err != nil {
		return nil, err
	}
	if src.report != nil {
		src.report.Tool = tool
		return src.report, nil
	}
	defer src.image.Close()
	f.programs = programs{}
	o := scan.Options{Jobs: f.jobs, Now: now, Tool: tool, Programs: func(path string, set symbol.Set) { f.programs[path] = set }}
	key := cache.NewKey()
	if !f.noCache {
		if o.Cache, err = a.cache(f); err != nil {
			return nil, err
		}
		key = o.Cache.Key()
	}
	inside, mask, err := a.content(ctx, f, key)
	if err != nil {
		return nil, err
	}
	o.Analyzers, o.Mask = scan.Analyzers(), mask
	if inside != nil {
		o.Analyzers, o.Text = scan.Analyzers(inside), inside.Text
	}
	if src.image.Kind == image.KindRepository { // what it held once is installed nowhere
		o.Analyzers, o.Cache = nil, nil
		if inside != nil {
			o.Analyzers = []analyze.Analyzer{inside}
		}
	}
	a.limitMemory()
	progress := a.progress(f.quiet)
	o.Layer = progress.layer
	report, err := scan.Scan(ctx, src.image, o)
	f.names = src.image.Also
	progress.done()
	if err != nil {
		return nil, err
	}
	report.Feeds = f.content.feeds
	if f.source.staged {
		onlyNew(report)
	}
	return report, nil
}

// onlyNew leaves the findings that the staged changes bring: not those that the
// same file has already, nor those that it loses.
func onlyNew(r *sekisho.Report) {
	r.Findings = slices.DeleteFunc(r.Findings, func(x sekisho.Finding) bool {
		places := append([]sekisho.Location{x.Location}, x.Places...)
		return !slices.ContainsFunc(places, func(l sekisho.Location) bool {
			return l.Changed && !slices.ContainsFunc(places, func(o sekisho.Location) bool { return !o.Changed && o.Path == l.Path })
		})
	})
}

func (a *app) cache(f *scanFlags) (*cache.Cache, error) {
	dir := cmp.Or(f.cacheDir, a.Getenv("SEKISHO_CACHE_DIR"))
	if dir == "" {
		base := a.Getenv("XDG_CACHE_HOME")
		if base == "" {
			var err error
			if base, err = os.UserCacheDir(); err != nil {
				return nil, sekisho.Errorf(sekisho.Usage, "no place for the cache: %w", err).WithHint("--no-cache, or --cache-dir DIR")
			}
		}
		dir = filepath.Join(base, "sekisho", "layers")
	}
	c, err := cache.Open(dir, f.cacheMiB<<20, clock)
	if err != nil {
		return nil, fmt.Errorf("%w (--no-cache goes without)", err)
	}
	return c, nil
}
