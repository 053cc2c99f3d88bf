// Package vulnrichment reads what CISA adds to CVE records as an authorised
// data publisher: scores and weaknesses of CVEs that nobody else rated, and
// decision points (SSVC). What enters is the archive of its repository, or CVE
// records one a line; what leaves are details of CVEs.
package vulnrichment

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	file        = "refs/heads/develop"
	maxDocument = 8 << 30
	maxRecord   = 16 << 20
	maxCPEs     = 100
)

// Feed is CISA's Vulnrichment.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "vulnrichment", Title: "CISA Vulnrichment", URL: "https://codeload.github.com/cisagov/vulnrichment/tar.gz",
		Licence: "CC0-1.0",
	}
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	state := source.State(u.State)
	doc, err := source.Open(ctx, u.Client, state, u.URL+"/"+file, maxDocument)
	if err != nil {
		return u.State, err
	}
	defer doc.Close()
	if doc.Same {
		return state, nil
	}
	state.Skipped = map[string]int{}
	u.Sink.Replace("")
	err = source.Ordered(ctx, func(yield func([]byte) error) error { return records(doc, yield) }, source.Kept(decode), func(x source.Result[told]) error {
		t := x.Value
		if x.Err != nil || t.detail.ID == "" {
			return source.Few(state.Skipped, x.Err)
		}
		state.Newest = source.Later(state.Newest, t.detail.Modified, u.Now)
		return u.Sink.Detail(t.detail, advisory.Text{ID: t.detail.ID})
	})
	if err != nil {
		return u.State, sekisho.Errorf(sekisho.KindOf(err), "read vulnrichment: %w", err)
	}
	return state, nil
}

// records yields CVE records: files of an archive, or lines.
func records(in io.Reader, yield func([]byte) error) error {
	r := bufio.NewReaderSize(in, 64<<10)
	if head, _ := r.Peek(1); string(head) == "{" {
		return lines(r, yield)
	}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return sekisho.Errorf(sekisho.Invalid, "read archive: %w", err)
		}
		name := path.Base(h.Name)
		if h.Typeflag != tar.TypeReg || !strings.HasPrefix(name, "CVE-") || path.Ext(name) != ".json" {
			continue
		}
		if h.Size > maxRecord {
			return sekisho.Errorf(sekisho.Invalid, "%s is larger than %d bytes", source.Line(name, 60), int64(maxRecord))
		}
		data := make([]byte, h.Size)
		if _, err := io.ReadFull(t, data); err != nil {
			return sekisho.Errorf(sekisho.Invalid, "read %s: %w", source.Line(name, 60), err)
		}
		if err := yield(data); err != nil {
			return err
		}
	}
}

func lines(r *bufio.Reader, yield func([]byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxRecord)
	for s.Scan() {
		if len(s.Bytes()) == 0 {
			continue
		}
		if err := yield(bytes.Clone(s.Bytes())); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "read lines: %w", err)
	}
	return nil
}

// record is a CVE record (CVE JSON 5), as far as CISA's part goes.
type record struct {
	Meta struct {
		ID    string `json:"cveId"`
		State string `json:"state"`
	} `json:"cveMetadata"`
	Containers struct {
		ADP []adp `json:"adp"`
	} `json:"containers"`
}

type adp struct {
	Provider struct {
		Short   string `json:"shortName"`
		Updated string `json:"dateUpdated"`
	} `json:"providerMetadata"`
	Metrics []struct {
		V31   *score `json:"cvssV3_1"`
		V30   *score `json:"cvssV3_0"`
		V40   *score `json:"cvssV4_0"`
		V2    *score `json:"cvssV2_0"`
		Other *struct {
			Type    string `json:"type"`
			Content struct {
				Options []map[string]string `json:"options"`
			} `json:"content"`
		} `json:"other"`
	} `json:"metrics"`
	Problems []struct {
		Descriptions []struct {
			CWE string `json:"cweId"`
		} `json:"descriptions"`
	} `json:"problemTypes"`
	Affected []struct {
		CPEs []string `json:"cpes"`
	} `json:"affected"`
}

type score struct {
	Version string  `json:"version"`
	Vector  string  `json:"vectorString"`
	Score   float64 `json:"baseScore"`
	Word    string  `json:"baseSeverity"`
}

type told struct{ detail advisory.Detail }

func decode(data []byte) (told, error) {
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return told{}, sekisho.Errorf(sekisho.Invalid, "read CVE record: %w", err)
	}
	if !source.IsCVE(rec.Meta.ID) || rec.Meta.State == "REJECTED" {
		return told{}, nil
	}
	for _, a := range rec.Containers.ADP {
		if a.Provider.Short == "CISA-ADP" {
			return told{a.detail(rec.Meta.ID)}, nil
		}
	}
	return told{}, nil
}

func (a *adp) detail(id string) advisory.Detail {
	out := advisory.Detail{ID: id, Modified: source.Date(a.Provider.Updated)}
	for _, m := range a.Metrics {
		for _, s := range []*score{m.V40, m.V31, m.V30, m.V2} {
			if s == nil || s.Vector == "" {
				continue
			}
			out.CVSS = append(out.CVSS, sekisho.CVSS{Source: "cisa", Version: s.Version, Vector: s.Vector, Score: s.Score})
			if len(out.Ratings) == 0 {
				out.Ratings = source.Rating("cisa", s.Word)
			}
		}
	}
	for _, m := range a.Metrics {
		if m.Other != nil && m.Other.Type == "ssvc" {
			if word := decision(m.Other.Content.Options); word != "" {
				out.Ratings = append(out.Ratings, sekisho.Rating{Source: "ssvc", Severity: sekisho.Unknown, Word: word})
			}
		}
	}
	for _, p := range a.Problems {
		for _, d := range p.Descriptions {
			if strings.HasPrefix(d.CWE, "CWE-") && !slices.Contains(out.CWE, d.CWE) {
				out.CWE = append(out.CWE, d.CWE)
			}
		}
	}
	for _, x := range a.Affected {
		for _, cpe := range x.CPEs {
			if len(out.CPEs) < maxCPEs && !slices.Contains(out.CPEs, cpe) {
				out.CPEs = append(out.CPEs, cpe)
			}
		}
	}
	return out
}

// decision writes the decision points of SSVC in their usual order.
func decision(options []map[string]string) string {
	var parts []string
	for _, point := range []string{"Exploitation", "Automatable", "Technical Impact"} {
		for _, o := range options {
			if v := o[point]; v != "" {
				parts = append(parts, point+": "+source.Line(v, 20))
				break
			}
		}
	}
	return strings.Join(parts, ", ")
}
