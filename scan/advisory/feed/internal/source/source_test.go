package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func elements(in, key string, limit int) (out []string, err error) {
	// One byte at a time: no chunk may matter.
	err = Elements(iotest{strings.NewReader(in)}, key, limit, func(raw []byte) error {
		out = append(out, string(raw))
		return nil
	})
	return out, err
}

type iotest struct{ r io.Reader }

func (t iotest) Read(p []byte) (int, error) { return t.r.Read(p[:1]) }

func TestElements(t *testing.T) {
	for _, x := range []struct {
		name, in, key string
		want          []string
		fails         bool
	}{
		{"under a key", `{"a":[1,{"list":[9]}],"s":"\"list\":[","n":1.5,"list":[{"x":"}"}, 1 ,"a,b",[[]],true],"z":null}`, "list", []string{`{"x":"}"}`, "1", `"a,b"`, "[[]]", "true"}, false},
		{"outermost", "\xef\xbb\xbf [ {\"a\":\"\\\\\"} ,\n2]", "", []string{`{"a":"\\"}`, "2"}, false},
		{"empty", `{"list":[]}`, "list", nil, false},
		{"no key", `{"other":[]}`, "list", nil, true},
		{"not in the outermost object", `{"a":{"list":[1]}}`, "list", nil, true},
		{"object for array", `{"a":1}`, "", nil, true},
		{"cut in element", `{"list":[{"a":1`, "list", nil, true},
		{"cut after element", `{"list":[1`, "list", nil, true},
		{"cut in string", `{"list":["a\`, "list", nil, true},
		{"page", `<html>`, "list", nil, true},
		{"nothing", ``, "list", nil, true},
		{"too deep", `{"list":[` + strings.Repeat("[", 2000), "list", nil, true},
		{"too large", `{"list":["` + strings.Repeat("x", 2000) + `"]}`, "list", nil, true},
		{"no value", `{"list"}`, "list", nil, true},
		{"endless word", `{"list":[` + strings.Repeat("1", 2000) + `]}`, "list", nil, true},
	} {
		got, err := elements(x.in, x.key, 1500)
		if (err != nil) != x.fails || !x.fails && !cmp.Equal(got, x.want) {
			t.Errorf("%s: %q, %v", x.name, got, err)
		}
		if err != nil && sekisho.KindOf(err) != sekisho.Invalid {
			t.Errorf("%s: kind of %v", x.name, err)
		}
	}
	stop := errors.New("stop")
	if err := Elements(strings.NewReader(`[1,2]`), "", 10, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// What encoding/json reads as a list is split into the same elements.
func FuzzElements(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"list":[9]}],"list":[{"x":"}"}, 1 ,"a,b",[[]],true]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got []json.RawMessage
		err := Elements(bytes.NewReader(data), "", 1<<20, func(raw []byte) error { got = append(got, raw); return nil })
		var want []json.RawMessage
		if json.Unmarshal(data, &want) != nil || want == nil {
			_ = Elements(bytes.NewReader(data), "list", 1<<20, func(raw []byte) error { return nil })
			return
		}
		for i := range want {
			if err == nil && len(want[i]) > 64 && want[i][0] != '{' && want[i][0] != '[' && want[i][0] != '"' {
				return
			}
		}
		if err != nil && strings.Contains(err.Error(), "bare word") || err != nil && strings.Contains(err.Error(), "deep") {
			return
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q: %q, %v", data, got, err)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%q: %q, want %q", data, got[i], want[i])
			}
		}
	})
}

func TestOpen(t *testing.T) {
	c := feedtest.New()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(make([]byte, 10000))
	_ = w.Close()
	c.Bytes["zip"], c.Bytes["plain"], c.Bytes["cut"] = z.Bytes(), []byte("hello"), z.Bytes()[:20]
	state := State(advisory.State{})
	doc, err := Open(t.Context(), c, state, "zip", 10000)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := io.Copy(io.Discard, doc); n != 10000 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if err := doc.Again(); err != nil {
			t.Error(err)
		}
	}
	doc.Close()
	if doc, err = Open(t.Context(), c, state, "zip", 10000); err != nil || !doc.Same {
		t.Errorf("%+v, %v", doc, err)
	}
	for name, limit := range map[string]int64{"zip": 9999, "plain": 4, "cut": 100} {
		if _, err := All(t.Context(), c, name, limit); sekisho.KindOf(err) != sekisho.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := All(t.Context(), c, "plain", 5); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := All(t.Context(), c, "gone", 5); sekisho.KindOf(err) != sekisho.NotFound {
		t.Error(err)
	}
	if c.Open() != 0 {
		t.Errorf("%d left open", c.Open())
	}
}

func TestSet(t *testing.T) {
	c := feedtest.New()
	c.Bytes["a"], c.Bytes["b"] = []byte("1"), []byte("2")
	state := State(advisory.State{})
	docs, err := Set(t.Context(), c, state, []string{"a", "b"}, 10)
	Close(docs)
	if len(docs) != 2 || err != nil {
		t.Fatal(docs, err)
	}
	if docs, err = Set(t.Context(), c, state, []string{"a", "b"}, 10); len(docs) != 0 || err != nil {
		t.Errorf("%v %v", docs, err)
	}
	c.Bytes["b"] = []byte("3")
	docs, err = Set(t.Context(), c, state, []string{"a", "b"}, 10)
	if len(docs) != 2 || docs[0].Same || err != nil {
		t.Errorf("%v %v", docs, err)
	}
	Close(docs)
	// One that goes away is a change; while it is away, nothing changes.
	kept := c.Bytes["b"]
	delete(c.Bytes, "b")
	for i, want := range []int{2, 0} {
		docs, err = Set(t.Context(), c, state, []string{"a", "b"}, 10)
		if len(docs) != want || err != nil || want == 2 && (docs[0] == nil || docs[0].Same || docs[1] != nil) {
			t.Errorf("%d: %v %v", i, docs, err)
		}
		Close(docs)
	}
	if docs, err = Set(t.Context(), c, state, []string{"b", "x"}, 10); docs != nil || sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("%v %v", docs, err)
	}
	c.Bytes["b"] = kept
	c.Fail["b"] = errors.New("no")
	if docs, err = Set(t.Context(), c, State(advisory.State{}), []string{"a", "b"}, 10); docs != nil || err == nil || c.Open() != 0 {
		t.Errorf("%v %v, %d open", docs, err, c.Open())
	}
}

func TestOrdered(t *testing.T) {
	var got []int
	produce := func(yield func(int) error) error {
		for i := range 1000 {
			if err := yield(i); err != nil {
				return err
			}
		}
		return nil
	}
	err := Ordered(t.Context(), produce, func(i int) (int, error) { return i * 2, nil }, func(i int) error { got = append(got, i); return nil })
	if err != nil || len(got) != 1000 || got[999] != 1998 || got[500] != 1000 {
		t.Error(err, len(got))
	}
	wrong := errors.New("wrong")
	if err := Ordered(t.Context(), produce, func(i int) (int, error) { return i, nil }, func(int) error { return wrong }); !errors.Is(err, wrong) {
		t.Error(err)
	}
	if err := Ordered(t.Context(), produce, func(i int) (int, error) { return i, wrong }, func(int) error { return nil }); !errors.Is(err, wrong) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Ordered(ctx, produce, func(i int) (int, error) { return i, nil }, func(int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestMarkup(t *testing.T) {
	for name, in := range map[string]string{
		"long text": "<a>" + strings.Repeat("x", maxRun+10000) + "</a>", "long element": "<a><b>" + strings.Repeat("<c/>", 1000) + "</b></a>",
		"cut": "<a><b>", "none": "", "entity": "<a>&x;</a>", "long tag": "<a " + strings.Repeat("x", maxRun+10000),
	} {
		err := Markup(strings.NewReader(in), 3000, func(d *xml.Decoder, start xml.StartElement) error {
			if start.Name.Local == "b" {
				return d.Skip()
			}
			return nil
		})
		if name == "long element" {
			if sekisho.KindOf(err) != sekisho.Invalid {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if sekisho.KindOf(err) != sekisho.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"A flaw was found in curl 7.1. It allows\nreading.": "A flaw was found in curl 7.1",
		"Foo Inc. Bar before 1.2.3 allows XSS. Then Y.":     "Foo Inc. Bar before 1.2.3 allows XSS",
		"  one \r\n line  ":          "one line",
		"In lib/a.c the check fails": "In lib/a.c the check fails",
		"":                           "",
		"a\xff. B":                   "a\uFFFD",
	} {
		if got := Sentence(in, 100); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Line("the quick brown fox jumps over the lazy dog", 20); got != "the quick brown fox…" {
		t.Errorf("%q", got)
	}
	if got := Line(strings.Repeat("語", 50), 10); len([]rune(got)) != 10 {
		t.Errorf("%q", got)
	}
	for in, want := range map[string]string{
		"2024-04-30T10:36:25+00:00": "2024-04-30T10:36:25Z", "2023-10-18T17:15:08.467": "2023-10-18T17:15:08Z", "2022-01-19T12:05+09:00": "2022-01-19T03:05:00Z",
		"2026-08-16T00:00:00+0000": "2026-08-16T00:00:00Z", "2021-04-30": "2021-04-30T00:00:00Z", "2023-05-11 17:42": "2023-05-11T17:42:00Z", "soon": "0001-01-01T00:00:00Z", "0001-01-01": "0001-01-01T00:00:00Z",
	} {
		if got := Date(in).Truncate(time.Second).Format(time.RFC3339); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	for in, want := range map[string]bool{"CVE-2024-0727": true, "CVE-2024-123456": true, "cve-2024-0727": false, "CVE-2024-072x": false, "CVE-2024-1": false, "CVE-1": false, "": false} {
		if IsCVE(in) != want {
			t.Errorf("%s: %v", in, !want)
		}
	}
	if EVR("0", "1", "2") != "1-2" || EVR("1", "1", "2") != "1:1-2" || Plain("0:1-2") != "1-2" || Plain("10:1-2") != "10:1-2" {
		t.Error("epochs")
	}
	now := feedtest.Now()
	if !Later(time.Time{}, now.AddDate(5, 0, 0), now).IsZero() || !Later(time.Time{}, now, now).Equal(now) {
		t.Error("a time to come is believed")
	}
	for word, want := range map[string]string{"IMPORTANT": "high", "Moderate": "medium", "N/A": "", "critical ": "critical"} {
		if got := fmt.Sprint(Severity(word)); got != want {
			t.Errorf("%s: %s", word, got)
		}
	}
}
