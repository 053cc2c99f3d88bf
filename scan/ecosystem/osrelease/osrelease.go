// Package osrelease reads which distribution a file system holds
// (os-release(5) and what came before it), knows until when a release is
// supported and how its packages are named in package URLs.
package osrelease

import (
	"bytes"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/analyze"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "os-release" }
func (reader) Version() int { return 2 }

func (reader) Wants(f *analyze.File) analyze.Want {
	if len(f.Path) > 22 || !f.Mode.IsRegular() || f.Size > 64<<10 {
		return analyze.Skip
	}
	switch f.Path {
	case "etc/os-release", "usr/lib/os-release", "etc/alpine-release", "etc/debian_version", "etc/redhat-release", "etc/centos-release", "etc/lsb-release":
		return analyze.Whole
	}
	return analyze.Skip
}

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	text := strings.TrimSpace(string(f.Data[:min(len(f.Data), 64<<10)]))
	switch f.Base() {
	case "os-release":
		if os := parse(f.Data); os.ID != "" {
			out.OS = &os
		}
	case "alpine-release":
		out.OS = &sekisho.OS{ID: "alpine", Version: text, Name: "Alpine Linux " + text}
	case "debian_version":
		if !strings.Contains(text, "/") {
			out.OS = &sekisho.OS{ID: "debian", Version: text, Name: "Debian GNU/Linux " + text}
		}
	case "redhat-release", "centos-release":
		out.OS = redhat(text)
	case "lsb-release":
		v := assignments(f.Data)
		if id := strings.ToLower(v["DISTRIB_ID"]); id != "" {
			out.OS = &sekisho.OS{ID: id, Version: v["DISTRIB_RELEASE"], Name: v["DISTRIB_DESCRIPTION"], Codename: v["DISTRIB_CODENAME"]}
		}
	}
	return nil
}

// assignments reads NAME=VALUE lines with the shell's quotes.
func assignments(data []byte) map[string]string {
	values := map[string]string{}
	for line := range bytes.Lines(data[:min(len(data), 64<<10)]) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		values[name] = strings.NewReplacer(`\"`, `"`, `\$`, `$`, `\\`, `\`, "\\`", "`").Replace(value)
	}
	return values
}

func parse(data []byte) sekisho.OS {
	v := assignments(data)
	os := sekisho.OS{ID: strings.ToLower(v["ID"]), Version: v["VERSION_ID"], Name: v["PRETTY_NAME"], Codename: v["VERSION_CODENAME"]}
	if like := strings.Fields(v["ID_LIKE"]); len(like) > 0 {
		os.IDLike = like
	}
	if os.Name == "" {
		os.Name = strings.TrimSpace(v["NAME"] + " " + v["VERSION"])
	}
	if _, err := time.Parse(time.DateOnly, v["SUPPORT_END"]); err == nil && SupportedUntil(os) == "" {
		os.SupportedUntil = v["SUPPORT_END"] // an image's own word counts where no vendor's is known
	}
	return os
}

// redhat reads "CentOS Linux release 7.9.2009 (Core)".
func redhat(text string) *sekisho.OS {
	name, rest, ok := strings.Cut(text, " release ")
	if !ok {
		return nil
	}
	version, _, _ := strings.Cut(rest, " ")
	id := "rhel"
	lower := strings.ToLower(name)
	for _, known := range [][2]string{{"centos", "centos"}, {"rocky", "rocky"}, {"almalinux", "almalinux"}, {"fedora", "fedora"}, {"oracle", "ol"}} {
		if strings.Contains(lower, known[0]) {
			id = known[1]
		}
	}
	return &sekisho.OS{ID: id, Version: version, Name: text}
}

// SupportedUntil returns the day, as 2006-01-02, on which the release's free
// support ends, "" when it is not known or does not end.
func SupportedUntil(os sekisho.OS) string { return release(supported[os.ID], os.Version) }

// Extended returns the programmes that the release has, the shorter first, nil
// when none is known.
func Extended(os sekisho.OS) []sekisho.Programme {
	var all []sekisho.Programme
	for _, p := range extended[os.ID] {
		if day := release(p.until, os.Version); day != "" {
			all = append(all, sekisho.Programme{Name: p.name, Until: day})
		}
	}
	return all
}

// release looks a version up, with ever fewer of its numbers: 9.4, 9. A shorter
// one does not speak for a number that is missing among others: 15 of 15.1 and
// 15.2 says nothing of 15.9.
func release(days map[string]string, version string) string {
	for whole := version; ; {
		if day, ok := days[version]; ok {
			if version != whole && hasMinor(days, version) {
				return ""
			}
			return day
		}
		i := strings.LastIndexByte(version, '.')
		if i < 0 {
			return ""
		}
		version = version[:i]
	}
}

func hasMinor(days map[string]string, version string) bool {
	for v := range days {
		if strings.HasPrefix(v, version+".") {
			return true
		}
	}
	return false
}

// PURL returns the namespace and the distro qualifier of package URLs of the
// distribution.
func PURL(os sekisho.OS) (namespace, distro string) {
	namespace = os.ID
	switch os.ID {
	case "rhel":
		namespace = "redhat"
	case "amzn":
		namespace = "amazon"
	case "ol":
		namespace = "oracle"
	case "opensuse-leap", "opensuse-tumbleweed":
		namespace = "opensuse"
	}
	if os.Version == "" {
		return namespace, os.ID
	}
	return namespace, os.ID + "-" + os.Version
}
