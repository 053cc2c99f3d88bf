// Package secret finds credentials in bytes: keys and tokens by their form,
// passwords by the name they are assigned to, private keys and URLs by their
// structure. The bytes of one file and the places of the literals it asked for
// enter, findings with masked values leave. It never keeps, logs or returns a
// secret, and it never asks a service whether one is alive.
package secret

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"sekisho"
)

// Type says what kind of credential a rule finds. The words for it are the
// catalogue's.
type Type string

// The types.
const (
	AccessToken   Type = "access_token"
	APIKey        Type = "api_key"
	ClientID      Type = "client_id"
	ClientSecret  Type = "client_secret"
	EncryptionKey Type = "encryption_key"
	LicenceKey    Type = "licence_key"
	Password      Type = "password"
	PasswordHash  Type = "password_hash"
	PrivateKey    Type = "private_key"
	SecretKey     Type = "secret_key"
	Session       Type = "session"
	Webhook       Type = "webhook"
	Custom        Type = "custom" // of a user's rule, which has its own words
)

// Rule is one kind of secret.
type Rule struct {
	ID       string
	Vendor   string // whose secret it is, a name that no language changes
	Type     Type
	Severity sekisho.Severity
	Title    string   // of a user's rule
	Keys     []string // what must be there, in either case, at least 3 bytes each; from Regex when empty
	Near     []string // the value of an assignment whose name holds one of these
	Regex    string   // the secret, in its first group if it has one; for Near the whole value
	Entropy  float64  // least Shannon entropy of the value in bits per character
	Check    string   // a further look at what matched, by name
	Loose    bool     // the secret need not begin with the key
	Path     string   // regular expression: only in these files
	Group    int      // of Regex that is the secret; 0 is the first one that matched
	Allows   []Allow
	Origin   string // file that it came from; empty for our own
}

// Allow says what is no secret. Of the kinds of conditions that it has, any
// one suffices, or all are needed.
type Allow struct {
	Rules   []string // ids that it is for; empty is all
	Paths   []string // regular expressions
	Regexes []string
	Target  string   // what Regexes look at: "" the secret, "match", "line"
	Stop    []string // words in the secret, in either case
	All     bool
}

type allow struct {
	Allow
	paths, regexes []*regexp.Regexp
}

func (a *Allow) compile() (out allow, err error) {
	out.Allow = *a
	for _, list := range []struct {
		from []string
		to   *[]*regexp.Regexp
	}{{a.Paths, &out.paths}, {a.Regexes, &out.regexes}} {
		for _, expr := range list.from {
			re, err := regexp.Compile(expr)
			if err != nil {
				return out, fmt.Errorf("allow: %w", err)
			}
			*list.to = append(*list.to, re)
		}
	}
	if len(a.Paths)+len(a.Regexes)+len(a.Stop) == 0 {
		return out, fmt.Errorf("allow: want paths, regexes or stop words; without them it would allow everything")
	}
	return out, nil
}

// holds reports whether a match is no secret.
func (a *allow) holds(name string, value, match, line []byte) bool {
	path := slices.ContainsFunc(a.paths, func(re *regexp.Regexp) bool { return re.MatchString(name) })
	target := value
	switch a.Target {
	case "match":
		target = match
	case "line":
		target = line
	}
	regex := slices.ContainsFunc(a.regexes, func(re *regexp.Regexp) bool { return re.Match(target) })
	low := strings.ToLower(string(value))
	stop := slices.ContainsFunc(a.Stop, func(w string) bool { return strings.Contains(low, strings.ToLower(w)) })
	if a.All {
		return (path || len(a.paths) == 0) && (regex || len(a.regexes) == 0) && (stop || len(a.Stop) == 0)
	}
	return path || regex || stop
}

// Config is what a file of rules says: further rules, ours that do not count,
// and what is no secret whatever the rule.
type Config struct {
	Rules   []Rule
	Disable []string
	Allows  []Allow
	Only    bool // our own rules do not count at all
}

