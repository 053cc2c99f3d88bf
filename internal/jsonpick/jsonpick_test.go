package jsonpick_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"sekisho/internal/jsonpick"
)

// FuzzObject holds us to encoding/json: what it reads as an object, we read
// with the same keys and string values.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{"name":"a","version":"1","x":{"y":[1,"}",{}]},"z":null}`, `{}`, ` { "a\"b" : "c\u0041" , "d":-1.5e3 } `, `{"a":"b"`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]string{}
		err := jsonpick.Object(data, func(key, raw []byte) bool {
			got[jsonpick.String(append(append([]byte{'"'}, key...), '"'))] = jsonpick.String(raw)
			return true
		})
		var want map[string]json.RawMessage
		if !utf8.Valid(data) || json.Unmarshal(data, &want) != nil || want == nil {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		for k, raw := range want {
			var s string
			if json.Unmarshal(raw, &s) == nil && got[k] != s {
				t.Errorf("%q: %q is %q, want %q", data, k, got[k], s)
			}
		}
	})
}
