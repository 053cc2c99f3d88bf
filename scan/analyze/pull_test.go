package analyze_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"sekisho/scan/analyze"
)

// TestPull wants all bytes handed over, what is not read dropped, and errors
// and panics of the reader told by Close.
func TestPull(t *testing.T) {
	text := strings.Repeat("some text ", 100_000)
	var got string
	for name, c := range map[string]struct {
		read func(io.Reader) error
		want string
	}{
		"all": {func(in io.Reader) error { b, err := io.ReadAll(in); got = string(b); return err }, ""}, "none": {func(io.Reader) error { return nil }, ""},
		"error": {func(in io.Reader) error { in.Read(make([]byte, 3)); return errors.New("broken") }, "broken"}, "panic": {func(io.Reader) error { panic("lost") }, "lost"},
	} {
		w := analyze.Pull(c.read)
		if n, err := io.Copy(w, strings.NewReader(text)); err != nil || n != int64(len(text)) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if err := w.Close(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if got != text {
		t.Errorf("%d bytes arrived, want %d", len(got), len(text))
	}
}
