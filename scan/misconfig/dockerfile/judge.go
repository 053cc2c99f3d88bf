package dockerfile

import (
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/misconfig"
)

// stage is a stage of the build and what it leaves to those that build on it.
type stage struct {
	name   string
	base   *stage // that it builds on, nil for an image
	image  string // that it builds on, "" for a stage
	from   instruction
	scope  *scope
	shell  []string // of SHELL, nil for the usual one
	user   *instruction
	health *instruction
	count  map[string]int // instructions of which one counts
	gets   map[string]bool
	lock   bool // package-lock.json was copied
	apt    bool // apt is told to leave recommended packages out
}

// judge collects the findings of one file.
type judge struct {
	*file
	path     string
	findings []sekisho.Finding
	stages   []*stage
	global   *scope // ARG before the first FROM
}

// add notes a finding at an instruction. What is found again in the same
// instruction is further evidence.
func (j *judge) add(id string, i instruction, evidence string, aliases ...string) {
	evidence = short(evidence)
	for n := len(j.findings) - 1; n >= 0 && j.findings[n].Location.Line == i.line; n-- {
		f := &j.findings[n]
		if f.ID != id {
			continue
		}
		if !strings.Contains(f.Evidence, evidence) {
			f.Evidence = short(f.Evidence + "; " + evidence)
		}
		for _, a := range aliases {
			if !slices.Contains(f.Aliases, a) {
				f.Aliases = append(f.Aliases, a)
			}
		}
		return
	}
	c := checks[id]
	f := sekisho.Finding{Kind: sekisho.Misconfiguration, ID: id, Severity: c.severity, Aliases: append(slices.Clone(c.aliases), aliases...),
		Evidence: evidence, Location: sekisho.Location{Path: j.path, Line: i.line}}
	if reason, ok := i.skip[id]; ok {
		f.Suppressed = &sekisho.Suppressed{Reason: reason, Owner: j.path}
	}
	j.findings = append(j.findings, f)
}

// short keeps evidence to one short line without secrets.
func short(s string) string {
	r := []rune(strings.Join(strings.Fields(misconfig.Scrub(s)), " "))
	if len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return string(r)
}

// all judges the file; false means that it has no stage.
func (j *judge) all() bool {
	j.global = &scope{values: map[string]string{}}
	for n := range j.list {
		i := j.list[n]
		if i.name == "FROM" && !i.onbuild {
			j.open(i)
			continue
		}
		if len(j.stages) == 0 {
			if i.name == "ARG" {
				j.variables(i, j.global)
			}
			continue
		}
		j.one(i, j.stages[len(j.stages)-1])
	}
	if len(j.stages) == 0 {
		return false
	}
	j.checkFrontend()
	j.final()
	return true
}

// one judges an instruction of a stage.
func (j *judge) one(i instruction, s *stage) {
	switch i.name {
	case "ARG", "ENV":
		j.variables(i, s.scope)
	case "SHELL":
		s.shell = i.words
	case "RUN":
		j.run(i, s)
	case "ADD", "COPY":
		j.copy(i, s)
	case "WORKDIR":
		j.workdir(i, s)
	case "MAINTAINER":
		j.add("SKS-DKF-023", i, "MAINTAINER", "DS-0022")
	case "USER":
		s.user = &i
	case "HEALTHCHECK":
		s.health = &i
		j.twice(i, s, "DS-0023")
	case "CMD":
		j.twice(i, s, "DS-0016")
	case "ENTRYPOINT":
		j.twice(i, s, "DS-0007")
	case "EXPOSE":
		j.tooHigh(i)
	}
}

// open begins a stage.
func (j *judge) open(i instruction) {
	s := &stage{from: i, count: map[string]int{}, gets: map[string]bool{}}
	j.stages = append(j.stages, s)
	s.scope = &scope{values: map[string]string{}}
	if len(i.words) == 0 {
		return
	}
	ref, known := j.global.expand(i.words[0], j.escape)
	if len(i.words) > 2 && strings.EqualFold(i.words[1], "as") {
		s.name = strings.ToLower(i.words[2])
		if j.named(s.name) != nil {
			j.add("SKS-DKF-024", i, "AS "+s.name, "DS-0012")
		}
	}
	if b := j.named(strings.ToLower(ref)); b != nil && b != s {
		s.base, s.shell, s.scope.below = b, b.shell, b.scope
		s.user, s.health = b.user, b.health
		return
	}
	s.image = ref
	if known && !strings.Contains(ref, "{{") {
		j.reference(i, ref)
	}
}

// named returns the earlier stage of that name; the last stage is not yet one.
func (j *judge) named(name string) *stage {
	for _, s := range j.stages[:len(j.stages)-1] {
		if s.name != "" && s.name == name {
			return s
		}
	}
	return nil
}

