package detect_test

import (
	"slices"
	"testing"

	"sekisho"
	"sekisho/enforce/detect"
)

// life is what ordinary workloads do, and what may be said of it.
type life struct {
	name   string
	may    []string // rules that are meant to hold
	events []*sekisho.Event
}

// servers are the start-ups of ordinary servers.
func servers() []life {
	return []life{
		{"nginx", nil, []*sekisho.Event{
			exec("/docker-entrypoint.sh nginx -g daemon off; < containerd-shim"),
			exec("find /docker-entrypoint.d/ -mindepth 1 -maxdepth 1 -type f < docker-entrypoint.sh < containerd-shim"),
			exec("sh /docker-entrypoint.d/20-envsubst-on-templates.sh < docker-entrypoint.sh < containerd-shim"),
			open("/etc/nginx/conf.d/default.conf", write|create|trunc, "sed -i s/x/y/ /etc/nginx/conf.d/default.conf < sh < docker-entrypoint.sh"),
			exec("nginx -g daemon off; < docker-entrypoint.sh < containerd-shim"),
			reads("/etc/passwd", "nginx"), reads("/etc/ssl/certs/ca-certificates.crt", "nginx"), reads("/etc/nginx/nginx.conf", "nginx"),
			open("/var/log/nginx/access.log", write|create|0o2000, "nginx < containerd-shim"),
			open("/run/nginx.pid", write|create|trunc, "nginx < containerd-shim"),
			event(sekisho.EventSetuid, "nginx < nginx", user("root", 0)),
			conn(sekisho.EventListen, "tcp", "0.0.0.0:0", "nginx < containerd-shim"),
			conn(sekisho.EventAccept, "tcp", "198.51.100.9:50122", "nginx < nginx"),
			conn(sekisho.EventConnect, "tcp", "10.0.3.4:8080", "nginx < nginx"),
		}},
		{"postgres", nil, []*sekisho.Event{
			exec("bash /usr/local/bin/docker-entrypoint.sh postgres < containerd-shim"), exec("id -u < bash < containerd-shim"),
			exec("chown postgres /var/lib/postgresql/data < bash"), file(sekisho.EventChmod, "/var/lib/postgresql/data", "", "chmod < bash", mode(0o700)),
			exec("gosu postgres bash < bash < containerd-shim"), exec("initdb --username=postgres < bash"), exec("sh -c /usr/lib/postgresql/16/bin/postgres -V < initdb < bash"),
			exec("postgres -D /var/lib/postgresql/data < containerd-shim"), open("/var/lib/postgresql/data/postmaster.pid", write|create, "postgres < containerd-shim"),
			file(sekisho.EventUnlink, "/var/lib/postgresql/data/pg_wal/000000010000000000000001", "", "postgres < postgres"), file(sekisho.EventRename, "/var/lib/postgresql/data/a", "/var/lib/postgresql/data/b", "postgres < postgres"),
			exec("sh -c cp pg_wal/0001 /archive/0001 < postgres < postgres"), event(sekisho.EventIOUring, "postgres < postgres", number(22)),
		}},
		{"redis", nil, []*sekisho.Event{
			exec("redis-server *:6379 < containerd-shim"), open("/data/temp-1.rdb", write|create|trunc, "redis-server < containerd-shim"),
			file(sekisho.EventRename, "/data/temp-1.rdb", "/data/dump.rdb", "redis-server < containerd-shim"), open("/proc/self/smaps", 0, "redis-server < containerd-shim"),
			conn(sekisho.EventAccept, "tcp", "10.0.0.9:50000", "redis-server < containerd-shim"), exec("redis-cli ping < sh < containerd-shim"),
		}},
		{"node", nil, []*sekisho.Event{
			exec("node server.js < containerd-shim"), reads("/app/package.json", "node"), reads("/proc/self/environ", "node"), exec("npm run start < containerd-shim"), exec("sh -c node server.js < npm < containerd-shim"),
			file(sekisho.EventMap, "/app/node_modules/bcrypt/build/bcrypt.node", "", "node < containerd-shim", from(sekisho.OriginImage)), dns("api.stripe.com", "node < containerd-shim"), conn(sekisho.EventConnect, "tcp", "203.0.113.5:443", "node < containerd-shim"),
		}},
		{"java", nil, []*sekisho.Event{
			exec("java -Xmx512m -jar /app.jar < containerd-shim"), open("/tmp/hsperfdata_root/1", write|create, "java < containerd-shim"), reads("/proc/self/maps", "java"), reads("/sys/fs/cgroup/memory.max", "java"), reads("/proc/cpuinfo", "java"),
			conn(sekisho.EventConnect, "tcp", "10.0.0.7:9999", "java < containerd-shim"), event(sekisho.EventFault, "java < containerd-shim", call("userfaultfd"), user("app", 1000), result(7)),
		}},
		{"python", nil, []*sekisho.Event{
			exec("python -m gunicorn app:app < containerd-shim"), reads("/root/.aws/credentials", "python"), reads("/run/secrets/kubernetes.io/serviceaccount/token", "python"), open("/app/__pycache__/x.pyc", write|create, "python < containerd-shim"),
			file(sekisho.EventMap, "/usr/local/lib/python3.12/site-packages/numpy.so", "", "python < containerd-shim", from(sekisho.OriginImage)), exec("uname -p < python < containerd-shim"), conn(sekisho.EventConnect, "tcp", "10.0.0.7:5432", "python < containerd-shim"),
		}},
	}
}