// form is a rule made ready. Its regular expressions are compiled when a file
// first holds a key.
type form struct {
	Rule
	once    sync.Once
	re      *regexp.Regexp
	path    *regexp.Regexp
	allows  []allow
	before  int // bytes that a match may begin before its key
	after   int // bytes that a match may reach beyond its key's begin
	bounded bool
}

// Bounds of one rule's view, in bytes on each side of a key.
const (
	maxBefore = 1 << 10
	maxAfter  = 4 << 10
)

func (f *form) compile() {
	f.once.Do(func() {
		f.before, f.after = reach(f.Regex)
		expr := `(?:` + f.Regex + `)`
		if len(f.Near) > 0 || !f.Loose {
			expr = `\A` + expr
		}
		f.re = regexp.MustCompile(expr) // check has seen that it compiles
	})
}

// reach returns how far around a key a match may stretch.
func reach(expr string) (before, after int) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return maxBefore, maxAfter
	}
	n := longest(tree)
	return min(n, maxBefore), min(n+8, maxAfter)
}

// longest returns the most bytes an expression may match, maxAfter if there is
// no end to it.
func longest(re *syntax.Regexp) int {
	sum := 0
	switch re.Op {
	case syntax.OpLiteral:
		sum = 4 * len(re.Rune)
		if ascii(re.Rune) {
			sum = len(re.Rune)
		}
	case syntax.OpCharClass:
		sum = 1
		if len(re.Rune) > 0 && re.Rune[len(re.Rune)-1] > 127 {
			sum = 4
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		sum = 4
	case syntax.OpStar, syntax.OpPlus:
		return maxAfter
	case syntax.OpRepeat:
		if re.Max < 0 {
			return maxAfter
		}
		sum = re.Max * longest(re.Sub[0])
	case syntax.OpAlternate:
		for _, s := range re.Sub {
			sum = max(sum, longest(s))
		}
	default:
		for _, s := range re.Sub {
			sum += longest(s)
		}
	}
	return min(sum, maxAfter)
}

func ascii(runes []rune) bool {
	for _, r := range runes {
		if r > 127 {
			return false
		}
	}
	return true
}

// keys returns the literals that lead to the rule.
func (r *Rule) keys() []string {
	if len(r.Near) > 0 {
		return r.Near
	}
	if len(r.Keys) > 0 {
		return r.Keys
	}
	expr := strings.TrimPrefix(r.Regex, "(?i)")
	end := strings.IndexAny(expr, `\.+*?()|[]{}^$`)
	if end < 0 {
		end = len(expr)
	}
	for end < len(expr) && expr[end] == '\\' && end+1 < len(expr) && strings.ContainsRune(`.$-|`, rune(expr[end+1])) {
		next := strings.IndexAny(expr[end+2:], `\.+*?()|[]{}^$`)
		if next < 0 {
			next = len(expr) - end - 2
		}
		end += 2 + next
	}
	prefix := expr[:end]
	if end < len(expr) && strings.ContainsRune("+*?{", rune(expr[end])) && prefix != "" {
		prefix = prefix[:len(prefix)-1]
	}
	return []string{strings.ReplaceAll(prefix, `\`, "")}
}

// check tells what is wrong with a rule.
func (r *Rule) check() error {
	if r.ID == "" {
		return fmt.Errorf("rule without an id")
	}
	for _, expr := range []string{r.Regex, r.Path} {
		if _, err := regexp.Compile(expr); err != nil {
			return fmt.Errorf("rule %s: %w", r.ID, err)
		}
	}
	if r.Regex == "" && r.Check == "" && r.Path == "" {
		return fmt.Errorf("rule %s: want a regular expression or a path", r.ID)
	}
	if r.Regex == "" && r.Check == "" {
		return nil // a file that should not be there at all
	}
	for _, k := range r.keys() {
		if len(k) < 3 {
			return fmt.Errorf("rule %s: key %q has %d bytes, want at least 3; name what such a secret begins with in keywords", r.ID, k, len(k))
		}
	}
	return nil
}
