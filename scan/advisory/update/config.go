package update

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"sekisho"
)

// ConfigName is the configuration's name in the database's directory.
const ConfigName = "advisory.yaml"

// maxConfig bounds the file in bytes.
const maxConfig = 1 << 20

// Config is advisory.yaml. The zero value works.
type Config struct {
	From    string          `yaml:"from"`    // mirror of all feeds: a URL or a directory
	Proxy   Proxy           `yaml:"proxy"`   // in place of the environment's
	CA      string          `yaml:"ca"`      // file of certificates, PEM
	Trusted []string        `yaml:"trusted"` // files of public keys, PEM, whose databases are taken
	MaxAge  Age             `yaml:"max_age"` // from when on a feed is called old
	Feeds   map[string]Feed `yaml:"feeds"`
}

// Proxy are the proxies to use.
type Proxy struct {
	HTTP  string `yaml:"http"`
	HTTPS string `yaml:"https"`
	No    string `yaml:"no"`
}

// Feed is what the configuration says about one feed.
type Feed struct {
	URL     string   `yaml:"url"`     // in place of the feed's own
	Enabled *bool    `yaml:"enabled"` // nil: unless its licence restricts it
	Want    []string `yaml:"want"`    // ecosystems, with or without releases
}

// Age is a duration that may be written in days: 3d.
type Age struct{ time.Duration }

// UnmarshalYAML reads an age.
func (a *Age) UnmarshalYAML(text []byte) error {
	word := strings.Trim(strings.TrimSpace(string(text)), `"'`)
	if days, ok := strings.CutSuffix(word, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("max_age: %q is no number of days, as 3d", word)
		}
		a.Duration = time.Duration(n) * 24 * time.Hour
		return nil
	}
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 {
		return fmt.Errorf("max_age: %q is no duration, as 3d or 36h", word)
	}
	a.Duration = d
	return nil
}

// ReadConfig reads a configuration. One that is not there is empty, unless it
// was asked for by name. Files that it names are relative to its directory.
func ReadConfig(name string, asked bool) (Config, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, sekisho.Errorf(sekisho.Usage, "open configuration: %w", err)
	}
	defer f.Close()
	c, err := parseConfig(f, name)
	if err != nil {
		return Config{}, err
	}
	dir := filepath.Dir(name)
	c.CA = beside(dir, c.CA)
	if !strings.Contains(c.From, "://") {
		c.From = beside(dir, c.From)
	}
	for i, t := range c.Trusted {
		c.Trusted[i] = beside(dir, t)
	}
	return c, nil
}

func beside(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

func parseConfig(r io.Reader, name string) (Config, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxConfig {
		return Config{}, sekisho.Errorf(sekisho.Usage, "%s: more than %d bytes", name, maxConfig)
	}
	var c Config
	err = yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&c)
	if err != nil && !errors.Is(err, io.EOF) {
		return Config{}, sekisho.Errorf(sekisho.Usage, "%s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return c, c.check(name)
}

func (c Config) check(name string) error {
	for feed, f := range c.Feeds {
		u, err := url.Parse(f.URL)
		if err != nil || f.URL != "" && (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "file") {
			return sekisho.Errorf(sekisho.Usage, "%s: feeds.%s.url: want a URL with http, https or file", name, feed)
		}
		if slices.Contains(f.Want, "") {
			return sekisho.Errorf(sekisho.Usage, "%s: feeds.%s.want: an empty name", name, feed)
		}
	}
	return nil
}