// reference judges the image that a stage builds on.
func (j *judge) reference(i instruction, ref string) {
	if ref == "scratch" || strings.Contains(ref, "@sha256:") || strings.Contains(ref, "@sha512:") {
		return
	}
	_, tag, ok := strings.Cut(ref[strings.LastIndexByte(ref, '/')+1:], ":")
	if !ok || tag == "latest" || tag == "" {
		j.add("SKS-DKF-001", i, "FROM "+ref)
	}
	j.add("SKS-DKF-002", i, "FROM "+ref)
}

// variables remembers what ARG and ENV set and looks for secrets in it.
func (j *judge) variables(i instruction, s *scope) {
	for _, p := range i.pairs() {
		value, known := s.expand(p.value, j.escape)
		if i.name == "ARG" && !p.valued {
			if global, ok := j.global.get(p.name); ok && s != j.global {
				s.set(p.name, global)
			} else if misconfig.IsSecret(p.name, probe) {
				j.weakSecret(i, "ARG "+p.name)
			}
			continue
		}
		if known {
			s.set(p.name, value)
		}
		if misconfig.IsSecret(p.name, value) {
			j.add("SKS-DKF-013", i, i.name+" "+p.name+"="+misconfig.Mask(value))
		}
		if i.name == "ENV" && unverified(p.name, value) {
			j.add("SKS-DKF-011", i, "ENV "+p.name+"="+value)
		}
	}
}

// probe is a value that is a secret under a telling name only.
const probe = "q7Zk2Rw9Xb4T"

// weakSecret notes an ARG that waits for a secret: what the build gives stays
// in the history.
func (j *judge) weakSecret(i instruction, evidence string) {
	n := len(j.findings)
	if j.add("SKS-DKF-013", i, evidence); len(j.findings) > n {
		j.findings[n].Severity = sekisho.Medium
	}
}

// unverified knows variables that turn the check of certificates off.
func unverified(name, value string) bool {
	v := strings.ToLower(strings.Trim(value, `"'`))
	switch strings.ToUpper(name) {
	case "NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY":
		return v == "0"
	case "GIT_SSL_NO_VERIFY", "CURL_INSECURE":
		return v != "" && v != "0" && v != "false"
	case "NPM_CONFIG_STRICT_SSL", "GIT_SSL_VERIFY":
		return v == "false" || v == "0"
	case "PIP_TRUSTED_HOST":
		return v != ""
	}
	return false
}

// twice notes a second instruction where only the last one counts.
func (j *judge) twice(i instruction, s *stage, alias string) {
	if s.count[i.name]++; s.count[i.name] == 2 && !i.onbuild {
		j.add("SKS-DKF-023", i, i.name, alias)
	}
}

func (j *judge) tooHigh(i instruction) {
	for _, w := range i.words {
		from, to, _ := ports(w)
		if max(from, to) > 65535 {
			j.add("SKS-DKF-023", i, "EXPOSE "+w, "DS-0008")
		}
	}
}

// ports reads PORT[-PORT][/PROTOCOL].
func ports(w string) (from, to int, ok bool) {
	w, _, _ = strings.Cut(strings.Trim(w, `"'`), "/")
	a, b, ranged := strings.Cut(w, "-")
	from, err := strconv.Atoi(a)
	if err != nil {
		return 0, 0, false
	}
	if to = from; ranged {
		if to, err = strconv.Atoi(b); err != nil {
			return 0, 0, false
		}
	}
	return from, to, true
}

func (j *judge) workdir(i instruction, s *stage) {
	dir, known := s.scope.expand(i.text, j.escape)
	switch {
	case !known && strings.HasPrefix(dir, "$"), dir == "", len(dir) > 1 && dir[1] == ':', strings.HasPrefix(dir, `\`):
		return
	case dir[0] != '/':
		j.add("SKS-DKF-023", i, "WORKDIR "+dir, "DS-0009")
		return
	}
	switch clean := "/" + strings.Trim(dir, "/"); clean {
	case "/", "/etc", "/usr", "/bin", "/sbin", "/lib", "/boot":
		j.add("SKS-DKF-022", i, "WORKDIR "+dir)
	default:
		for _, p := range []string{"/proc", "/sys", "/dev"} {
			if clean == p || strings.HasPrefix(clean, p+"/") {
				j.add("SKS-DKF-022", i, "WORKDIR "+dir)
			}
		}
	}
}

func (j *judge) checkFrontend() {
	repository, _, _ := strings.Cut(j.frontend, "@")
	if slash := strings.LastIndexByte(repository, '/'); strings.Contains(repository[slash+1:], ":") {
		repository = repository[:strings.LastIndexByte(repository, ':')]
	}
	switch strings.TrimPrefix(repository, "docker.io/") {
	case "", "docker/dockerfile", "docker/dockerfile-upstream":
		return
	}
	j.add("SKS-DKF-019", instruction{line: 1, skip: j.list[0].skip}, "syntax="+j.frontend)
}
