package dockerfile

import (
	"regexp"
	"slices"
	"strings"

	"sekisho/scan/misconfig"
)

var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh"}

// step is a RUN taken apart.
type step struct {
	instruction
	stage  *stage
	calls  []call
	cached bool // a cache mount takes what package managers keep
	text   string

	verified                              bool // a checksum or signature is looked at
	cleanApt, cleanApk, cleanYum, cleanZy bool // what the package manager keeps is removed
}

// run judges a RUN by the programs it calls.
func (j *judge) run(i instruction, s *stage) {
	if i.flag("security") == "insecure" || i.flag("network") == "host" {
		j.add("SKS-DKF-018", i, strings.Join(i.flags, " "))
	}
	r := j.step(i, s)
	j.secrets(r)
	if windows(s.shell) {
		return
	}
	j.packages(r)
	j.pipes(r)
	for _, c := range r.calls {
		j.downloads(r, c)
		j.verification(r, c)
		j.permissions(r, c)
		j.unpinned(r, c)
		if c.sudo {
			j.add("SKS-IMG-018", i, c.line)
		}
	}
	j.style(r)
}

func windows(shell []string) bool {
	return len(shell) > 0 && (strings.Contains(strings.ToLower(shell[0]), "powershell") || strings.Contains(strings.ToLower(shell[0]), "pwsh") || strings.HasPrefix(strings.ToLower(shell[0]), "cmd"))
}

// step finds the calls of a RUN: of its shell, of its here-documents where a
// shell reads them, of what "sh -c" is given.
func (j *judge) step(i instruction, s *stage) step {
	r := step{instruction: i, stage: s, text: i.text, cached: strings.Contains(strings.Join(i.flags, " "), "type=cache")}
	if i.exec {
		r.take([]command{{words: i.words, line: strings.Join(i.words, " ")}}, false)
	} else {
		r.take(script(i.text), false)
	}
	reader := ""
	if len(r.calls) > 0 {
		reader = r.calls[0].program
	}
	for _, d := range i.docs {
		r.text += "\n" + d.body
		if interpreted, _, _ := strings.Cut(d.body, "\n"); strings.HasPrefix(interpreted, "#!") && !strings.HasSuffix(strings.TrimSpace(interpreted), "sh") {
			continue
		}
		if reader == "" || slices.Contains(shells, reader) {
			r.take(script(d.body), false)
		}
	}
	r.verified = verifies.MatchString(r.text)
	r.cleanApt, r.cleanApk, r.cleanYum, r.cleanZy = cleanApt.MatchString(r.text), cleanApk.MatchString(r.text), cleanYum.MatchString(r.text), cleanZypp.MatchString(r.text)
	return r
}

// take adds calls, and once those of "sh -c".
func (r *step) take(list []command, inner bool) {
	for _, c := range list {
		k := c.call()
		k.nested = k.nested || inner
		r.calls = append(r.calls, k)
		if at := slices.IndexFunc(k.args, isC); !inner && slices.Contains(shells, k.program) && at >= 0 && at+1 < len(k.args) {
			r.take(script(k.args[at+1]), true)
		}
	}
}

// isC knows -c, alone or with other letters: -ec, -lc.
func isC(a string) bool {
	return len(a) > 1 && a[0] == '-' && a[1] != '-' && a[len(a)-1] == 'c'
}

var assignment = regexp.MustCompile(`([A-Za-z_]\w{2,63})=("[^"]*"|'[^']*'|[^\s;&|"']+)`)

// secrets looks for them in assignments and in words that are tokens.
func (j *judge) secrets(r step) {
	for _, m := range assignment.FindAllStringSubmatch(r.text, 500) {
		if misconfig.IsSecret(m[1], m[2]) {
			j.add("SKS-DKF-013", r.instruction, "RUN "+m[1]+"="+misconfig.Mask(m[2]))
		}
	}
	for _, w := range strings.FieldsFunc(r.text, func(c rune) bool { return strings.ContainsRune(" \t\n\"'=;|&()", c) }) {
		if misconfig.IsSecret("", w) {
			j.add("SKS-DKF-013", r.instruction, "RUN "+misconfig.Mask(w))
		}
	}
}

