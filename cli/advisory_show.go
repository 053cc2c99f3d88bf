package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/i18n"
	"sekisho/report/format"
	"sekisho/scan/advisory"
	"sekisho/scan/cvss"
)

func (a *app) advisoryShow(f *advisoryFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "show ID", Args: usageArgs(cobra.ExactArgs(1)), RunE: func(cmd *cobra.Command, args []string) error {
		return a.showAdvisory(cmd.Context(), f, strings.TrimSpace(args[0]))
	}}
	cmd.Flags().StringVar(&f.format, "format", "table", a.texts.Text("cli.flag.table_json"))
	return cmd
}

// shown is all that is known about one id.
type shown struct {
	Schema  string        `json:"schema"`
	ID      string        `json:"id"`
	Aliases []string      `json:"aliases"`
	EPSS    *sekisho.EPSS `json:"epss,omitempty"`
	KEV     *sekisho.KEV  `json:"kev,omitempty"`
	Details []shownDetail `json:"details"`
	Records []shownRecord `json:"records"`
}

// shownDetail is what one feed says about the flaw.
type shownDetail struct {
	Feed       string              `json:"feed"`
	Group      string              `json:"group,omitempty"`
	ID         string              `json:"id"`
	Title      string              `json:"title,omitempty"`
	TitleJA    string              `json:"title_ja,omitempty"`
	Ratings    []sekisho.Rating    `json:"ratings"`
	CVSS       []sekisho.CVSS      `json:"cvss"`
	CWE        []string            `json:"cwe"`
	Published  time.Time           `json:"published,omitzero"`
	Modified   time.Time           `json:"modified,omitzero"`
	Withdrawn  time.Time           `json:"withdrawn,omitzero"`
	Text       string              `json:"text,omitempty"`
	TextJA     string              `json:"text_ja,omitempty"`
	References []sekisho.Reference `json:"references"`
}

// shownRecord is what one feed says about one package.
type shownRecord struct {
	Feed      string   `json:"feed"`
	ID        string   `json:"id"`
	Ecosystem string   `json:"ecosystem"`
	Package   string   `json:"package"`
	Source    bool     `json:"source"`
	Status    string   `json:"status"`
	Ranges    []string `json:"ranges"`
	Versions  []string `json:"versions"`
	Rating    string   `json:"rating,omitempty"`
	Note      string   `json:"note,omitempty"`
	Module    string   `json:"module,omitempty"`
	Fixes     []string `json:"advisories"`
}

