// Package epss reads FIRST's Exploit Prediction Scoring System: one row for
// each CVE, new every day. It refuses rows that are no scores; a table that is
// cut short is refused as a whole.
package epss

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	file        = "epss_scores-current.csv.gz"
	maxDocument = 256 << 20
)

// Feed is EPSS.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "epss", Title: "FIRST EPSS", URL: "https://epss.empiricalsecurity.com",
		Licence: "free use, credit FIRST.org", Default: true,
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
	u.Sink.Replace("")
	head, err := read(doc, u.Sink)
	if err != nil {
		return u.State, sekisho.Errorf(sekisho.Invalid, "read %s: %w", file, err)
	}
	state.Newest = source.Later(state.Newest, source.Date(head.date), u.Now)
	state.Cursors["model"] = head.model
	return state, nil
}

// header is the first line: #model_version:v2025.03.14,score_date:2026-08-16T00:00:00+0000.
type header struct{ model, date string }

func read(in io.Reader, sink advisory.Sink) (header, error) {
	r := bufio.NewReaderSize(in, 64<<10)
	var h header
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			if n < 3 {
				return h, errors.New("no scores")
			}
			return h, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return h, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case strings.HasPrefix(text, "#"):
			h = head(text)
		case strings.HasPrefix(text, "cve,"), text == "":
		default:
			s, err := row(text, h.date)
			if err != nil {
				return h, sekisho.Errorf(sekisho.Invalid, "line %d: %w", n, err)
			}
			if err := sink.Signal(s); err != nil {
				return h, err
			}
		}
	}
}

func head(text string) (h header) {
	for pair := range strings.SplitSeq(strings.TrimPrefix(text, "#"), ",") {
		key, value, _ := strings.Cut(pair, ":")
		switch key {
		case "model_version":
			h.model = source.Line(value, 40)
		case "score_date":
			if t := source.Date(value); !t.IsZero() {
				h.date = t.Format("2006-01-02")
			}
		}
	}
	return h
}

func row(text, date string) (advisory.Signal, error) {
	cve, rest, _ := strings.Cut(text, ",")
	score, percentile, _ := strings.Cut(rest, ",")
	s, err := share(score)
	if err != nil {
		return advisory.Signal{}, err
	}
	p, err := share(percentile)
	if err != nil {
		return advisory.Signal{}, err
	}
	if !source.IsCVE(cve) {
		return advisory.Signal{}, sekisho.Errorf(sekisho.Invalid, "%q is no CVE", source.Line(cve, 40))
	}
	return advisory.Signal{CVE: cve, EPSS: &sekisho.EPSS{Score: s, Percentile: p, Date: date}}, nil
}

// share reads a number from 0 to 1.
func share(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, sekisho.Errorf(sekisho.Invalid, "%q is no number from 0 to 1", source.Line(s, 40))
	}
	return f, nil
}
