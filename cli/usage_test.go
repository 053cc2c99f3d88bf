package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sekisho/i18n"
)

// TestMisuseIsSaidInBothLanguages wants no words of the command line library
// in what a user reads of a wrong command line.
func TestMisuseIsSaidInBothLanguages(t *testing.T) {
	for _, lang := range i18n.Languages() {
		a := &app{texts: i18n.New(lang)}
		cmd := &cobra.Command{Use: "sekisho"}
		for name, check := range map[string]cobra.PositionalArgs{"none": cobra.NoArgs, "exactly": cobra.ExactArgs(1), "most": cobra.MaximumNArgs(1),
			"least": cobra.MinimumNArgs(3), "between": cobra.RangeArgs(3, 4)} {
			err := usageArgs(check)(cmd, []string{"one", "two"})
			said := a.misuse(err)
			if said == err.Error() || !strings.Contains(said, "2") && !strings.Contains(said, "one") || strings.Contains(said, "{") || strings.Contains(said, "arg(s)") {
				t.Errorf("%s, %s: %q", lang, name, said)
			}
		}
		for _, args := range []string{"--nope", "-Z", "--text", "--count=x", "--count= ", "-t", "--=x", "--yes=x"} {
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			flags.StringP("text", "t", "", "")
			flags.Int("count", 0, "")
			flags.Bool("yes", false, "")
			err := flags.Parse([]string{args})
			if err == nil {
				t.Fatalf("%s: no error", args)
			}
			word, _, _ := strings.Cut(args, "=")
			if said := a.misuse(misused(cmd, err)); said == err.Error() || !strings.Contains(said, word) || strings.Contains(said, "cli.") || strings.Contains(said, "{") {
				t.Errorf("%s, %s: %q", lang, args, said)
			}
		}
	}
}

// TestFlagTypesHaveWords wants a word for what each flag takes, for when it
// gets something else.
func TestFlagTypesHaveWords(t *testing.T) {
	for _, lang := range i18n.Languages() {
		a := &app{texts: i18n.New(lang), Process: Process{Getenv: func(string) string { return "" }}}
		var look func(*cobra.Command)
		look = func(c *cobra.Command) {
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if kind := f.Value.Type(); !strings.HasPrefix(kind, "string") && !a.texts.Has("cli.usage.type."+kind) {
					t.Errorf("%s %s --%s: no word for %s in %s", lang, c.CommandPath(), f.Name, kind, lang)
				}
			})
			for _, sub := range c.Commands() {
				look(sub)
			}
		}
		look(a.root())
	}
}
