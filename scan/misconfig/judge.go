package misconfig

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho/scan/secret"
)

func (j *judge) user() {
	name, _, _ := strings.Cut(j.Config.Config.User, ":")
	root := name == "" || name == "0" || name == "root"
	for _, a := range j.of("account") {
		account, uid, _ := strings.Cut(a.Value, ":")
		root = root || account == name && uid == "0"
	}
	if root {
		j.add("SKS-IMG-001", fmt.Sprintf("USER %q", j.Config.Config.User))
	}
}

var (
	secretName = regexp.MustCompile(`(?i)(passw|pwd$|secret|token|api_?key|private_?key|credential|access_?key)`)
	notSecret  = regexp.MustCompile(`(?i)(_file|_path|_url|_dir|_version|_id|public_?key|_name|_type|_length|_ttl|_expiry|_algo(rithm)?)$`)
	stub       = regexp.MustCompile(`(?i)^(\$.*|<.*>|\{\{.*|%.*%|(your|my|some|changeme|change_me|example|dummy|placeholder|xxx|todo|none|null|true|false|undefined|redacted|\*+).*|/.*|[a-z]+://[^:@/]*(/.*)?)$`)
	known      = regexp.MustCompile(`^(AKIA|ASIA)[A-Z0-9]{16}$|^gh[pousr]_[A-Za-z0-9]{36,}$|^glpat-[\w-]{20,}$|^xox[abprs]-[\w-]{10,}$|^sk_live_[0-9A-Za-z]{20,}$|^npm_[A-Za-z0-9]{36}$|^AIza[\w-]{35}$|^-----BEGIN [A-Z ]*PRIVATE KEY|^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+$|^[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s:@$]{3,}@`)
)

// IsSecret reports whether a name and value look like a secret that is really
// there: a known form of token, or a telling name with a value of 8 characters
// or more that is no placeholder, path or reference.
func IsSecret(name, value string) bool {
	value = strings.Trim(value, `"'`)
	if known.MatchString(value) {
		return true
	}
	return secretName.MatchString(name) && !notSecret.MatchString(name) && len(value) >= 8 &&
		!stub.MatchString(value) && !strings.ContainsAny(value, " \t") && secret.Entropy([]byte(value)) >= 2.5
}

// Mask stands for a secret: nothing of it is shown.
func Mask(string) string { return "********" }

var tokens = regexp.MustCompile(`\b((AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|sk_live_[0-9A-Za-z]{20,}|npm_[A-Za-z0-9]{36}|AIza[\w-]{35}|eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+)`)
var userinfo = regexp.MustCompile(`(://[^/\s:@]+:)[^/\s@]{3,}@`)

// Scrub masks the secrets in a text such as an instruction of the history.
func Scrub(text string) string {
	text = assignment.ReplaceAllStringFunc(text, func(a string) string {
		name, value, _ := strings.Cut(a, "=")
		if IsSecret(name, value) {
			return name + "=" + Mask(value)
		}
		return a
	})
	text = tokens.ReplaceAllStringFunc(text, Mask)
	return userinfo.ReplaceAllString(text, "$1********@")
}

func (j *judge) environment() {
	for _, e := range j.Config.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		if IsSecret(name, value) {
			j.add("SKS-IMG-008", "ENV "+name+"="+Mask(value))
		}
		if tlsOff(name, value) {
			j.add("SKS-IMG-030", "ENV "+name+"="+value)
		}
		if debug(name, value) {
			j.add("SKS-IMG-031", "ENV "+name+"="+value)
		}
		if name == "LD_PRELOAD" && value != "" {
			j.add("SKS-IMG-032", "ENV "+name+"="+value)
		}
	}
}

func tlsOff(name, value string) bool {
	v := strings.ToLower(value)
	switch strings.ToUpper(name) {
	case "NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY":
		return v == "0"
	case "GIT_SSL_NO_VERIFY", "CURL_INSECURE":
		return v != "" && v != "0" && v != "false"
	case "REQUESTS_CA_BUNDLE":
		return v == ""
	case "NPM_CONFIG_STRICT_SSL":
		return v == "false"
	}
	return false
}

