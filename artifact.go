package sekisho

import (
	"fmt"
	"strings"
)

// Digest names content by algorithm and hash, as in the OCI image
// specification (descriptor.md, "Digests"): "sha256:" and 64 hex digits.
type Digest string

// Validate reports whether d is a well-formed sha256 or sha512 digest.
func (d Digest) Validate() error {
	algorithm, hex, ok := strings.Cut(string(d), ":")
	want := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	if !ok || want == 0 || len(hex) != want {
		return Errorf(Invalid, "digest %q: want sha256: and 64 hexadecimal digits", string(d))
	}
	for _, c := range hex {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Errorf(Invalid, "digest %q: %q is not a lower-case hexadecimal digit", string(d), c)
		}
	}
	return nil
}

// Hex returns the part behind the algorithm.
func (d Digest) Hex() string {
	_, hex, _ := strings.Cut(string(d), ":")
	return hex
}

// Platform is what an image was built for, in the words of the OCI image
// index: os, architecture and variant, each in Go's spelling.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// String writes the platform as os/architecture[/variant].
func (p Platform) String() string {
	if p == (Platform{}) {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// ParsePlatform reads os/architecture[/variant].
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return Platform{}, Errorf(Usage, "platform %q: want os/architecture or os/architecture/variant, as linux/arm64", s)
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// Matches reports whether an image for p serves a request for want. A request
// without a variant accepts any.
func (p Platform) Matches(want Platform) bool {
	return p.OS == want.OS && p.Architecture == want.Architecture && (want.Variant == "" || p.Variant == want.Variant)
}

// OS is the distribution found in a file system, from os-release(5).
type OS struct {
	ID             string      `json:"id"`
	Version        string      `json:"version"`
	Name           string      `json:"name"`
	IDLike         []string    `json:"id_like,omitempty"`
	Codename       string      `json:"codename,omitempty"`
	SupportedUntil string      `json:"supported_until,omitempty"`
	Extended       []Programme `json:"extended,omitempty"` // paid support beyond that, the shorter first
}

// Programme is a vendor's paid support of a release beyond the free one.
type Programme struct {
	Name  string `json:"name"`  // the vendor's
	Until string `json:"until"` // the day on which it ends, 2006-01-02
}

// Target is what was scanned.
type Target struct {
	Kind         string     `json:"kind"` // image, container, directory, sbom
	Reference    string     `json:"reference"`
	Digest       Digest     `json:"digest,omitempty"` // of the manifest
	ID           Digest     `json:"id,omitempty"`     // of the configuration
	Platform     string     `json:"platform,omitempty"`
	Platforms    []string   `json:"platforms,omitempty"` // that the index offered
	OS           *OS        `json:"os,omitempty"`
	Repositories []string   `json:"repositories,omitempty"` // that the distribution's packages come from, where the vendor says so: content sets of Red Hat
	Created      string     `json:"created,omitempty"`      // RFC 3339, as the image says
	Layers       []Layer    `json:"layers"`
	Config       *RunConfig `json:"config,omitempty"`
}

// RunConfig is what the image says about how it runs.
type RunConfig struct {
	User       string            `json:"user"`
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
	WorkingDir string            `json:"working_dir,omitempty"`
	Ports      []string          `json:"ports,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Layer is one layer of an image, the lowest has index 0.
type Layer struct {
	Index       int    `json:"index"`
	DiffID      Digest `json:"diff_id"`          // of the uncompressed archive
	Digest      Digest `json:"digest,omitempty"` // of the blob as it is stored
	Size        int64  `json:"size"`             // uncompressed bytes
	Instruction string `json:"instruction,omitempty"`
	Writable    bool   `json:"writable,omitempty"` // a container's own layer: changed since the image
}

// Problem is something that could not be read and is therefore not judged.
type Problem struct {
	Path    string `json:"path"`
	Layer   Digest `json:"layer,omitempty"`
	Message string `json:"message"`
}

// String writes the problem on one line.
func (p Problem) String() string { return fmt.Sprintf("%s: %s", p.Path, p.Message) }
