package dns

import "testing"

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x02jp\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := Parse(b)
		if ok && len(a.Addresses) > maxAnswers {
			t.Errorf("%d addresses", len(a.Addresses))
		}
	})
}