func chores() []life {
	const build = " < buildkit-runc < buildkitd"
	return []life{
		{"packages in a build", nil, []*sekisho.Event{
			exec("sh -c apt-get update && apt-get install -y curl" + build), exec("apt-get install -y curl < sh" + build), exec("dpkg --unpack x.deb < apt-get < sh"+build, user("root", 0)),
			open("/usr/bin/curl.dpkg-new", write|create, "dpkg < apt-get < sh"+build, mode(0o755)), file(sekisho.EventRename, "/usr/bin/curl.dpkg-new", "/usr/bin/curl", "dpkg < apt-get < sh"+build),
			exec("/var/lib/dpkg/info/x.postinst configure < dpkg < apt-get < sh"+build, upper), exec("useradd --system app < x.postinst < dpkg < apt-get < sh" + build), open("/etc/passwd", write, "useradd < x.postinst < dpkg < apt-get < sh"+build),
			open("/etc/shadow", 0, "useradd < x.postinst < dpkg < apt-get < sh"+build), exec("pip install -r requirements.txt < sh" + build), exec("curl -fsSL https://example.com/x.tgz < sh"+build, upper), exec("sh -c curl -fsSL https://example.com/install.sh | sh" + build),
			file(sekisho.EventChmod, "/usr/bin/passwd", "", "dpkg < apt-get < sh"+build, mode(0o4755)), file(sekisho.EventUnlink, "/var/log/apt/history.log", "", "rm < sh"+build), file(sekisho.EventMap, "/usr/lib/x.so", "", "curl < sh"+build, from(sekisho.OriginUpper)),
		}},
		{"packages at run time", []string{"package-manager"}, []*sekisho.Event{
			exec("apt-get install -y curl < sh < containerd-shim"), exec("dpkg --unpack x.deb < apt-get < sh < containerd-shim"), exec("/var/lib/dpkg/info/x.postinst configure < dpkg < apt-get < sh", upper),
			file(sekisho.EventRename, "/usr/bin/curl.dpkg-new", "/usr/bin/curl", "dpkg < apt-get < sh < containerd-shim"), open("/etc/passwd", write, "useradd < x.postinst < dpkg < apt-get < sh"),
		}},
		{"cron", nil, []*sekisho.Event{
			exec("cron -f < containerd-shim"), exec("sh -c /opt/job.sh < cron < cron < containerd-shim"), exec("bash /opt/job.sh < sh < cron"), reads("/etc/crontab", "cron"), open("/etc/shadow", 0, "cron < containerd-shim"), reads("/var/spool/cron/crontabs/root", "cron"),
			exec("logrotate /etc/logrotate.conf < sh < cron"), file(sekisho.EventRename, "/var/log/app.log", "/var/log/app.log.1", "logrotate < sh < cron"), file(sekisho.EventUnlink, "/var/log/app.log.8.gz", "", "logrotate < sh < cron"), open("/var/log/app.log", write|create|trunc, "logrotate < sh < cron"),
		}},
		{"health probes", nil, []*sekisho.Event{
			exec("sh -c pg_isready -U postgres < runc < containerd-shim"), exec("curl -fs http://localhost:8080/health < sh < containerd-shim"), exec("wget -qO- http://127.0.0.1/ready < containerd-shim"), exec("grpc_health_probe -addr=:50051 < containerd-shim"),
			exec("sh -c curl -sf http://localhost/health | grep -q ok < containerd-shim"), conn(sekisho.EventConnect, "tcp", "127.0.0.1:8080", "curl < sh < containerd-shim"), exec("nc -z localhost 5432 < containerd-shim"),
		}},
		{"kubectl exec", []string{"interactive-shell"}, []*sekisho.Event{
			exec("bash < runc < containerd-shim", tty), exec("ls -la < bash < runc", tty), exec("ps aux < bash", tty), reads("/root/.bashrc", "bash"), reads("/root/.bash_history", "bash"), open("/root/.bash_history", write|create, "bash < runc"), exec("cat /app/config.yaml < bash", tty), open("/proc/12/stat", 0, "ps < bash"),
		}},
		{"shell scripts", nil, []*sekisho.Event{
			exec("sh -c echo ${X} | base64 -d > /tmp/key.json < containerd-shim"), exec("base64 -d < sh < containerd-shim"), exec("rm -rf /tmp/work < sh"), exec("grep -r TODO /app < sh"), exec("tar czf /backup/app.tgz /app < sh"), exec("find /tmp -mtime +7 -delete < sh"), exec("[ -f /x ] < sh", exeAt("/usr/bin/[")),
			exec("dd if=/dev/zero of=/tmp/x bs=1M count=1 < sh"), reads("/etc/hosts", "cat"), reads("/dev/null", "sh"), exec("chmod +x /tmp/x < sh"),
		}},
		{"the runtime starts a container", nil, []*sekisho.Event{
			file(sekisho.EventMount, "/proc", "proc", "runc:[2:INIT] init < runc < containerd-shim"), event(sekisho.EventSetns, "runc:[1:CHILD] init < runc < containerd-shim", flags(0x40000000)), event(sekisho.EventUnshare, "runc:[1:CHILD] init < runc", flags(0x20000)),
			exec("runc init < runc < containerd-shim", origin(sekisho.OriginMemory), exeAt("/memfd:runc_cloned:/proc/self/exe (deleted)")), event(sekisho.EventBPF, "runc init < containerd-shim", number(5)),
		}},
		{"the host", nil, []*sekisho.Event{
			exec("apt-get upgrade < bash < sshd", host), event(sekisho.EventModule, "modprobe overlay < systemd", host), exec("bash -l < sshd < sshd", host, tty), open("/etc/shadow", 0, "sshd < systemd", host), event(sekisho.EventSetns, "dockerd < systemd", host, flags(0x40000000)), conn(sekisho.EventConnect, "tcp", "169.254.169.254:80", "cloud-init < systemd", host),
		}},
	}
}

