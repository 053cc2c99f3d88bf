package detect_test

import (
	"slices"
	"strings"
	"testing"

	"sekisho"
)

// action is what the public event generator does in one action, as events; the
// rule of the same name must hold.
type action struct {
	rule   string
	events []*sekisho.Event
}

func on(rule string, events ...*sekisho.Event) action { return action{rule, events} }

func fileActions() []action {
	const shell = "bash < sleeper < containerd-shim"
	return []action{
		on("Adding ssh keys to authorized_keys", open("/root/.ssh/authorized_keys", write|create, "tool < runner")),
		on("Clear Log Activities", open("/var/log/syslog", write|trunc, "tool < runner")),
		on("Container Drift Detected (chmod)", file(sekisho.EventChmod, "/tmp/created", "", "tool < runner", mode(0o755))),
		on("Container Drift Detected (open+create)", open("/tmp/created", write|create, "tool < runner", mode(0o755))),
		on("Create files below dev", open("/dev/created", write|create, "tool < runner")),
		on("Create Hardlink Over Sensitive Files", file(sekisho.EventLink, "/etc/shadow", "/tmp/link", "ln < runner")),
		on("Create Hidden Files or Directories", open("/tmp/.hidden", write|create, "tool < runner")),
		on("Create Symlink Over Sensitive Files", file(sekisho.EventSymlink, "/tmp/link", "/etc", "ln < runner")),
		on("Delete or rename shell history", file(sekisho.EventUnlink, "/tmp/bash_history", "", "rm < runner")),
		on("Detect release_agent File Container Escapes", open("/sys/fs/cgroup/rdma/release_agent", write, "tool < runner", user("root", 0), caps(1<<21|1<<1))),
		on("Directory traversal monitored file read", open("/etc/shadow", 0, "tool < runner", raw("/etc/../etc/../etc/shadow"))),
		on("Mkdir binary dirs", file(sekisho.EventMkdir, "/usr/bin/created", "", "mkdir < runner")),
		on("Modify binary dirs", file(sekisho.EventRename, "/bin/true", "/bin/renamed", "mv < runner")),
		on("Modify Container Entrypoint", open("/proc/self/exe", write, "tool < runner")),
		on("Modify Shell Configuration File", open("/home/user/.bashrc", write, "tool < runner")),
		on("Read environment variable from /proc files", open("/proc/1/environ", 0, "tool < runner")),
		on("Read sensitive file trusted after startup", open("/etc/shadow", 0, "httpd < runner", old)),
		on("Read sensitive file untrusted", open("/etc/shadow", 0, "tool < runner")),
		on("Read Shell Configuration File", open("/root/.bashrc", 0, "tool < runner")),
		on("Read ssh information", open("/home/user/.ssh/known_hosts", 0, "tool < runner")),
		on("Set Setuid or Setgid bit", file(sekisho.EventChmod, "/tmp/created", "", "chmod < runner", mode(0o4755))),
		on("Write below binary dir", open("/bin/created", write|create, "tool < runner")),
		on("Write below etc", open("/etc/created", write|create, "tool < runner")),
		on("Write below monitored dir", open("/lib/created", write|create, "tool < runner")),
		on("Write below root", open("/root/created", write|create, "tool < runner")),
		on("Write below rpm database", open("/var/lib/rpm/created", write|create, "tool < runner")),
		on("Find AWS Credentials", exec("find / -maxdepth 6 -iname .aws/credentials < runner")),
		on("Schedule Cron Jobs", exec("crontab -l < "+shell)),
	}
}

func processActions() []action {
	return []action{
		on("DB program spawned process", exec("ls -l < mysqld < containerd-shim")),
		on("Debugfs Launched in Privileged Container", exec("debugfs -V < bash < runner", privileged)),
		on("Decoding Payload in Container", exec("bash -c echo|base64${IFS}-d < runner")),
		on("Drop and execute new binary in container", exec("/tmp/dropped < runner", origin(sekisho.OriginUpper))),
		on("Execution from /dev/shm", exec("sh -c /dev/shm/payload.sh < runner")),
		on("Fileless execution via memfd_create", exec("memfd:program < runner", origin(sekisho.OriginMemory))),
		on("Kubernetes Client Tool Launched in Container", exec("kubectl get pods < runner")),
		on("Launch Ingress Remote File Copy Tools in Container", exec("wget http://example.com/file < runner")),
		on("Launch Package Management Process in Container", exec("apt-get install x < runner")),
		on("Launch Remote File Copy Tools in Container", exec("rsync a b < runner")),
		on("Launch Suspicious Network Tool in Container", exec("nmap -sn 10.0.0.0/24 < runner")),
		on("Launch Suspicious Network Tool on Host", exec("nmap -sn 10.0.0.0/24 < runner", host)),
		on("Mount Launched in Privileged Container", exec("mount /dev/x /mnt < runner", privileged)),
		on("Netcat Remote Code Execution in Container", exec("nc -e /bin/sh 10.0.0.9 22 < runner")),
		on("Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)", exec("pkexec < runner", login(1000))),
		on("Potential Local Privilege Escalation via Environment Variables Misuse", exec("tool < runner", env("PATH=/bin", "GLIBC_TUNABLES=glibc.malloc=1"))),
		on("Program run with disallowed http proxy env", exec("curl http://example.com < runner", env("HTTP_PROXY=http://proxy:3128"))),
		on("Remove Bulk Data from Disk", exec("shred -u file < runner")),
		on("Run shell untrusted", exec("bash -c true < httpd < runner")),
		on("Search Private Keys or Passwords", exec("find /root -name id_rsa < runner")),
		on("Sudo Potential Privilege Escalation", exec(`sudoedit -s \ < runner`, login(1000))),
		on("System user interactive", exec("tool < sshd < systemd", user("daemon", 2), host)),
		on("User mgmt binaries", exec("vipw < bash < runner", host)),
		on("Detect crypto miners using the Stratum protocol", exec("tool -o stratum+tcp://pool.example:3333 < runner")),
	}
}

