package cli

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"sekisho"
	"sekisho/scan"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/redhat"
	"sekisho/scan/advisory/update"
	"sekisho/scan/match"
	"sekisho/scan/symbol"
)

// enriching are the feeds about CVEs that complete what others say, best first.
var enriching = []string{"nvd", "vulnrichment", "jvn"}

// old is from when on a database is said to be old.
const old = 7 * 24 * time.Hour

// databaseDir is where the advisory database is: --db, SEKISHO_DB_DIR, else
// below the user's data directory (XDG Base Directory Specification).
func (a *app) databaseDir(flag string) (string, error) {
	dir := cmp.Or(flag, a.Getenv("SEKISHO_DB_DIR"))
	if dir != "" {
		return dir, nil
	}
	base := a.Getenv("XDG_DATA_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", sekisho.Errorf(sekisho.Usage, "no place for the advisory database: %w", err).WithHint("--db DIR, or SEKISHO_DB_DIR")
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "sekisho", "advisory"), nil
}

// vulnerabilities adds the report's vulnerabilities. Without a database it says
// what is missing, and the rest of the report stands.
func (a *app) vulnerabilities(r *sekisho.Report, f *scanFlags) error {
	if f.onlyPackages || len(r.Packages) == 0 || len(f.looks()) > 0 && !slices.Contains(f.looks(), sekisho.Vulnerability) {
		return nil
	}
	dir, err := a.databaseDir(f.db)
	if err != nil {
		return err
	}
	db, err := advisory.Open(dir)
	if sekisho.KindOf(err) == sekisho.NotFound && f.db == "" {
		r.Coverage = match.Uncovered(r)
		return nil
	}
	if err != nil {
		return err
	}
	defer db.Close()
	repositories, err := entitled(db, r.Target.Repositories)
	if err != nil {
		return err
	}
	if err := match.Match(known{db}, r, match.Options{Enrich: enriching, Repositories: repositories, Programs: f.programs.find, Fingerprint: scan.Fingerprint}); err != nil {
		return err
	}
	a.feeds(r, db)
	return a.met(dir, r)
}

// entitled adds to the repositories of a target the CPEs that Red Hat's
// statements name them by.
func entitled(db *advisory.DB, repositories []string) ([]string, error) {
	list := slices.Clone(repositories)
	for _, name := range repositories {
		d, _, err := db.Detail("redhat", "Red Hat", redhat.Repository(name))
		if err != nil {
			return nil, err
		}
		list = append(list, d.CPEs...)
	}
	return list, nil
}

// feeds lists the feeds that judged, and warns when the answer of any is old.
func (a *app) feeds(r *sekisho.Report, db *advisory.DB) {
	var oldest time.Time
	for _, f := range db.Feeds() {
		if f.Checked.IsZero() {
			continue // it was asked for and never came: nothing of it judged
		}
		r.Feeds = append(r.Feeds, sekisho.Feed{Name: f.Name, Kind: sekisho.FeedAdvisories, Records: f.Records + f.Details + f.Signals, Newest: f.Newest, Checked: f.Checked})
		if oldest.IsZero() || f.Checked.Before(oldest) {
			oldest = f.Checked
		}
	}
	if days := int(r.Generated.Sub(oldest).Hours() / 24); !oldest.IsZero() && r.Generated.Sub(oldest) > old {
		a.note("cli.note.old_database", "days", days)
	}
}

// met remembers which ecosystems scans meet, for the next update. A database
// that others keep may be read-only: then there is nothing to remember.
func (a *app) met(dir string, r *sekisho.Report) error {
	var list []string
	for _, c := range r.Coverage {
		list = append(list, c.Ecosystem)
	}
	if err := update.Met(dir, list); err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return err
	}
	return nil
}

// known lets the matcher ask the database.
type known struct{ *advisory.DB }

// Find asks for all names of an ecosystem at once.
func (k known) Find(ecosystem string, names []string, each func(int, string, *advisory.Record)) error {
	return k.FindAll(ecosystem, names, func(i int, f advisory.Found) { each(i, f.Feed, &f.Record) })
}

// Feeds names those that know the ecosystem.
func (k known) Feeds(ecosystem string) (names []string) {
	for _, s := range k.Covers(ecosystem) {
		if !slices.Contains(names, s.Feed) {
			names = append(names, s.Feed)
		}
	}
	return names
}

// Signal joins what is known of a CVE's exploitation.
func (k known) Signal(cve string) (advisory.Signal, error) {
	epss, err := k.EPSS(cve)
	if err != nil {
		return advisory.Signal{}, err
	}
	kev, err := k.KEV(cve)
	return advisory.Signal{CVE: cve, EPSS: epss, KEV: kev}, err
}

// programs are the functions of the Go programs of a scan, by path.
type programs map[string]symbol.Set

func (p programs) find(path string) (match.Functions, bool) {
	s, ok := p[path]
	return s, ok && s.Complete()
}
