package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
	"sekisho/store"
)

// replayFlags are the flags of policy replay.
type replayFlags struct {
	policy     policyFlags
	since      string
	format     string
	exceptions string
}

func (a *app) policyReplayCommand() *cobra.Command {
	t := a.texts.Text
	f := &replayFlags{}
	cmd := &cobra.Command{Use: "replay DIR --policy FILE", Short: t("cli.policy.replay"), Long: t("cli.policy.replay.long"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error { return a.policyReplay(args[0], f) }}
	cmd.Flags().SortFlags = false
	a.policyFlags(cmd, &f.policy)
	cmd.Flags().StringVar(&f.since, "since", "30d", t("cli.flag.since"))
	cmd.Flags().StringVar(&f.exceptions, "exceptions", "", t("cli.flag.exceptions"))
	cmd.Flags().StringVar(&f.format, "format", "text", t("cli.flag.explain_format"))
	return cmd
}

// replayed is what would have been decided on one report.
type replayed struct {
	Time      time.Time      `json:"time"`
	Reference string         `json:"reference"`
	Digest    sekisho.Digest `json:"digest,omitempty"`
	Result    string         `json:"result"`
	Reasons   int            `json:"reasons"` // that count
	Controls  []string       `json:"controls"`
	File      string         `json:"file"`
}

// maxReplay bounds how many files are looked at.
const maxReplay = 100_000

// policyReplay judges stored reports as of the time when they were made.
func (a *app) policyReplay(dir string, f *replayFlags) error {
	if f.format != "text" && f.format != "json" {
		return sekisho.Errorf(sekisho.Usage, "format %q: want text or json", f.format)
	}
	if len(f.policy.policies) == 0 {
		return sekisho.Errorf(sekisho.Usage, "no policy").WithHint("--policy FILE, or --policy baseline")
	}
	span, err := parseSpan(f.since)
	if err != nil {
		return err
	}
	now, err := a.now()
	if err != nil {
		return err
	}
	accepted, err := a.exceptions(f.exceptions)
	if err != nil {
		return err
	}
	judge, err := a.judge(&f.policy, accepted, now)
	if err != nil {
		return err
	}
	list, other, err := replay(dir, judge, now.Add(-span))
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(x, y replayed) int { return cmp.Or(x.Time.Compare(y.Time), strings.Compare(x.File, y.File)) })
	if f.format == "json" {
		e := json.NewEncoder(a.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	a.replayTable(list, other)
	return nil
}

// replay judges every report below dir that is not older; it counts the files
// that are none.
func replay(dir string, j *judge, from time.Time) (list []replayed, other int, err error) {
	if kept(dir) {
		list, err = replayFacts(dir, j, from)
		return list, 0, err
	}
	list = []replayed{}
	seen := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return sekisho.Errorf(sekisho.Usage, "look for reports: %w", err)
		}
		if d.IsDir() || !d.Type().IsRegular() || filepath.Ext(path) != ".json" {
			return nil
		}
		if seen++; seen > maxReplay {
			return sekisho.Errorf(sekisho.Usage, "%s: more than %d files", dir, maxReplay)
		}
		r, err := openReport(path)
		if errors.Is(err, errNoReport) {
			other++
			return nil
		}
		if err != nil {
			return err
		}
		if !r.Generated.Before(from) {
			image := fact.FromReport(r)
			list = append(list, replayOne(&image, r.Target.Reference, r.Generated, path, j))
		}
		return nil
	})
	return list, other, err
}

// kept reports whether a directory holds the facts that gates keep.
func kept(dir string) bool {
	for _, sub := range []string{"facts", "by"} {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// replayFacts judges what gates knew of images, each as of the time when it was
// scanned: also what newer facts have replaced since.
func replayFacts(dir string, j *judge, from time.Time) ([]replayed, error) {
	facts, err := store.OpenFacts(dir)
	if err != nil {
		return nil, err
	}
	list := []replayed{}
	err = facts.Each(func(version string, image *fact.Image) error {
		if image.Scanned != nil && !image.Scanned.Before(from) && len(list) < maxReplay {
			list = append(list, replayOne(image, image.ScannedAs, *image.Scanned, version, j))
		}
		return nil
	})
	return list, err
}

func replayOne(image *fact.Image, reference string, at time.Time, path string, j *judge) replayed {
	request := j.request
	request.Now = at
	d := assurance.Evaluate(j.set, assurance.Prepare(image, j.accepted), &request).Decision()
	out := replayed{Time: at, Reference: cmp.Or(reference, string(image.Digest)), Digest: cmp.Or(image.Digest, image.ID), Result: d.Result, Controls: []string{}, File: path}
	for _, x := range d.Reasons {
		if x.Effect == sekisho.Note {
			continue
		}
		out.Reasons++
		if !slices.Contains(out.Controls, x.Control) {
			out.Controls = append(out.Controls, x.Control)
		}
	}
	return out
}

func (a *app) replayTable(list []replayed, other int) {
	t := a.texts.Text
	counts, controls := map[string]int{}, map[string]int{}
	for _, x := range list {
		counts[x.Result]++
		if x.Result == sekisho.Allow {
			continue
		}
		for _, c := range x.Controls {
			controls[c]++
		}
		fmt.Fprintf(a.Stdout, "%s  %s  %s  %s\n", x.Time.Format("2006-01-02 15:04"), t("decision."+x.Result), visible(x.Reference), visible(strings.Join(x.Controls, ", ")))
	}
	fmt.Fprintf(a.Stdout, "%s\n", t("cli.policy.replayed", "count", len(list), "deny", counts[sekisho.Deny], "warn", counts[sekisho.Warn], "allow", counts[sekisho.Allow]))
	names := make([]string, 0, len(controls))
	for name := range controls {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(controls[y]-controls[x], strings.Compare(x, y)) })
	for _, name := range names {
		fmt.Fprintf(a.Stdout, "  %6d  %s\n", controls[name], visible(name))
	}
	if other > 0 {
		a.note("cli.policy.others", "count", other)
	}
}

// parseSpan reads days as 30d, or a duration of Go as 12h.
func parseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, nil
	}
	return 0, sekisho.Errorf(sekisho.Usage, "--since %s: want days as 30d, or hours as 12h", text)
}
