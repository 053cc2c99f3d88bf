package nearest_test

import (
	"testing"

	"sekisho/internal/nearest"
)

func TestWord(t *testing.T) {
	words := []string{"severity", "secrets", "signature"}
	for have, want := range map[string]string{"severty": "severity", "secret": "secrets", "quantum": "", "": ""} {
		if got := nearest.Word(have, words); got != want {
			t.Errorf("%q: got %q, want %q", have, got, want)
		}
	}
}
