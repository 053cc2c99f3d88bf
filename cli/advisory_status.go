package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/report/format"
	"sekisho/scan/advisory"
)

func (a *app) advisoryStatus(f *advisoryFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "status", Args: usageArgs(cobra.NoArgs), RunE: func(*cobra.Command, []string) error { return a.advisoriesStatus(f) }}
	cmd.Flags().StringVar(&f.format, "format", "table", a.texts.Text("cli.flag.table_json"))
	return cmd
}

// feedStatus is one feed of status's JSON document.
type feedStatus struct {
	Name       string    `json:"name"`
	Title      string    `json:"title"`
	URL        string    `json:"url"`
	Licence    string    `json:"licence"`
	Restricted bool      `json:"restricted"` // off unless switched on, and never exported
	Records    int       `json:"records"`
	Details    int       `json:"details"`
	Signals    int       `json:"signals"`
	Files      int       `json:"files"`
	Bytes      int64     `json:"bytes"`
	Newest     time.Time `json:"newest,omitzero"`
	Checked    time.Time `json:"checked,omitzero"`
	Age        float64   `json:"age_hours,omitempty"` // since Checked
	Old        bool      `json:"old"`
	Error      string    `json:"error,omitempty"`
	Failed     time.Time `json:"failed,omitzero"`
}

// databaseStatus is the whole document.
type databaseStatus struct {
	Schema    string       `json:"schema"`
	Directory string       `json:"directory"`
	Built     time.Time    `json:"built,omitzero"`
	Feeds     []feedStatus `json:"feeds"`
}

func (a *app) advisoriesStatus(f *advisoryFlags) error {
	if err := tableOrJSON(f.format); err != nil {
		return err
	}
	d, err := a.database(f)
	if err != nil {
		return err
	}
	db, err := advisory.Open(d.dir)
	if err != nil && sekisho.KindOf(err) != sekisho.NotFound {
		return err
	}
	s := databaseStatus{Schema: "sekisho.advisory.status/v1", Directory: d.dir}
	var known []advisory.FeedInfo
	if db != nil {
		defer db.Close()
		s.Built, known = db.Built(), db.Feeds()
	}
	s.Feeds = d.statuses(known)
	if f.format == "json" {
		return a.writeJSON(s)
	}
	return a.statusTable(s)
}

// statuses joins the feeds that there are with what is known of them.
func (d *database) statuses(known []advisory.FeedInfo) []feedStatus {
	list := []feedStatus{}
	for _, k := range known {
		x := feedStatus{Name: k.Name, Title: k.Title, URL: k.URL, Licence: k.Licence, Restricted: k.Restricted, Records: k.Records, Details: k.Details,
			Signals: k.Signals, Files: k.Segments, Bytes: k.Bytes, Newest: k.Newest, Checked: k.Checked, Error: k.Error, Failed: k.Failed}
		if !k.Checked.IsZero() {
			age := d.now().Sub(k.Checked)
			limit := d.config.MaxAge.Duration
			if limit == 0 {
				limit = old
			}
			x.Age, x.Old = age.Hours(), age > limit
		}
		list = append(list, x)
	}
	for _, f := range feeds() {
		info := f.Info()
		i := slices.IndexFunc(list, func(x feedStatus) bool { return x.Name == info.Name })
		if i < 0 {
			list = append(list, feedStatus{Name: info.Name})
			i = len(list) - 1
		}
		if x := &list[i]; x.Title == "" {
			x.Title, x.URL, x.Licence, x.Restricted = info.Title, info.URL, info.Licence, info.Restricted
		}
	}
	slices.SortFunc(list, func(x, y feedStatus) int { return strings.Compare(x.Name, y.Name) })
	return list
}

func (a *app) statusTable(s databaseStatus) error {
	t := a.texts.Text
	fmt.Fprintf(a.Stdout, "%s\n", s.Directory)
	if s.Built.IsZero() {
		a.note("cli.advisory.none")
	}
	rows := [][]string{{t("cli.advisory.column.feed"), t("cli.advisory.column.records"), t("cli.advisory.column.newest"), t("cli.advisory.column.checked"),
		t("cli.advisory.column.licence"), t("cli.advisory.column.source")}}
	var notes, never, restricted []string
	for _, x := range s.Feeds {
		if x.Restricted {
			restricted = append(restricted, x.Name)
		}
		if x.Checked.IsZero() && x.Error == "" && !s.Built.IsZero() {
			never = append(never, x.Name)
			continue
		}
		rows = append(rows, []string{visible(x.Name), a.amount(x), date(x.Newest), a.age(x), visible(x.Licence), visible(x.URL)})
		if x.Error != "" {
			notes = append(notes, t("cli.advisory.error", "feed", x.Name, "date", x.Failed.Format(time.DateOnly), "error", x.Error))
		}
	}
	if len(never) > 0 {
		notes = append(notes, t("cli.advisory.not_here", "feeds", strings.Join(never, ", ")))
	}
	if len(restricted) > 0 {
		notes = append(notes, t("cli.advisory.restricted", "feeds", strings.Join(restricted, ", ")))
	}
	if err := format.Columns(a.Stdout, rows); err != nil {
		return err
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(a.Stdout, visible(n)); err != nil {
			return err
		}
	}
	return nil
}

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateOnly)
}

// amount is how much a feed told: records of packages, else what it says about
// CVEs.
func (a *app) amount(x feedStatus) string {
	switch {
	case x.Records > 0:
		return fmt.Sprint(x.Records)
	case x.Signals > 0:
		return fmt.Sprint(x.Signals)
	case x.Checked.IsZero():
		return "-"
	}
	return fmt.Sprint(x.Details)
}

func (a *app) age(x feedStatus) string {
	if x.Checked.IsZero() {
		return a.texts.Text("cli.advisory.never")
	}
	text := a.texts.Text("cli.advisory.hours", "count", int(x.Age))
	if x.Age >= 48 {
		text = a.texts.Text("cli.advisory.days", "count", int(x.Age/24))
	}
	if x.Old {
		text += " " + a.texts.Text("cli.advisory.old")
	}
	return text
}
