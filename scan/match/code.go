package match

import (
	"strings"

	"sekisho"
)

// codeless reports whether a distribution package cannot carry its source's
// flaws, because other binaries of the source hold the code: none of its files
// is code, or its name says that it holds texts, translations or kernel
// headers. A source's namesake is never codeless: where a source is all data,
// its flaws are in the data.
func codeless(p *sekisho.Package) bool {
	switch p.Type {
	case "deb", "apk", "rpm":
		return p.Source.Name != "" && p.Source.Name != p.Name && (p.NoCode || textual(p.Name))
	}
	return false
}

func textual(name string) bool {
	switch name {
	case "locales", "locales-all", "linux-libc-dev", "kernel-headers", "linux-headers", "linux-glibc-devel", "libc-l10n":
		return true
	}
	for _, suffix := range []string{"-doc", "-docs", "-l10n", "-i18n", "-man", "-manpages", "-lang"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
