package java

import (
	"bytes"
	"strings"
)

const (
	maxXMLDepth = 64
	maxXMLPath  = 1024 // bytes
)

// walk goes through an XML document and calls element at each end tag with the
// path of names and the text directly before the tag. It is made for project
// files: fast, forgiving, without name spaces or entities of the document's
// own. It stops at what it cannot follow.
func walk(data []byte, element func(path []byte, text string)) {
	path := make([]byte, 0, maxXMLPath)
	var starts []int // of names in path
	textFrom := 0
	for i := 0; ; {
		open := bytes.IndexByte(data[i:], '<')
		if open < 0 {
			return
		}
		open += i
		rest := data[open:]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			end := bytes.Index(rest, []byte("-->"))
			if end < 0 {
				return
			}
			if i = open + end + 3; len(bytes.TrimSpace(data[textFrom:open])) == 0 {
				textFrom = i
			}
			continue
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			end := bytes.Index(rest, []byte("]]>"))
			if end < 0 {
				return
			}
			i = open + end + 3
			continue
		}
		end := bytes.IndexByte(rest, '>')
		if end < 1 {
			return
		}
		tag := rest[1:end]
		i = open + end + 1
		switch {
		case len(tag) == 0 || tag[0] == '?' || tag[0] == '!':
		case tag[0] == '/':
			if len(starts) == 0 {
				return
			}
			element(path, text(data[textFrom:open]))
			n := starts[len(starts)-1]
			starts, path = starts[:len(starts)-1], path[:max(0, n-1)]
		case tag[len(tag)-1] == '/': // empty
		default:
			name := tag
			if j := bytes.IndexAny(tag, " \t\r\n"); j >= 0 {
				name = tag[:j]
			}
			if len(starts) >= maxXMLDepth || len(path)+len(name) >= maxXMLPath {
				return
			}
			if len(path) > 0 {
				path = append(path, '/')
			}
			starts = append(starts, len(path))
			path = append(path, name...)
		}
		textFrom = i
	}
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&")

// text is what stands between two tags, trimmed; long ones are of no interest.
func text(b []byte) string {
	b = bytes.TrimSpace(b)
	if c, ok := bytes.CutPrefix(b, []byte("<![CDATA[")); ok {
		b = bytes.TrimSpace(bytes.TrimSuffix(c, []byte("]]>")))
	}
	if i := bytes.Index(b, []byte("<!--")); i >= 0 {
		b = bytes.TrimSpace(b[:i])
	}
	if len(b) == 0 || len(b) > 2*maxWord {
		return ""
	}
	if bytes.IndexByte(b, '&') < 0 {
		return string(b)
	}
	return entities.Replace(string(b))
}

// attribute returns the value of an attribute in a tag.
func attribute(tag []byte, name string) string {
	for {
		i := bytes.Index(tag, []byte(name+"="))
		if i < 0 {
			return ""
		}
		value := tag[i+len(name)+1:]
		before := i == 0 || strings.IndexByte(" \t\r\n", tag[max(0, i-1)]) >= 0
		if tag = value; !before || len(value) < 2 || value[0] != '"' && value[0] != '\'' {
			continue
		}
		end := bytes.IndexByte(value[1:], value[0])
		if end < 0 {
			return ""
		}
		return entities.Replace(string(value[1:][:end]))
	}
}
