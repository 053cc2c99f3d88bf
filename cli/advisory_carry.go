package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/image/registry"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/bundle"
	"sekisho/scan/advisory/keyfile"
)

// Media types of a database in a registry.
const (
	databaseType = "application/vnd.sekisho.advisory.v1"
	manifestType = "application/vnd.sekisho.advisory.manifest.v1"
	segmentType  = "application/vnd.sekisho.advisory.segment.v1"
)

func (a *app) advisoryExport(f *advisoryFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "export FILE", Args: usageArgs(cobra.ExactArgs(1)), RunE: func(_ *cobra.Command, args []string) error {
		return a.pack(f, func(d *database, p *advisory.Parcel) error {
			write := func(w io.Writer) error { return bundle.Write(w, p, d.now()) }
			if args[0] != "-" {
				return writeFile(args[0], write)
			}
			w := bufio.NewWriter(a.Stdout)
			return errors.Join(write(w), w.Flush())
		})
	}}
	cmd.Flags().StringVar(&f.key, "key", "", a.texts.Text("cli.flag.advisory_key"))
	return cmd
}

func (a *app) advisoryPush(f *advisoryFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "push REF", Args: usageArgs(cobra.ExactArgs(1)), RunE: func(cmd *cobra.Command, args []string) error {
		return a.pack(f, func(_ *database, p *advisory.Parcel) error { return a.pushDatabase(cmd.Context(), f, args[0], p) })
	}}
	cmd.Flags().StringVar(&f.key, "key", "", a.texts.Text("cli.flag.advisory_key"))
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, a.texts.Text("cli.flag.insecure"))
	return cmd
}

// pack lets send take a parcel of the database away.
func (a *app) pack(f *advisoryFlags, send func(*database, *advisory.Parcel) error) error {
	key, err := signingKey(f.key)
	if err != nil {
		return err
	}
	d, err := a.database(f)
	if err != nil {
		return err
	}
	db, err := advisory.Open(d.dir) // a store would make one
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	store, err := a.store(d)
	if err != nil {
		return err
	}
	defer store.Close()
	p, err := store.Pack(key)
	if err != nil {
		return err
	}
	if err := send(d, p); err != nil {
		return err
	}
	if len(p.Left) > 0 {
		a.note("cli.advisory.left", "feeds", strings.Join(p.Left, ", "))
	}
	return nil
}

func (a *app) pushDatabase(ctx context.Context, f *advisoryFlags, ref string, p *advisory.Parcel) error {
	x := registry.Artifact{Type: databaseType, ConfigType: manifestType, Config: p.Manifest}
	for _, s := range p.Segments {
		x.Blobs = append(x.Blobs, registry.Blob{MediaType: segmentType, Digest: sekisho.Digest("sha256:" + s.SHA256), Size: s.Size, Title: s.File(),
			Open: func() (io.ReadCloser, error) { return p.Open(s) }})
	}
	digest, err := registry.Push(ctx, strings.TrimPrefix(ref, "registry:"), x, registry.Options{Insecure: f.insecure})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Stdout, digest)
	return err
}

func (a *app) advisoryImport(f *advisoryFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "import FILE", Args: usageArgs(cobra.ExactArgs(1)), RunE: func(_ *cobra.Command, args []string) error {
		in, err := a.input(args[0], "bundle")
		if err != nil {
			return err
		}
		defer in.Close()
		r, err := bundle.NewReader(bufio.NewReaderSize(in, 1<<20))
		if err != nil {
			return err
		}
		defer r.Close()
		return a.unpack(f, advisory.Incoming{Manifest: r.Manifest, Open: r.Open})
	}}
	a.takeFlags(cmd, f)
	return cmd
}

func (a *app) advisoryPull(f *advisoryFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "pull REF", Args: usageArgs(cobra.ExactArgs(1)), RunE: func(cmd *cobra.Command, args []string) error {
		x, _, err := registry.Pull(cmd.Context(), strings.TrimPrefix(args[0], "registry:"), databaseType, registry.Options{Insecure: f.insecure})
		if err != nil {
			return err
		}
		return a.unpack(f, advisory.Incoming{Manifest: x.Config, Open: opener(x)})
	}}
	a.takeFlags(cmd, f)
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, a.texts.Text("cli.flag.insecure"))
	return cmd
}

func (a *app) takeFlags(cmd *cobra.Command, f *advisoryFlags) {
	cmd.Flags().StringArrayVar(&f.trust, "trust", nil, a.texts.Text("cli.flag.advisory_trust"))
	cmd.Flags().BoolVar(&f.force, "force", false, a.texts.Text("cli.flag.advisory_force"))
}

// opener opens segments of an artifact.
func opener(x *registry.Artifact) func(advisory.SegmentInfo) (io.ReadCloser, error) {
	blobs := map[string]registry.Blob{}
	for _, b := range x.Blobs {
		blobs[string(b.Digest)] = b
	}
	return func(s advisory.SegmentInfo) (io.ReadCloser, error) {
		b, ok := blobs["sha256:"+s.SHA256]
		if !ok {
			return nil, sekisho.Errorf(sekisho.Corrupt, "the artifact lacks %s", s.File())
		}
		return b.Open()
	}
}

// unpack takes over what came and says what became of it.
func (a *app) unpack(f *advisoryFlags, in advisory.Incoming) error {
	d, err := a.database(f)
	if err != nil {
		return err
	}
	if in.Trusted, err = d.trusted(f.trust); err != nil {
		return err
	}
	in.Force, in.Now = f.force, d.now()
	store, err := a.store(d)
	if err != nil {
		return err
	}
	defer store.Close()
	u, err := store.Unpack(in)
	if sekisho.KindOf(err) == sekisho.Forbidden {
		return sekisho.Errorf(sekisho.Forbidden, "%w", err).WithHint("%s", a.texts.Text("cli.advisory.trust"))
	}
	if err != nil {
		return err
	}
	for _, t := range u.Feeds {
		key := "cli.advisory.taken"
		if !t.Taken {
			key = "cli.advisory.kept"
		}
		fmt.Fprintln(a.Stdout, a.texts.Text(key, "feed", visible(t.Feed), "date", t.Checked.Format(time.DateOnly), "here", date(t.Here)))
	}
	_, err = fmt.Fprintln(a.Stdout, a.texts.Text("cli.advisory.came", "files", u.Segments, "bytes", mebibytes(u.Bytes), "known", u.Known, "key", keyfile.Name(u.Signer)))
	return err
}
