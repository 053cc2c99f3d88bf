// Package purl writes package URLs (Package-URL specification, PURL-SPEC.rst):
// parts percent-encoded, qualifiers sorted, empty ones left out.
package purl

import (
	"slices"
	"strings"
)

// New writes pkg:KIND/NAMESPACE/NAME@VERSION?QUALIFIERS. The namespace may
// have several segments.
func New(kind, namespace, name, version string, qualifiers ...[2]string) string {
	b := make([]byte, 0, 64)
	b = append(b, "pkg:"...)
	b = append(b, kind...)
	for part := range strings.SplitSeq(namespace, "/") {
		if part != "" {
			b = append(b, '/')
			b = escape(b, part)
		}
	}
	b = append(b, '/')
	b = escape(b, name)
	if version != "" {
		b = append(b, '@')
		b = escape(b, version)
	}
	slices.SortFunc(qualifiers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	sep := byte('?')
	for _, q := range qualifiers {
		if q[1] == "" {
			continue
		}
		b = append(b, sep)
		b = append(b, q[0]...)
		b = append(b, '=')
		b = escape(b, q[1])
		sep = '&'
	}
	return string(b)
}

// escape percent-encodes all but unreserved characters and the colon.
func escape(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~', c == ':':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
