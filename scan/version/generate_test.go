package version_test

import (
	"math/rand/v2"
	"strings"

	"sekisho/scan/version"
)

// generator makes versions of a scheme, alike enough to differ late or not at
// all.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 0x5ea))}
}

func (g generator) pick(words ...string) string { return words[g.IntN(len(words))] }

func (g generator) maybe(s func() string) string {
	if g.IntN(3) == 0 {
		return s()
	}
	return ""
}

func (g generator) number() string {
	return g.pick("0", "1", "2", "9", "10", "11", "01", "002", "20240131", "99999999999999999999", "00", "100")
}

// plain is a number without a leading zero, below 2^53.
func (g generator) plain() string {
	return g.pick("0", "1", "2", "9", "10", "11", "12", "20240131", "100")
}

// list is one to four numbers between separators.
func (g generator) list(number func() string, separators ...string) string {
	s := number()
	for range g.IntN(4) {
		s += g.pick(separators...) + number()
	}
	return s
}

func (g generator) triple() string {
	return g.plain() + "." + g.plain() + "." + g.plain()
}

func (g generator) pre() string {
	s := "-" + g.identifier()
	for range g.IntN(3) {
		s += "." + g.identifier()
	}
	return s
}

func (g generator) identifier() string {
	return g.pick("0", "1", "2", "10", "alpha", "beta", "rc", "rc1", "x-1", "-", "B", "1a")
}

func (g generator) build() string { return "+" + g.pick("1", "2", "build", "5.a", "a") }

// mutate copies bytes of s, leaves some out, and puts others in.
func (g generator) mutate(s, alphabet string) string {
	var b strings.Builder
	for i := range len(s) {
		switch g.IntN(12) {
		case 0:
			continue
		case 1:
			b.WriteByte(alphabet[g.IntN(len(alphabet))])
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// version makes one that the scheme orders, and that its native tool takes.
func (g generator) version(s version.Scheme) string {
	switch s {
	case version.Dpkg:
		return g.maybe(func() string { return g.pick("0", "1", "01", "2") + ":" }) + g.number() +
			g.mutate(g.pick(".1.2", "~rc1", "+dfsg1", "a.b", ".10~beta2+git"), "~+.ab1") +
			g.maybe(func() string { return "-" + g.number() + g.pick("", "+deb12u1", "~bpo12+1", "ubuntu0.1", "a~") })
	case version.RPM, version.Pacman:
		return g.maybe(func() string { return g.pick("0", "1", "01", "2") + ":" }) + g.number() +
			g.mutate(g.pick(".1.2", "~rc1", "^git1", "a.b", ".10~beta2", "_1.x"), rpmAlphabet(s)) +
			g.maybe(func() string { return "-" + g.number() + g.pick("", ".el9_2", ".fc40.1", "~a", ".el10") })
	case version.APK:
		return g.list(g.number, ".") + g.maybe(func() string { return g.pick("a", "b", "z") }) +
			g.maybe(func() string {
				return g.pick("_alpha", "_beta", "_pre", "_rc", "_p", "_git", "_cvs", "_svn", "_hg") + g.maybe(g.plain)
			}) +
			g.maybe(func() string { return "~" + g.pick("a1", "b2f", "0") }) + g.maybe(func() string { return "-r" + g.plain() })
	case version.SemVer, version.Pub:
		return g.triple() + g.maybe(g.pre) + g.maybe(g.build)
	case version.Go:
		return "v" + g.triple() + g.maybe(func() string {
			return g.pick(g.pre(), "-0.20240131000000-abcdef012345", "-rc.1.0.20240131000000-abcdef")
		}) + g.maybe(func() string { return "+incompatible" })
	case version.NuGet:
		return g.list(g.plain, ".") + g.maybe(g.pre) + g.maybe(g.build)
	}
	return g.language(s)
}

// rpmAlphabet leaves out for pacman what it does not have.
func rpmAlphabet(s version.Scheme) string {
	if s == version.Pacman {
		return "._ab1"
	}
	return "~^.ab1"
}

func (g generator) language(s version.Scheme) string {
	switch s {
	case version.PEP440:
		separator := func() string { return g.pick("", ".", "-", "_") }
		part := func(words ...string) func() string {
			return func() string { return separator() + g.pick(words...) + separator() + g.maybe(g.number) }
		}
		return g.pick("", "", "v", "V") + g.maybe(func() string { return g.pick("0", "1", "01") + "!" }) + g.list(g.number, ".") +
			g.maybe(part("a", "b", "c", "rc", "alpha", "Beta", "pre", "preview")) +
			g.maybe(part("post", "rev", "r", "POST")) + g.maybe(part("dev", "DEV")) +
			g.maybe(func() string {
				return "+" + g.list(func() string { return g.pick("1", "2", "10", "a", "B", "1b") }, ".", "-", "_")
			})
	case version.Maven:
		// No word right behind a dot and no release word in the middle: there
		// releases of Maven differ among themselves and from their specification.
		return g.list(g.plain, ".") + g.maybe(func() string {
			return g.pick("-", "") + g.pick("alpha", "beta", "a", "b", "m", "rc", "CR", "snapshot", "SNAPSHOT", "sp", "xyz", "jre") + g.pick("", "-", ".") + g.maybe(func() string { return g.pick("1", "2", "10") })
		}) + g.maybe(func() string { return "-" + g.pick("1", "2", "SNAPSHOT", "foo") })
	case version.RubyGems:
		return g.list(g.number, ".") + g.maybe(func() string {
			return g.pick(".", "-", "") + g.pick("alpha", "a", "rc", "pre", "B") + g.maybe(g.plain) + g.maybe(func() string { return "." + g.plain() })
		})
	case version.Composer:
		return g.list(g.plain, ".") + g.maybe(func() string {
			return g.pick("-", "", ".", "_", "+") + g.pick("alpha", "a", "beta", "b", "RC", "rc", "pl", "p", "dev", "patch", "x", "Alpha") + g.pick("", ".", "-") + g.plain()
		})
	case version.CRAN:
		return g.list(g.number, ".", "-")
	}
	return g.list(g.number, ".")
}