// TestOrdinaryLife holds that our rules say nothing of ordinary life beyond
// what is intended.
func TestOrdinaryLife(t *testing.T) {
	set := load(t, false, detect.BuiltIn()...)
	n := 0
	for _, l := range slices.Concat(servers(), chores()) {
		n += len(l.events)
		for i, e := range l.events {
			for _, name := range fired(set, e) {
				if !slices.Contains(l.may, name) {
					t.Errorf("%s, event %d (%v): %s holds", l.name, i, e.Process.Args, name)
				}
			}
		}
		if got := fired(set, l.events...); len(got) < len(l.may) {
			t.Errorf("%s: want %v, got %v", l.name, l.may, got)
		}
	}
	if n < 90 {
		t.Errorf("%d events only", n)
	}
}

// TestEvasion holds that bearing the name of what is exempt exempts nobody.
func TestEvasion(t *testing.T) {
	set := load(t, false, detect.BuiltIn()...)
	for rule, e := range map[string]*sekisho.Event{
		"escape-mount":     file(sekisho.EventMount, "/mnt", "/dev/vda1", "/tmp/x"+below, func(e *sekisho.Event) { e.Process.Name = "runc" }),
		"escape-namespace": event(sekisho.EventSetns, "/tmp/x"+below, upper, func(e *sekisho.Event) { e.Process.Name = "runc:[1:CHILD]" }),
		"drift-execution":  exec("/tmp/apt-get"+below, upper),
		"drift-library":    file(sekisho.EventMap, "/tmp/x.so", "", "x < /tmp/buildkitd"+below, from(sekisho.OriginUpper), func(e *sekisho.Event) { e.Process.Parent.Container = box().ID }),
		"package-manager":  exec("apk add x < sh < /tmp/buildkitd" + below),
		"fileless-memfd":   exec("memfd:runc_cloned:/proc/self/exe"+below, origin(sekisho.OriginMemory)),
		"binary-changed":   open("/usr/bin/ls", write, "sh < /tmp/dpkg"+below),
	} {
		if got := fired(set, e); !slices.Contains(got, rule) {
			t.Errorf("%s is evaded by a name; holding: %v", rule, got)
		}
	}
}
