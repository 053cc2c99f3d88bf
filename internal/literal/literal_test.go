package literal_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"sekisho/internal/literal"
)

type hit struct {
	id int32
	at int
}

func scan(t testing.TB, list []literal.Literal, data []byte) []hit {
	t.Helper()
	s, err := literal.New(list)
	if err != nil {
		t.Fatal(err)
	}
	var got []hit
	s.Scan(data, func(id int32, at int) { got = append(got, hit{id, at}) })
	slices.SortFunc(got, order)
	return got
}

func order(a, b hit) int {
	if a.at != b.at {
		return a.at - b.at
	}
	return int(a.id - b.id)
}

// naive is the definition.
func naive(list []literal.Literal, data []byte) []hit {
	var want []hit
	for at := range data {
		for id, l := range list {
			if len(data)-at < len(l.Text) {
				continue
			}
			seen := data[at : at+len(l.Text)]
			if bytes.Equal(seen, l.Text) || l.Fold && bytes.Equal(ascii(seen), ascii(l.Text)) {
				want = append(want, hit{int32(id), at})
			}
		}
	}
	return want
}

func ascii(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 32
		}
	}
	return out
}

func TestEveryPlaceIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		letters := []byte("aAbB\x00 @`zZ")[:2+r.IntN(8)]
		word := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = letters[r.IntN(len(letters))]
			}
			return b
		}
		var list []literal.Literal
		for range 1 + r.IntN(20) {
			list = append(list, literal.Literal{Text: word(3 + r.IntN(6)), Fold: r.IntN(2) == 0})
		}
		data := word(r.IntN(200))
		if got, want := scan(t, list, data), naive(list, data); !slices.Equal(got, want) {
			t.Fatalf("round %d: literals %v in %q:\n got %v\nwant %v", round, list, data, got, want)
		}
	}
}

func TestShortLiteralIsRefused(t *testing.T) {
	if _, err := literal.New([]literal.Literal{{Text: []byte("ab")}}); err == nil {
		t.Fatal("want an error")
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("key"), []byte("API_KEY=apikey"), true)
	f.Add([]byte("AKIA"), []byte("xxAKIAakia"), false)
	f.Fuzz(func(t *testing.T, text, data []byte, fold bool) {
		if len(text) < literal.MinLength || len(text) > literal.MaxLength {
			return
		}
		list := []literal.Literal{{Text: text, Fold: fold}}
		if got, want := scan(t, list, data), naive(list, data); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: got %v want %v", text, data, got, want)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{200, 2000, 20000, 200000} {
		var list []literal.Literal
		for range n {
			text := make([]byte, 6)
			for i := range text {
				text[i] = "abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEF"[r.IntN(44)]
			}
			list = append(list, literal.Literal{Text: text, Fold: true})
		}
		s, err := literal.New(list)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				s.Scan(data, func(int32, int) {})
			}
		})
	}
}
