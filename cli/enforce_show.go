package cli

import (
	"cmp"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/enforce"
	"sekisho/enforce/evidence"
	"sekisho/enforce/sensor"
	"sekisho/enforce/settings"
)

func (a *app) enforceStatusCommand(f *enforcerFlags) *cobra.Command {
	c := &cobra.Command{Use: "status", Short: a.texts.Text("cli.enforce.status"), Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return a.enforceStatus(f) }}
	c.Flags().BoolVar(&f.json, "json", false, a.texts.Text("cli.flag.json"))
	return c
}

// stale is how old a status may be before the enforcer counts as away.
const stale = 10 * time.Second

func (a *app) enforceStatus(f *enforcerFlags) error {
	s, err := a.enforceSettings(f)
	if err != nil {
		return err
	}
	st, err := enforce.ReadStatus(s.State)
	if errors.Is(err, fs.ErrNotExist) {
		return sekisho.Errorf(sekisho.NotFound, "no enforcer ever ran with the state %s", s.State).WithHint("sekisho enforce run --config FILE")
	}
	if err != nil {
		return err
	}
	now := time.Now()
	away := now.Sub(st.Alive) > stale || st.Clean || s.Pin != "" && sensor.Abandoned(string(s.Pin))
	if away {
		if err := a.lookAway(s, st); err != nil {
			return err
		}
	}
	if f.json {
		e := json.NewEncoder(a.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(st)
	}
	return a.printStatus(st, away)
}

func (a *app) printStatus(st *enforce.Status, away bool) error {
	t := a.texts.Text
	if away {
		fmt.Fprintln(a.Stdout, t("enforce.status.away", "since", st.Alive.Format(time.RFC3339)))
		a.printPinned(st.Pinned)
	} else {
		fmt.Fprintln(a.Stdout, t("enforce.status.runs", "since", st.Started.Format(time.RFC3339), "events", fmt.Sprint(st.Events)))
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, t("enforce.status.columns"))
	for _, c := range st.Containers {
		if !c.Ended.IsZero() {
			continue
		}
		mode := c.Mode
		if key := "enforce.mode." + mode; a.texts.Has(key) {
			mode = t(key)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", visible(cmp.Or(c.Name, c.ID[:min(12, len(c.ID))])), mode, a.effective(c.State), a.stopWords(c.Stops), visible(c.Profile), c.Alerts, visible(c.Why))
	}
	for _, p := range st.Proofs {
		fmt.Fprintln(w, t("enforce.status.proof", "attempt", t("enforce.canary."+strings.ReplaceAll(p.Attempt, " ", "_")), "state", a.effective(p.State), "time", p.Time.Format(time.RFC3339), "detail", visible(p.Detail)))
	}
	for _, class := range slices.Sorted(maps.Keys(st.Lost)) {
		fmt.Fprintln(w, t("enforce.status.lost", "class", visible(class), "count", fmt.Sprint(st.Lost[class])))
	}
	for _, class := range slices.Sorted(maps.Keys(st.Kernel)) {
		if c := st.Kernel[class]; c.Lost > 0 {
			fmt.Fprintln(w, t("enforce.status.lost", "class", "kernel: "+visible(class), "count", fmt.Sprint(c.Lost)))
		}
	}
	for _, g := range st.Gaps[max(0, len(st.Gaps)-5):] {
		fmt.Fprintln(w, t("enforce.status.gap", "from", g.From.Format(time.RFC3339), "to", g.To.Format(time.RFC3339)))
		if g.Outlived != nil {
			fmt.Fprintln(w, t("enforce.status.gap_classes", "held", visible(strings.Join(g.Held, ", ")), "open", visible(strings.Join(g.Open, ", "))))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(st.Broken)) {
		fmt.Fprintln(w, visible(st.Broken[path]))
	}
	return w.Flush()
}

// stopWords are the words for what the kernel stops in a container.
func (a *app) stopWords(kinds []string) string {
	words := make([]string, 0, len(kinds))
	for _, k := range kinds {
		words = append(words, a.texts.Text("enforce.stop."+k))
	}
	return cmp.Or(strings.Join(words, ","), "-")
}

// effective is the word for an effective state.
func (a *app) effective(state string) string {
	return a.texts.Text("enforce.effective." + strings.ReplaceAll(state, " ", "_"))
}

// queryFlags choose events of the log.
type queryFlags struct {
	container, since, until, path string
	kinds                         []string
	pid                           int
	tree, json                    bool
}

func (a *app) enforceQueryCommand(f *enforcerFlags) *cobra.Command {
	t := a.texts.Text
	q := &queryFlags{}
	c := &cobra.Command{Use: "query", Short: t("cli.enforce.query"), Args: usageArgs(cobra.NoArgs), Example: "  sekisho enforce query --container web --since 1h --tree",
		RunE: func(*cobra.Command, []string) error { return a.enforceQuery(f, q) }}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&q.container, "container", "", t("cli.flag.query_container"))
	flags.StringVar(&q.since, "since", "1h", t("cli.flag.query_since"))
	flags.StringVar(&q.until, "until", "", t("cli.flag.query_until"))
	flags.StringSliceVar(&q.kinds, "kind", nil, t("cli.flag.query_kind"))
	flags.StringVar(&q.path, "path", "", t("cli.flag.query_path"))
	flags.IntVar(&q.pid, "pid", 0, t("cli.flag.query_pid"))
	flags.BoolVar(&q.tree, "tree", false, t("cli.flag.query_tree"))
	flags.BoolVar(&q.json, "json", false, t("cli.flag.json"))
	return c
}

func (q *queryFlags) query() (out evidence.Query, err error) {
	now := time.Now()
	out = evidence.Query{Container: q.container, Path: q.path, PID: q.pid}
	if out.Since, err = moment(q.since, now); err != nil {
		return out, err
	}
	if q.until != "" {
		if out.Until, err = moment(q.until, now); err != nil {
			return out, err
		}
	}
	for _, name := range q.kinds {
		var k sekisho.EventKind
		if err := k.UnmarshalText([]byte(name)); err != nil {
			return out, sekisho.Errorf(sekisho.Usage, "--kind: %w", err)
		}
		out.Kinds = append(out.Kinds, k)
	}
	return out, nil
}

// maxTreeEvents bounds what is held in memory to make a tree of.
const maxTreeEvents = 1_000_000

func (a *app) enforceQuery(f *enforcerFlags, q *queryFlags) error {
	s, err := a.enforceSettings(f)
	if err != nil {
		return err
	}
	query, err := q.query()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	var list []*sekisho.Event
	each := func(e *sekisho.Event) error {
		switch {
		case q.tree && len(list) >= maxTreeEvents:
			return sekisho.Errorf(sekisho.Usage, "more than %d events make no tree; choose fewer", maxTreeEvents)
		case q.tree:
			list = append(list, e)
		case q.json:
			return enc.Encode(e)
		default:
			_, err := fmt.Fprintln(a.Stdout, a.eventLine(e, true))
			return err
		}
		return nil
	}
	gone, err := evidence.Read(evidenceDir(s), query, each)
	if gone {
		a.note("enforce.query.gone")
	}
	if err != nil || !q.tree {
		return err
	}
	tree := evidence.Tree(list)
	if q.json {
		return enc.Encode(tree)
	}
	for _, n := range tree {
		a.printNode(n, 0)
	}
	return nil
}

// printNode prints a process, what it did, and those that it made.
func (a *app) printNode(n *evidence.Node, depth int) {
	if depth > 200 {
		return
	}
	indent := strings.Repeat("  ", depth)
	life := n.Started.UTC().Format("15:04:05.000")
	if !n.Ended.IsZero() {
		life += " +" + n.Ended.Sub(n.Started).Round(time.Millisecond).String()
	}
	mark := ""
	if enforce.Class(n.Origin) != "" {
		mark = " [" + a.texts.Text("enforce.origin."+n.Origin) + "]"
	}
	fmt.Fprintf(a.Stdout, "%s%s %d %s%s\n", indent, life, n.PID, printable(cmp.Or(strings.Join(n.Args, " "), n.Path, n.Name), 200), mark)
	for _, e := range n.Events {
		fmt.Fprintf(a.Stdout, "%s    %s\n", indent, a.eventLine(e, false))
	}
	for _, c := range n.Children {
		a.printNode(c, depth+1)
	}
}

// eventLine words an event for people.
func (a *app) eventLine(e *sekisho.Event, full bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), a.kindWord(e.Kind))
	if full && e.Container != nil {
		fmt.Fprintf(&b, " %s", topName(e.Container))
	}
	if p := e.Process; full && p != nil {
		fmt.Fprintf(&b, " %d %s", p.PID, printable(cmp.Or(strings.Join(p.Args, " "), p.Path, p.Name), 120))
	}
	if e.Path != "" && (e.Process == nil || e.Path != e.Process.Path || !full) {
		fmt.Fprintf(&b, " %s", printable(e.Path, 200))
	}
	if e.Other != "" {
		fmt.Fprintf(&b, " → %s", printable(e.Other, 200))
	}
	if n := e.Net; n != nil {
		to := cmp.Or(n.Unix, n.Name)
		if n.Remote.IsValid() {
			to = strings.TrimPrefix(to+" "+n.Remote.String(), " ")
		} else if n.Local.IsValid() {
			to = n.Local.String()
		}
		fmt.Fprintf(&b, " %s/%s", printable(to, 200), printable(n.Protocol, 10))
	}
	if enforce.Class(e.Origin) != "" {
		fmt.Fprintf(&b, " [%s]", a.texts.Text("enforce.origin."+e.Origin))
	}
	if e.Kind == sekisho.EventLost {
		fmt.Fprintf(&b, " %d", e.Number)
	}
	return b.String()
}

