package debian

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
)

// Bounds: bytes of one entry, sources, entries of all, releases.
const (
	maxEntry    = 4 << 20
	maxEntries  = 1_000_000
	maxReleases = 100
)

// entry is what the tracker says of a flaw in a source package.
type entry struct {
	Description string             `json:"description"`
	Bug         int64              `json:"debianbug"`
	Releases    map[string]release `json:"releases"`
}

// release is the same for one release.
type release struct {
	Status  string  `json:"status"`        // resolved, open, undetermined
	Fixed   string  `json:"fixed_version"` // "0": never affected
	Urgency string  `json:"urgency"`
	NoDSA   *string `json:"nodsa"`        // why no advisory will come on its own
	Reason  string  `json:"nodsa_reason"` // "", ignored, postponed
}

// record maps a release's state; ok is false for a status that is not known.
func (r release) record() (rec advisory.Record, ok bool) {
	rec.Ranges = []advisory.Range{{}}
	rec.Rating, rec.Severity = rating(r.Urgency)
	fixed := r.Fixed != "" && r.Fixed != "0"
	if fixed {
		rec.Ranges[0].Fixed = r.Fixed
	}
	switch r.Status {
	case "resolved":
		switch {
		case r.Fixed == "0":
			rec.Status = sekisho.StatusNotAffected
		case fixed:
			rec.Status = sekisho.StatusFixed
		default:
			return rec, false
		}
	case "undetermined":
		rec.Status = sekisho.StatusInvestigated
	case "open":
		rec.Status = r.open()
	default:
		return rec, false
	}
	if r.NoDSA != nil && r.Status == "open" {
		rec.Note = *r.NoDSA
	}
	return rec, true
}

// open tells what will become of a flaw that is not fixed.
func (r release) open() string {
	switch {
	case strings.Trim(r.Urgency, "*") == "end-of-life":
		return sekisho.StatusEndOfLife
	case r.Reason == "ignored":
		return sekisho.StatusWontFix
	case r.NoDSA != nil || r.Reason == "postponed":
		return sekisho.StatusDeferred
	}
	return sekisho.StatusAffected
}

// rating reads an urgency. The tracker marks those that others gave with "*".
// Unimportant means that it is no security matter in Debian.
func rating(urgency string) (word, severity string) {
	switch word = strings.Trim(urgency, "*"); word {
	case "high":
		return word, string(sekisho.High)
	case "medium":
		return word, string(sekisho.Medium)
	case "low":
		return word, string(sekisho.Low)
	case "unimportant":
		return word, string(sekisho.None)
	}
	return "", "" // not yet assigned, end-of-life
}

// walk calls see for each entry of {source: {flaw: entry}}, in the document's
// order. The entry is good until see returns.
func walk(ctx context.Context, r io.Reader, see func(source, id string, e *entry) error) error {
	bounded := &bounded{Reader: r}
	dec := json.NewDecoder(bounded)
	bounded.dec = dec
	n := 0
	err := members(dec, func(source string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return members(dec, func(id string) error {
			if n++; n > maxEntries {
				return sekisho.Errorf(sekisho.Invalid, "more than %d entries", maxEntries)
			}
			var e entry
			var mismatch *json.UnmarshalTypeError
			if err := dec.Decode(&e); err != nil && !errors.As(err, &mismatch) {
				return err
			}
			if !validName(source) || !validName(id) {
				return nil
			}
			return see(source, id, &e)
		})
	})
	if err == nil {
		if _, err = dec.Token(); err == nil {
			err = errors.New("more than one value")
		} else if err == io.EOF {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var known *sekisho.Error
	if errors.As(err, &known) {
		return err
	}
	return sekisho.Errorf(sekisho.Invalid, "read tracker: %w", err)
}

// members calls see with each key of an object; see reads the value.
func members(dec *json.Decoder, see func(key string) error) error {
	if t, err := dec.Token(); err != nil {
		return noEOF(err)
	} else if t != json.Delim('{') {
		return errors.New("not an object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return noEOF(err)
		}
		key, ok := t.(string)
		if !ok {
			return errors.New("not a key")
		}
		if err := see(key); err != nil {
			return noEOF(err)
		}
	}
	_, err := dec.Token()
	return noEOF(err)
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// validName reports whether a name of a source, a flaw or a release is one:
// short, printable and without spaces.
func validName(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// bounded refuses to read on when the decoder has taken in much more than it
// has given out: one value of the document would fill the memory.
type bounded struct {
	io.Reader
	dec  *json.Decoder
	read int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.read-b.dec.InputOffset() > maxEntry {
		return 0, sekisho.Errorf(sekisho.Invalid, "read tracker: an entry of more than %d bytes", maxEntry)
	}
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	return n, err
}
