package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/report/format"
	"sekisho/scan/advisory/fetch"
	"sekisho/scan/advisory/update"
)

func (a *app) advisoryUpdate(f *advisoryFlags) *cobra.Command {
	t := a.texts.Text
	cmd := &cobra.Command{Use: "update [FEED…]", RunE: func(cmd *cobra.Command, args []string) error { return a.updateAdvisories(cmd.Context(), f, args) }}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", t("cli.flag.advisory_from"))
	flags.BoolVar(&f.all, "all", false, t("cli.flag.advisory_all"))
	flags.StringSliceVar(&f.enable, "enable", nil, t("cli.flag.advisory_enable"))
	flags.BoolVar(&f.again, "again", false, t("cli.flag.advisory_again"))
	flags.IntVar(&f.jobs, "jobs", 3, t("cli.flag.advisory_jobs"))
	flags.StringVar(&f.format, "format", "table", t("cli.flag.table_json"))
	flags.BoolVarP(&f.quiet, "quiet", "q", false, t("cli.flag.quiet"))
	return cmd
}

func (a *app) updateAdvisories(ctx context.Context, f *advisoryFlags, names []string) error {
	if err := tableOrJSON(f.format); err != nil {
		return err
	}
	if f.jobs < 1 {
		return sekisho.Errorf(sekisho.Usage, "--jobs %d: want 1 or more", f.jobs)
	}
	d, err := a.database(f)
	if err != nil {
		return err
	}
	store, err := a.store(d)
	if err != nil {
		return err
	}
	defer store.Close()
	p := a.transfers(f.quiet)
	client, err := a.client(d, p)
	if err != nil {
		return err
	}
	defer client.Close()
	results, err := update.Run(ctx, update.Options{
		Feeds: feeds(), Names: names, All: f.all, Enable: f.enable, From: f.from, Again: f.again, Dir: d.dir, Config: d.config,
		Store: store, Client: client, Jobs: f.jobs, Now: d.now,
	})
	p.done()
	if err != nil {
		return err
	}
	if err := a.writeResults(f.format, results); err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if r.Outcome == update.Failed {
			failed++
			a.note("cli.advisory.failed", "feed", r.Feed, "error", r.Err)
		}
		if r.Stats.Refused > 0 {
			a.note("cli.advisory.refused", "feed", r.Feed, "count", r.Stats.Refused, "reason", r.Stats.Reason)
		}
	}
	if failed > 0 {
		return sekisho.Errorf(sekisho.Unavailable, "%d of %d feeds failed; what they told before stays", failed, len(results)).WithHint("sekisho advisory status")
	}
	return nil
}

func tableOrJSON(form string) error {
	if form != "table" && form != "json" {
		return sekisho.Errorf(sekisho.Usage, "format %q: want table or json", form)
	}
	return nil
}

// client is the one that gets documents for feeds.
func (a *app) client(d *database, p *transfers) (*fetch.Client, error) {
	o := fetch.Options{Version: version(), Temp: d.dir, Progress: p.note, Proxy: fetch.Proxy(d.config.Proxy)}
	if o.Proxy == (fetch.Proxy{}) {
		o.Proxy = fetch.Proxy{HTTP: a.env("HTTP_PROXY"), HTTPS: a.env("HTTPS_PROXY"), No: a.env("NO_PROXY")}
	}
	if d.config.CA != "" {
		var err error
		if o.CA, err = readBounded(d.config.CA, 4<<20); err != nil {
			return nil, sekisho.Errorf(sekisho.Usage, "open certificates: %w", err)
		}
	}
	return fetch.New(o)
}

// env is a variable that is written in capitals or in small letters.
func (a *app) env(name string) string {
	if v := a.Getenv(name); v != "" {
		return v
	}
	return a.Getenv(strings.ToLower(name))
}

// updateDoc is update's JSON document.
type updateDoc struct {
	Schema string       `json:"schema"`
	Feeds  []feedResult `json:"feeds"`
}

// feedResult is how one feed's update went.
type feedResult struct {
	Feed     string `json:"feed"`
	Outcome  string `json:"outcome"` // updated, unchanged, failed, missing
	Records  int    `json:"records"` // of the feed now
	Details  int    `json:"details"`
	Signals  int    `json:"signals"`
	Refused  int    `json:"refused"` // records that could not be kept
	Bytes    int64  `json:"bytes"`   // of documents that were read
	Duration int64  `json:"duration_ms"`
	Error    string `json:"error,omitempty"`
}

func (a *app) writeResults(form string, results []update.Result) error {
	if form == "json" {
		doc := updateDoc{Schema: "sekisho.advisory.update/v1", Feeds: []feedResult{}}
		for _, r := range results {
			x := feedResult{r.Feed, r.Outcome, r.Stats.Records, r.Stats.Details, r.Stats.Signals, r.Stats.Refused, r.Bytes, r.Duration.Milliseconds(), ""}
			if r.Err != nil {
				x.Error = r.Err.Error()
			}
			doc.Feeds = append(doc.Feeds, x)
		}
		return a.writeJSON(doc)
	}
	if len(results) == 0 {
		a.note("cli.advisory.nothing")
	}
	var rows [][]string
	var missing []string
	for _, r := range results {
		if r.Outcome == update.Missing {
			missing = append(missing, r.Feed)
			continue
		}
		rows = append(rows, []string{r.Feed, a.texts.Text("cli.advisory.outcome." + r.Outcome), a.texts.Text("cli.advisory.records", "count", r.Stats.Records+r.Stats.Signals),
			mebibytes(r.Bytes), r.Duration.Round(100 * time.Millisecond).String()})
	}
	if err := format.Columns(a.Stdout, rows); err != nil || len(missing) == 0 {
		return err
	}
	_, err := fmt.Fprintln(a.Stdout, a.texts.Text("cli.advisory.missing", "feeds", strings.Join(missing, ", ")))
	return err
}

func (a *app) writeJSON(doc any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// transfers shows, on a terminal only, what is on its way.
type transfers struct {
	app   *app
	shown bool
	width int

	mu    sync.Mutex
	last  time.Time
	ended int64            // bytes of documents that have come
	open  map[string]int64 // bytes of those on their way, by URL
}

func (a *app) transfers(quiet bool) *transfers {
	width, ok := terminal(a.Stderr)
	return &transfers{app: a, shown: ok && !quiet, width: width, open: map[string]int64{}}
}

// note takes word of a transfer.
func (p *transfers) note(x fetch.Progress) {
	if !p.shown {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[x.URL] = x.Done
	if x.Ended {
		p.ended += x.Done
		delete(p.open, x.URL)
	}
	now := time.Now()
	if now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last = now
	sum := p.ended
	for _, n := range p.open {
		sum += n
	}
	name := x.URL
	if u, err := url.Parse(x.URL); err == nil {
		name = u.Host + " " + path.Base(path.Dir(u.Path)) + "/" + path.Base(u.Path)
	}
	if x.Total > 0 {
		name += fmt.Sprintf(" %d %%", 100*x.Done/x.Total)
	}
	text := []rune(p.app.texts.Text("cli.advisory.progress", "bytes", mebibytes(sum), "name", visible(name)))
	fmt.Fprintf(p.app.Stderr, "\r\x1b[K%s", string(text[:min(len(text), p.width-1)]))
}

func (p *transfers) done() {
	if p.shown {
		fmt.Fprint(p.app.Stderr, "\r\x1b[K")
	}
}
