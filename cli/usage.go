package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sekisho"
)

// argumentError is what the command line library says of arguments.
type argumentError struct{ error }

// usageArgs marks errors about arguments as usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return misused(cmd, argumentError{err})
		}
		return nil
	}
}

func misused(cmd *cobra.Command, err error) error {
	return sekisho.Errorf(sekisho.Usage, "%w", err).WithHint("%s --help", cmd.CommandPath())
}

// misuse words an error, those of the command line library in the user's
// language.
func (a *app) misuse(err error) string {
	var (
		unknown   *pflag.NotExistError
		valueless *pflag.ValueRequiredError
		invalid   *pflag.InvalidValueError
		syntax    *pflag.InvalidSyntaxError
		argument  argumentError
	)
	t := a.texts.Text
	switch {
	case errors.As(err, &unknown):
		return t("cli.usage.unknown_flag", "flag", dashed(unknown.GetSpecifiedName(), unknown.GetSpecifiedShortnames()))
	case errors.As(err, &valueless):
		return t("cli.usage.no_value", "flag", dashed(valueless.GetSpecifiedName(), valueless.GetSpecifiedShortnames()))
	case errors.As(err, &invalid):
		return t("cli.usage.bad_value", "flag", "--"+invalid.GetFlag().Name, "value", invalid.GetValue(), "type", t("cli.usage.type."+invalid.GetFlag().Value.Type()))
	case errors.As(err, &syntax):
		return t("cli.usage.bad_flag", "flag", syntax.GetSpecifiedFlag())
	case errors.As(err, &argument):
		return a.arguments(argument.Error())
	}
	return err.Error()
}

// dashed writes a flag as the user did; shorthands is what -abc held.
func dashed(name, shorthands string) string {
	if shorthands != "" {
		return "-" + name[:1]
	}
	return "--" + name
}

// arguments words what cobra says of arguments. Its errors have no types, so
// their texts are read; one that is not known stays as it is.
func (a *app) arguments(text string) string {
	var low, high, got int
	var name string
	t := a.texts.Text
	for _, c := range []struct {
		key, form string
		into      []any
	}{
		{"unknown_command", "unknown command %q", []any{&name}},
		{"exactly", "accepts %d arg(s), received %d", []any{&low, &got}},
		{"at_most", "accepts at most %d arg(s), received %d", []any{&high, &got}},
		{"at_least", "requires at least %d arg(s), only received %d", []any{&low, &got}},
		{"between", "accepts between %d and %d arg(s), received %d", []any{&low, &high, &got}},
	} {
		if n, _ := fmt.Sscanf(text, c.form, c.into...); n == len(c.into) {
			return strings.TrimSpace(t("cli.usage."+c.key, "name", name, "low", low, "high", high, "got", got))
		}
	}
	return text
}
