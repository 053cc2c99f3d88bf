// Package nvd reads the National Vulnerability Database's files, one for each
// year and one of what was modified lately: scores, weaknesses, texts and
// products of CVEs. It tells details only, no records: which packages of a
// distribution are affected, NVD does not know. A file whose sum does not hold
// is refused.
package nvd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	maxDocument = 2 << 30
	maxElement  = 16 << 20
	firstYear   = 2002 // its file holds the years before as well

	// lately is how far back the file of modifications is trusted to go, a day
	// less than NVD says.
	lately = 7 * 24 * time.Hour
)

// Feed is NVD.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "nvd", Title: "NIST NVD", URL: "https://nvd.nist.gov/feeds/json/cve/2.0",
		Licence: "public domain (NIST)", Default: true,
	}
}

// update is one run.
type update struct {
	advisory.Update
	state advisory.State
	first bool
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	r := &update{Update: u, state: source.State(u.State)}
	at, err := time.Parse(time.RFC3339, u.State.Cursors["at"])
	r.first, r.state.Skipped = err != nil, map[string]int{}
	if r.first {
		clear(r.state.Validators)
		clear(r.state.Cursors)
		u.Sink.Replace("")
	}
	names := []string{"modified"}
	if r.first || u.Now.Sub(at) > lately {
		names = years(u.Now)
	}
	read := 0
	for _, name := range names {
		switch err := r.file(ctx, name); {
		case err == nil:
			read++
		case sekisho.KindOf(err) == sekisho.NotFound:
			r.state.Skipped["missing document"]++ // a mirror of some years; this year's, early in January
		default:
			return u.State, err
		}
	}
	if read == 0 {
		return u.State, sekisho.Errorf(sekisho.NotFound, "no file of NVD at %s", u.URL)
	}
	r.state.Cursors["at"] = u.Now.UTC().Format(time.RFC3339)
	return r.state, nil
}

func years(now time.Time) (out []string) {
	for y := firstYear; y <= now.Year(); y++ {
		out = append(out, strconv.Itoa(y))
	}
	return out
}

// file reads one file unless its sum is known. A mirror without sums is asked
// by its validators.
func (r *update) file(ctx context.Context, name string) error {
	base := r.URL + "/nvdcve-2.0-" + name
	sum := ""
	data, err := source.All(ctx, r.Client, base+".meta", 64<<10)
	switch {
	case err == nil:
		if sum = metaSum(data); sum == "" {
			return sekisho.Errorf(sekisho.Invalid, "read %s.meta: no sha256", base)
		}
		if r.state.Cursors[name] == sum {
			return nil
		}
		delete(r.state.Validators, base+".json.gz")
	case sekisho.KindOf(err) != sekisho.NotFound:
		return err
	}
	doc, err := source.Open(ctx, r.Client, r.state, base+".json.gz", maxDocument)
	if err != nil {
		return err
	}
	defer doc.Close()
	if doc.Same {
		return nil
	}
	hash := sha256.New()
	if err := r.read(ctx, io.TeeReader(doc, hash)); err != nil {
		return sekisho.Errorf(sekisho.KindOf(err), "read nvdcve-2.0-%s: %w", name, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); sum != "" && got != sum {
		return sekisho.Errorf(sekisho.Corrupt, "nvdcve-2.0-%s: sha256 is %s, not %s", name, got, sum)
	}
	r.state.Cursors[name] = sum
	return nil
}

// metaSum finds the sum of the unpacked file: "sha256:0A1B…".
func metaSum(data []byte) string {
	for line := range bytes.Lines(data) {
		if value, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("sha256:")); ok && len(value) == 64 {
			return strings.ToLower(string(value))
		}
	}
	return ""
}

func (r *update) read(ctx context.Context, in io.Reader) error {
	produce := func(yield func([]byte) error) error {
		if err := source.Elements(in, "vulnerabilities", maxElement, yield); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, in) // the sum is of all
		return err
	}
	return source.Ordered(ctx, produce, source.Kept(decode), func(x source.Result[told]) error {
		t := x.Value
		if x.Err != nil {
			return source.Few(r.state.Skipped, x.Err)
		}
		if t.detail.ID == "" {
			r.state.Skipped["id"]++
			return nil
		}
		r.state.Newest = source.Later(r.state.Newest, t.detail.Modified, r.Now)
		if !r.first {
			r.Sink.Forget(t.detail.ID)
		}
		return r.Sink.Detail(t.detail, t.text)
	})
}
