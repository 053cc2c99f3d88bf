//go:build linux && attacks

package attacks_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/enforce"
)

// service is ordinary life: what an image's entrypoint does at its start, how
// its health is probed, and what it does while it runs.
type service struct {
	name    string
	image   string
	options []string
	start   string   // the container's command, for bash -c
	ready   string   // a probe: exec of the runtime, until it ends well
	use     []string // further execs, each of which has to end well
}

const entrypoint = `set -e; mkdir -p /var/lib/app /run/app; chown -R nobody /var/lib/app /run/app; chmod 750 /var/lib/app; `

func services() []service {
	return []service{
		{name: "nginx", start: entrypoint + `echo "daemon off; events {} http { access_log /var/log/nginx/access.log; server { listen 127.0.0.1:8080; location / { return 200 ok; } } }" > /etc/nginx/nginx.conf; exec nginx`,
			ready: "curl -fsS http://127.0.0.1:8080/", use: []string{
				"nginx -s reload", "curl -fsS http://127.0.0.1:8080/health",
				"sh -c 'for i in 1 2 3; do curl -fsS http://127.0.0.1:8080/ > /dev/null; done'"}},
		{name: "postgres", start: `set -e; mkdir -p /data /run/postgresql; chown -R postgres /data /run/postgresql; chmod 700 /data; export PATH=$PATH:/usr/lib/postgresql/15/bin; setpriv --reuid postgres --clear-groups initdb -D /data > /dev/null; exec setpriv --reuid postgres --clear-groups postgres -D /data -c listen_addresses=127.0.0.1 -c jit=off`,
			ready: "setpriv --reuid postgres --clear-groups psql -h /run/postgresql -c 'select 1' postgres", use: []string{
				"setpriv --reuid postgres --clear-groups psql -h 127.0.0.1 -c 'create table t as select generate_series(1,1000) n' postgres",
				"setpriv --reuid postgres --clear-groups sh -c 'pg_dump -h 127.0.0.1 postgres > /tmp/dump.sql'",
				"pg_isready -h 127.0.0.1"}},
		{name: "redis", start: entrypoint + `exec redis-server --port 6380 --dir /var/lib/app --save 1 1`, ready: "redis-cli -p 6380 ping", use: []string{
			"redis-cli -p 6380 set a b", "redis-cli -p 6380 bgsave", "sh -c 'redis-cli -p 6380 info | grep -q redis_version'"}},
		{name: "cron", start: `exec cron -f`, ready: "pgrep cron", use: []string{ // a job as cron runs it, and the rotation of logs
			"run-parts --test /etc/cron.daily",
			"sh -c 'mkdir -p /var/log/app; echo line > /var/log/app/a.log; printf \"/var/log/app/*.log { rotate 2\\n copytruncate\\n missingok }\" > /tmp/rotate.conf; chmod 644 /tmp/rotate.conf; logrotate -f -s /tmp/rotate.state /tmp/rotate.conf'"}},
		{name: "node", start: `exec node -e 'const h=require("http");let n=0;function f(x){let s=0;for(let i=0;i<1e5;i++)s+=i*x;return s};h.createServer((q,r)=>{n+=f(n);require("fs").writeFileSync("/tmp/n",""+n);r.end("ok")}).listen(8081,"127.0.0.1")'`,
			ready: "curl -fsS http://127.0.0.1:8081/healthz", use: []string{"sh -c 'for i in 1 2 3 4 5; do curl -fsS http://127.0.0.1:8081/ > /dev/null; done'", "node -e 'process.exit(0)'"}},
		{name: "python", start: `exec python3 -c 'import http.server; http.server.HTTPServer(("127.0.0.1",8082),http.server.SimpleHTTPRequestHandler).serve_forever()'`,
			ready: "curl -fsS http://127.0.0.1:8082/etc/hostname", use: []string{"python3 -c 'import ssl, subprocess; subprocess.run([\"true\"], check=True)'"}},
		{name: "entrypoint", options: []string{"--user", "0"}, start: entrypoint + `find /var/lib/app -type f -print0 | xargs -0r chmod 640; echo "TZ=UTC" > /etc/timezone; for i in 1 2 3; do date > /var/lib/app/$i; done; exec sleep 600`,
			ready: "test -e /var/lib/app/3", use: []string{"sh -c 'kill -0 1'", "cat /proc/self/status", "sh -c 'test $(cat /var/lib/app/1 | wc -l) = 1'"}},
		{name: "package-build", image: "attacks-build:1", start: `set -e; apt-get install -y /debs/hello*.deb > /dev/null; hello; dpkg -l hello > /dev/null; exec sleep 600`, ready: "hello", use: []string{"dpkg -s hello"}},
	}
}

