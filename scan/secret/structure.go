package secret

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"

	"sekisho"
)

// structure looks at what no single expression tells: PEM blocks, URLs with a
// password, Kubernetes secrets.
func (s *Scanner) structure(f *form, i int32, at int) {
	switch f.Check {
	case "pem":
		s.pem(f, i, at)
	case "url":
		s.url(f, at)
	case "k8s":
		s.kubernetes(f, i, at)
	}
}

// Bounds of what is looked at, in bytes.
const (
	maxPEM        = 64 << 10
	maxLabel      = 120
	maxURL        = 400
	maxKubernetes = 16 << 10
)

// pem reads a private key in textual form (RFC 7468, RFC 4880 section 6.2),
// also where its lines are joined by \n in a string.
func (s *Scanner) pem(f *form, i int32, at int) {
	head := s.data[at:min(len(s.data), at+maxLabel)]
	label, _, ok := bytes.Cut(head[10:], []byte("-----"))
	if !ok || !bytes.Contains(bytes.ToUpper(label), []byte("PRIVATE KEY")) {
		return
	}
	from := at + 10 + len(label) + 5
	window := s.data[from:min(len(s.data), from+maxPEM)]
	end := bytes.Index(window, []byte("-----"))
	whole := end >= 0
	if !whole {
		end = min(len(window), 4<<10)
	}
	if !s.afford(i, end) {
		return
	}
	body, headers := window[:end], ""
	text, n := unwrap(body)
	if j := bytes.Index(text, []byte(":")); j >= 0 { // Proc-Type, DEK-Info, Version
		headers = string(text[:min(len(text), 300)])
	}
	sure := material(text, headers, whole)
	if (sure == "" || n < 64) && whole && garbled(body) {
		sure, n = Possible, len(body)
	}
	if sure == "" || n < 64 || s.file.Binary && sure != Sure {
		return
	}
	severity := f.Severity
	if bytes.Contains(label, []byte("ENCRYPTED")) || strings.Contains(headers, "ENCRYPTED") || bytes.Contains(decode(text), []byte("bcrypt")) {
		severity = sekisho.Medium
	}
	s.keep(candidate{form: f, value: span{at, from + end}, shown: "-----BEGIN" + string(label) + "-----", confidence: sure, severity: severity})
}

// garbled reports whether a body may be a key that something was done to: it is
// no base64, and neither a program nor a placeholder.
func garbled(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) >= 64 && !bytes.ContainsAny(body, " \t") && !bytes.Contains(body, []byte("...")) && !bytes.Contains(body, []byte("${")) && Entropy(body) >= 3.8
}

// unwrap drops what a string literal or a comment adds to the lines of a PEM
// body, and counts the characters of base64.
func unwrap(body []byte) (text []byte, n int) {
	text = make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		b := body[i]
		switch {
		case b == '\\' && i+1 < len(body) && (body[i+1] == 'n' || body[i+1] == 'r' || body[i+1] == 't'):
			text = append(text, '\n')
			i++
		case b == '\\' || b == '"' || b == '\'' || b == '*' || b == '#' || b == '`':
		default:
			text = append(text, b)
		}
		if isWord(b) || b == '+' || b == '/' {
			n++
		}
	}
	return text, n
}

// decode returns the binary content of a PEM body, as far as it is base64.
func decode(text []byte) []byte {
	if i := bytes.LastIndex(text, []byte("\n\n")); i > 0 && bytes.IndexByte(text[:i], ':') >= 0 {
		text = text[i:]
	} else if i := bytes.LastIndex(text, []byte("\r\n\r\n")); i > 0 && bytes.IndexByte(text[:i], ':') >= 0 {
		text = text[i:]
	}
	kept := make([]byte, 0, len(text))
	for _, b := range text {
		if isWord(b) && b != '_' || b == '+' || b == '/' {
			kept = append(kept, b)
		}
	}
	kept = kept[:len(kept)/4*4]
	out := make([]byte, base64.StdEncoding.DecodedLen(len(kept)))
	n, _ := base64.StdEncoding.Decode(out, kept)
	return out[:n]
}

// material judges whether a body is that of a key: DER, OpenSSH's form, an
// OpenPGP packet, or an encrypted one.
func material(text []byte, headers string, whole bool) Confidence {
	if bytes.Contains(text, []byte("...")) && len(text) < 200 || bytes.Contains(text, []byte("<")) && bytes.Contains(text, []byte(">")) {
		return ""
	}
	raw := decode(text)
	switch {
	case len(raw) < 30 || uniform(string(raw)):
		return ""
	case bytes.HasPrefix(raw, []byte("openssh-key-v1")), raw[0] == 0x30 && whole, strings.Contains(headers, "ENCRYPTED"):
		return Sure
	case Entropy(raw) < 3.8:
		return ""
	}
	return Likely
}

var (
	databaseForm = &form{Rule: Rule{ID: "database-url", Type: Password, Severity: sekisho.High, Check: "url", Keys: []string{"://"}}}
	brokerForm   = &form{Rule: Rule{ID: "message-broker-url", Type: Password, Severity: sekisho.High, Check: "url", Keys: []string{"://"}}}
)

