package runtime

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/policy/fact"
)

// maxFile bounds a file of a bundle or of an engine, in bytes.
const maxFile = 16 << 20

// Bundle is config.json of the OCI runtime specification, as far as a decision
// looks at it.
type Bundle struct {
	Process *struct {
		User struct {
			UID uint32 `json:"uid"`
		} `json:"user"`
		Capabilities *struct {
			Bounding []string `json:"bounding"`
		} `json:"capabilities"`
		NoNewPrivileges bool `json:"noNewPrivileges"`
	} `json:"process"`
	Root *struct {
		Path     string `json:"path"`
		Readonly bool   `json:"readonly"`
	} `json:"root"`
	Mounts []struct {
		Destination string   `json:"destination"`
		Type        string   `json:"type"`
		Source      string   `json:"source"`
		Options     []string `json:"options"`
	} `json:"mounts"`
	Annotations map[string]string `json:"annotations"`
	Linux       *struct {
		Namespaces []struct {
			Type string `json:"type"`
			Path string `json:"path"`
		} `json:"namespaces"`
		Resources *struct {
			Devices []struct {
				Allow  bool   `json:"allow"`
				Type   string `json:"type"`
				Major  *int64 `json:"major"`
				Minor  *int64 `json:"minor"`
				Access string `json:"access"`
			} `json:"devices"`
		} `json:"resources"`
		MaskedPaths []string `json:"maskedPaths"`
	} `json:"linux"`
}

// ReadBundle reads config.json of a directory.
func ReadBundle(dir string) (*Bundle, error) {
	b := &Bundle{}
	return b, readJSON(filepath.Join(dir, "config.json"), b)
}

func readJSON(name string, v any) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return sekisho.Errorf(sekisho.NotFound, "%w", err)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return decodeJSON(f, name, v)
}

func decodeJSON(r io.Reader, name string, v any) error {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", name, maxFile)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "%s: %w", name, err)
	}
	return nil
}

// defaults are the capabilities that engines give when nothing is said.
func defaults() []string {
	return []string{"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
}

// Workload is the container as policies see it. host tells whether a file of a
// namespace is the host's own; own whether a path belongs to the engine.
func (b *Bundle) Workload(host func(path, kind string) bool, own func(path string) bool) *fact.Workload {
	yes, no := true, false
	w := &fact.Workload{Kind: "container", Labels: map[string]string{}, HostPaths: []string{}, AddCapabilities: []string{}, DropCapabilities: []string{}, Privileged: &no, PrivilegeEscalation: &yes, ReadOnlyRoot: &no}
	if b.Root != nil {
		w.ReadOnlyRoot = &b.Root.Readonly
	}
	if p := b.Process; p != nil {
		user := strconv.FormatUint(uint64(p.User.UID), 10)
		w.User = &user
		escalation := !p.NoNewPrivileges
		w.PrivilegeEscalation = &escalation
		if p.Capabilities != nil {
			b.capabilities(w)
		} else {
			w.DropCapabilities = []string{"ALL"}
		}
	}
	for _, m := range b.Mounts {
		bind := m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
		if bind && !own(path.Clean(m.Source)) {
			w.HostPaths = append(w.HostPaths, path.Clean(m.Source))
		}
	}
	b.namespaces(w, host)
	if b.privileged(w) {
		w.Privileged = &yes
	}
	return w
}

func (b *Bundle) capabilities(w *fact.Workload) {
	var have []string
	for _, c := range b.Process.Capabilities.Bounding {
		have = append(have, strings.TrimPrefix(strings.ToUpper(c), "CAP_"))
	}
	kept := false
	for _, d := range defaults() {
		if slices.Contains(have, d) {
			kept = true
			continue
		}
		w.DropCapabilities = append(w.DropCapabilities, d)
	}
	if !kept {
		w.DropCapabilities, w.AddCapabilities = []string{"ALL"}, append(w.AddCapabilities, have...)
		return
	}
	for _, c := range have {
		if !slices.Contains(defaults(), c) {
			w.AddCapabilities = append(w.AddCapabilities, c)
		}
	}
	if len(w.DropCapabilities) == len(defaults()) {
		w.DropCapabilities = []string{"ALL"}
	}
}

// namespaces tells which are the host's: those that are not named, and those
// whose file is the host's.
func (b *Bundle) namespaces(w *fact.Workload, host func(path, kind string) bool) {
	shared := func(kind, file string) *bool {
		out := true
		if b.Linux != nil {
			for _, n := range b.Linux.Namespaces {
				if n.Type == kind {
					out = n.Path != "" && host(n.Path, file)
				}
			}
		}
		return &out
	}
	w.HostNetwork, w.HostPID, w.HostIPC = shared("network", "net"), shared("pid", "pid"), shared("ipc", "ipc")
}

// privileged tells whether all devices are open and the system's administration
// is allowed.
func (b *Bundle) privileged(w *fact.Workload) bool {
	if !slices.Contains(w.AddCapabilities, "SYS_ADMIN") || b.Linux == nil || b.Linux.Resources == nil {
		return false
	}
	open := false
	for _, d := range b.Linux.Resources.Devices {
		if (d.Type == "" || d.Type == "a") && d.Major == nil && d.Minor == nil {
			open = d.Allow
		}
	}
	return open
}
