package secret

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"sekisho"
)

// genericKeys are the words in names that are assigned secrets.
var genericKeys = []string{"access", "auth", "api", "credential", "creds", "key", "passw", "passphrase", "pwd", "secret", "token"}

var (
	genericForm  = &form{Rule: Rule{ID: "generic-secret", Type: SecretKey, Severity: sekisho.Medium, Near: genericKeys}}
	passwordForm = &form{Rule: Rule{ID: "password-assignment", Type: Password, Severity: sekisho.Medium, Near: genericKeys}}
)

// continuation is what may follow a telling word without ending it.
var continuation = regexp.MustCompile(`^(?:key|token|secret|pass|hash|code|id|s\b|s_|s-|ord|d\b|d_|d-|ord_|orization|entication|orize)`)

// harmless are names that hold a telling word and no secret.
var harmless = regexp.MustCompile(`(?i)(?:public|primary|foreign|sort|cache|partition|group|row|unique|index|registry|hot|short|lookup|i18n|translation|message|map|object|property|routing|dedup\w*|idempotency|host|gpg|signing|author\w*|csrf|xsrf|next|prev|page|cancel|stop|pad|eos|bos|unk|sep|cls|mask)[_.-]?(?:key|token|access|auth)|key(?:board|word|stroke|code|frame|s?_?id|s?_?name|s?_?type|_?size|_?len|_?usage|_?path|_?file)|token(?:iz|_?type|_?name|_?url|_?uri|_?count|_?id\b|_?len|_?endpoint|_?path|_?file)|secret[_-]?(?:name|ref|path|file|store|version|id|arn)|passw(?:or)?d[_-]?(?:file|path|field|hash|policy|reset|min|max|len|url)|api[_-]?(?:version|url|base|endpoint|host|path|group|name)|access[_-]?(?:time|log|mode|level|control|type|list)|auth[_-]?(?:url|type|method|mode|uri|endpoint|path|file|server|or)|credential[_-]?(?:type|helper|file|path|source)|algorithm|cipher|provider|encoding|integrity|checksum|digest|fingerprint|sha\d|md5|hash$|commit|etag|nonce|uuid|guid`)

// generic looks at an assignment to a telling name: the value of a random key,
// or a password in a file of configuration.
func (s *Scanner) generic(at, after int) {
	if s.file.Binary || s.public || lock(s.file.Path) || !wordStart(s.data, at) || !wordEnd(s.data, after) {
		return
	}
	value, quote, ok := assignment(s.data, after)
	if !ok {
		return
	}
	v := s.data[value.from:value.upto]
	for len(v) > 0 && (v[len(v)-1] == '.' || v[len(v)-1] == ':' || v[len(v)-1] == '|') {
		v = v[:len(v)-1]
	}
	value.upto = value.from + len(v)
	if len(v) > 500 || len(v) > 1 && (v[0] == '%' || v[0] == '/' || v[0] == '-' && v[1] == '-') {
		return
	}
	cut := len(v) < 8 || !ends(s.data, value.upto) // a quoted password may go on with signs
	if cut && quote == 0 || !s.affordGeneric() {
		return
	}
	name := string(s.data[nameFrom(s.data, at):nameUpto(s.data, after)])
	if cut {
		if passwordName(name) && !harmless.MatchString(name) {
			s.password(value, quote)
		}
		return
	}
	if harmless.MatchString(name) || path.Ext(s.file.Path) == ".xml" && s.commented(at) {
		return
	}
	if random(v) {
		sure := Possible
		if settings(s.file.Path) || quote != 0 {
			sure = Likely
		}
		if !example(v) && !Stub(string(v)) {
			s.keep(candidate{form: genericForm, value: value, confidence: sure, severity: sekisho.Medium})
		}
		return
	}
	if passwordName(name) {
		s.password(value, quote)
	}
}

// affordGeneric bounds how many assignments of one file are looked at closely.
func (s *Scanner) affordGeneric() bool {
	s.assignments++
	if s.assignments <= max(20_000, len(s.data)/200) {
		return true
	}
	if s.exceeded == nil {
		s.exceeded = map[string]bool{}
	}
	s.exceeded[genericForm.ID] = true
	return false
}

// wordEnd reports whether the telling word is the whole of a word of the name.
func wordEnd(data []byte, i int) bool {
	if i >= len(data) || data[i] < 'a' || data[i] > 'z' {
		return true
	}
	return continuation.Match(data[i:min(i+12, len(data))])
}

func nameFrom(data []byte, i int) int {
	for low := max(0, i-40); i > low && (isWord(data[i-1]) || data[i-1] == '-' || data[i-1] == '.'); {
		i--
	}
	return i
}

func nameUpto(data []byte, i int) int {
	for high := min(len(data), i+maxNameTail); i < high && (isWord(data[i]) || data[i] == '-' || data[i] == '.'); {
		i++
	}
	return i
}