func debug(name, value string) bool {
	v := strings.ToLower(value)
	on := v == "1" || v == "true"
	switch strings.ToUpper(name) {
	case "FLASK_DEBUG", "DJANGO_DEBUG":
		return on
	case "FLASK_ENV", "RAILS_ENV", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT", "NODE_ENV":
		return v == "development"
	}
	return debugger.MatchString(value)
}

var debugger = regexp.MustCompile(`agentlib:jdwp|-Xrunjdwp|--inspect(-brk)?=(0\.0\.0\.0|\[::\])`)

var (
	assignment = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]{2,63})=("[^"]*"|'[^']*'|[^\s;&|]+)`)
	addURL     = regexp.MustCompile(`^(?:/bin/sh -c #\(nop\) )?ADD (?:--\S+ )*(?:multi:\S+ )?(https?://\S+)`)
	pipeShell  = regexp.MustCompile(`\b(curl|wget)\b[^|;&]*\|\s*(sudo\s+)?(ba|z|da)?sh\b`)
	noVerify   = regexp.MustCompile(`--allow-unauthenticated|--force-yes|--nogpgcheck|--no-gpg-checks|--allow-untrusted|--no-check-certificate|\bcurl\b[^|;&]*\s(-k|--insecure)\b|--trusted-host|strict-ssl false|http\.sslVerify[ =]false`)
	setPasswd  = regexp.MustCompile(`\bchpasswd\b|\bpasswd\s+(-d|--delete|--stdin)\b|\b(user(mod|add))\b[^|;&]*\s-p\s`)
)

func (j *judge) history() {
	layer := 0
	for _, h := range j.Config.History {
		at := -1
		if !h.EmptyLayer {
			at = layer
			layer++
		}
		by := h.CreatedBy
		place := Placed{Layer: at}
		for _, m := range assignment.FindAllStringSubmatch(by, 200) {
			if IsSecret(m[1], m[2]) && !slices.Contains(j.Config.Config.Env, m[1]+"="+strings.Trim(m[2], `"'`)) {
				j.at("SKS-IMG-009", place, m[1]+"="+Mask(m[2]))
			}
		}
		if m := addURL.FindStringSubmatch(by); m != nil && !strings.Contains(by, "--checksum=") {
			j.at("SKS-DKF-005", place, "ADD "+Scrub(m[1]))
		}
		for id, re := range map[string]*regexp.Regexp{"SKS-DKF-006": pipeShell, "SKS-DKF-011": noVerify, "SKS-DKF-015": setPasswd} {
			if m := re.FindString(by); m != "" {
				j.at(id, place, Scrub(m))
			}
		}
	}
}

func (j *judge) start() {
	command := append(slices.Clone(j.Config.Config.Entrypoint), j.Config.Config.Cmd...)
	if len(command) == 0 {
		return
	}
	shell := path.Base(command[0])
	if len(command) > 2 && (shell == "sh" || shell == "bash") && command[1] == "-c" && !strings.Contains(command[2], "exec ") {
		j.add("SKS-IMG-035", strings.Join(command[:2], " "))
	}
	if tools[shell] == "remote" {
		j.add("SKS-IMG-016", "CMD "+shell)
	}
	if m := debugger.FindString(strings.Join(command, " ")); m != "" {
		j.add("SKS-IMG-031", m)
	}
}

// maxAge is how old an image may get before it should be built anew.
const maxAge = 90 * 24 * time.Hour

