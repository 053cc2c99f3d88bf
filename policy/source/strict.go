package source

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"

	"sekisho"
)

// Strict decodes a file of one mapping into v, a pointer to a struct. Unknown
// fields, anchors and whatever is larger than MaxSize are errors with line and
// column, of kind sekisho.Invalid.
func Strict(r io.Reader, name string, v any) error {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	f := &File{Name: name, Data: data}
	if root := f.Root(); root != nil && len(f.Errors) == 0 {
		if err := yaml.NodeToValue(root, v, yaml.Strict()); err != nil {
			f.YAML(err, root, Fields(reflect.TypeOf(v)))
		}
	}
	if len(f.Errors) > 0 {
		return sekisho.Errorf(sekisho.Invalid, "%w", errors.Join(f.Errors...))
	}
	return nil
}

// Fields lists the names of all fields of a type and of those inside it.
func Fields(t reflect.Type) (out []string) {
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || seen[t] {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name != "" && name != "-" {
				out = append(out, name)
			}
			visit(t.Field(i).Type)
		}
	}
	visit(t)
	return out
}
