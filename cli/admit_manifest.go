package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit/webhook/manifest"
	"sekisho/admit/webhook/native"
	"sekisho/policy/ready"
)

// manifestFlags are the flags of admit manifest.
type manifestFlags struct {
	manifest.Options
	native []string
	ca     string
}

func (a *app) admitManifestCommand(shared *admitFlags) *cobra.Command {
	t := a.texts.Text
	f := &manifestFlags{}
	cmd := &cobra.Command{Use: "manifest", Short: t("cli.admit.manifest.short"), Long: t("cli.admit.manifest.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.URL != "" && !cmd.Flags().Changed("namespace") {
				f.Namespace = "" // outside the cluster nothing needs to be exempt
			}
			return a.admitManifest(shared, f)
		}}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&f.native, "native", nil, t("cli.flag.native"))
	flags.StringVar(&f.Namespace, "namespace", "sekisho", t("cli.flag.install_namespace"))
	flags.StringVar(&f.Image, "image", "sekisho:latest", t("cli.flag.install_image"))
	flags.IntVar(&f.Replicas, "replicas", 2, t("cli.flag.install_replicas"))
	flags.StringVar(&f.Failure, "failure", "fail", t("cli.flag.install_failure"))
	flags.StringArrayVar(&f.Open, "open", []string{"kube-system"}, t("cli.flag.install_open"))
	flags.StringArrayVar(&f.Exempt, "exempt", nil, t("cli.flag.install_exempt"))
	flags.StringVar(&f.Storage, "storage", "", t("cli.flag.install_storage"))
	flags.StringVar(&f.StorageClass, "storage-class", "", t("cli.flag.install_storage_class"))
	flags.StringVar(&f.URL, "url", "", t("cli.flag.install_url"))
	flags.StringVar(&f.ca, "ca", "", t("cli.flag.install_ca"))
	return cmd
}

func (a *app) admitManifest(shared *admitFlags, f *manifestFlags) error {
	if len(f.native) > 0 {
		return a.admitNative(f)
	}
	o := f.Options
	o.Files = map[string]string{}
	policies := shared.policies
	if len(policies) == 0 {
		policies = []string{"baseline"}
	}
	for _, name := range policies {
		data, own, err := policySource(name)
		if err != nil {
			return err
		}
		if own {
			name = filepath.Base(name)
			o.Files[name] = string(data)
		}
		o.Policies = append(o.Policies, name)
	}
	if f.ca != "" {
		var err error
		if o.CA, err = os.ReadFile(f.ca); err != nil {
			return sekisho.Errorf(sekisho.Usage, "--ca: %w", err)
		}
	}
	return manifest.Write(a.Stdout, o)
}

// policySource is the text of a policy that parses; own says that it is a file
// of the user.
func policySource(name string) (data []byte, own bool, err error) {
	if _, err := openPolicy(name); err != nil {
		return nil, false, err
	}
	if data, err := os.ReadFile(name); err == nil {
		return data, true, nil
	}
	data, err = ready.Source(name)
	return data, false, err
}

// exempt are the namespaces that native policies do not hold in.
func exempt(f *manifestFlags) (out []string) {
	for _, n := range append(append([]string{f.Namespace}, f.Exempt...), f.Open...) {
		if n != "" {
			out = append(out, n)
		}
	}
	return out
}

// admitNative writes policies as objects of Kubernetes, as JSON documents,
// which are YAML too. What is left out is told on standard error.
func (a *app) admitNative(f *manifestFlags) error {
	wrote := false
	for _, name := range f.native {
		data, _, err := policySource(name)
		if err != nil {
			return err
		}
		p, b, left, err := native.Export(data, native.Options{Exempt: exempt(f)})
		if err != nil {
			return usage(err)
		}
		for _, l := range left {
			a.note("cli.native.left_out", "policy", name, "what", l.What, "why", l.Why)
		}
		if p == nil {
			continue
		}
		for _, object := range []any{p, b} {
			text, err := json.MarshalIndent(object, "", "  ")
			if err != nil {
				return err
			}
			if wrote {
				fmt.Fprintln(a.Stdout, "---")
			}
			fmt.Fprintf(a.Stdout, "%s\n", text)
			wrote = true
		}
	}
	if !wrote {
		return sekisho.Errorf(sekisho.Usage, "nothing of these policies can be judged by the API server itself")
	}
	return nil
}
