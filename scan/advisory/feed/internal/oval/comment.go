package oval

import (
	"regexp"
	"strings"
)

// Comments of generated documents say what their tests do, in fixed words.
var (
	earlier  = regexp.MustCompile(`^(?:Package )?(\S+) is earlier than (\S+?),?(?: affected by .*)?$`)
	below    = regexp.MustCompile(`^(\S+) is <(\S+?)(?: for (\S+))?$`)
	archIs   = regexp.MustCompile(`^.* arch is (\S+)$`)
	confirms = regexp.MustCompile(`^(\S+) is (?:signed with .*|ksplice-based)$`)
)

// said reads a comment in place of a test that the document does not have or
// that has no state that makes sense.
func said(comment string) (name string, fields []Field) {
	if m := earlier.FindStringSubmatch(comment); m != nil {
		return m[1], []Field{{"evr", "less than", m[2]}}
	}
	if m := below.FindStringSubmatch(comment); m != nil {
		fields := []Field{{"evr", "less than", m[2]}}
		if m[3] != "" {
			fields = append(fields, Field{"arch", "pattern match", strings.ReplaceAll(m[3], ",", "|")})
		}
		return m[1], fields
	}
	if m := archIs.FindStringSubmatch(comment); m != nil {
		return "system-release", []Field{{"arch", "pattern match", m[1]}}
	}
	if m := confirms.FindStringSubmatch(comment); m != nil {
		return m[1], []Field{{"confirmed", "equals", m[1]}}
	}
	if strings.HasSuffix(comment, " is installed") {
		return "system-release", []Field{{"version", "equals", ""}}
	}
	return "", nil
}

// sound reports whether a test's state can be read: its operations are words
// of the language.
func sound(fields []Field) bool {
	for _, f := range fields {
		if f.Operation == "" || f.Operation[0] < 'a' || f.Operation[0] > 'z' {
			return false
		}
	}
	return len(fields) > 0
}
