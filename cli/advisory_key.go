package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/keyfile"
)

func (a *app) advisoryKey(f *advisoryFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Args: usageArgs(cobra.NoArgs), RunE: func(*cobra.Command, []string) error { return a.showKey(f) }}
	cmd.Flags().StringVar(&f.key, "key", "", a.texts.Text("cli.flag.advisory_key"))
	cmd.Flags().StringVar(&f.create, "new", "", a.texts.Text("cli.flag.advisory_new_key"))
	return cmd
}

// showKey prints the public key with which databases are signed.
func (a *app) showKey(f *advisoryFlags) error {
	key, err := signingKey(f.key)
	switch {
	case err != nil:
		return err
	case f.create != "" && f.key != "":
		return sekisho.Errorf(sekisho.Usage, "--key and --new are one too many")
	case f.create != "":
		key, err = newKey(f.create)
	case key == nil:
		var dir string
		if dir, err = a.databaseDir(f.db); err == nil {
			key, err = advisory.Key(dir)
		}
	}
	if err != nil {
		return err
	}
	text, err := keyfile.EncodePublic(key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	a.note("cli.advisory.key", "name", keyfile.Name(key.Public().(ed25519.PublicKey)))
	_, err = a.Stdout.Write(text)
	return err
}

// newKey makes a private key's file, which must not be there yet.
func newKey(name string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	text, err := keyfile.EncodePrivate(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "make key: %w", err)
	}
	_, err = f.Write(text)
	return key, errors.Join(err, f.Close())
}