var passwordEnd = regexp.MustCompile(`(?i)(?:passw(?:or)?d|passphrase|pwd|secret|passcode)\d?$`)

func passwordName(name string) bool { return passwordEnd.MatchString(name) }

// password takes what a password is set to. In a program only a quoted text is
// one; the rest are names of variables.
func (s *Scanner) password(value span, quote byte) {
	if quote != 0 {
		if end := closing(s.data, value.from, quote); end > 0 {
			value.upto = end
		}
	} else if !settings(s.file.Path) {
		return
	}
	v := s.data[value.from:value.upto]
	text := string(v)
	if line := bytes.TrimLeft(s.line(value), " \t"); bytes.HasPrefix(line, []byte("#")) || bytes.HasPrefix(line, []byte("//")) || strings.HasPrefix(text, "pass:") || path.Ext(s.file.Path) == ".xml" && s.commented(value.from) {
		return
	}
	if len(v) < 8 || len(v) > 100 || Stub(text) || Entropy(v) < 2.5 || strings.ContainsAny(text, " \t\n(){}<>") || example(v) || reference.MatchString(text) {
		return
	}
	if !settings(s.file.Path) && (wordy(v) || !hasClass(v, '0', '9')) {
		return
	}
	sure := Possible
	if settings(s.file.Path) && !wordy(v) {
		sure = Likely
	}
	s.keep(candidate{form: passwordForm, value: value, confidence: sure, severity: sekisho.Medium})
}

// reference matches names of other values: spring.datasource.password,
// app.config["x"], secretKeyRef.
var reference = regexp.MustCompile(`(?i)^[a-z_]\w*(?:\.[a-z_]\w*)+$|^[a-z]+(?:_[a-z]+){2,}$|ref$|::|->|^arn:|^projects/|^vault:|^sops`)

func closing(data []byte, from int, quote byte) int {
	for i := from; i < min(len(data), from+120); i++ {
		switch data[i] {
		case quote:
			return i
		case '\n', '\\':
			return 0
		}
	}
	return 0
}

// random reports whether a value looks drawn at random.
func random(v []byte) bool {
	if len(v) < 10 || len(v) > 250 || Entropy(v) < 3.5 || wordy(v) {
		return false
	}
	small, large := hasClass(v, 'a', 'z'), hasClass(v, 'A', 'Z')
	if !hasClass(v, '0', '9') && (len(v) < 15 || !small || !large || !bytes.ContainsAny(v, "+/") || worded(v)) {
		return false
	}
	return (small || large) && !ordinary.Match(v) && (!shaped.Match(v) || !worded(v))
}

// ordinary are values of letters and digits that are no secrets: versions,
// dates, sizes, colours, hashes with their algorithm, calls.
var ordinary = regexp.MustCompile(`(?i)^(?:v?\d+(?:\.\d+)+.*|\d{4}-\d\d-\d\d.*|sha\d+[-:].*|md5[-:].*|0x[0-9a-f]{1,16}|[0-9.]+(?:px|em|ms|s|kb|mb|gb|%)?|data:.*|urn:.*|arn:.*|[a-z]+:.*|.*==?[a-z_]+.*\|.*)$`)

// shaped are values that have the form of a path, a host name, a name of
// several words or of another value. Those that were drawn at random may have
// it too.
var shaped = regexp.MustCompile(`(?i)^(?:[a-z0-9_.-]+/[a-z0-9_./-]+|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,6}(?::\d+)?|[a-z_]\w*(?:\.[a-z_]\w*)+|[a-z_]+(?:_[a-z0-9]+){1,}|[a-z]+(?:-[a-z0-9]+){2,})$`)

// worded reports whether what stands between the signs of a value are words or
// numbers, several joined as in camelCase too.
func worded(v []byte) bool { return words.Match(v) }

var words = regexp.MustCompile(`^(?:[A-Za-z]?(?:[A-Z]{0,6}[a-z]{2,}|[A-Z][a-z][A-Z][a-z]{2,}|[A-Z]{2,6}|[A-Z]+(?:[^A-Za-z0-9]|$)|\d{1,4})*(?:[^A-Za-z0-9]+|$))+$`)

// settings reports whether a file holds settings rather than a program.
func settings(name string) bool {
	base := strings.ToLower(path.Base(name))
	switch path.Ext(base) {
	case ".env", ".properties", ".ini", ".cfg", ".conf", ".cnf", ".config", ".yml", ".yaml", ".json", ".toml", ".xml", ".tfvars", ".tfstate", ".plist", ".envrc", ".local", ".production", ".development", ".staging", ".netrc", ".npmrc", ".pypirc":
		return true
	}
	return strings.HasPrefix(base, ".env") || base == "env" || base == "credentials" || base == "config" || strings.HasPrefix(base, "dockerfile") || strings.Contains(base, "config.") || name == "" || name == "stdin"
}
