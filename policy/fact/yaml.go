package fact

import (
	"bytes"

	"github.com/goccy/go-yaml"

	"sekisho"
	"sekisho/policy/source"
)

// JSON turns facts that somebody wrote as YAML into JSON. Anchors and aliases,
// which can make a small file large, are refused.
func JSON(data []byte) ([]byte, error) {
	if err := source.Plain(data); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%w", err)
	}
	out, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s", yaml.FormatError(err, false, true))
	}
	if len(bytes.TrimSpace(out)) == 0 {
		return []byte("{}"), nil
	}
	return out, nil
}
