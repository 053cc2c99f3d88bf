package dockerfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
	"sekisho/scan/misconfig"
)

// New returns the analyzer of Dockerfiles in directories.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "dockerfile" }
func (reader) Version() int { return 1 }

// Wants knows the usual names, in source trees only: an image's Dockerfile is
// in its history.
func (reader) Wants(f *analyze.File) analyze.Want {
	if f.Root != "directory" || !f.Mode.IsRegular() || f.Size > 1<<20 || strings.Contains(f.Path, "node_modules/") {
		return analyze.Skip
	}
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	if base == "Dockerfile" || base == "Containerfile" || strings.HasPrefix(base, "Dockerfile.") && !strings.HasSuffix(base, ".dockerignore") || strings.HasSuffix(base, ".Dockerfile") || strings.HasSuffix(base, ".dockerfile") {
		return analyze.Whole
	}
	return analyze.Skip
}

// Analyze judges one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	d, err := parse(f.Data)
	if err != nil {
		return err
	}
	j := &judge{file: d, path: f.Path}
	j.all()
	out.Findings = append(out.Findings, j.findings...)
	out.Problems = append(out.Problems, d.problems...)
	return nil
}

// judge collects the findings of one file.
type judge struct {
	*file
	path     string
	findings []sekisho.Finding
	shell    bool // SHELL with pipefail is in force
}

// add notes a finding at an instruction.
func (j *judge) add(id string, i instruction, evidence string) {
	c := checks[id]
	x := sekisho.Finding{Kind: sekisho.Misconfiguration, ID: id, Severity: cmp.Or(c.severity, sekisho.None), Aliases: c.aliases,
		Evidence: short(evidence), Location: sekisho.Location{Path: j.path, Line: i.line}}
	if reason, ok := i.skip[id]; ok {
		x.Suppressed = &sekisho.Suppressed{Reason: reason, Owner: j.path}
	}
	j.findings = append(j.findings, x)
}

// short keeps evidence to one short line.
func short(s string) string {
	r := []rune(strings.Join(strings.Fields(misconfig.Scrub(s)), " "))
	if len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return string(r)
}

func (j *judge) all() {
	if len(j.list) == 0 {
		return
	}
	stages := map[string]bool{}
	args := map[string]string{}
	for n, i := range j.list {
		switch i.name {
		case "FROM":
			j.from(i, stages, args)
			j.shell = false
		case "ARG":
			name, value, _ := strings.Cut(i.text, "=")
			args[name] = strings.Trim(value, `"'`)
			j.secret(i)
		case "ENV":
			j.secret(i)
		case "SHELL":
			j.shell = strings.Contains(i.text, "pipefail")
		case "RUN":
			j.run(i)
		case "ADD", "COPY":
			j.copy(i, n)
		case "WORKDIR":
			j.workdir(i)
		case "MAINTAINER":
			j.add("SKS-DKF-023", i, "MAINTAINER")
		}
	}
	j.frontendCheck()
	j.final()
}

var variable = regexp.MustCompile(`\$\{?(\w+)(?::-([^}]*))?\}?`)

// expand replaces variables by the defaults of ARG.
func expand(text string, args map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		m := variable.FindStringSubmatch(v)
		return cmp.Or(args[m[1]], m[2], v)
	})
}

func (j *judge) from(i instruction, stages map[string]bool, args map[string]string) {
	if len(i.words) == 0 {
		return
	}
	ref := expand(i.words[0], args)
	name := ""
	if len(i.words) == 3 && strings.EqualFold(i.words[1], "as") {
		name = strings.ToLower(i.words[2])
	}
	known := stages[strings.ToLower(ref)]
	if name != "" && stages[name] {
		j.add("SKS-DKF-024", i, "AS "+name)
	}
	if name != "" {
		stages[name] = true
	}
	if known || ref == "scratch" || strings.Contains(ref, "$") {
		return
	}
	if strings.Contains(ref, "@") {
		return
	}
	_, tag, ok := strings.Cut(ref[strings.LastIndexByte(ref, '/')+1:], ":")
	if !ok || tag == "latest" {
		j.add("SKS-DKF-001", i, "FROM "+ref)
	}
	j.add("SKS-DKF-002", i, "FROM "+ref)
}

var assignment = regexp.MustCompile(`([A-Za-z_]\w*)=("[^"]*"|'[^']*'|\S*)`)

func (j *judge) secret(i instruction) {
	list := assignment.FindAllStringSubmatch(i.text, 100)
	if name, value, ok := strings.Cut(i.text, " "); i.name == "ENV" && len(list) == 0 && ok {
		list = [][]string{{"", name, strings.TrimSpace(value)}}
	}
	for _, m := range list {
		if misconfig.IsSecret(m[1], m[2]) {
			j.add("SKS-DKF-013", i, i.name+" "+m[1]+"="+misconfig.Mask(m[2]))
		}
	}
}

// rules are what an expression alone finds in a RUN.
func (j *judge) run(i instruction) {
	text := i.text
	for _, r := range runRules {
		if m := r.has.FindString(text); m != "" && (r.but == nil || !r.but.MatchString(text)) {
			j.add(r.id, i, m)
		}
	}
	cached := strings.Contains(strings.Join(i.flags, " "), "type=cache")
	for _, r := range cacheRules {
		if m := r.has.FindString(text); m != "" && !cached && !r.but.MatchString(text) {
			j.add(r.id, i, m)
		}
	}
	if i.flag("security") == "insecure" || i.flag("network") == "host" {
		j.add("SKS-DKF-018", i, strings.Join(i.flags, " "))
	}
	if pipe.MatchString(text) && !i.exec && !j.shell && !strings.Contains(text, "pipefail") {
		j.add("SKS-DKF-025", i, text)
	}
	if strings.HasPrefix(text, "cd ") {
		j.add("SKS-DKF-023", i, "RUN cd")
	}
	for _, m := range assignment.FindAllStringSubmatch(text, 100) {
		if misconfig.IsSecret(m[1], m[2]) {
			j.add("SKS-DKF-013", i, "RUN "+m[1]+"="+misconfig.Mask(m[2]))
		}
	}
}

