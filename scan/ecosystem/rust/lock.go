package rust

import (
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
)

// maxCrates bounds one Cargo.lock.
const maxCrates = 100_000

// lock reads the [[package]] tables of a Cargo.lock, which Cargo writes with
// one key on a line. A package without a source is the workspace itself.
func lock(data []byte, out *analyze.Result) {
	var name, version, source string
	inside := false
	flush := func() {
		if inside && name != "" && version != "" && source != "" && len(out.Packages) < maxCrates {
			out.Packages = append(out.Packages, crate(name, version, sekisho.Declared))
		}
		name, version, source = "", "", ""
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			flush()
			inside = line == "[[package]]"
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		value, err := strconv.Unquote(strings.TrimSpace(value))
		if !inside || !ok || err != nil {
			continue
		}
		switch strings.TrimSpace(key) {
		case "name":
			name = value
		case "version":
			version = value
		case "source":
			source = value
		}
	}
	flush()
}
