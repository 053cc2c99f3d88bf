package source

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sekisho"
)

// Severity returns the severity that a vendor's word stands for, or nothing.
func Severity(word string) sekisho.Severity {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "critical":
		return sekisho.Critical
	case "important", "high":
		return sekisho.High
	case "moderate", "medium":
		return sekisho.Medium
	case "low", "minor":
		return sekisho.Low
	case "none", "negligible", "unimportant":
		return sekisho.None
	}
	return ""
}

// Rating returns a rating in a source's word, none for an empty one.
func Rating(source, word string) []sekisho.Rating {
	severity := Severity(word)
	if severity == "" {
		return nil
	}
	return []sekisho.Rating{{Source: source, Severity: severity, Word: word}}
}

// Date reads a date as feeds write it, RFC 3339 or a part of it, or returns
// the zero time.
func Date(s string) time.Time {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05-0700", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 1900 && t.Year() < 2200 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// Later returns the later of two times that is not after now: a feed's clock
// may be wrong, and an update must not wait for it.
func Later(a, b, now time.Time) time.Time {
	if b.After(a) && !b.After(now.Add(24*time.Hour)) {
		return b
	}
	return a
}

// IsCVE reports whether s is a CVE identifier (CVE-YYYY-NNNN…), in capitals.
func IsCVE(s string) bool {
	rest, ok := strings.CutPrefix(s, "CVE-")
	if !ok || len(rest) < 9 || len(rest) > 24 || rest[4] != '-' {
		return false
	}
	year, err := strconv.Atoi(rest[:4])
	if err != nil || year < 1980 {
		return false
	}
	for _, c := range []byte(rest[5:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Line makes one line of at most n characters: spaces and breaks fold, a cut
// shows as an ellipsis and does not part a word where it can be helped.
func Line(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	cut := string(r[:n-1])
	if i := strings.LastIndexByte(cut, ' '); r[n-1] != ' ' && i > len(cut)*2/3 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:.-") + "…"
}

// Sentence returns the first sentence of a text as a line of at most n
// characters. A dot ends it before a space and a capital, so that versions and
// file names stay whole.
func Sentence(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	for i := 1; i+2 < len(s); i++ {
		if s[i] == '.' && s[i+1] == ' ' && s[i+2] >= 'A' && s[i+2] <= 'Z' && !abbreviated(s[:i]) {
			s = s[:i]
			break
		}
	}
	return Line(strings.TrimSuffix(s, "."), n)
}

// abbreviated reports whether a text ends in an abbreviation rather than a
// sentence's end.
func abbreviated(s string) bool {
	word := s[strings.LastIndexByte(s, ' ')+1:]
	switch word {
	case "Inc", "Corp", "Ltd", "Co", "e.g", "i.e", "vs", "etc", "v", "ver", "No", "St":
		return true
	}
	return len(word) == 1
}

// Text returns a text with its edges trimmed and cut at n bytes, valid UTF-8.
func Text(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = s[:n] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// EVR returns epoch:version-release as rpm writes it, without an epoch that is
// zero: absent and zero are equal.
func EVR(epoch, version, release string) string {
	if epoch != "" && epoch != "0" && epoch != "(none)" {
		version = epoch + ":" + version
	}
	if release != "" {
		version += "-" + release
	}
	return version
}

// Plain drops an epoch of zero from a version.
func Plain(evr string) string {
	if rest, ok := strings.CutPrefix(strings.TrimSpace(evr), "0:"); ok {
		return rest
	}
	return strings.TrimSpace(evr)
}
