package dockerfile

import (
	"regexp"
	"slices"
	"strings"
)

// managers are the package managers of distributions, with what they call the
// refresh of their lists.
var managers = map[string][]string{
	"apt-get": {"update"}, "apt": {"update"}, "aptitude": {"update"}, "apk": {"update"}, "yum": {"update", "makecache", "check-update"},
	"dnf": {"update", "makecache", "check-update"}, "microdnf": {"update", "makecache"}, "tdnf": {"makecache"}, "zypper": {"refresh", "ref", "update", "up"},
}

var installs = []string{"install", "add", "in", "upgrade", "dist-upgrade", "full-upgrade", "dup", "groupinstall", "localinstall", "reinstall", "build-dep"}

// valued are options of package managers that take a word.
var valued = []string{"-o", "--option", "-c", "-t", "--target-release", "-X", "--repository", "-p", "--root", "--installroot", "--setopt", "--enablerepo", "--disablerepo", "--virtual", "-t"}

var (
	cleanApt  = regexp.MustCompile(`/var/lib/apt(/lists)?(/|\s|;|$|")`)
	cleanApk  = regexp.MustCompile(`/var/cache/apk|\bapk\s+cache\s+(clean|purge)`)
	cleanYum  = regexp.MustCompile(`\b(yum|dnf|microdnf|tdnf)\s+(-\S+\s+)*clean\b|/var/cache/(yum|dnf)`)
	cleanZypp = regexp.MustCompile(`\bzypper\s+(-\S+\s+)*(clean|cc)\b|/var/cache/zypp`)
)

// packages judges how system packages are installed.
func (j *judge) packages(r step) {
	if strings.Contains(r.text, "Install-Recommends") {
		r.stage.apt = true
	}
	var refresh *call
	installing := false
	for n := range r.calls {
		c := &r.calls[n]
		names, ok := managers[c.program]
		if !ok {
			continue
		}
		verb, rest := c.verb(valued...)
		switch {
		case verb == "update" && len(names) > 1 && slices.ContainsFunc(rest, func(a string) bool { return !strings.HasPrefix(a, "-") }):
			installing = true // yum, dnf and zypper: newer packages, by name
		case slices.Contains(names, verb):
			refresh = c
		case slices.Contains(installs, verb):
			installing = true
			j.installs(r, *c, verb)
			for _, p := range rest {
				p, _, _ = strings.Cut(p, "=")
				r.stage.gets[p] = r.stage.gets[p] || p == "curl" || p == "wget"
			}
		}
		if verb == "dist-upgrade" || verb == "full-upgrade" {
			j.add("SKS-DKF-009", r.instruction, c.program+" "+verb)
		}
	}
	if refresh != nil && !installing && !r.cached {
		j.add("SKS-DKF-007", r.instruction, refresh.line)
	}
}

// installs judges one installation.
func (j *judge) installs(r step, c call, verb string) {
	what := c.program + " " + verb
	switch c.program {
	case "apt-get", "apt":
		if verb == "install" {
			j.aptFlags(r, c, what)
		}
		j.cache(r, what, verb == "install" && !r.cleanApt, "DKL-DI-0005")
	case "apk":
		j.cache(r, what, verb == "add" && !c.has("--no-cache") && !r.cleanApk, "DKL-DI-0004", "DS-0025")
	case "yum", "dnf", "microdnf", "tdnf":
		j.cache(r, what, !r.cleanYum, map[string]string{"yum": "DS-0015", "dnf": "DS-0019", "microdnf": "DS-0027", "tdnf": "DS-0027"}[c.program])
	case "zypper":
		j.cache(r, what, !r.cleanZy, "DS-0020")
	}
}

func (j *judge) cache(r step, what string, stays bool, aliases ...string) {
	if stays && !r.cached {
		j.add("SKS-DKF-010", r.instruction, what, aliases...)
	}
}

func (j *judge) aptFlags(r step, c call, what string) {
	yes := c.short('y') || c.has("--yes", "--assume-yes", "-qq") || strings.Contains(strings.Join(c.args, " "), "Assume-Yes=") || strings.Contains(r.text, "APT::Get::Assume-Yes")
	if !yes {
		j.add("SKS-DKF-008", r.instruction, what+": -y", "DS-0021")
	}
	if !c.has("--no-install-recommends") && !r.stage.apt {
		j.add("SKS-DKF-008", r.instruction, what+": --no-install-recommends", "DS-0029")
	}
}