// live lets a service start, be probed and used.
func (s service) live(t *testing.T, name string) {
	image := s.image
	if image == "" {
		image = "attacks-life:1"
	}
	if out, err := shared.run(t, name, append([]string{"-d"}, s.options...), image, "bash", "-c", s.start); err != nil {
		t.Fatalf("start: %v: %s", err, out)
	}
	var out string
	var err error
	probe := func() bool {
		out, err = shared.exec(name, s.ready)
		return err == nil
	}
	if !within(60*time.Second, probe) {
		logs, _ := shared.docker("logs", name)
		t.Fatalf("never ready: %v: %s; %s", err, out, logs)
	}
	for _, use := range s.use {
		if out, err := shared.exec(name, use); err != nil {
			t.Errorf("%s: %v: %s", use, err, out)
		}
	}
}

// exec runs a command in a container as the engine's client does; words in
// single quotes are one.
func (s *stage) exec(name, line string) (string, error) {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return s.docker(append([]string{"exec", name}, words...)...)
}

// TestOrdinaryLife holds that services which start, run, are probed and are
// maintained raise nothing, with the default settings; and that they go on, and
// raise nothing, when enforced after they were learnt.
func TestOrdinaryLife(t *testing.T) {
	builders := filepath.Join(t.TempDir(), "build.yaml") // who builds may install
	must(t, os.WriteFile(builders, []byte("- list: sekisho_allowed_images\n  items: [attacks-build]\n  override: {items: append}\n"), 0o600))
	build := "mode: audit\nrules: {files: [" + builders + "]}\nworkloads:\n  - {image: \"attacks-other:*\", ignore: true}\n  - {image: \"attacks-build:*\", mode: learn, drift: []}\n"
	g := guarded(t, build+"  - {image: \"attacks-life:*\", mode: learn}\n")
	lives(t, g, "learnt-")
	g.stop()
	g.ask("profile", "promote", enforce.FileName("image:attacks-life:1"), "--mode", "enforce")
	g.begin(build + "  - {image: \"attacks-life:*\", mode: enforce}\n")
	lives(t, g, "enforced-")
}

func lives(t *testing.T, g *guard, prefix string) {
	t.Run(strings.TrimSuffix(prefix, "-"), func(t *testing.T) {
		for _, s := range services() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				name := prefix + s.name
				s.live(t, name)
				g.settled(name)
				for _, a := range g.alerts(name) {
					t.Errorf("it raised %s %s %s %s: %s", a.Kind, a.Rule, a.What, a.Why, a.Output)
				}
			})
		}
	})
}

// settled waits until what a container did is judged: a program that it runs
// last is in the log.
func (g *guard) settled(name string) {
	g.t.Helper()
	shared.docker("exec", name, "date", "--date", "@1")
	g.eventually("the last program of "+name, func() bool { return strings.Contains(g.ask("query", "--container", name), "date --date @1") })
}

// ask runs another command on the enforcer's state.
func (g *guard) ask(args ...string) string {
	g.t.Helper()
	cmd := exec.Command(shared.program, append(slices.Concat([]string{"enforce"}, args), "--config", g.dir+"/enforce.yaml")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}