var (
	url        = regexp.MustCompile(`^(https?://|git@|git://)`)
	packed     = regexp.MustCompile(`\.(tar|tgz|tbz2?|txz|tar\.\w+|gz|xz|bz2|zst)$`)
	credential = regexp.MustCompile(`(^|/)(id_(rsa|dsa|ecdsa|ed25519)|\.env|\.aws(/.*)?|\.ssh(/.*)?|\.docker/config\.json|kubeconfig|credentials\.json|[^/]+\.(pem|key|p12|pfx))$`)
	wide       = regexp.MustCompile(`^0?(777|666)$`)
	special    = regexp.MustCompile(`^[2-7][0-7]{3}$`)
)

func (j *judge) copy(i instruction, n int) {
	words := i.words
	if len(words) < 2 {
		return
	}
	sources, target := words[:len(words)-1], words[len(words)-1]
	for _, s := range sources {
		switch {
		case i.name == "ADD" && url.MatchString(s):
			if i.flag("checksum") == "" && !(strings.Contains(s, ".git#") && len(s[strings.Index(s, "#"):]) > 40) {
				j.add("SKS-DKF-005", i, "ADD "+s)
			}
			if strings.HasPrefix(s, "http://") {
				j.add("SKS-DKF-012", i, "ADD "+s)
			}
		case i.name == "ADD" && !packed.MatchString(s) && !strings.HasPrefix(s, "<<"):
			j.add("SKS-DKF-004", i, "ADD "+s)
		}
		if credential.MatchString(s) && i.flag("from") == "" {
			j.add("SKS-DKF-014", i, i.name+" "+s)
		}
		if (s == "." || s == "./") && i.flag("from") == "" && i.stage == j.list[len(j.list)-1].stage {
			j.add("SKS-DKF-020", i, i.name+" "+s)
		}
	}
	if mode := i.flag("chmod"); wide.MatchString(mode) {
		j.add("SKS-DKF-016", i, "--chmod="+mode)
	} else if special.MatchString(mode) {
		j.add("SKS-DKF-017", i, "--chmod="+mode)
	}
	if len(sources) > 1 && !strings.HasSuffix(target, "/") && target != "." && target != ".." && !strings.Contains(target, "$") && !strings.HasPrefix(sources[0], "<<") {
		j.add("SKS-DKF-024", i, fmt.Sprintf("%s … %s", i.name, target))
	}
	if from := i.flag("from"); from != "" {
		for _, k := range j.list[:n] {
			if k.name == "FROM" && k.stage == i.stage && len(k.words) == 3 && strings.EqualFold(k.words[2], from) {
				j.add("SKS-DKF-024", i, "--from="+from)
			}
		}
	}
}

func (j *judge) workdir(i instruction) {
	dir := i.text
	switch {
	case strings.HasPrefix(dir, "$") || strings.HasPrefix(dir, `"`) || len(dir) > 1 && dir[1] == ':':
	case !strings.HasPrefix(dir, "/"):
		j.add("SKS-DKF-023", i, "WORKDIR "+dir)
	case slices.Contains([]string{"/", "/etc", "/usr", "/bin"}, strings.TrimRight(dir, "/")+map[bool]string{true: "/"}[dir == "/"]) || hasPrefix(dir, "/proc", "/sys", "/dev"):
		j.add("SKS-DKF-022", i, "WORKDIR "+dir)
	}
}

func hasPrefix(dir string, list ...string) bool {
	for _, p := range list {
		if dir == p || strings.HasPrefix(dir, p+"/") {
			return true
		}
	}
	return false
}

func (j *judge) frontendCheck() {
	if f := j.frontend; f != "" {
		repository, _, _ := strings.Cut(f, ":")
		repository = strings.TrimPrefix(repository, "docker.io/")
		if repository != "docker/dockerfile" && repository != "docker/dockerfile-upstream" {
			j.add("SKS-DKF-019", instruction{line: 1}, "syntax="+f)
		}
	}
}

// final judges the last stage as the image it becomes.
func (j *judge) final() {
	last := j.list[len(j.list)-1].stage
	user, health := instruction{line: j.list[len(j.list)-1].line}, false
	found := false
	count := map[string]int{}
	for _, i := range j.list {
		if i.stage != last {
			continue
		}
		switch i.name {
		case "FROM":
			if !found {
				user = i
			}
		case "USER":
			user, found = i, true
		case "HEALTHCHECK":
			health = !strings.EqualFold(i.text, "NONE")
		case "EXPOSE":
			for _, p := range i.words {
				if service := misconfig.AdminPort(p); service != "" {
					j.add("SKS-IMG-017", i, p+" "+service)
				}
			}
		case "VOLUME":
			for _, v := range i.words {
				if misconfig.Sensitive(strings.Trim(v, `"`)) {
					j.add("SKS-IMG-019", i, "VOLUME "+v)
				}
			}
		}
		if count[i.name]++; count[i.name] == 2 && (i.name == "CMD" || i.name == "ENTRYPOINT" || i.name == "HEALTHCHECK") {
			j.add("SKS-DKF-023", i, i.name)
		}
	}
	name, _, _ := strings.Cut(user.text, ":")
	if !found || name == "root" || name == "0" {
		j.add("SKS-IMG-001", user, strings.TrimSpace("USER "+map[bool]string{true: name}[found]))
	}
	if !health {
		j.add("SKS-IMG-002", user, "")
	}
}
