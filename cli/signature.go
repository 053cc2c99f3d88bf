package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/key"
	"sekisho/admit/signature/predicate"
	"sekisho/admit/signature/trust"
	"sekisho/image/oci"
	"sekisho/image/registry"
	"sekisho/policy/fact"
	"sekisho/report/format"
)

// signFlags are the flags of sign and attest.
type signFlags struct {
	key, platform string
	insecure      bool
	bundle        bool   // of sign
	kind          string // of attest
	predicate     string
	output        string // a file for the bundle, in the registry's place
	scan          scanFlags
}

func (a *app) signCommand() *cobra.Command {
	t := a.texts.Text
	f := &signFlags{}
	cmd := &cobra.Command{Use: "sign IMAGE", Short: t("signature.sign.short"), Long: t("signature.sign.long"), Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.sign(cmd.Context(), args[0], f) }}
	cmd.Flags().StringVar(&f.key, "key", "", t("signature.flag.private_key"))
	cmd.Flags().BoolVar(&f.bundle, "bundle", false, t("signature.flag.bundle_form"))
	cmd.Flags().StringVarP(&f.output, "output", "o", "", t("signature.flag.output"))
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, t("cli.flag.insecure"))
	return cmd
}

func (a *app) attestCommand() *cobra.Command {
	t := a.texts.Text
	f := &signFlags{}
	cmd := &cobra.Command{Use: "attest IMAGE", Short: t("signature.attest.short"), Long: t("signature.attest.long"), Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.attest(cmd.Context(), args[0], f) }}
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", t("signature.flag.private_key"))
	flags.StringVar(&f.kind, "type", "scan", t("signature.flag.type"))
	flags.StringVar(&f.predicate, "predicate", "", t("signature.flag.predicate"))
	flags.StringVarP(&f.output, "output", "o", "", t("signature.flag.output"))
	flags.StringVar(&f.platform, "platform", "", t("cli.flag.platform"))
	flags.BoolVar(&f.insecure, "insecure", false, t("cli.flag.insecure"))
	flags.StringVar(&f.scan.db, "db", "", t("cli.flag.db"))
	flags.StringArrayVar(&f.scan.content.signatures, "signatures", nil, t("cli.flag.signatures"))
	flags.BoolVar(&f.scan.noCache, "no-cache", false, t("cli.flag.no_cache"))
	flags.StringVar(&f.scan.cacheDir, "cache-dir", "", t("cli.flag.cache_dir"))
	return cmd
}