func (a *app) showAdvisory(ctx context.Context, f *advisoryFlags, id string) error {
	if err := tableOrJSON(f.format); err != nil {
		return err
	}
	dir, err := a.databaseDir(f.db)
	if err != nil {
		return err
	}
	db, err := advisory.Open(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := gather(ctx, db, id)
	if err != nil {
		return err
	}
	if len(s.Details)+len(s.Records) == 0 && s.EPSS == nil && s.KEV == nil {
		return sekisho.Errorf(sekisho.NotFound, "nothing is known about %s", id).WithHint("sekisho advisory status lists the feeds; ids are written as the feeds write them")
	}
	if f.format == "json" {
		return a.writeJSON(s)
	}
	return a.tell(s)
}

// gather collects what all feeds say.
func gather(ctx context.Context, db *advisory.DB, id string) (*shown, error) {
	s := &shown{Schema: "sekisho.advisory.show/v1", ID: id, Aliases: []string{}, Details: []shownDetail{}, Records: []shownRecord{}}
	found, err := db.Mentions(ctx, id)
	if err != nil {
		return nil, err
	}
	ids := []string{id}
	for _, r := range found {
		ids = append(append(ids, r.ID), r.Aliases...)
		x := shownRecord{Feed: r.Feed, ID: r.ID, Ecosystem: r.Ecosystem, Package: r.Package, Source: r.Source, Status: r.Status, Ranges: []string{},
			Versions: some(r.Versions), Rating: r.Rating, Note: r.Note, Module: r.Module, Fixes: some(r.Advisories)}
		for _, g := range r.Ranges {
			x.Ranges = append(x.Ranges, interval(g))
		}
		s.Records = append(s.Records, x)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	described, err := db.Describe(ids...)
	if err != nil {
		return nil, err
	}
	for _, d := range described {
		ids = append(ids, d.Aliases...)
		s.Details = append(s.Details, shownDetail{d.Feed, d.Group, d.ID, d.Title, d.TitleJA, some(d.Ratings), scored(d.CVSS), some(d.CWE), d.Published, d.Modified,
			d.Withdrawn, d.Text.Text, d.Text.TextJA, some(d.Text.References)})
	}
	slices.Sort(ids)
	for _, x := range slices.Compact(ids) {
		if x != id {
			s.Aliases = append(s.Aliases, x)
		}
	}
	return s, s.signals(db, id)
}

// signals adds what is known of exploitation, by the first CVE.
func (s *shown) signals(db *advisory.DB, id string) error {
	for _, x := range append([]string{id}, s.Aliases...) {
		if !strings.HasPrefix(x, "CVE-") {
			continue
		}
		var err error
		if s.EPSS, err = db.EPSS(x); err != nil {
			return err
		}
		s.KEV, err = db.KEV(x)
		return err
	}
	return nil
}

// scored fills in the scores that follow from vectors.
func scored(list []sekisho.CVSS) []sekisho.CVSS {
	for i := range list {
		if _, score, err := cvss.Base(list[i].Vector); err == nil && list[i].Score == 0 {
			list[i].Score = score
		}
	}
	return some(list)
}

// some is a list that is never absent.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// interval words a range.
func interval(r advisory.Range) string {
	var parts []string
	if r.Introduced != "" && r.Introduced != "0" {
		parts = append(parts, ">= "+r.Introduced)
	}
	if r.Fixed != "" {
		parts = append(parts, "< "+r.Fixed)
	}
	if r.Last != "" {
		parts = append(parts, "<= "+r.Last)
	}
	if len(parts) == 0 {
		return "*"
	}
	return strings.Join(parts, ", ")
}

// tell writes it for people.
func (a *app) tell(s *shown) error {
	t := a.texts.Text
	fmt.Fprintln(a.Stdout, visible(s.ID), visible(a.title(s)))
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(a.Stdout, "  %s: %s\n", t("cli.advisory.show."+key), visible(value))
		}
	}
	line("aliases", strings.Join(s.Aliases, ", "))
	if s.EPSS != nil {
		line("epss", fmt.Sprintf("%.3f (%.1f %%, %s)", s.EPSS.Score, 100*s.EPSS.Percentile, s.EPSS.Date))
	}
	if s.KEV != nil {
		line("kev", t("cli.advisory.show.kev_since", "added", s.KEV.Added, "due", s.KEV.Due))
	}
	for _, d := range s.Details {
		a.tellDetail(d)
	}
	var rows [][]string
	if len(s.Records) > 0 {
		fmt.Fprintln(a.Stdout)
		rows = append(rows, []string{t("cli.advisory.column.feed"), t("cli.advisory.column.record"), t("cli.advisory.column.ecosystem"), t("cli.advisory.column.package"),
			t("cli.advisory.column.status"), t("cli.advisory.column.versions")})
	}
	for _, r := range s.Records {
		versions := strings.Join(r.Ranges, " | ")
		if len(r.Versions) > 0 {
			versions = strings.TrimPrefix(versions+" | "+t("cli.advisory.show.versions", "count", len(r.Versions)), " | ")
		}
		status := strings.TrimSpace(a.status(r.Status) + " " + r.Rating)
		rows = append(rows, []string{visible(r.Feed), visible(r.ID), visible(r.Ecosystem), visible(strings.TrimSpace(r.Package + " " + r.Module)), visible(status), visible(versions)})
	}
	return format.Columns(a.Stdout, rows)
}

func (a *app) status(word string) string {
	if key := "status." + word; a.texts.Has(key) {
		return a.texts.Text(key)
	}
	return word
}

// title is the first that there is, in the reader's language if possible.
func (a *app) title(s *shown) string {
	for _, d := range s.Details {
		if d.TitleJA != "" && a.texts.Lang() == i18n.Japanese {
			return d.TitleJA
		}
	}
	for _, d := range s.Details {
		if d.Title != "" {
			return d.Title
		}
	}
	return ""
}

func (a *app) tellDetail(d shownDetail) {
	t := a.texts.Text
	head := strings.TrimSpace(d.Feed + " " + d.Group)
	fmt.Fprintf(a.Stdout, "\n%s  %s\n", visible(head), visible(d.ID))
	if !d.Withdrawn.IsZero() {
		fmt.Fprintf(a.Stdout, "  %s\n", t("cli.advisory.show.withdrawn", "date", date(d.Withdrawn)))
	}
	for _, r := range d.Ratings {
		fmt.Fprintf(a.Stdout, "  %s: %s\n", visible(r.Source), visible(strings.TrimSpace(t("severity."+string(r.Severity))+" "+r.Word)))
	}
	for _, c := range d.CVSS {
		fmt.Fprintf(a.Stdout, "  %s: CVSS %.1f  %s\n", visible(c.Source), c.Score, visible(c.Vector))
	}
	if len(d.CWE) > 0 {
		fmt.Fprintf(a.Stdout, "  %s\n", visible(strings.Join(d.CWE, " ")))
	}
	fmt.Fprintf(a.Stdout, "  %s\n", t("cli.advisory.show.dates", "published", date(d.Published), "modified", date(d.Modified)))
	text := d.Text
	if d.TextJA != "" && a.texts.Lang() == i18n.Japanese {
		text = d.TextJA
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(a.Stdout, "  %s\n", visible(strings.TrimRight(line, "\r\n")))
	}
	for _, r := range d.References {
		fmt.Fprintf(a.Stdout, "  %s\n", visible(r.URL))
	}
}