var (
	fetched  = regexp.MustCompile("(\\$\\(|<\\(|`)\\s*(curl|wget)\\b")
	verifies = regexp.MustCompile(`\b(sha\d+sum|shasum|b2sum|md5sum|cosign|minisign|signify)\b|\bgpgv?\b[^|;&]*--verify|\bgpgv\b|\bopenssl\s+dgst\b|\brpm\s+(-K|--checksig)`)
)

// pipes judges what goes from one program into the next.
func (j *judge) pipes(r step) {
	pipefail := slices.ContainsFunc(r.stage.shell, func(w string) bool { return strings.Contains(w, "pipefail") })
	fetching := ""
	for n, c := range r.calls {
		pipefail = pipefail || c.program == "set" && slices.ContainsFunc(c.args, func(a string) bool { return a == "pipefail" })
		if c.piped && !c.nested && !r.exec && !pipefail && n+1 < len(r.calls) {
			j.add("SKS-DKF-025", r.instruction, c.line+" | "+r.calls[n+1].program)
		}
		if fetching != "" && interprets(c) {
			j.add("SKS-DKF-006", r.instruction, fetching+" | "+c.line)
		}
		if arg := strings.Join(c.args, " "); (slices.Contains(shells, c.program) || c.program == "eval" || c.program == "source" || c.program == ".") && fetched.MatchString(arg) {
			j.add("SKS-DKF-006", r.instruction, c.line)
		}
		switch {
		case !c.piped:
			fetching = ""
		case c.program == "curl" || c.program == "wget":
			fetching = c.line
		}
	}
}

// interprets reports whether a program runs what it is given on its input.
func interprets(c call) bool {
	if slices.Contains(shells, c.program) {
		if c.has("-s") {
			return true
		}
		verb, _ := c.verb("-o")
		return (verb == "" || verb == "/dev/stdin") && !slices.ContainsFunc(c.args, isC)
	}
	switch name := strings.TrimRight(c.program, "0123456789."); name {
	case "python", "perl", "node", "ruby", "php":
		return len(c.args) == 0 || c.args[0] == "-"
	}
	return false
}

// local are addresses that no network lies between.
var local = regexp.MustCompile(`^http://(localhost|127\.|\[::1\]|0\.0\.0\.0|host\.docker\.internal)`)

// downloads judges how files are fetched.
func (j *judge) downloads(r step, c call) {
	switch c.program {
	case "curl", "wget", "git", "aria2c", "axel":
	default:
		return
	}
	if c.program == "git" {
		if verb, _ := c.verb("-c", "-C"); verb != "clone" && verb != "fetch" {
			return
		}
	}
	for n, a := range c.args {
		a, _ = r.stage.scope.expand(a, 0)
		if !strings.HasPrefix(a, "http://") || local.MatchString(a) || n > 0 && isProxy(c.args[n-1]) || r.verified {
			continue
		}
		j.add("SKS-DKF-012", r.instruction, c.program+" "+a)
	}
}

func isProxy(option string) bool {
	switch option {
	case "-x", "--proxy", "-e", "--referer", "-H", "--header", "-d", "--data":
		return true
	}
	return false
}

// verification judges options that turn checks off.
func (j *judge) verification(r step, c call) {
	for _, p := range c.set {
		if unverified(p.name, p.value) {
			j.add("SKS-DKF-011", r.instruction, p.name+"="+p.value)
		}
	}
	for n, a := range c.args {
		next := ""
		if n+1 < len(c.args) {
			next = c.args[n+1]
		}
		if n > 0 && c.program == "curl" && curlValue(c.args[n-1]) {
			continue
		}
		if off(c, a, next) {
			j.add("SKS-DKF-011", r.instruction, strings.TrimSpace(c.program+" "+a))
		}
	}
	if strings.Contains(c.line, "[trusted=yes") {
		j.add("SKS-DKF-011", r.instruction, "[trusted=yes]")
	}
}

