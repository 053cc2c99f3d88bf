package detect_test

import (
	"fmt"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/detect"
)

// routine is what an ordinary container does, one event of each type.
func routine(n int) map[string]*sekisho.Event {
	who := fmt.Sprintf("worker%d --shard %d --config /srv/app/%d.yaml < supervisor%d < containerd-shim", n, n, n, n%7)
	peer := fmt.Sprintf("10.2.%d.%d:5432", n/250, n%250)
	path := fmt.Sprintf("/srv/cache/%d/part-%d", n%13, n)
	return map[string]*sekisho.Event{
		"execve":   exec(who),
		"openat":   open(fmt.Sprintf("/usr/share/zoneinfo/Zone%d", n), 0, who),
		"openat w": open(path, write|create, who),
		"connect":  conn(sekisho.EventConnect, "tcp", peer, who),
		"sendto":   conn(sekisho.EventSend, "udp", peer, who, call("sendto")),
		"accept":   conn(sekisho.EventAccept, "tcp", peer, who, call("accept4")),
		"listen":   conn(sekisho.EventListen, "tcp", "0.0.0.0:0", who, call("listen")),
		"recvfrom": conn(sekisho.EventReceive, "udp", peer, who, call("recvfrom")),
		"socket":   event(sekisho.EventSocket, who, domain(2, 1), call("socket")),
		"dns":      file(sekisho.EventDNS, fmt.Sprintf("db%d.shop.internal", n), "", who),
		"unlinkat": file(sekisho.EventUnlink, path, "", who, call("unlinkat")),
		"rename":   file(sekisho.EventRename, path, path+".old", who, call("rename")),
		"mkdir":    file(sekisho.EventMkdir, path, "", who, call("mkdir")),
		"rmdir":    file(sekisho.EventRmdir, path, "", who, call("rmdir")),
		"link":     file(sekisho.EventLink, path, path+".link", who, call("link")),
		"symlink":  file(sekisho.EventSymlink, path, "part", who, call("symlink")),
		"chmod":    file(sekisho.EventChmod, path, "", who, call("chmod"), mode(0o644)),
		"dup2":     event(sekisho.EventDup, who, call("dup2")),
		"setuid":   event(sekisho.EventSetuid, who, call("setuid"), user("app", 1000)),
		"setns":    event(sekisho.EventSetns, "containerd-shim < containerd", call("setns"), host),
		"mmap":     file(sekisho.EventMap, "/usr/lib/libc.so.6", "", who, call("mmap")),
		"bpf":      event(sekisho.EventBPF, "systemd", call("bpf"), host),
		"capable":  event(sekisho.EventCapability, who, number(12)),
		"io_uring": event(sekisho.EventIOUring, who, number(18)),
	}
}

// BenchmarkRules measures the 93 public rules, and our own and these together,
// those that are off by default too, on ordinary events of each type: of 100
// processes in turn, so that no event is like the one before. On a busy machine
// the fastest batch tells more than the mean.
func BenchmarkRules(b *testing.B) {
	kinds := map[string][]*sekisho.Event{}
	for n := range 100 {
		for name, e := range routine(n) {
			kinds[name] = append(kinds[name], e)
		}
	}
	for label, sources := range map[string][]detect.Source{"public": public(b), "all": append(detect.BuiltIn(), public(b)...)} {
		set := load(b, true, sources...).NewMatcher(nil, "host")
		for name, events := range kinds {
			b.Run(label+"/"+name, func(b *testing.B) { fastest(b, set, events) })
		}
	}
}

func fastest(b *testing.B, m *detect.Matcher, events []*sekisho.Event) {
	const batch = 50
	best, hits := time.Hour, 0
	for b.Loop() {
		for at := 0; at < len(events); at += batch {
			start := time.Now()
			for _, e := range events[at : at+batch] {
				hits += len(m.Match(e))
			}
			best = min(best, time.Since(start))
		}
	}
	b.ReportMetric(float64(best.Nanoseconds())/batch, "ns/event")
	b.ReportMetric(float64(hits)/float64(b.N*len(events)), "rules/event")
}
