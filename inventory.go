package sekisho

// How a package is known to be there.
const (
	Installed = "installed" // a package manager's database or an unpacked package
	Declared  = "declared"  // a lock file or manifest names it
	Embedded  = "embedded"  // compiled or packed into another file
)

// Package is one piece of software found in a target.
type Package struct {
	Name    string `json:"name"`    // as its ecosystem writes it; with group or scope: "group:artifact", "@scope/name"
	Version string `json:"version"` // whole, with epoch and release where the ecosystem has them
	Type    string `json:"type"`    // the PURL type: deb, apk, rpm, npm, pypi, gem, golang, maven …
	PURL    string `json:"purl"`
	Arch    string `json:"arch,omitempty"`
	Source  Source `json:"source,omitzero"`
	Licence string `json:"licence,omitempty"` // SPDX expression; LicenseRef-… where SPDX has no name
	Vendor  string `json:"vendor,omitempty"`
	Found   string `json:"found"`            // Installed, Declared, Embedded
	Dev     bool   `json:"dev,omitempty"`    // needed for development only
	Module  string `json:"module,omitempty"` // rpm modularity label

	Layer     Digest   `json:"layer,omitempty"`   // diff id of the layer that brought it
	Locations []string `json:"locations"`         // paths without a leading slash; "a.jar!/b.jar" inside archives
	Owner     string   `json:"owner,omitempty"`   // the OS package that owns the file, as "deb:openssl"
	Changed   bool     `json:"changed,omitempty"` // brought by a container's own writable layer
	NoCode    bool     `json:"no_code,omitempty"` // none of its files can be run, loaded or compiled: texts, data, headers
}

// Source is the source package that a binary package was built from.
type Source struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}
