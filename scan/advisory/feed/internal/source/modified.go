package source

import (
	"net/http"
	"time"

	"sekisho/scan/advisory"
)

// Modified returns when a document changed last, by its Last-Modified
// (RFC 9110, section 8.8.2), for feeds whose records have no dates; zero when
// the host does not say, or says a time to come.
func Modified(v advisory.Validator, now time.Time) time.Time {
	t, err := http.ParseTime(v.Modified)
	if err != nil || t.After(now) {
		return time.Time{}
	}
	return t.UTC()
}
