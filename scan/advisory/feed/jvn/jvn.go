// Package jvn reads JVN iPedia, the vulnerability database of IPA and JPCERT/CC:
// titles and texts in Japanese. What enters are its yearly files, in detail
// (VULDEF 3.2) or as an overview (JVNRSS 3.2); what leaves are details of CVEs.
// Entries without a CVE are left out and counted.
package jvn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	maxDocument = 1 << 30
	maxElement  = 16 << 20
	maxList     = 16 << 20
)

// Feed is JVN iPedia.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "jvn", Title: "JVN iPedia", URL: "https://jvndb.jvn.jp/ja/feed",
		Licence: "JVN iPedia terms, name the source", Default: true,
	}
}

// file is an entry of the list of sums.
type file struct {
	Name string `json:"filename"`
	Sum  string `json:"sha256"`
}

var detailFile = regexp.MustCompile(`^jvndb_detail_(\d{4})\.rdf$`)

// update is one run.
type update struct {
	advisory.Update
	state advisory.State
	first bool
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	r := &update{Update: u, state: source.State(u.State)}
	files, err := r.list(ctx)
	if err != nil {
		return u.State, err
	}
	r.first = !slices.ContainsFunc(files, func(f file) bool { return u.State.Cursors[f.Name] != "" })
	r.state.Skipped = map[string]int{}
	if r.first {
		u.Sink.Replace("")
	}
	for _, f := range files {
		if r.state.Cursors[f.Name] == f.Sum {
			continue
		}
		if err := r.read(ctx, f); err != nil {
			return u.State, err
		}
		r.state.Cursors[f.Name] = f.Sum
	}
	return r.state, nil
}

// list returns the yearly files, oldest first.
func (r *update) list(ctx context.Context) ([]file, error) {
	data, err := source.All(ctx, r.Client, r.URL+"/checksum.txt", maxList)
	if err != nil {
		return nil, err
	}
	var all, out []file
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &all); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "read checksum.txt: %w", err)
	}
	for _, f := range all {
		if f.Sum = strings.ToLower(f.Sum); detailFile.MatchString(f.Name) && len(f.Sum) == 64 {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "read checksum.txt: no yearly files in it")
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (r *update) read(ctx context.Context, f file) error {
	doc, err := source.Open(ctx, r.Client, advisory.State{Validators: map[string]advisory.Validator{}}, r.URL+"/detail/"+f.Name, maxDocument)
	if err != nil {
		return err
	}
	defer doc.Close()
	hash := sha256.New()
	err = entries(io.TeeReader(doc, hash), r.tell)
	if err == nil {
		_, err = io.Copy(hash, doc)
	}
	if err != nil {
		return sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", f.Name, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != f.Sum {
		return sekisho.Errorf(sekisho.Corrupt, "read %s: sha256 is %s, not %s", f.Name, got, f.Sum)
	}
	return nil
}

// tell gives an entry once for each CVE that it is about.
func (r *update) tell(e entry) error {
	if len(e.cves) == 0 {
		r.state.Skipped["no CVE"]++
	}
	r.state.Newest = source.Later(r.state.Newest, e.detail.Modified, r.Now)
	for _, cve := range e.cves {
		if !r.first {
			r.Sink.Forget(cve)
		}
		e.detail.ID, e.text.ID = cve, cve
		if err := r.Sink.Detail(e.detail, e.text); err != nil {
			return err
		}
	}
	return nil
}

// entries reads a document of either form.
func entries(in io.Reader, see func(entry) error) error {
	return source.Markup(in, maxElement, func(d *xml.Decoder, start xml.StartElement) error {
		switch start.Name.Local {
		case "Vulinfo":
			var v vulinfo
			if err := d.DecodeElement(&v, &start); err != nil {
				return err
			}
			return see(v.entry())
		case "item":
			var i overview
			if err := d.DecodeElement(&i, &start); err != nil {
				return err
			}
			return see(i.entry())
		}
		return nil
	})
}