// off reports whether an option of a program turns verification off.
func off(c call, a, next string) bool {
	switch c.program {
	case "apt-get", "apt", "aptitude":
		return a == "--allow-unauthenticated" || a == "--force-yes" || strings.Contains(a, "AllowInsecureRepositories=true") || strings.Contains(a, "AllowUnauthenticated=true") || strings.Contains(a, "Verify-Peer=false")
	case "yum", "dnf", "microdnf", "tdnf":
		return a == "--nogpgcheck" || strings.Contains(a, "gpgcheck=0") || strings.Contains(a, "gpgcheck=false") || strings.Contains(a, "sslverify=0") || strings.Contains(a, "sslverify=false")
	case "zypper":
		return a == "--no-gpg-checks" || a == "--gpg-auto-import-keys"
	case "rpm":
		return a == "--nosignature" || a == "--nodigest" || a == "--noverify"
	case "apk":
		return a == "--allow-untrusted"
	case "wget":
		return a == "--no-check-certificate"
	case "curl":
		return a == "--insecure" || curlK(a)
	case "pip", "pip2", "pip3", "pipx", "uv", "python", "python3":
		return a == "--trusted-host" || strings.HasPrefix(a, "--trusted-host=")
	case "npm", "yarn", "pnpm":
		return a == "strict-ssl" && next == "false" || a == "strict-ssl=false" || a == "--strict-ssl=false" || a == "--no-strict-ssl"
	case "git":
		return strings.EqualFold(a, "http.sslVerify") && next == "false" || strings.EqualFold(a, "http.sslVerify=false")
	}
	return false
}

// curlValued are the short options of curl that take a value.
const curlValued = "oHduAeXbcCmrTUwxyYzEFKPQtD"

// curlValue reports whether the next word is the value of this option.
func curlValue(a string) bool {
	at := strings.IndexAny(a, curlValued)
	return len(a) > 1 && a[0] == '-' && a[1] != '-' && at == len(a)-1
}

// curlK finds -k among short options of curl; what follows an option that
// takes a value is the value.
func curlK(a string) bool {
	if len(a) < 2 || a[0] != '-' || a[1] == '-' {
		return false
	}
	for _, c := range a[1:] {
		if c == 'k' {
			return true
		}
		if strings.ContainsRune(curlValued, c) {
			return false
		}
	}
	return false
}

var powerful = regexp.MustCompile(`(?i)cap_(setuid|setgid|dac_override|dac_read_search|sys_admin|sys_ptrace|sys_module|net_admin|net_raw|setfcap)`)

// permissions judges modes, capabilities and passwords.
func (j *judge) permissions(r step, c call) {
	modes := []string{}
	switch c.program {
	case "chmod":
		if mode, _ := c.verb(); mode != "" {
			modes = append(modes, mode)
		}
		for _, a := range c.args { // chmod -R +s is an option to verb
			if strings.HasPrefix(a, "+") {
				modes = append(modes, a)
			}
		}
	case "install", "mkdir":
		for n, a := range c.args {
			if (a == "-m" || a == "--mode") && n+1 < len(c.args) {
				modes = append(modes, c.args[n+1])
			} else if v, ok := strings.CutPrefix(a, "-m"); ok && v != "" {
				modes = append(modes, v)
			} else if v, ok := strings.CutPrefix(a, "--mode="); ok {
				modes = append(modes, v)
			}
		}
	case "setcap":
		if !c.has("-r") && slices.ContainsFunc(c.args, powerful.MatchString) {
			j.add("SKS-DKF-017", r.instruction, c.line)
		}
	case "chpasswd":
		j.add("SKS-DKF-015", r.instruction, "chpasswd")
	case "passwd":
		if c.has("-d", "--delete", "--stdin") {
			j.add("SKS-DKF-015", r.instruction, "passwd "+c.args[0])
		}
	case "usermod", "useradd":
		if slices.ContainsFunc(c.args, func(a string) bool {
			return a == "-p" || strings.HasPrefix(a, "--password")
		}) {
			j.add("SKS-DKF-015", r.instruction, c.program+" -p ********")
		}
	}
	for _, mode := range modes {
		if broad(mode) {
			j.add("SKS-DKF-016", r.instruction, c.program+" "+mode)
		}
		if special(mode) {
			j.add("SKS-DKF-017", r.instruction, c.program+" "+mode)
		}
	}
}

// style notes habits without an effect on security.
func (j *judge) style(r step) {
	if len(r.calls) > 0 && !r.exec && r.calls[0].program == "cd" && !r.calls[0].nested {
		j.add("SKS-DKF-023", r.instruction, "RUN "+r.calls[0].line, "DS-0013")
	}
	if g := r.stage.gets; g["curl"] && g["wget"] && !g["both"] {
		g["both"] = true
		j.add("SKS-DKF-023", r.instruction, "wget, curl", "DS-0014")
	}
}
