package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"sekisho"
	"sekisho/internal/siphash"
	"sekisho/scan/content"
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
}

// content returns who looks inside files for what was asked for; nil when
// neither secrets nor malware were.
func (a *app) content(f *scanFlags, key siphash.Key) (*content.Analyzer, error) {
	kinds := f.kinds
	if len(kinds) == 0 {
		kinds = []string{sekisho.Secret, sekisho.Malware}
	}
	if f.onlyPackages || !slices.Contains(kinds, sekisho.Secret) && !slices.Contains(kinds, sekisho.Malware) {
		return nil, nil
	}
	return a.inside(&f.content, kinds, key)
}

func (a *app) inside(f *contentFlags, kinds []string, key siphash.Key) (*content.Analyzer, error) {
	var secrets *secret.Engine
	if slices.Contains(kinds, sekisho.Secret) {
		var err error
		if secrets, err = a.secretEngine(f.secretRules, key); err != nil {
			return nil, err
		}
	}
	return content.New(secrets, nil)
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
