package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"math"
	"path"
	"regexp"
	"strings"
)

// Entropy is Shannon's, in bits per byte.
func Entropy(s []byte) (h float64) {
	var count [256]int
	for _, b := range s {
		count[b]++
	}
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			h -= p * math.Log2(p)
		}
	}
	return h
}

// judge takes a further look at a value. It returns how sure it is then, or
// nothing for what is no secret.
func judge(check string, v []byte, name string, sure Confidence) Confidence {
	drop := func(when bool) Confidence {
		if when {
			return ""
		}
		return sure
	}
	switch check {
	case "crc62":
		return checksum62(v)
	case "form":
		return Possible
	case "crc-hex":
		return checksumHex(v)
	case "aws":
		return drop(bytes.HasSuffix(v, []byte("EXAMPLE")))
	case "mixed":
		return drop(!hasClass(v, 'A', 'Z') || !hasClass(v, 'a', 'z') || !hasClass(v, '0', '9'))
	case "digit":
		return drop(!hasClass(v, '0', '9') || wordy(v))
	case "letters":
		if wordy(v[3:]) {
			return Possible
		}
	case "jwt":
		return jwt(v)
	case "jwt-form":
		if jwt(v) == Possible {
			return Possible
		}
		return "" // one, or an example of one: jwt tells
	case "jwt64":
		return jwt64(v)
	case "basic":
		return basic(v)
	case "stub":
		return drop(Stub(string(v)))
	case "stub-settings":
		if base := path.Base(name); !strings.Contains(base, "settings") || !strings.HasSuffix(base, ".xml") {
			return ""
		}
		return drop(Stub(string(v)))
	case "header":
		return drop(Stub(strings.TrimLeft(string(v), "/~")))
	case "userpass":
		return userpass(v)
	case "pgpass":
		return drop(!strings.Contains(path.Base(name), "pgpass") || Stub(string(v)))
	}
	return sure
}

func hasClass(v []byte, from, upto byte) bool {
	for _, b := range v {
		if b >= from && b <= upto {
			return true
		}
	}
	return false
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checksum62 checks tokens that end in six digits of base 62 with the CRC-32
// of what stands between them and the prefix, as GitHub and npm make them.
// Wrong digits mean that it was made up, but nobody can be sure of that.
func checksum62(v []byte) Confidence {
	_, rest, ok := bytes.Cut(v, []byte("_"))
	if !ok || len(rest) <= 6 {
		return Possible
	}
	body, digits := rest[:len(rest)-6], rest[len(rest)-6:]
	want := make([]byte, 6)
	sum := crc32.ChecksumIEEE(body)
	for i := 5; i >= 0; i-- {
		want[i] = base62[sum%62]
		sum /= 62
	}
	if bytes.Equal(want, digits) {
		return Sure
	}
	return Possible
}

// checksumHex checks a token whose last eight hexadecimal digits are the
// CRC-32 of what stands before the last underline, as Grafana makes them.
func checksumHex(v []byte) Confidence {
	i := bytes.LastIndexByte(v, '_')
	sum := crc32.ChecksumIEEE(v[:max(i, 0)])
	if i > 0 && strings.EqualFold(string(v[i+1:]), hex8(sum)) {
		return Sure
	}
	return Possible
}

func hex8(n uint32) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 8)
	for i := range out {
		out[i] = digits[n>>(28-4*i)&15]
	}
	return string(out)
}

// jwt looks into a JSON Web Token (RFC 7519): its header must be one.
func jwt(v []byte) Confidence {
	head, rest, _ := bytes.Cut(v, []byte("."))
	raw, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("/", "_", "\\", "").Replace(string(head)))
	var header struct{ Alg, Typ, Enc string }
	if err != nil || json.Unmarshal(raw, &header) != nil || header.Alg == "" && header.Typ == "" && header.Enc == "" {
		return Possible
	}
	body, _, _ := bytes.Cut(rest, []byte("."))
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(string(body), "="))
	if err == nil && (bytes.Contains(claims, []byte(`"1234567890"`)) || bytes.Contains(claims, []byte("John Doe"))) {
		return "" // the example that every tutorial has
	}
	return Likely
}

