package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var writeSchemas = flag.Bool("update", false, "write the schemas anew")

// TestAdvisorySchemas holds the published schemas to the documents.
func TestAdvisorySchemas(t *testing.T) {
	for name, doc := range map[string]reflect.Type{
		"sekisho.advisory.update/v1": reflect.TypeFor[updateDoc](),
		"sekisho.advisory.status/v1": reflect.TypeFor[databaseStatus](),
		"sekisho.advisory.show/v1":   reflect.TypeFor[shown](),
		"sekisho.coverage/v1":        reflect.TypeFor[coverageReport](),
	} {
		s := schema(doc)
		s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", name
		s["properties"].(map[string]any)["schema"] = map[string]any{"const": name}
		want, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		file := filepath.Join("..", "docs", "schema", strings.ReplaceAll(name, "/", ".")+".json")
		if *writeSchemas {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not of the document's form (go test ./cli -update): %v", file, err)
		}
	}
}

// schema is the JSON Schema of a type.
func schema(kind reflect.Type) map[string]any {
	switch {
	case kind == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case kind.Kind() == reflect.Pointer:
		return schema(kind.Elem())
	case kind.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schema(kind.Elem())}
	case kind.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case kind.Kind() == reflect.Int || kind.Kind() == reflect.Int64:
		return map[string]any{"type": "integer"}
	case kind.Kind() == reflect.Float64:
		return map[string]any{"type": "number"}
	case kind.Kind() != reflect.Struct:
		return map[string]any{"type": "string"}
	}
	properties, required := map[string]any{}, []string{}
	for _, f := range reflect.VisibleFields(kind) {
		if f.Anonymous {
			continue // its fields follow
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = schema(f.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties, "required": required}
}