// url reads scheme://user:password@host (RFC 3986, section 3.2.1).
func (s *Scanner) url(f *form, at int) {
	from := at
	for low := max(0, at-20); from > low && (isWord(s.data[from-1]) || s.data[from-1] == '+' || s.data[from-1] == '-' || s.data[from-1] == '.'); {
		from--
	}
	if at-from < 2 {
		return
	}
	colon, sign := -1, -1
	rest := s.data[at+3 : min(len(s.data), at+3+maxURL)]
scan:
	for i, b := range rest {
		switch {
		case b == ':' && colon < 0:
			colon = i
		case b == '@' && colon >= 0:
			sign = i
			break scan
		case b <= ' ' || b == '"' || b == '\'' || b == '`' || b == '<' || b == '>' || b >= 0x7f, b == '/' && colon < 0, b == '@', b == '\\', b == '?' && colon < 0, b == ')' || b == ',' && colon < 0:
			return
		}
	}
	if sign < 0 || sign-colon < 4 || sign+1 >= len(rest) || !isWord(rest[sign+1]) && rest[sign+1] != '[' {
		return
	}
	user, word := string(rest[:colon]), string(rest[colon+1:sign])
	if Stub(word) || strings.EqualFold(user, word) || strings.ContainsAny(word, "{}$*()") || strings.HasPrefix(word, "//") || strings.Contains(word, "/") && !hasClass([]byte(word), '0', '9') || placeholderUser(user, word) {
		return
	}
	sure := Sure
	host := string(rest[sign+1:])
	if strings.HasPrefix(host, "localhost") || strings.HasPrefix(host, "127.0.0.1") || strings.HasPrefix(host, "example.") || strings.Contains(host[:min(len(host), 60)], ".example") || len(word) < 5 {
		sure = Possible
	}
	if s.file.Binary {
		sure = Possible
	}
	form := urlForm(strings.ToLower(string(s.data[from:at])), f)
	value := span{at + 3 + colon + 1, at + 3 + sign}
	s.keep(candidate{form: form, value: value, shown: string(s.data[from:at]) + "://" + user + ":", confidence: sure, severity: form.Severity})
}

func placeholderUser(user, word string) bool {
	switch strings.ToLower(user) {
	case "user", "username", "usr", "login", "foo", "myuser", "name":
		return wordy([]byte(word)) || len(word) < 8
	}
	return strings.ContainsAny(user, "{}<>$*%")
}

func urlForm(scheme string, other *form) *form {
	switch base, _, _ := strings.Cut(scheme, "+"); base {
	case "postgres", "postgresql", "mysql", "mariadb", "mongodb", "redis", "rediss", "mssql", "sqlserver", "oracle", "clickhouse", "cockroachdb", "couchdb", "couchbase", "neo4j", "bolt", "cassandra", "influxdb", "elasticsearch", "db2", "jdbc", "libsql", "ldap", "ldaps":
		return databaseForm
	case "amqp", "amqps", "nats", "kafka", "mqtt", "mqtts", "stomp", "pulsar", "smtp", "smtps":
		return brokerForm
	}
	return other
}

var (
	dataBlock = regexp.MustCompile(`(?m)^[ \t]*(?:data|stringData):[ \t]*\r?\n((?:[ \t]+[^\n]*\n?|[ \t]*\r?\n)+)`)
	dataEntry = regexp.MustCompile(`(?m)^[ \t]+["']?([\w.-]+)["']?:[ \t]*["']?([A-Za-z0-9+/]{8,}={0,2})["']?[ \t]*\r?$`)
	dataJSON  = regexp.MustCompile(`"data"\s{0,5}:\s{0,5}\{([^{}]*)\}`)
	entryJSON = regexp.MustCompile(`"([\w.-]+)"\s{0,5}:\s{0,5}"([A-Za-z0-9+/]{8,}={0,2})"`)
)

// kubernetes reads the values of a Secret's manifest. They are base64, which
// hides nothing.
func (s *Scanner) kubernetes(f *form, i int32, at int) {
	if s.file.Binary || !s.afford(i, 1<<10) {
		return
	}
	from := max(0, at-maxKubernetes)
	upto := min(len(s.data), at+maxKubernetes)
	if j := bytes.LastIndex(s.data[from:at], []byte("\n---")); j >= 0 {
		from += j
	}
	if j := bytes.Index(s.data[at:upto], []byte("\n---")); j >= 0 {
		upto = at + j
	}
	window := s.data[from:upto]
	if !bytes.Contains(window, []byte("ata")) || !s.afford(i, 4*len(window)) {
		return
	}
	block, entry := dataBlock, dataEntry
	if s.data[at] == '"' {
		block, entry = dataJSON, entryJSON
	}
	for _, b := range block.FindAllSubmatchIndex(window, 4) {
		for _, m := range entry.FindAllSubmatchIndex(window[b[2]:b[3]], 50) {
			value := span{from + b[2] + m[4], from + b[2] + m[5]}
			raw, err := base64.StdEncoding.DecodeString(string(s.data[value.from:value.upto]))
			if err != nil || Stub(string(raw)) {
				continue
			}
			name := string(window[b[2]+m[2] : b[2]+m[3]])
			s.keep(candidate{form: f, value: value, shown: name + ": ", confidence: Sure, severity: f.Severity})
		}
	}
}
