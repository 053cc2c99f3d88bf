package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"sekisho"
	"sekisho/internal/siphash"
	"sekisho/scan/content"
	"sekisho/scan/malware"
	"sekisho/scan/malware/clamd"
	"sekisho/scan/secret"
	"sekisho/scan/secret/rulefile"
)

// secretRulesName is the file of rules for secrets that is read when none is
// named.
const secretRulesName = "sekisho.secrets.yaml"

// contentFlags choose what looks inside files.
type contentFlags struct {
	secretRules []string
	signatures  []string
	clamd       string
	feeds       []sekisho.Feed // set when signatures are loaded
}

// content returns who looks inside files for what was asked for, nil when
// neither secrets nor malware were; and what masks the secrets in what is shown
// in any case.
func (a *app) content(ctx context.Context, f *scanFlags, key siphash.Key) (inside *content.Analyzer, mask func(string) string, err error) {
	kinds := f.looks()
	if len(kinds) == 0 {
		kinds = []string{sekisho.Secret, sekisho.Malware}
	}
	if f.onlyPackages {
		return nil, nil, nil // packages show no text of the image
	}
	if slices.Contains(kinds, sekisho.Secret) || slices.Contains(kinds, sekisho.Malware) {
		if inside, err = a.inside(ctx, &f.content, kinds, key); err != nil {
			return nil, nil, err
		}
	}
	if slices.Contains(kinds, sekisho.Secret) {
		return inside, inside.Mask, nil
	}
	masks, err := a.inside(ctx, &f.content, []string{sekisho.Secret}, key)
	if err != nil {
		return nil, nil, err
	}
	return inside, masks.Mask, nil
}

func (a *app) inside(ctx context.Context, f *contentFlags, kinds []string, key siphash.Key) (*content.Analyzer, error) {
	var secrets *secret.Engine
	if slices.Contains(kinds, sekisho.Secret) {
		var err error
		if secrets, err = a.secretEngine(f.secretRules, key); err != nil {
			return nil, err
		}
	}
	var viruses content.Malware
	if slices.Contains(kinds, sekisho.Malware) {
		m, err := a.malware(ctx, f)
		if err != nil {
			return nil, err
		}
		viruses = m
	}
	return content.New(secrets, viruses)
}

// malware loads the rules and signatures, and tells which do not count.
func (a *app) malware(ctx context.Context, f *contentFlags) (*malware.Engine, error) {
	var o malware.Options
	for _, dir := range f.signatures {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			return nil, sekisho.Errorf(sekisho.Usage, "--signatures %s: want a directory", dir)
		}
		o.Sources = append(o.Sources, malware.Source{Name: dir, FS: os.DirFS(dir)})
	}
	if f.clamd != "" {
		d, err := clamd.Dial(ctx, f.clamd)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.NotFound, "%w", err).WithHint("--clamd SOCKET or HOST:PORT of a running ClamAV daemon")
		}
		v, err := d.Version(ctx)
		if err != nil {
			return nil, err
		}
		o.Version = v
		o.Daemon = func(data []byte) ([]string, error) { return d.Scan(ctx, bytes.NewReader(data)) }
	}
	m, err := malware.New(o)
	if err != nil {
		return nil, err
	}
	f.feeds = m.Feeds()
	if list := m.Skipped(); len(list) > 0 {
		a.note("cli.note.skipped", "count", len(list), "first", list[0])
	}
	return m, nil
}

func (a *app) secretEngine(names []string, key siphash.Key) (*secret.Engine, error) {
	asked := len(names) > 0
	if !asked {
		names = []string{secretRulesName}
	}
	var configs []secret.Config
	for _, name := range names {
		data, err := readBounded(name, rulefile.MaxSize)
		if errors.Is(err, fs.ErrNotExist) && !asked {
			continue
		}
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Usage, "open rules for secrets: %w", err)
		}
		c, err := rulefile.Read(name, data)
		if err != nil {
			return nil, err
		}
		configs = append(configs, c)
	}
	return secret.New(key, configs...)
}

// readBounded reads a file; one byte more than the bound tells that it is
// larger.
func readBounded(name string, bound int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, bound+1))
}
