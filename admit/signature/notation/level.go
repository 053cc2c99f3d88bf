package notation

import (
	"sekisho"
)

// Action is what follows when a check fails.
type Action string

// The actions (trust policy specification, signature verification). The zero
// value enforces.
const (
	Enforce Action = "enforce" // the signature does not count
	Log     Action = "log"     // it counts, and the failure is told
	Skip    Action = "skip"    // the check is not done
)

// Level says which checks are enforced; the zero value is strict. That the
// signature is whole and about this image is always enforced, and so is what is
// known: a certificate that was revoked does not count unless revocation is
// skipped.
type Level struct {
	Authenticity, Timestamp, Expiry, Revocation Action
	Skip                                        bool // no signature is looked at
}

// ParseLevel reads a level by name, with other actions for some of its checks.
func ParseLevel(name string, override map[string]string) (l Level, err error) {
	switch name {
	case "", "strict":
	case "permissive":
		l = Level{Timestamp: Log, Expiry: Log, Revocation: Log}
	case "audit":
		l = Level{Authenticity: Log, Timestamp: Log, Expiry: Log, Revocation: Log}
	case "skip":
		l.Skip = true
	default:
		return l, sekisho.Errorf(sekisho.Invalid, "notation: level %q: want strict, permissive, audit or skip", name)
	}
	if l.Skip && len(override) > 0 {
		return l, sekisho.Errorf(sekisho.Invalid, "notation: override: the level skip has no checks")
	}
	for check, action := range override {
		a := Action(action)
		if a != Enforce && a != Log && (a != Skip || check != "revocation") {
			return l, sekisho.Errorf(sekisho.Invalid, "notation: override: %s: %q: want enforce or log; of revocation also skip", check, action)
		}
		switch check {
		case "authenticity":
			l.Authenticity = a
		case "authentic_timestamp":
			l.Timestamp = a
		case "expiry":
			l.Expiry = a
		case "revocation":
			l.Revocation = a
		default:
			return l, sekisho.Errorf(sekisho.Invalid, "notation: override: %q: want authenticity, authentic_timestamp, expiry or revocation", check)
		}
	}
	return l, nil
}
