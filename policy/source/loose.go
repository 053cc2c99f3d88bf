package source

import (
	"github.com/goccy/go-yaml"

	"sekisho"
)

// Loose reads what was checked already into v, and passes over fields that v
// lacks.
func Loose(data []byte, v any) error {
	if err := yaml.Unmarshal(data, v); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "%s", yaml.FormatError(err, false, true))
	}
	return nil
}
