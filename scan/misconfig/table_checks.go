package misconfig

import "sekisho"

// check is what is fixed about a check. The numbers are those of the CIS
// Docker Benchmark v1.6.0, of Dockle's checkpoints and of Trivy's checks.
type check struct {
	severity sekisho.Severity
	aliases  []string
}

var checks = map[string]check{
	"SKS-IMG-001": {sekisho.High, []string{"CIS-Docker-4.1", "CIS-DI-0001", "DS-0002"}},
	"SKS-IMG-002": {sekisho.Low, []string{"CIS-Docker-4.6", "CIS-DI-0006", "DS-0026"}},
	"SKS-IMG-003": {sekisho.Medium, []string{"CIS-Docker-4.8", "CIS-DI-0008"}},
	"SKS-IMG-004": {sekisho.Medium, nil},
	"SKS-IMG-005": {sekisho.Critical, []string{"DKL-LI-0001"}},
	"SKS-IMG-006": {sekisho.Low, []string{"DKL-LI-0002"}},
	"SKS-IMG-007": {sekisho.High, nil},
	"SKS-IMG-008": {sekisho.Critical, []string{"CIS-Docker-4.10", "CIS-DI-0010", "DS-0031"}},
	"SKS-IMG-009": {sekisho.Critical, []string{"CIS-Docker-4.10", "CIS-DI-0010", "DS-0031"}},
	"SKS-IMG-012": {sekisho.Medium, []string{"DKL-LI-0003"}},
	"SKS-IMG-013": {sekisho.None, []string{"DKL-DI-0004", "DKL-DI-0005", "DS-0025"}},
	"SKS-IMG-014": {sekisho.Low, []string{"CIS-Docker-4.3", "CIS-DI-0003"}},
	"SKS-IMG-015": {sekisho.Low, []string{"CIS-Docker-4.3", "CIS-DI-0003"}},
	"SKS-IMG-016": {sekisho.High, []string{"CIS-Docker-5.7"}},
	"SKS-IMG-017": {sekisho.Medium, []string{"CIS-Docker-5.7", "DS-0004"}},
	"SKS-IMG-018": {sekisho.Medium, []string{"DKL-DI-0001", "DS-0010"}},
	"SKS-IMG-019": {sekisho.High, []string{"DKL-DI-0002"}},
	"SKS-IMG-020": {sekisho.High, nil},
	"SKS-IMG-021": {sekisho.Medium, []string{"CIS-Docker-4.4", "CIS-DI-0004"}},
	"SKS-IMG-027": {sekisho.Medium, []string{"DKL-DI-0006"}},
	"SKS-IMG-028": {sekisho.None, nil},
	"SKS-IMG-030": {sekisho.High, nil},
	"SKS-IMG-031": {sekisho.Medium, nil},
	"SKS-IMG-032": {sekisho.High, nil},
	"SKS-IMG-035": {sekisho.Low, nil},
	"SKS-DKF-005": {sekisho.High, []string{"CIS-Docker-4.9", "CIS-DI-0009"}},
	"SKS-DKF-006": {sekisho.High, []string{"CIS-Docker-4.11"}},
	"SKS-DKF-011": {sekisho.High, []string{"CIS-Docker-4.11", "CIS-DI-0011"}},
	"SKS-DKF-015": {sekisho.High, nil},
}

// Checks lists the ids that Image can report.
func Checks() []string {
	list := make([]string, 0, len(checks))
	for id := range checks {
		list = append(list, id)
	}
	return list
}

// tools that an application seldom needs and an intruder gladly finds.
var tools = map[string]string{
	"nc": "tool", "ncat": "tool", "nc.openbsd": "tool", "nc.traditional": "tool", "nmap": "tool", "tcpdump": "tool",
	"strace": "tool", "gdb": "tool", "socat": "tool", "telnet": "tool", "tftp": "tool", "masscan": "tool", "hydra": "tool",
	"sshd": "remote", "dropbear": "remote", "telnetd": "remote", "in.telnetd": "remote", "in.rshd": "remote", "xinetd": "remote",
	"sudo": "sudo", "doas": "sudo",
	"apt-get": "manager", "apk": "manager", "yum": "manager", "dnf": "manager", "dnf5": "manager", "microdnf": "manager", "zypper": "manager", "pacman": "manager",
}

// caches of package managers.
var caches = []string{"var/lib/apt/lists/", "var/cache/apk/", "var/cache/yum/", "var/cache/dnf/", "var/cache/apt/archives/", "root/.cache/pip/", "root/.npm/_cacache/"}

// sensitive are the directories in which nobody but root should write.
var sensitive = []string{"etc", "usr", "bin", "sbin", "lib", "lib64", "opt"}

// adminPorts are ports of remote shells, desktops and unprotected daemons.
var adminPorts = map[string]string{"22": "ssh", "23": "telnet", "512": "rexec", "513": "rlogin", "514": "rsh", "2375": "docker", "3389": "rdp", "5900": "vnc", "6379": "redis"}
