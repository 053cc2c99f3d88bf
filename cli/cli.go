// Package cli is the roof: one file per command. It reads flags and the
// environment, wires the wings together and turns errors into exit statuses.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sekisho"
	"sekisho/i18n"
	"sekisho/internal/harmless"
)

// Process is what a command gets from the operating system.
type Process struct {
	Program string // as it was called
	Args    []string
	Getenv  func(string) string
	Stdin   *os.File
	Stdout  io.Writer
	Stderr  io.Writer
}

// Main runs the program and returns its exit status.
func Main(ctx context.Context, p Process) int {
	if args, ok := asRuntime(p); ok {
		return runtimeMain(ctx, p, args)
	}
	a := &app{Process: p, texts: i18n.New(language(p))}
	root := a.root()
	root.SetArgs(p.Args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	return a.finish(err)
}

// app is one run of the program.
type app struct {
	Process
	texts  *i18n.Printer
	serves bool     // it answers others, and does not end with one answer
	engine engineAt // overrides DOCKER_HOST
}

// language is that of --lang, else of SEKISHO_LANG, else of the locale.
func language(p Process) i18n.Lang {
	for i, arg := range p.Args {
		if v, ok := strings.CutPrefix(arg, "--lang="); ok {
			return i18n.FromLocale(v)
		}
		if arg == "--lang" && i+1 < len(p.Args) {
			return i18n.FromLocale(p.Args[i+1])
		}
	}
	for _, name := range []string{"SEKISHO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := p.Getenv(name); v != "" {
			return i18n.FromLocale(v)
		}
	}
	return i18n.English
}

func (a *app) root() *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{
		Use: "sekisho", Short: t("product.tagline"), Long: t("cli.root.long"),
		SilenceErrors: true, SilenceUsage: true, Version: version(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args:              usageArgs(cobra.NoArgs),
	}
	root.SetUsageTemplate(a.usageTemplate())
	root.SetVersionTemplate("sekisho {{.Version}}\n")
	root.SetFlagErrorFunc(misused)
	root.PersistentFlags().String("lang", "", t("cli.flag.lang"))
	root.AddCommand(
		a.scanCommand(),
		a.sbomCommand(),
		a.vexCommand(),
		a.advisoryCommand(),
		a.policyCommand(),
		a.signCommand(),
		a.attestCommand(),
		a.verifyCommand(),
		a.approveCommand(),
		a.keysCommand(),
		a.rulesCommand(),
		a.enforceCommand(),
		a.admitCommand(),
		a.auditCommand(),
		a.runcCommand(),
		a.versionCommand(),
	)
	root.SetHelpCommand(&cobra.Command{Use: "help", Hidden: true, RunE: func(*cobra.Command, []string) error { return root.Help() }})
	root.InitDefaultHelpFlag()
	commands := []*cobra.Command{root}
	for i := 0; i < len(commands); i++ {
		commands = append(commands, commands[i].Commands()...)
	}
	for _, c := range commands {
		c.InitDefaultHelpFlag()
		if f := c.Flags().Lookup("help"); f != nil {
			f.Usage = t("cli.flag.help")
		}
	}
	return root
}

func (a *app) usageTemplate() string {
	t := a.texts.Text
	return t("cli.usage") + `
  {{.UseLine}}{{if .HasExample}}

` + t("cli.examples") + `
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

` + t("cli.commands") + `{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

` + t("cli.flags") + `
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}

` + t("cli.status") + "\n"
}

// version is the version of the build: the module's, else the commit's.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) > 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: a.texts.Text("cli.version.short"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(a.Stdout, "sekisho %s\n", version())
			return err
		}}
}

// Exit statuses. These are all that the program uses.
const (
	statusPassed = 0 // done, and nothing spoke against it
	statusFailed = 1 // the tool failed
	statusUsage  = 2 // the command line or a file of the user is off
	statusDenied = 3 // a policy or --fail-on says no
)

// finish prints the error, if any, with its hint, and returns the status.
func (a *app) finish(err error) int {
	if err == nil {
		return statusPassed
	}
	var silent *status
	if errors.As(err, &silent) {
		return silent.code
	}
	var e *sekisho.Error
	errors.As(err, &e)
	if e != nil && e.Kind == sekisho.Denied {
		fmt.Fprintf(a.Stderr, "sekisho: %s\n", visible(err.Error()))
		return statusDenied
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.Stderr, "sekisho: %s\n", a.texts.Text("cli.interrupted"))
		return statusFailed
	}
	fmt.Fprintf(a.Stderr, "sekisho: %s: %s\n", a.texts.Text("cli.error"), visible(a.misuse(err)))
	if e != nil && e.Hint != "" {
		fmt.Fprintf(a.Stderr, "sekisho: %s: %s\n", a.texts.Text("cli.hint"), visible(e.Hint))
	}
	if e != nil && e.Kind == sekisho.Usage {
		return statusUsage
	}
	return statusFailed
}

// visible makes what untrusted input could do to a terminal harmless.
func visible(s string) string { return harmless.Text(s) }

// terminal returns the width of a terminal, or false.
func terminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 40 {
		width = 80
	}
	return width, true
}

// now is the time, which SOURCE_DATE_EPOCH (seconds since 1970) fixes.
func (a *app) now() (time.Time, error) {
	text := a.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Now().UTC(), nil
	}
	var seconds int64
	if _, err := fmt.Sscanf(text, "%d", &seconds); err != nil {
		return time.Time{}, sekisho.Errorf(sekisho.Usage, "SOURCE_DATE_EPOCH=%q: want seconds since 1970", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
