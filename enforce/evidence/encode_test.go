package evidence

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"sekisho"
)

// texts are what a hostile container may call things.
var texts = []string{"", "/bin/sh", "a\"b\\c\n\x00\x7f", "日本語", "\xff\xfe<>&", "\u2028", "x"}

// fill gives every field of a value something, or nothing now and then.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	if depth > 0 && r.IntN(4) == 0 {
		return
	}
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(r.Int64N(1<<31), r.Int64N(1e9)).UTC()
		return
	case *netip.Addr:
		*x = netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(256))})
		return
	case *netip.AddrPort:
		*x = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), uint16(r.IntN(1<<16)))
		return
	case *sekisho.EventKind:
		*x = sekisho.EventKinds()[r.IntN(len(sekisho.EventKinds()))]
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if depth > 3 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		for i := range v.Len() {
			fill(r, v.Index(i), 0)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": texts[r.IntN(len(texts))]}))
	case reflect.String:
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) > 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(r.Int64() - r.Int64())
	default:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()))
	}
}

// TestEncoderIsJSON holds that every field of an event is written as
// encoding/json writes it, also one that was added since.
func TestEncoderIsJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		e := &sekisho.Event{}
		fill(r, reflect.ValueOf(e).Elem(), 0)
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		n := newEncoder()
		if err := n.event(e); err != nil {
			t.Fatal(err)
		}
		if string(n.b) != string(want) {
			t.Fatalf("written:\n%s\nwant:\n%s", n.b, want)
		}
	}
}

// BenchmarkEncode writes an exec, as most events of a log are.
func BenchmarkEncode(b *testing.B) {
	now := time.Now().UTC()
	e := &sekisho.Event{Seq: 1, Time: now, Kind: sekisho.EventExec, Syscall: "execve", Path: "/bin/true", Origin: sekisho.OriginImage, Container: &sekisho.Container{ID: "0123456789abcdef", Name: "web", Image: "web:1"},
		Process: &sekisho.Process{ID: 77, PID: 10, ParentPID: 9, Name: "true", Path: "/bin/true", Args: []string{"true", "--quiet"}, Directory: "/", Started: now, Changed: now, Modified: now, Inode: 5, Device: 6, Container: "0123456789abcdef"}}
	n := newEncoder()
	b.ReportAllocs()
	for b.Loop() {
		n.b = n.b[:0]
		if err := n.event(e); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(n.b)))
}
