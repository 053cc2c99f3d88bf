package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/predicate"
	"sekisho/admit/signature/vuln"
	"sekisho/image/archive"
	"sekisho/image/layout"
	"sekisho/image/oci"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	trust, platform, format string
	keys, bundles           []string
	kind                    string
	insecure                bool
}

func (a *app) verifyCommand() *cobra.Command {
	t := a.texts.Text
	f := &verifyFlags{}
	cmd := &cobra.Command{Use: "verify IMAGE", Short: t("signature.verify.short"), Long: t("signature.verify.long"), Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), args[0], f) }}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.keys, "key", nil, t("signature.flag.public_key"))
	flags.StringVar(&f.trust, "trust", "", t("signature.flag.trust"))
	flags.StringArrayVar(&f.bundles, "bundle", nil, t("signature.flag.bundle"))
	flags.StringVar(&f.kind, "type", "", t("signature.flag.verify_type"))
	flags.StringVar(&f.platform, "platform", "", t("cli.flag.platform"))
	flags.StringVar(&f.format, "format", "table", t("signature.flag.format"))
	flags.BoolVar(&f.insecure, "insecure", false, t("cli.flag.insecure"))
	return cmd
}

// beside is an image and what lies beside it.
type beside struct {
	name    string
	source  signature.Source // nil for an archive
	subject signature.Subject
}

// beside opens what a reference names: in a registry, a layout or an archive.
// With a platform its manifest is meant, and a signature over the index counts
// too; without, only what is over the reference's own digest.
func (a *app) beside(ctx context.Context, ref, platform string, insecure bool) (*beside, error) {
	b := &beside{name: strings.TrimPrefix(ref, "registry:")}
	var top oci.Descriptor
	var raw []byte
	if path, ok := strings.CutPrefix(ref, "archive:"); ok {
		var want sekisho.Platform
		var err error
		if platform != "" {
			if want, err = sekisho.ParsePlatform(platform); err != nil {
				return nil, err
			}
		}
		img, err := archive.Open(ctx, path, archive.Options{Platform: want})
		if err != nil {
			return nil, err
		}
		defer img.Close()
		if img.Digest == "" {
			return nil, sekisho.Errorf(sekisho.Invalid, "%s keeps no manifest, so that nothing signed can be held against it", path).WithHint("use an OCI layout: skopeo copy docker-archive:%s oci:DIR", path)
		}
		b.name, b.subject.Digests = path, []sekisho.Digest{img.Digest}
		return b, nil
	}
	if path, ok := strings.CutPrefix(ref, "oci:"); ok {
		path, tag := splitLayout(path)
		l, err := layout.OpenBeside(path)
		if err != nil {
			return nil, err
		}
		if top, raw, err = l.Root(ctx, tag); err != nil {
			return nil, err
		}
		b.name, b.source = path, l
	} else {
		repo, d, manifest, err := a.at(ctx, ref, insecure)
		if err != nil {
			return nil, err
		}
		top, raw = d, manifest
		b.name, b.source, b.subject.Repository = repo.Name(), repo, repo.Name()
	}
	b.subject.Digests, b.subject.Manifests = []sekisho.Digest{top.Digest}, [][]byte{raw}
	return b, b.choose(ctx, top, raw, platform)
}

// maxNesting bounds indexes of indexes.
const maxNesting = 4

// choose puts the manifest of a platform before the indexes that lead to it.
func (b *beside) choose(ctx context.Context, at oci.Descriptor, raw []byte, platform string) error {
	if platform == "" {
		return nil
	}
	for range maxNesting {
		d, err := platformOf(at, raw, platform)
		if err != nil || d.Digest == at.Digest {
			return err
		}
		if raw, _, err = b.source.Manifest(ctx, string(d.Digest)); err != nil {
			return err
		}
		b.subject.Digests = append([]sekisho.Digest{d.Digest}, b.subject.Digests...)
		b.subject.Manifests = append([][]byte{raw}, b.subject.Manifests...)
		at = d
	}
	return sekisho.Errorf(sekisho.Invalid, "indexes nest more than %d deep", maxNesting)
}

