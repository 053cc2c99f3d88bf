package image

import (
	"encoding/json"
	"time"

	"sekisho"
)

// Config is the OCI image configuration (config.md), with Docker's additions.
type Config struct {
	Created      *time.Time `json:"created,omitempty"`
	Author       string     `json:"author,omitempty"`
	Architecture string     `json:"architecture"`
	OS           string     `json:"os"`
	Variant      string     `json:"variant,omitempty"`
	Config       Run        `json:"config"`
	RootFS       RootFS     `json:"rootfs"`
	History      []History  `json:"history,omitempty"`
}

// Run is how a container of the image starts.
type Run struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	StopSignal   string              `json:"StopSignal,omitempty"`
	Healthcheck  *Healthcheck        `json:"Healthcheck,omitempty"`
	OnBuild      []string            `json:"OnBuild,omitempty"`
	Shell        []string            `json:"Shell,omitempty"`
}

// Healthcheck is Docker's HEALTHCHECK.
type Healthcheck struct {
	Test []string `json:"Test,omitempty"`
}

// RootFS lists the layers by the digest of their uncompressed archives.
type RootFS struct {
	Type    string           `json:"type"`
	DiffIDs []sekisho.Digest `json:"diff_ids"`
}

// History is one instruction of the build.
type History struct {
	Created    *time.Time `json:"created,omitempty"`
	CreatedBy  string     `json:"created_by,omitempty"`
	Author     string     `json:"author,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	EmptyLayer bool       `json:"empty_layer,omitempty"`
}

// ParseConfig reads an image configuration.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return Config{}, sekisho.Errorf(sekisho.Invalid, "image configuration: %w", err)
	}
	for _, d := range c.RootFS.DiffIDs {
		if err := d.Validate(); err != nil {
			return Config{}, sekisho.Errorf(sekisho.Invalid, "image configuration: rootfs.diff_ids: %w", err)
		}
	}
	return c, nil
}

// Instructions returns, for each layer, the instruction that made it. It is
// shorter than the list of layers where the history does not tell.
func (c Config) Instructions() []string {
	var list []string
	for _, h := range c.History {
		if !h.EmptyLayer {
			list = append(list, h.CreatedBy)
		}
	}
	if len(list) > len(c.RootFS.DiffIDs) {
		list = list[:len(c.RootFS.DiffIDs)]
	}
	return list
}

// Platform is what the configuration says the image was built for.
func (c Config) Platform() sekisho.Platform {
	return sekisho.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}
}
