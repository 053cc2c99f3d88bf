package dockerfile

import (
	"path"
	"regexp"
	"strconv"
	"strings"
)

// ends returns the sources and the target of COPY and ADD; here-documents are
// no sources.
func ends(i instruction) (sources []string, target string) {
	if len(i.words) < 2 {
		return nil, ""
	}
	for _, w := range i.words[:len(i.words)-1] {
		if i.exec || opener.FindString(w) == "" {
			sources = append(sources, strings.Trim(w, `"'`))
		}
	}
	return sources, strings.Trim(i.words[len(i.words)-1], `"'`)
}

var (
	web        = regexp.MustCompile(`^https?://`)
	repository = regexp.MustCompile(`^(git@[^:]+:|git://|ssh://|https?://[^#?]+\.git(#|\?|$)|https://github\.com/[^/]+/[^/]+/?(#|$))`)
	commit     = regexp.MustCompile(`[#=][0-9a-f]{40}(:|&|$)`)
	packed     = regexp.MustCompile(`(?i)\.(tar|tgz|tbz2?|txz|tzst|tar\.\w+|gz|xz|bz2|zst)$`)
	credential = regexp.MustCompile(`(^|/)(id_(rsa|dsa|ecdsa|ed25519)|\.env(\.[\w-]+)?|\.aws(/.*)?|\.ssh(/.*)?|\.docker/config\.json|\.dockercfg|\.kube/config|kubeconfig|\.netrc|\.git-credentials|\.pypirc|credentials\.json|[^/]+\.(pem|key|p12|pfx|jks))$`)
	harmless   = regexp.MustCompile(`(?i)(^|/)\.env\.(example|sample|template|dist|test|ci)$|(^|[/_.-])(ca|cacerts?|certs?|certificates?|chain|fullchain|bundle|pub|public|root-ca)([_.-][^/]*)?\.pem$|public[^/]*\.key$|\.pub\.(pem|key)$`)
)

func (j *judge) copy(i instruction, s *stage) {
	sources, target := ends(i)
	for _, source := range sources {
		source, _ := s.scope.expand(source, j.escape)
		if i.name == "ADD" {
			j.addition(i, source)
		}
		if i.flag("from") == "" && credential.MatchString(source) && !harmless.MatchString(source) {
			j.add("SKS-DKF-014", i, i.name+" "+source)
		}
		switch path.Base(source) {
		case "package-lock.json", "npm-shrinkwrap.json", "package*.json", "package*", ".", "*":
			s.lock = s.lock || path.Base(source) != "." && path.Base(source) != "*"
		}
	}
	if mode := i.flag("chmod"); mode != "" {
		if broad(mode) {
			j.add("SKS-DKF-016", i, "--chmod="+mode)
		}
		if special(mode) {
			j.add("SKS-DKF-017", i, "--chmod="+mode)
		}
	}
	if many := len(sources)+len(i.docs) > 1; many && target != "" && !strings.HasSuffix(target, "/") && target != "." && target != ".." && !strings.Contains(target, "$") && !strings.HasSuffix(target, `\`) {
		j.add("SKS-DKF-024", i, i.name+" … "+target, "DS-0011")
	}
	if from := strings.ToLower(i.flag("from")); from != "" {
		number, err := strconv.Atoi(from)
		if from == s.name && j.named(from) == nil || err == nil && number >= i.stage {
			j.add("SKS-DKF-024", i, "--from="+from, "DS-0006")
		}
	}
}

// addition judges what ADD does beyond COPY.
func (j *judge) addition(i instruction, source string) {
	switch {
	case repository.MatchString(source):
		if !commit.MatchString(source) && i.flag("checksum") == "" {
			j.add("SKS-DKF-005", i, "ADD "+source)
		}
	case web.MatchString(source):
		if i.flag("checksum") == "" {
			j.add("SKS-DKF-005", i, "ADD "+source)
			if strings.HasPrefix(source, "http://") {
				j.add("SKS-DKF-012", i, "ADD "+source)
			}
		}
	case !packed.MatchString(source) && !strings.Contains(source, "$"):
		j.add("SKS-DKF-004", i, "ADD "+source)
	}
}

var octal = regexp.MustCompile(`^0?[0-7]{3,4}$`)

// broad reports whether a mode lets everybody write. A sticky directory is for
// everybody on purpose.
func broad(mode string) bool {
	if octal.MatchString(mode) {
		n, _ := strconv.ParseUint(mode, 8, 16)
		return n&0o002 != 0 && n&0o1000 == 0 && (n&0o777 == 0o777 || n&0o777 == 0o666)
	}
	for clause := range strings.SplitSeq(mode, ",") {
		at := strings.IndexAny(clause, "+=")
		if at > 0 && isWho(clause[:at]) && strings.ContainsAny(clause[:at], "oa") && strings.Contains(clause[at:], "w") && !strings.Contains(mode, "+t") {
			return true
		}
	}
	return false
}

// special reports whether a mode sets the user or group of who runs the file.
func special(mode string) bool {
	if octal.MatchString(mode) {
		n, _ := strconv.ParseUint(mode, 8, 16)
		return n&0o6000 != 0
	}
	for clause := range strings.SplitSeq(mode, ",") {
		at := strings.IndexAny(clause, "+=")
		if at >= 0 && isWho(clause[:at]) && strings.Contains(clause[at:], "s") && strings.Trim(clause[at+1:], "rwxXst") == "" {
			return true
		}
	}
	return false
}

func isWho(s string) bool { return strings.Trim(s, "ugoa") == "" }