// jwt64 looks into the base64 of a token. In a string an escape may follow it,
// or stand between its lines.
func jwt64(v []byte) Confidence {
	first, _, _ := bytes.Cut(v, []byte(`\`))
	joined := strings.NewReplacer(`\n`, "", `\r`, "", `\`, "").Replace(string(v))
	for _, text := range []string{string(first), joined} {
		text = strings.TrimRight(text, "=")
		if raw, err := base64.RawStdEncoding.DecodeString(text); err == nil {
			return jwt(raw)
		}
	}
	return Possible
}

// userpass judges what curl is given as user:password. A key alone may stand
// on either side.
func userpass(v []byte) Confidence {
	user, word, _ := strings.Cut(string(v), ":")
	if word == "" {
		word = user
	}
	switch {
	case Stub(word) || strings.HasPrefix(user, "${") || strings.HasPrefix(user, "$(") || strings.Contains(user, "{{"):
		return ""
	case strings.ContainsAny(user, `"'$<{`) || user == "" || strings.ContainsAny(word, `"'<{$`):
		return Possible
	}
	return Sure
}

// basic decodes user:password (RFC 7617).
func basic(v []byte) Confidence {
	raw, err := base64.StdEncoding.DecodeString(string(v))
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(string(v), "=")); err != nil {
			return ""
		}
	}
	user, word, ok := strings.Cut(string(raw), ":")
	if !ok || !printable(user) || !printable(word) || Stub(word) {
		return ""
	}
	return Sure
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

var (
	stubWord = regexp.MustCompile(`(?i)^(?:pass(?:word|wd|phrase)?|pw|pwd|secret|token|key|user(?:name)?|admin|root|guest|test(?:ing)?|foo|bar|baz|qux|none|null|nil|undefined|true|false|yes|no|default|demo|dummy|fake|mock|sample|hello|world|abc|xyz|localhost|host(?:name)?|string|value|required|optional|empty|prompt|env|file|hunter2|s3cr3t|p4ssw0rd|passw0rd|letmein|qwerty|\d{1,9})\d{0,4}!?$`)
	stubForm = regexp.MustCompile(`(?i)^(?:\$\{.*|\$\(.*|\$[a-z_]\w*|<.*>|\{.*\}|%.*%|%[sdvq]|@.*@|\[.*\]|\(.*\)|\.{2,}.*|\*+|x{3,}|-+|_+|~?/[\w./-]+|[a-z]+://[^:@/]*(?:/.*)?)$|your|change[_-]?(?:me|it)|replace|example|placeholder|insert|dummy|redacted|sanitized|obfuscated|not[_-]?(?:a[_-])?(?:real|secret)|xxxx|\.\.\.|\$\{|\{\{|%s|%\(|<[a-z_-]+>|todo|fixme|1234567|abcdef|deadbeef|password|process\.env|getenv|os\.environ|function|return `)
)

// Stub reports whether a value stands for one that is yet to come, or is the
// word that everybody writes in an example.
func Stub(v string) bool {
	v = strings.Trim(v, `"'`)
	return len(v) < 3 || stubWord.MatchString(v) || stubForm.MatchString(v) || uniform(v)
}

// uniform reports whether a value is one character or one short run over and
// over.
func uniform(v string) bool {
	for n := 1; n <= 4 && n*2 <= len(v); n++ {
		if strings.Repeat(v[:n], len(v)/n+1)[:len(v)] == v {
			return true
		}
	}
	return false
}

// example reports whether a value is a published example.
func example(v []byte) bool {
	for _, w := range [][]byte{[]byte("EXAMPLE"), []byte("1234567890abcdef"), []byte("abcdefghijklmnopqrstuvwxyz"), []byte("0123456789abcdef0123456789abcdef"),
		[]byte("xxxxxxxx"), []byte("XXXXXXXX"), []byte("00000000000000"), []byte("********"), []byte("014df517-39d1-4453-b7b3-9930c563627c")} {
		if bytes.Contains(v, w) {
			return true
		}
	}
	return uniform(string(v))
}

// wordy reports whether a value is made of words rather than drawn at random:
// most of its letters stand in long runs of one case that hold vowels.
func wordy(v []byte) bool {
	letters, inWords := 0, 0
	for i := 0; i < len(v); {
		if !letter(v[i]) {
			i++
			continue
		}
		from := i
		i++
		for i < len(v) && letter(v[i]) && (v[i] >= 'a') == (v[i-1] >= 'a' || i-1 == from && v[i] >= 'a') {
			i++
		}
		letters += i - from
		if n := i - from; n >= 4 && vowels(v[from:i])*6 >= n {
			inWords += n
		}
	}
	return inWords*5 >= letters*3 && inWords*2 >= len(v)
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

func vowels(v []byte) (n int) {
	for _, b := range v {
		switch b | 0x20 {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			n++
		}
	}
	return n
}
