package fact

import (
	"bytes"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sekisho"
)

// JSON turns facts that somebody wrote as YAML into JSON. Anchors and aliases,
// which can make a small file large, are refused.
func JSON(data []byte) ([]byte, error) {
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s", yaml.FormatError(err, false, true))
	}
	for _, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		for _, t := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
			if len(ast.Filter(t, d.Body)) > 0 {
				return nil, sekisho.Errorf(sekisho.Invalid, "anchors, aliases and merge keys are not allowed; write the values out")
			}
		}
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