func kernelActions() []action {
	outside := "93.184.216.34"
	return []action{
		on("Change namespace privileges via unshare", event(sekisho.EventUnshare, "unshare < runner", flags(0x10000000))),
		on("Change thread namespace", event(sekisho.EventSetns, "tool < runner", flags(0x40000000))),
		on("Contact EC2 Instance Metadata Service From Container", conn(sekisho.EventConnect, "tcp", "169.254.169.254:80", "tool < runner")),
		on("Disallowed SSH Connection Non Standard Port", conn(sekisho.EventConnect, "tcp", outside+":443", "ssh user@host -p 443 < runner")),
		on("Interpreted procs inbound network activity", conn(sekisho.EventListen, "tcp", "0.0.0.0:0", "python3 server.py < runner")),
		on("Interpreted procs outbound network activity", conn(sekisho.EventConnect, "tcp", outside+":80", "python3 client.py < runner")),
		on("Java Process Class File Download", conn(sekisho.EventReceive, "tcp", outside+":80", "/usr/bin/java -jar x.jar < runner", call("recvfrom"), data("HTTP/1.1 200 OK\r\n\r\n\xca\xfe\xba\xbe\x00"))),
		on("Non sudo setuid", event(sekisho.EventSetuid, "tool < runner", user("daemon", 2), call("setuid"), host)),
		on("Packet socket created in container", event(sekisho.EventSocket, "tool < runner", domain(17, 3))),
		on("PTRACE anti-debug attempt", event(sekisho.EventPtrace, "tool < runner", number(0))),
		on("PTRACE attached to process", event(sekisho.EventPtrace, "tool < runner", number(16))),
		on("System procs network activity", conn(sekisho.EventConnect, "tcp", "10.2.3.4:8080", "sha1sum < runner")),
		on("Unexpected UDP Traffic", conn(sekisho.EventConnect, "udp", outside+":9999", "tool < runner")),
		on("Unprivileged Delegation of Page Faults Handling to a Userspace Process", event(sekisho.EventFault, "tool < runner", call("userfaultfd"), user("app", 1000), result(4))),
	}
}

func actions() []action {
	return slices.Concat(fileActions(), processActions(), kernelActions())
}

func TestPublicRulesLoad(t *testing.T) {
	want := map[string]int{"falco_rules.yaml": 25, "falco-incubating_rules.yaml": 31, "falco-sandbox_rules.yaml": 37}
	for name, n := range want {
		if set := load(t, true, public(t, name)...); len(set.Rules) != n {
			t.Errorf("%s alone has %d rules, want %d", name, len(set.Rules), n)
		}
	}
	set := load(t, false, public(t)...)
	disabled := 0
	for _, r := range set.Rules {
		if !r.Enabled {
			disabled++
		} else if len(r.Needs) == 0 {
			t.Errorf("%s holds for no event", r.Name)
		}
	}
	if len(set.Rules) != 93 || set.Lists != 118 || disabled != 12 {
		t.Errorf("together: %d rules, %d lists, %d disabled, want 93, 118 and 12", len(set.Rules), set.Lists, disabled)
	}
	for _, p := range set.Problems {
		t.Errorf("a problem in the public rules: %v", p)
	}
}

// TestActions holds that each action of the public event generator makes the
// rule of its name fire, and at most two others.
func TestActions(t *testing.T) {
	list := actions()
	if len(list) != 66 {
		t.Errorf("%d actions, want 66", len(list))
	}
	set, defaults := load(t, true, public(t)...), load(t, false, public(t)...)
	for _, a := range list {
		// Rules that are disabled because they hold for ordinary life do not
		// count, but for the one that the action is meant for.
		got := fired(set, a.events...)
		if !slices.Contains(got, a.rule) {
			t.Errorf("%s did not fire; fired: %s", a.rule, strings.Join(got, ", "))
		}
		others := 0
		for _, name := range got {
			if r, _ := defaults.Find(name); name != a.rule && r.Enabled {
				others++
			}
		}
		if others > 2 {
			t.Errorf("%s: %d others fired: %s", a.rule, others, strings.Join(got, ", "))
		}
	}
}

// TestQuiet holds that rules do not hold for ordinary events.
func TestQuiet(t *testing.T) {
	set := load(t, true, public(t)...)
	for _, e := range []*sekisho.Event{
		exec("myserver --port 8080 < entry < containerd-shim"),
		open("/usr/share/zoneinfo/UTC", 0, "myserver < entry"),
		conn(sekisho.EventConnect, "tcp", "10.2.3.4:5432", "myserver < entry"),
		file(sekisho.EventUnlink, "/srv/cache/a", "", "myserver < entry"),
	} {
		if got := fired(set, e); len(got) > 0 {
			t.Errorf("%v fired for an ordinary event of kind %d", got, e.Kind)
		}
	}
}