// keysCommand makes keys.
func (a *app) keysCommand() *cobra.Command {
	t := a.texts.Text
	var prefix string
	root := &cobra.Command{Use: "keys", Short: t("signature.keys.short"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	generate := &cobra.Command{Use: "generate", Short: t("signature.keys.generate"), Long: t("signature.keys.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return a.generateKeys(prefix) }}
	generate.Flags().StringVar(&prefix, "prefix", "sekisho", t("signature.flag.prefix"))
	root.AddCommand(generate)
	return root
}

func (a *app) generateKeys(prefix string) error {
	k, err := key.Generate(rand.Reader)
	if err != nil {
		return err
	}
	secret, err := a.password(true)
	if err != nil && !errors.Is(err, errNoPassword) {
		return err
	}
	private, err := k.PEM(rand.Reader, secret)
	if err != nil {
		return err
	}
	public, err := k.Public.PEM()
	if err != nil {
		return err
	}
	if err := writeNew(prefix+".key", 0o600, private); err != nil {
		return err
	}
	if err := writeNew(prefix+".pub", 0o644, public); err != nil {
		return err
	}
	if len(secret) == 0 {
		a.note("signature.keys.open", "file", prefix+".key")
	}
	_, err = fmt.Fprintf(a.Stdout, "%s.pub %s\n", prefix, k.Public.Fingerprint)
	return err
}

// writeNew writes a file that must not be there: keys are never overwritten.
func writeNew(name string, mode os.FileMode, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return sekisho.Errorf(sekisho.Usage, "write key: %w", err).WithHint("--prefix NAME chooses other files")
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

var errNoPassword = errors.New("no password: set SEKISHO_KEY_PASSWORD")

// password is that of a private key: SEKISHO_KEY_PASSWORD, COSIGN_PASSWORD, else
// what a terminal is asked for.
func (a *app) password(fresh bool) ([]byte, error) {
	for _, name := range []string{"SEKISHO_KEY_PASSWORD", "COSIGN_PASSWORD"} {
		if v := a.Getenv(name); v != "" {
			return []byte(v), nil
		}
	}
	if a.Stdin == nil || !term.IsTerminal(int(a.Stdin.Fd())) {
		return nil, sekisho.Errorf(sekisho.Usage, "%w", errNoPassword)
	}
	ask := func(key string) ([]byte, error) {
		fmt.Fprint(a.Stderr, a.texts.Text(key))
		defer fmt.Fprintln(a.Stderr)
		return term.ReadPassword(int(a.Stdin.Fd()))
	}
	first, err := ask("signature.password")
	if err != nil || !fresh {
		return first, err
	}
	again, err := ask("signature.password.again")
	if err == nil && !bytes.Equal(first, again) {
		return nil, sekisho.Errorf(sekisho.Usage, "the passwords differ")
	}
	return first, err
}

// readFile reads a file of the user's of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "%w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "%w", err)
	}
	if int64(len(data)) > limit {
		return nil, sekisho.Errorf(sekisho.Usage, "%s: more than %d bytes", name, limit)
	}
	return data, nil
}

func (a *app) signer(name string) (*signature.Signer, error) {
	if name == "" {
		return nil, sekisho.Errorf(sekisho.Usage, "--key is missing").WithHint("make one: sekisho keys generate")
	}
	data, err := readFile(name, key.MaxFile)
	if err != nil {
		return nil, err
	}
	k, err := key.ParsePrivate(data, func() ([]byte, error) { return a.password(false) })
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "%s: %w", name, err)
	}
	now, err := a.now()
	return &signature.Signer{Key: k, Random: rand.Reader, Now: now}, err
}

// at finds an image in a registry; the scheme may be left out.
func (a *app) at(ctx context.Context, ref string, insecure bool) (*registry.Repository, oci.Descriptor, []byte, error) {
	return registry.Resolve(ctx, strings.TrimPrefix(ref, "registry:"), registry.Options{Insecure: insecure})
}

func (a *app) sign(ctx context.Context, ref string, f *signFlags) error {
	s, err := a.signer(f.key)
	if err != nil {
		return err
	}
	if f.output != "" {
		return a.bundleFile(ctx, s, ref, envelope.SignType, json.RawMessage("{}"), f)
	}
	repo, image, _, err := a.at(ctx, ref, f.insecure)
	if err != nil {
		return err
	}
	do := s.Sign
	if f.bundle {
		do = s.SignBundle
	}
	if _, err := do(ctx, repo, image); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s@%s\n", repo.Name(), image.Digest)
	return err
}

func (a *app) attest(ctx context.Context, ref string, f *signFlags) error {
	if !slices.Contains([]string{"scan", "sbom", "vex", "slsa"}, f.kind) {
		return sekisho.Errorf(sekisho.Usage, "--type %s: want scan, sbom, vex or slsa", f.kind)
	}
	s, err := a.signer(f.key)
	if err != nil {
		return err
	}
	if f.output != "" && f.predicate != "" && f.kind != "scan" {
		predicateType, doc, err := readPredicate(f.kind, f.predicate)
		if err != nil {
			return err
		}
		return a.bundleFile(ctx, s, ref, predicateType, doc, f)
	}
	repo, image, raw, err := a.at(ctx, ref, f.insecure)
	if err != nil {
		return err
	}
	predicateType, doc := "", json.RawMessage(nil)
	switch {
	case f.predicate != "" && f.kind != "scan":
		predicateType, doc, err = readPredicate(f.kind, f.predicate)
	case f.kind == "scan" || f.kind == "sbom":
		if image, err = platformOf(image, raw, f.platform); err != nil {
			return err
		}
		predicateType, doc, err = a.scanned(ctx, repo, &image, f)
	default:
		return sekisho.Errorf(sekisho.Usage, "--predicate is missing: %s is not made here", f.kind)
	}
	if err != nil {
		return err
	}
	if f.output != "" {
		return a.bundleFile(ctx, s, repo.Name()+"@"+string(image.Digest), predicateType, doc, f)
	}
	at, err := s.Attest(ctx, repo, image, predicateType, doc, true)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s@%s %s %s\n", repo.Name(), image.Digest, predicateType, at)
	return err
}

// bundleFile signs an image wherever it lies, a layout or an archive too, and
// writes the bundle to a file, for verify --bundle.
func (a *app) bundleFile(ctx context.Context, s *signature.Signer, ref, predicateType string, doc json.RawMessage, f *signFlags) error {
	b, err := a.beside(ctx, ref, f.platform, f.insecure)
	if err != nil {
		return err
	}
	data, err := s.Bundle(b.name, b.subject.Digests[0], predicateType, doc)
	if err != nil {
		return err
	}
	if err := writeFile(f.output, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s@%s %s\n", b.name, b.subject.Digests[0], f.output)
	return err
}

func readPredicate(kind, name string) (string, json.RawMessage, error) {
	doc, err := readFile(name, 16<<20)
	if err != nil {
		return "", nil, err
	}
	t, err := predicate.Detect(kind, doc)
	return t, doc, err
}

// platformOf is the manifest of an index for a platform; what is no index stays.
func platformOf(d oci.Descriptor, raw []byte, platform string) (oci.Descriptor, error) {
	var want sekisho.Platform
	var err error
	if platform != "" {
		if want, err = sekisho.ParsePlatform(platform); err != nil {
			return d, err
		}
	}
	var doc oci.Document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return d, sekisho.Errorf(sekisho.Invalid, "manifest %s: %w", d.Digest, err)
	}
	if len(doc.Manifests) == 0 {
		return d, nil
	}
	child, err := oci.Pick(doc.Manifests, want)
	return oci.Descriptor{MediaType: child.MediaType, Digest: child.Digest, Size: child.Size}, err
}

// scanned scans the image, or reads the report of a scan, and makes a predicate
// of it.
func (a *app) scanned(ctx context.Context, repo *registry.Repository, image *oci.Descriptor, f *signFlags) (string, json.RawMessage, error) {
	report, err := a.predicateReport(ctx, repo.Name()+"@"+string(image.Digest), f)
	if err != nil {
		return "", nil, err
	}
	if report.Target.Digest != image.Digest {
		return "", nil, sekisho.Errorf(sekisho.Usage, "the report is of %s, the image is %s", cmp.Or(report.Target.Digest, "an image without digest"), image.Digest)
	}
	if f.kind == "sbom" {
		var out bytes.Buffer
		format.Describe(report, a.texts)
		format.Normalise(report)
		err := format.Write(&out, "cyclonedx", report, format.Options{Printer: a.texts})
		return predicate.CycloneDX, out.Bytes(), err
	}
	doc, err := predicate.Scan(report.Tool, fact.FromReport(report))
	return predicate.ScanV1, doc, err
}

// predicateReport reads the report that --predicate names, or scans.
func (a *app) predicateReport(ctx context.Context, ref string, f *signFlags) (*sekisho.Report, error) {
	if f.predicate != "" {
		data, err := readFile(f.predicate, 128<<20)
		if err != nil {
			return nil, err
		}
		var r sekisho.Report
		if err := json.Unmarshal(data, &r); err != nil || !strings.HasPrefix(r.Schema, "sekisho.scan/") {
			return nil, sekisho.Errorf(sekisho.Usage, "%s is no report of a scan in JSON", f.predicate).WithHint("sekisho scan --format json IMAGE")
		}
		return &r, nil
	}
	f.scan.source.insecure, f.scan.jobs, f.scan.cacheMiB, f.scan.quiet = f.insecure, 2, 1024, true
	f.scan.onlyPackages = f.kind == "sbom"
	return a.reportOf(ctx, "registry:"+ref, &f.scan)
}

// trustSet reads --trust and --key of those who verify.
func trustSet(file string, keys []string) (*trust.Set, error) {
	set := &trust.Set{}
	if file != "" {
		data, err := readFile(file, trust.MaxSize)
		if err != nil {
			return nil, err
		}
		if set, err = trust.Parse(data, file, readFile); err != nil {
			return nil, err
		}
	}
	more, err := trust.Keys("", keys, readFile)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "%w", err)
	}
	set.Keys = append(set.Keys, more...)
	if file == "" && len(keys) == 0 {
		return nil, sekisho.Errorf(sekisho.Usage, "nobody is trusted: want --key FILE or --trust FILE")
	}
	return set, nil
}
