package java

import (
	"bytes"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
)

// readGradleLock reads lines of group:artifact:version=configurations.
func readGradleLock(data []byte, out *analyze.Result) {
	for line := range bytes.Lines(data) {
		spec, configurations, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		parts := strings.Split(spec, ":")
		if len(parts) != 3 || strings.HasPrefix(spec, "#") || len(out.Packages) >= maxDependencies {
			continue
		}
		if i := (id{word(parts[0]), word(parts[1]), word(parts[2])}); i.group != "" && i.artifact != "" && i.version != "" {
			p := i.pack(sekisho.Declared)
			p.Dev = onlyTests(configurations)
			out.Packages = append(out.Packages, p)
		}
	}
}

// onlyTests reports whether all configurations are those of tests.
func onlyTests(configurations string) bool {
	for c := range strings.SplitSeq(configurations, ",") {
		if !strings.HasPrefix(c, "test") && !strings.Contains(c, "Test") {
			return false
		}
	}
	return true
}

// readVerification reads the components of gradle/verification-metadata.xml,
// which lists what a build may load.
func readVerification(data []byte, out *analyze.Result) {
	for len(out.Packages) < maxDependencies {
		_, rest, ok := bytes.Cut(data, []byte("<component "))
		if !ok {
			return
		}
		end := bytes.IndexByte(rest, '>')
		if end < 0 {
			return
		}
		tag := rest[:end]
		data = rest[end:]
		if i := (id{word(attribute(tag, "group")), word(attribute(tag, "name")), word(attribute(tag, "version"))}); i.group != "" && i.artifact != "" && i.version != "" {
			out.Packages = append(out.Packages, i.pack(sekisho.Declared))
		}
	}
}