func (a *app) kindWord(k sekisho.EventKind) string {
	if key := "enforce.event." + k.String(); a.texts.Has(key) {
		return a.texts.Text(key)
	}
	return k.String()
}

func (a *app) enforceCasesCommand(f *enforcerFlags) *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{Use: "cases", Short: t("cli.enforce.cases"), Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var key string
	root.PersistentFlags().StringVar(&key, "key", "", t("cli.flag.case_key"))
	list := &cobra.Command{Use: "list", Short: t("cli.enforce.cases.list"), Args: usageArgs(cobra.NoArgs), RunE: func(*cobra.Command, []string) error { return a.casesList(f, key) }}
	show := &cobra.Command{Use: "show CASE [PART]", Short: t("cli.enforce.cases.show"), Args: usageArgs(cobra.RangeArgs(1, 2)), RunE: func(_ *cobra.Command, args []string) error { return a.caseShow(f, key, args) }}
	verify := &cobra.Command{Use: "verify [CASE…]", Short: t("cli.enforce.cases.verify"), Args: usageArgs(cobra.ArbitraryArgs), RunE: func(_ *cobra.Command, args []string) error { return a.casesVerify(f, key, args) }}
	root.AddCommand(list, show, verify)
	return root
}

// trusted reads the public key that cases must be sealed with.
func (a *app) trusted(f *enforcerFlags, name string) ([]ed25519.PublicKey, *settings.Settings, error) {
	s, err := a.enforceSettings(f)
	if err != nil {
		return nil, nil, err
	}
	name = cmp.Or(name, filepath.Join(s.State, "case.pub"))
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, sekisho.Errorf(sekisho.NotFound, "read the key of cases: %w", err).WithHint("--key FILE, the case.pub of the host that sealed them")
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, nil, sekisho.Errorf(sekisho.Usage, "read %s: no key in PEM", name)
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, nil, sekisho.Errorf(sekisho.Usage, "read %s: %w", name, err)
	}
	public, ok := k.(ed25519.PublicKey)
	if !ok {
		return nil, nil, sekisho.Errorf(sekisho.Usage, "read %s: no Ed25519 key", name)
	}
	return []ed25519.PublicKey{public}, s, nil
}

