package advisory

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sekisho"
)

func fullRecord() Record {
	return Record{
		ID: "RHSA-2024:1", Source: true, Aliases: []string{"CVE-2024-1", "CVE-2024-2"}, Advisories: []string{"DSA-1"},
		Status: sekisho.StatusWontFix, Ranges: []Range{{"1", "2", ""}, {"", "", "3"}, {}}, Versions: []string{"1.0", "1.1"},
		Rating: "Important", Severity: "high", Note: "minor", Module: "nodejs:18", Arch: []string{"x86_64"}, Binaries: []string{"libc6"},
		Repositories: []string{"cpe:/o:redhat"}, Symbols: []Symbols{{"net/http", []string{"linux"}, nil, []string{"Get", "T.M"}}},
		Malicious: true, Fixed: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func fullDetail() Detail {
	at := time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)
	return Detail{
		ID: "CVE-2024-1", Title: "a flaw", TitleJA: "欠陥", Ratings: []sekisho.Rating{{Source: "nvd", Severity: "critical", Word: "CRITICAL"}, {Severity: "odd"}},
		CVSS: []sekisho.CVSS{{Source: "nvd", Version: "3.1", Vector: "CVSS:3.1/AV:N", Score: 9.8}, {Score: 0.1}, {Score: 10}},
		CWE:  []string{"CWE-79"}, CPEs: []string{"cpe:2.3:a"}, Aliases: []string{"GHSA-1"}, Published: at, Modified: at.Add(time.Hour), Withdrawn: at.Add(2 * time.Hour),
	}
}

// TestEveryField sets one field after the other; each must come back. A field
// that is added to a type and not to the codec fails here.
func TestEveryField(t *testing.T) {
	r := fullRecord()
	eachField(t, r, func(r Record) Record {
		var back Record
		if err := decodeRecord(appendRecord(nil, &r), &back); err != nil {
			t.Fatal(err)
		}
		return back
	}, "Ecosystem", "Package")
	eachField(t, fullDetail(), func(d Detail) Detail {
		var back Detail
		if err := decodeDetail(appendDetail(nil, &d), &back); err != nil {
			t.Fatal(err)
		}
		return back
	}, "Group")
	text := Text{ID: "a", Text: "b", TextJA: "c", References: []sekisho.Reference{{Name: "d", URL: "e"}}}
	eachField(t, text, func(x Text) Text {
		var back Text
		if err := decodeText(appendText(nil, &x), &back); err != nil {
			t.Fatal(err)
		}
		return back
	}, "Group")
	eachField(t, sekisho.KEV{Added: "2024-01-01", Due: "2024-02-01", Action: "patch", Ransomware: true}, func(k sekisho.KEV) sekisho.KEV {
		var back sekisho.KEV
		if err := decodeKEV(appendKEV(nil, "CVE-2024-1", &k), &back); err != nil {
			t.Fatal(err)
		}
		return back
	})
}

func eachField[T any](t *testing.T, full T, turn func(T) T, elsewhere ...string) {
	t.Helper()
	if d := cmp.Diff(full, turn(full)); d != "" {
		t.Errorf("all fields: %s", d)
	}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if slices.Contains(elsewhere, name) {
			continue
		}
		if v.Field(i).IsZero() {
			t.Errorf("%T.%s is not in the test's value", full, name)
		}
		var one T
		reflect.ValueOf(&one).Elem().Field(i).Set(v.Field(i))
		if d := cmp.Diff(one, turn(one)); d != "" {
			t.Errorf("%T.%s: %s", full, name, d)
		}
	}
}

// TestStrict: what is cut or longer is refused.
func TestStrict(t *testing.T) {
	r, d := fullRecord(), fullDetail()
	whole, whole2 := appendRecord(nil, &r), appendDetail(nil, &d)
	for n := range whole {
		if decodeRecord(whole[:n], new(Record)) == nil {
			t.Errorf("a record cut to %d of %d bytes was taken", n, len(whole))
		}
	}
	for n := range whole2 {
		if decodeDetail(whole2[:n], new(Detail)) == nil {
			t.Errorf("a detail cut to %d of %d bytes was taken", n, len(whole2))
		}
	}
	err := decodeRecord(append(whole, 0), new(Record))
	if sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("a byte too many: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	r, d := fullRecord(), fullDetail()
	f.Add(appendRecord(nil, &r))
	f.Add(appendDetail(nil, &d))
	f.Add(appendText(nil, &Text{ID: "a", Text: "b", References: []sekisho.Reference{{Name: "d", URL: "e"}}}))
	f.Add(appendKEV(nil, "CVE-2024-1", &sekisho.KEV{Added: "2024-01-01", Ransomware: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, b, decodeRecord, appendRecord)
		again(t, b, decodeDetail, appendDetail)
		again(t, b, decodeText, appendText)
		again(t, b, decodeKEV, func(b []byte, k *sekisho.KEV) []byte { return appendKEV(b, "", k) })
	})
}

// again encodes what was decoded: it must decode to the same.
func again[T any](t *testing.T, b []byte, decode func([]byte, *T) error, encode func([]byte, *T) []byte) {
	var one, two T
	if err := decode(b, &one); err != nil {
		if sekisho.KindOf(err) != sekisho.Corrupt {
			t.Fatalf("%v", err)
		}
		return
	}
	if err := decode(encode(nil, &one), &two); err != nil {
		t.Fatalf("what was decoded cannot be decoded again: %v", err)
	}
	if d := cmp.Diff(one, two, cmpopts.EquateEmpty()); d != "" {
		t.Fatal(d)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("CVE-1", "openssl", "1.0", int64(5), uint8(3), uint16(7))
	f.Fuzz(func(t *testing.T, a, b, c string, at int64, n uint8, bits uint16) {
		pick := func(bit int, s string) string {
			if bits>>bit&1 == 1 {
				return s
			}
			return ""
		}
		list := func(bit int, s string) (l []string) {
			for range int(n) * int(bits>>bit&1) {
				l = append(l, s)
			}
			return l
		}
		r := Record{ID: a, Aliases: list(0, b), Advisories: list(1, c), Status: pick(2, a), Versions: list(3, a), Rating: pick(4, b),
			Severity: pick(5, c), Note: pick(6, a), Module: pick(7, b), Arch: list(8, c), Binaries: list(9, a), Repositories: list(10, b),
			Source: bits&1 == 1, Malicious: bits&2 == 2, Fixed: time.Unix(at%maxTime, 0).UTC()}
		if bits>>11 == 1 {
			r.Ranges, r.Symbols = []Range{{a, b, c}, {Last: c}}, []Symbols{{a, list(0, b), list(1, c), list(2, a)}}
		}
		e := appendRecord(nil, &r)
		var back Record
		if len(e) > maxEncoded {
			return
		}
		if err := decodeRecord(e, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, back, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		if id, ok := recordID(e); !ok || string(id) != a {
			t.Fatalf("id %q, want %q", id, a)
		}
	})
}
