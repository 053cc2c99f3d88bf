package cli

import (
	"cmp"
	"crypto/ed25519"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/keyfile"
	"sekisho/scan/advisory/update"
)

// advisoryFlags are the flags of the commands about the advisory database.
type advisoryFlags struct {
	db, config string
	format     string
	quiet      bool

	from   string // of update
	all    bool
	again  bool
	enable []string
	jobs   int

	key      string // of export, push and key
	trust    []string
	force    bool
	insecure bool
	create   string
}

// advisoryCommand keeps the advisory database.
func (a *app) advisoryCommand() *cobra.Command {
	t := a.texts.Text
	f := &advisoryFlags{}
	root := &cobra.Command{Use: "advisory", Short: t("cli.advisory.short"), Long: t("cli.advisory.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	root.PersistentFlags().StringVar(&f.db, "db", "", t("cli.flag.db"))
	root.PersistentFlags().StringVar(&f.config, "config", "", t("cli.flag.advisory_config"))
	root.AddCommand(a.advisoryUpdate(f), a.advisoryStatus(f), a.advisoryShow(f), a.advisoryExport(f), a.advisoryImport(f), a.advisoryPush(f), a.advisoryPull(f), a.advisoryKey(f))
	for _, c := range root.Commands() {
		c.Long, c.Example = t("cli.advisory."+c.Name()+".long"), t("cli.advisory."+c.Name()+".examples")
		c.Short, c.DisableFlagsInUseLine = t("cli.advisory."+c.Name()+".short"), true
		c.Flags().SortFlags = false
	}
	return root
}

// updateMemory is how far the heap may grow while a database is built, in bytes.
const updateMemory = 600 << 20

// database is what the commands about the database begin with.
type database struct {
	dir    string
	config update.Config
	now    func() time.Time
}

func (a *app) database(f *advisoryFlags) (*database, error) {
	dir, err := a.databaseDir(f.db)
	if err != nil {
		return nil, err
	}
	config, err := update.ReadConfig(cmp.Or(f.config, filepath.Join(dir, update.ConfigName)), f.config != "")
	if err != nil {
		return nil, err
	}
	fixed, err := a.now()
	if err != nil {
		return nil, err
	}
	d := &database{dir, config, func() time.Time { return fixed }}
	if a.Getenv("SOURCE_DATE_EPOCH") == "" {
		d.now = func() time.Time { return time.Now().UTC() }
	}
	return d, nil
}

// store opens the database for writing and lets the heap grow.
func (a *app) store(d *database) (*advisory.Store, error) {
	if a.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(updateMemory)
	}
	return advisory.OpenStore(d.dir, nil)
}

// trusted reads the keys of --trust and of the configuration.
func (d *database) trusted(more []string) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for _, name := range append(append([]string(nil), d.config.Trusted...), more...) {
		data, err := readBounded(name, keyfile.MaxSize)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Usage, "open key: %w", err)
		}
		k, err := keyfile.Public(data, name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// signingKey reads the key of --key; none means the database's own.
func signingKey(name string) (ed25519.PrivateKey, error) {
	if name == "" {
		return nil, nil
	}
	data, err := readBounded(name, keyfile.MaxSize)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open key: %w", err)
	}
	return keyfile.Private(data, name)
}
