// Package ready holds the policies that come with the program, by name. They
// are files like everyone's own, and are read and tested in the same way.
package ready

import (
	"bytes"
	"embed"
	"path"
	"strings"

	"sekisho"
	"sekisho/policy/assurance"
)

//go:embed *.yaml
var files embed.FS

// Names lists the policies, the mildest first.
func Names() []string { return []string{"baseline", "production", "pci-dss"} }

// Has reports whether there is a policy of this name.
func Has(name string) bool { _, err := files.Open(name + ".yaml"); return err == nil }

// Source is the file of a policy.
func Source(name string) ([]byte, error) {
	data, err := files.ReadFile(name + ".yaml")
	if err != nil || path.Base(name) != name {
		return nil, sekisho.Errorf(sekisho.NotFound, "there is no policy %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return data, nil
}

// Open reads a policy.
func Open(name string) (*assurance.Policy, error) {
	data, err := Source(name)
	if err != nil {
		return nil, err
	}
	return assurance.Parse(bytes.NewReader(data), name)
}
