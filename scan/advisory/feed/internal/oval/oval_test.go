package oval

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/advisory/feed/feedtest"
)

// document is a document in memory.
type document struct {
	*bytes.Reader
	data []byte
}

func open(data []byte) *document { return &document{bytes.NewReader(data), data} }

// Again begins anew.
func (d *document) Again() error { d.Reset(d.data); return nil }

func statements(t testing.TB, data []byte) (out map[string][]Statement, unknown int) {
	t.Helper()
	out = map[string][]Statement{}
	err := Read(open(data), func(f *File, d *Definition) error {
		list, n, err := f.Statements(d)
		out[d.ID], unknown = append(out[d.ID], list...), unknown+int(n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, unknown
}

// Every criterion of Photon's document is understood: 222 definitions.
func TestPhoton(t *testing.T) {
	out, unknown := statements(t, feedtest.Read(t, "vendor-samples/photon/com.vmware.phsa-photon3.xml"))
	if unknown != 0 || len(out) != 222 {
		t.Errorf("%d unknown, %d definitions", unknown, len(out))
	}
	got := out["oval:com.vmware.phsa:def:2020300001"]
	if len(got) != 3 || got[0].Package != "sqlite" || got[0].Range.Fixed != "3.27.2-5.ph3" || got[0].Platform != "Photon OS 3 is installed" {
		t.Errorf("%+v", got)
	}
}

const made = `<oval_definitions><definitions><definition id="d">%s</definition></definitions><tests>
<rpminfo_test id="t1"><object object_ref="o1"/><state state_ref="s1"/></rpminfo_test>
<rpminfo_test id="t2"><object object_ref="o1"/><state state_ref="s2"/></rpminfo_test>
<uname_test id="t3"><object object_ref="o9"/><state state_ref="s1"/></uname_test>
</tests><objects><rpminfo_object id="o1"><name>curl</name></rpminfo_object></objects><states>
<rpminfo_state id="s1"><evr operation="less than">0:2.0-1</evr></rpminfo_state>
<rpminfo_state id="s2"><evr operation="greater than or equal">1:1.0-1</evr></rpminfo_state></states></oval_definitions>`

func TestCriteria(t *testing.T) {
	for _, x := range []struct {
		name, criteria, want string
		unknown              int
	}{
		{"both", `<criteria><criterion test_ref="t1"/><criterion test_ref="t2"/></criteria>`, "[{1:1.0-1 2.0-1 }]", 0},
		{"either", `<criteria operator="OR"><criterion test_ref="t1"/><criterion test_ref="t2"/></criteria>`, "[{ 2.0-1 } {1:1.0-1  }]", 0},
		{"negated", `<criteria><criterion negate="true" test_ref="t1"/></criteria>`, "[{2.0-1  }]", 0},
		{"twice negated", `<criteria negate="true"><criterion negate="true" test_ref="t1"/></criteria>`, "[{ 2.0-1 }]", 0},
		{"what is not understood says nothing", `<criteria><criterion test_ref="t1"/><criterion test_ref="t3"/></criteria>`, "[]", 1},
		{"no criteria", ``, "[]", 0},
		{"comment", `<criteria><criterion test_ref="gone" comment="curl is earlier than 0:3-1"/></criteria>`, "[{ 3-1 }]", 0},
	} {
		out, unknown := statements(t, fmt.Appendf(nil, made, x.criteria))
		got := []string{}
		for _, s := range out["d"] {
			got = append(got, fmt.Sprint(s.Range))
		}
		if fmt.Sprint(got) != x.want || unknown != x.unknown {
			t.Errorf("%s: %v, %d unknown, want %s", x.name, got, unknown, x.want)
		}
	}
}

// Criteria whose alternatives multiply are refused, not expanded.
func TestMultiplied(t *testing.T) {
	or := `<criteria operator="OR">` + strings.Repeat(`<criterion test_ref="t1"/>`, 100) + `</criteria>`
	err := Read(open(fmt.Appendf(nil, made, "<criteria>"+strings.Repeat(or, 8)+"</criteria>")), func(f *File, d *Definition) error {
		_, _, err := f.Statements(d)
		return err
	})
	if sekisho.KindOf(err) != sekisho.Invalid {
		t.Error(err)
	}
	deep := strings.Repeat("<criteria>", 100) + strings.Repeat("</criteria>", 100)
	if err := Read(open(fmt.Appendf(nil, made, deep)), func(f *File, d *Definition) error {
		_, _, err := f.Statements(d)
		return err
	}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(fmt.Appendf(nil, made, `<criteria><criterion test_ref="t1"/><criterion negate="true" test_ref="t2"/></criteria>`))
	f.Add(feedtest.Read(f, "vendor-samples/azurelinux/mariner-truncated-2.0-oval.xml"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Read(open(data), func(f *File, d *Definition) error {
			list, _, err := f.Statements(d)
			for _, s := range list {
				if s.Package == "" {
					t.Fatalf("%+v", s)
				}
			}
			return err
		})
	})
}
