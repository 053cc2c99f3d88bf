package format

import (
	"strings"
	"testing"
)

// TestColumns: wide characters take two columns.
func TestColumns(t *testing.T) {
	var b strings.Builder
	if err := Columns(&b, [][]string{{"フィード", "件数", "x"}, {"kev", "1404", ""}, {"a"}}); err != nil {
		t.Fatal(err)
	}
	if want := "フィード  件数  x\nkev       1404\na\n"; b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