func (j *judge) config() {
	c := j.Config.Config
	if c.Healthcheck == nil || len(c.Healthcheck.Test) == 0 || c.Healthcheck.Test[0] == "NONE" {
		j.add("SKS-IMG-002", "")
	}
	for p := range c.ExposedPorts {
		if service := AdminPort(p); service != "" {
			j.add("SKS-IMG-017", p+" "+service)
		}
	}
	for v := range c.Volumes {
		if Sensitive(v) {
			j.add("SKS-IMG-019", "VOLUME "+v)
		}
	}
	epoch := j.Config.Created == nil || j.Config.Created.Year() < 2000 // reproducible builds
	if !epoch && j.Now.Sub(*j.Config.Created) > maxAge {
		j.add("SKS-IMG-021", j.Config.Created.UTC().Format(time.DateOnly))
	}
	if j.Name != "" && !strings.Contains(j.Name, "@") {
		tag := j.Name[strings.LastIndexByte(j.Name, '/')+1:]
		if _, t, ok := strings.Cut(tag, ":"); !ok || t == "latest" {
			j.add("SKS-IMG-027", j.Name)
		}
	}
	for _, l := range []string{"org.opencontainers.image.source", "org.opencontainers.image.revision"} {
		if c.Labels[l] == "" {
			j.add("SKS-IMG-028", l)
			break
		}
	}
}

func (j *judge) files() {
	for _, f := range j.of("setuid") {
		j.at("SKS-IMG-003", f, f.Value)
	}
	for _, f := range j.of("world-writable") {
		j.at("SKS-IMG-004", f, f.Value)
	}
	for _, f := range j.of("leftover") {
		j.at("SKS-IMG-012", f, "")
	}
	for _, f := range j.of("preload") {
		j.at("SKS-IMG-032", f, f.Value)
	}
	for _, f := range j.of("sudo") {
		j.at("SKS-IMG-018", f, "")
	}
	for _, f := range j.of("remote") {
		j.at("SKS-IMG-016", f, "")
	}
	for _, f := range j.of("tool") {
		j.at("SKS-IMG-015", f, "")
	}
	for _, f := range j.of("manager") {
		j.at("SKS-IMG-014", f, "")
	}
	j.caches()
}

// minCache is how many bytes of cache are worth a word.
const minCache = 1 << 20

func (j *judge) caches() {
	total, last := map[string]int64{}, map[string]int{}
	for _, f := range j.of("cache") {
		size, _ := strconv.ParseInt(f.Value, 10, 64) // our own number
		for _, c := range caches {
			if strings.HasPrefix(f.Path, c) {
				total[c] += size
				last[c] = max(last[c], f.Layer)
			}
		}
	}
	for _, c := range caches {
		if total[c] > minCache {
			j.at("SKS-IMG-013", Placed{Path: strings.TrimSuffix(c, "/"), Layer: last[c]}, fmt.Sprintf("%.1f MiB", float64(total[c])/(1<<20)))
		}
	}
}

func (j *judge) accounts() {
	shadow := map[string]bool{}
	for _, s := range j.of("shadow") {
		shadow[s.Value] = true
	}
	for _, f := range j.of("empty-password") {
		j.at("SKS-IMG-005", f, f.Value)
	}
	for _, f := range j.of("empty-passwd") {
		if !shadow[f.Value] {
			j.at("SKS-IMG-005", f, f.Value)
		}
	}
	for _, f := range j.of("duplicate") {
		j.at("SKS-IMG-006", f, f.Value)
	}
	for _, f := range j.of("account") {
		if name, uid, _ := strings.Cut(f.Value, ":"); uid == "0" && name != "root" {
			j.at("SKS-IMG-007", f, name)
		}
	}
}

func (j *judge) packages() {
	if j.OS == nil || j.OS.SupportedUntil == "" {
		return
	}
	end, err := time.Parse(time.DateOnly, j.OS.SupportedUntil)
	if err == nil && j.Now.After(end) {
		j.add("SKS-IMG-020", j.OS.Name+": "+j.OS.SupportedUntil)
	}
}

// AdminPort names the service behind an administration port, "" for others.
func AdminPort(port string) string {
	number, _, _ := strings.Cut(port, "/")
	return adminPorts[number]
}

// Sensitive reports whether a volume must not be there.
func Sensitive(volume string) bool {
	switch path.Clean("/" + volume) {
	case "/", "/dev", "/proc", "/sys", "/etc", "/boot", "/lib", "/usr", "/root", "/run":
		return true
	}
	return strings.HasSuffix(volume, ".sock")
}