// found verifies what lies beside the image and in files.
func (b *beside) found(ctx context.Context, t *signature.Trust, files []string, now time.Time) (*signature.Result, error) {
	var list []signature.File
	for _, name := range files {
		data, err := readFile(name, envelope.Max)
		if err != nil {
			return nil, err
		}
		list = append(list, signature.File{Name: name, Data: data})
	}
	r, err := signature.VerifyFiles(ctx, list, b.subject, t, now)
	if err != nil || b.source == nil {
		return r, err
	}
	lying, err := signature.Verify(ctx, b.source, b.subject, t, now)
	if err != nil {
		return nil, err
	}
	lying.Add(r)
	return lying, nil
}

func (a *app) verify(ctx context.Context, ref string, f *verifyFlags) error {
	if f.format != "table" && f.format != "json" {
		return sekisho.Errorf(sekisho.Usage, "--format %s: want table or json", f.format)
	}
	set, err := trustSet(f.trust, f.keys)
	if err != nil {
		return err
	}
	now, err := a.now()
	if err != nil {
		return err
	}
	b, err := a.beside(ctx, ref, f.platform, f.insecure)
	if err != nil {
		return err
	}
	r, err := b.found(ctx, &set.Trust, f.bundles, now)
	if err != nil {
		return err
	}
	if f.format == "json" {
		err = encodeJSON(a.Stdout, struct {
			Schema string `json:"schema"`
			Image  string `json:"image"`
			*signature.Result
		}{"sekisho.verify/v1", b.name, r})
	} else {
		err = a.showVerified(b.name, r)
	}
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(r.Verified, func(v signature.Verified) bool { return f.kind == "" || kindOf(&v) == f.kind }) {
		return sekisho.Errorf(sekisho.Denied, "%s", a.texts.Text("signature.verify.none", "image", b.name+"@"+string(r.Digest), "kind", cmp.Or(f.kind, a.texts.Text("signature.verify.any"))))
	}
	return nil
}

func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// kindOf is the short word for what was signed.
func kindOf(v *signature.Verified) string {
	if v.Predicate == "" {
		return "signature"
	}
	return cmp.Or(predicate.Kind(v.Predicate), v.Predicate)
}

func predicateOf(v *signature.Verified) []byte {
	if v.Statement == nil {
		return nil
	}
	return v.Statement.Predicate
}

func (a *app) showVerified(name string, r *signature.Result) error {
	t := a.texts.Text
	var out strings.Builder
	fmt.Fprintf(&out, "%s@%s\n", name, r.Digest)
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	for i := range r.Verified {
		v := &r.Verified[i]
		who := v.Key
		if v.Identity != "" {
			who = fmt.Sprintf("%s (%s)", v.Identity, v.Issuer)
		}
		if !v.Time.IsZero() {
			who += " " + v.Time.Format(time.RFC3339)
		}
		if v.Subject != r.Digest {
			who += " " + t("signature.verify.index")
		}
		if v.Revocation != "" {
			who += " " + t("signature.verify.revocation."+v.Revocation)
		}
		if found, err := vuln.Read(predicateOf(v)); err == nil && kindOf(v) == "vuln" {
			who += " " + t("signature.verify.scanned", "scanner", found.URI, "time", found.Time.Format(time.RFC3339), "count", len(found.Findings))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t("signature.verify.ok"), kindOf(v), v.Form, oneLine(who))
		for _, failed := range v.Logged {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t("signature.verify.logged"), kindOf(v), v.Form, oneLine(failed))
		}
	}
	for _, x := range r.Refused {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t("signature.verify.refused"), cmp.Or(x.Form, "-"), short(x.Where), oneLine(x.Reason))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(a.Stdout, visible(out.String()))
	return err
}

// short cuts a digest to what tells it from others.
func short(where string) string {
	if len(where) > 24 {
		return where[:19] + "…" + where[strings.LastIndexByte(where, '#')+1:]
	}
	return where
}