var (
	pinnedNPM = regexp.MustCompile(`.@[\^~v]?\d`)
	pipName   = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*(\[[\w,.-]*\])?([<>~!]=?[^=].*)?$`)
	archive   = regexp.MustCompile(`\.(whl|zip|tgz|tar\.\w+|gem)$`)
)

// unpinned judges packages of languages that are installed without a version.
func (j *judge) unpinned(r step, c call) {
	list := []string{}
	verb, rest := c.verb("-m")
	switch strings.TrimRight(c.program, "0123456789.") {
	case "pip":
		list = unpinnedPip(verb, rest)
	case "python":
		if at := slices.Index(c.args, "pip"); at > 0 && c.args[at-1] == "-m" {
			verb, rest = call{args: c.args[at+1:]}.verb()
			list = unpinnedPip(verb, rest)
		}
	case "uv":
		if verb == "pip" && len(rest) > 0 {
			list = unpinnedPip(rest[0], rest[1:])
		}
	case "npm", "pnpm", "yarn":
		list = unpinnedNPM(r, c.program, verb, rest)
	case "gem":
		if verb == "install" {
			list = unpinnedGem(rest)
		}
	case "go":
		if verb == "install" {
			for _, p := range rest {
				if strings.HasSuffix(p, "@latest") {
					list = append(list, p)
				}
			}
		}
	}
	for _, p := range list {
		j.add("SKS-DKF-021", r.instruction, c.program+" "+p)
	}
}

// unpinnedPip returns names without ==; what files say is theirs.
func unpinnedPip(verb string, rest []string) (list []string) {
	if verb != "install" {
		return nil
	}
	for n := 0; n < len(rest); n++ {
		a := rest[n]
		switch {
		case a == "-c" || a == "--constraint" || strings.HasPrefix(a, "--constraint="):
			return nil // the file names the versions
		case strings.HasPrefix(a, "-"):
			if slices.Contains([]string{"-r", "--requirement", "-e", "--editable", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target", "--prefix", "--root", "--trusted-host", "--cache-dir", "--timeout", "--proxy", "--platform"}, a) {
				n++
			}
		case pipName.MatchString(a) && !archive.MatchString(a):
			list = append(list, a)
		}
	}
	return list
}

// unpinnedNPM returns names without a version, and the installation that npm
// ci would do from the lock file that was copied.
func unpinnedNPM(r step, program, verb string, rest []string) (list []string) {
	if verb == "global" && len(rest) > 0 {
		verb, rest = rest[0], rest[1:]
	}
	if verb != "add" && (program == "yarn" || verb != "install" && verb != "i") {
		return nil
	}
	named := false
	for n := 0; n < len(rest); n++ {
		a := rest[n]
		switch {
		case strings.HasPrefix(a, "-"):
			if slices.Contains([]string{"--prefix", "--registry", "--cache", "--loglevel", "--omit", "--only", "--dir", "-C"}, a) {
				n++
			}
			continue
		case strings.ContainsAny(a, "$:") || a == "." || strings.HasPrefix(a, "./") || strings.HasPrefix(a, "/") || strings.HasPrefix(a, "..") || archive.MatchString(a):
		case !pinnedNPM.MatchString(a):
			list = append(list, a)
		}
		named = true
	}
	if program == "npm" && !named && r.stage.lock {
		list = append(list, verb)
	}
	return list
}

func unpinnedGem(rest []string) (list []string) {
	for n := 0; n < len(rest); n++ {
		a := rest[n]
		switch {
		case a == "-v" || a == "--version" || strings.HasPrefix(a, "-v") || strings.HasPrefix(a, "--version="):
			return nil
		case strings.HasPrefix(a, "-"):
			if slices.Contains([]string{"-i", "--install-dir", "-n", "--bindir", "-s", "--source", "-P", "--trust-policy"}, a) {
				n++
			}
		case !strings.ContainsAny(a, ":$/") && !archive.MatchString(a):
			list = append(list, a)
		}
	}
	return list
}