func caseFiles(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.case"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

func (a *app) casesList(f *enforcerFlags, key string) error {
	trusted, s, err := a.trusted(f, key)
	if err != nil {
		return err
	}
	names, err := caseFiles(casesDir(s))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	for _, name := range names {
		c, err := evidence.OpenCase(name, trusted, nil)
		if err != nil {
			fmt.Fprintf(w, "%s\t%s\n", filepath.Base(name), visible(err.Error()))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, c.Time.UTC().Format(time.RFC3339), topName(c.Container), printable(c.Reason, 120))
	}
	return w.Flush()
}

// casePath takes a case's id or its file.
func casePath(s *settings.Settings, name string) string {
	if strings.ContainsRune(name, '/') || strings.HasSuffix(name, ".case") {
		return name
	}
	return filepath.Join(casesDir(s), name+".case")
}

func (a *app) caseShow(f *enforcerFlags, key string, args []string) error {
	trusted, s, err := a.trusted(f, key)
	if err != nil {
		return err
	}
	found := len(args) == 1
	c, err := evidence.OpenCase(casePath(s, args[0]), trusted, func(name string, r io.Reader) error {
		if len(args) == 1 || name != args[1] {
			return nil
		}
		found = true
		_, err := io.Copy(a.Stdout, r)
		return err
	})
	if err != nil {
		return err
	}
	if !found {
		return sekisho.Errorf(sekisho.NotFound, "case %s has no part %s", c.ID, args[1])
	}
	if len(args) == 2 {
		return nil
	}
	return a.printCase(c)
}

func (a *app) printCase(c *evidence.Case) error {
	t := a.texts.Text
	fmt.Fprintln(a.Stdout, t("enforce.case.head", "id", c.ID, "host", visible(c.Host), "container", topName(c.Container), "time", c.Time.UTC().Format(time.RFC3339)))
	fmt.Fprintln(a.Stdout, visible(c.Reason))
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	for _, p := range c.Parts {
		cut := ""
		if !p.Whole {
			cut = t("enforce.case.cut")
		}
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\n", printable(p.Name, 200), p.Size, p.Digest, cut)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range c.Problems {
		fmt.Fprintln(a.Stdout, "  ! "+visible(p))
	}
	return nil
}

func (a *app) casesVerify(f *enforcerFlags, key string, args []string) error {
	trusted, s, err := a.trusted(f, key)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		if args, err = caseFiles(casesDir(s)); err != nil {
			return err
		}
	}
	bad := 0
	for _, name := range args {
		if _, err := evidence.OpenCase(casePath(s, name), trusted, nil); err != nil {
			bad++
			fmt.Fprintln(a.Stdout, visible(err.Error()))
			continue
		}
		fmt.Fprintln(a.Stdout, a.texts.Text("enforce.case.holds", "case", filepath.Base(name)))
	}
	gone, err := evidence.Verify(evidenceDir(s))
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		bad++
		fmt.Fprintln(a.Stdout, visible(err.Error()))
	case err == nil:
		fmt.Fprintln(a.Stdout, a.texts.Text("enforce.log.holds"))
		if gone {
			a.note("enforce.query.gone")
		}
	}
	if bad > 0 {
		return sekisho.Errorf(sekisho.Corrupt, "%d do not hold", bad)
	}
	return nil
}
