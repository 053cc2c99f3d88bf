package dockerfile

import (
	"regexp"

	"sekisho"
)

type check struct {
	severity sekisho.Severity
	aliases  []string
}

// checks with the numbers of the CIS Docker Benchmark v1.6.0, of Dockle and of
// Trivy.
var checks = map[string]check{
	"SKS-DKF-001": {sekisho.Medium, []string{"CIS-Docker-4.2", "DKL-DI-0006", "DS-0001"}},
	"SKS-DKF-002": {sekisho.Low, nil},
	"SKS-DKF-004": {sekisho.Low, []string{"CIS-Docker-4.9", "CIS-DI-0009", "DS-0005"}},
	"SKS-DKF-005": {sekisho.High, []string{"CIS-Docker-4.9", "CIS-DI-0009"}},
	"SKS-DKF-006": {sekisho.High, []string{"CIS-Docker-4.11"}},
	"SKS-DKF-007": {sekisho.Low, []string{"CIS-Docker-4.7", "CIS-DI-0007", "DS-0017"}},
	"SKS-DKF-008": {sekisho.None, []string{"CIS-Docker-4.3", "DS-0021", "DS-0029"}},
	"SKS-DKF-009": {sekisho.None, []string{"DKL-DI-0003", "DS-0024"}},
	"SKS-DKF-010": {sekisho.None, []string{"DKL-DI-0004", "DKL-DI-0005", "DS-0025"}},
	"SKS-DKF-011": {sekisho.High, []string{"CIS-Docker-4.11", "CIS-DI-0011"}},
	"SKS-DKF-012": {sekisho.Medium, []string{"CIS-Docker-4.11", "CIS-DI-0011"}},
	"SKS-DKF-013": {sekisho.Critical, []string{"CIS-Docker-4.10", "CIS-DI-0010", "DS-0031"}},
	"SKS-DKF-014": {sekisho.High, []string{"CIS-Docker-4.10", "CIS-DI-0010"}},
	"SKS-DKF-015": {sekisho.High, nil},
	"SKS-DKF-016": {sekisho.Medium, nil},
	"SKS-DKF-017": {sekisho.High, []string{"CIS-Docker-4.8", "CIS-DI-0008"}},
	"SKS-DKF-018": {sekisho.High, nil},
	"SKS-DKF-019": {sekisho.Medium, nil},
	"SKS-DKF-020": {sekisho.Medium, []string{"DKL-LI-0003"}},
	"SKS-DKF-021": {sekisho.Low, nil},
	"SKS-DKF-022": {sekisho.Medium, []string{"DS-0030"}},
	"SKS-DKF-023": {sekisho.None, []string{"DS-0009", "DS-0013", "DS-0016", "DS-0022"}},
	"SKS-DKF-024": {sekisho.None, []string{"DS-0006", "DS-0011", "DS-0012"}},
	"SKS-DKF-025": {sekisho.None, nil},
	"SKS-IMG-001": {sekisho.High, []string{"CIS-Docker-4.1", "CIS-DI-0001", "DS-0002"}},
	"SKS-IMG-002": {sekisho.Low, []string{"CIS-Docker-4.6", "CIS-DI-0006", "DS-0026"}},
	"SKS-IMG-017": {sekisho.Medium, []string{"CIS-Docker-5.7", "DS-0004"}},
	"SKS-IMG-018": {sekisho.Medium, []string{"DKL-DI-0001", "DS-0010"}},
	"SKS-IMG-019": {sekisho.High, []string{"DKL-DI-0002"}},
}

// Checks lists the ids that a Dockerfile can be reported for.
func Checks() []string {
	list := make([]string, 0, len(checks))
	for id := range checks {
		list = append(list, id)
	}
	return list
}

// rule finds an expression in a RUN, unless another stands there too.
type rule struct {
	id       string
	has, but *regexp.Regexp
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

var pipe = re(`[^|]\|[^|]`)

var runRules = []rule{
	{"SKS-DKF-006", re(`\b(curl|wget)\b[^|;&]*\|\s*(sudo\s+)?((ba|z|da)?sh|python3?|perl|node)\b`), nil},
	{"SKS-DKF-007", re(`\b(apt-get|apt|yum|dnf|apk|zypper)\s+(-\S+\s+)*(update|makecache)\b`), re(`\b(install|add|upgrade|dist-upgrade|groupinstall)\b`)},
	{"SKS-DKF-008", re(`\bapt(-get)?\s+(-\S+\s+)*install\b`), re(`(\s-y|\s-qq|--yes|--assume-yes|\s-\w*y)\b[\s\S]*--no-install-recommends|--no-install-recommends[\s\S]*(\s-\w*y|\s-qq|--yes|--assume-yes)\b`)},
	{"SKS-DKF-009", re(`\b(dist-upgrade|full-upgrade)\b`), nil},
	{"SKS-DKF-011", re(`--allow-unauthenticated|--force-yes|--nogpgcheck|--no-gpg-checks|--allow-untrusted|--no-check-certificate|\bcurl\b[^|;&]*\s(-\w*k\w*|--insecure)\b|--trusted-host|strict-ssl[= ]false|http\.sslVerify[ =]false`), nil},
	{"SKS-DKF-012", re(`\b(curl|wget)\b[^|;&]*\bhttp://\S+`), re(`sha(256|512)sum|gpg\s+--verify`)},
	{"SKS-DKF-015", re(`\bchpasswd\b|\bpasswd\s+(-d|--delete|--stdin)\b|\buser(mod|add)\b[^|;&]*\s(-p|--password)\s`), nil},
	{"SKS-DKF-016", re(`\bchmod\s+(-\S+\s+)*(0?777|a\+\w*w\w*|o\+\w*w\w*)\b`), nil},
	{"SKS-DKF-017", re(`\bchmod\s+(-\S+\s+)*([ug]+\+s|[2-7][0-7]{3})\b|\bsetcap\s+\S*cap_(setuid|setgid|dac_override|dac_read_search|sys_admin|sys_ptrace|sys_module|net_admin|net_raw|setfcap)\S*`), nil},
	{"SKS-DKF-021", re(`\bpip3?\s+install\s+(-\S+\s+)*[A-Za-z][\w.-]*(\s|$)`), re(`==|-r\s|--requirement|\s\.(\s|$)`)},
	{"SKS-DKF-021", re(`\bgo\s+install\s+\S+@latest\b`), nil},
	{"SKS-DKF-021", re(`\bgem\s+install\s+(-\S+\s+)*\w[\w-]*`), re(`\s(-v|--version)\b|:\d`)},
	{"SKS-DKF-021", re(`\bnpm\s+(install|i)\s+(-\S+\s+)*[a-z][\w./-]*(\s|$)`), re(`@\d|@\^|@~`)},
	{"SKS-IMG-018", re(`(^|[;&|]\s*|\s)sudo\s`), nil},
}

var cacheRules = []rule{
	{"SKS-DKF-010", re(`\bapk\s+(-\S+\s+)*add\b`), re(`--no-cache|rm\s+-\w+\s+\S*/var/cache/apk`)},
	{"SKS-DKF-010", re(`\bapt(-get)?\s+(-\S+\s+)*install\b`), re(`/var/lib/apt/lists`)},
	{"SKS-DKF-010", re(`\b(yum|dnf|microdnf)\s+(-\S+\s+)*install\b`), re(`clean\s+(all|packages)|/var/cache/(yum|dnf)`)},
	{"SKS-DKF-010", re(`\bzypper\s+(-\S+\s+)*(install|in)\b`), re(`zypper\s+(clean|cc)`)},
}
