package enforce

import (
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/enforce/settings"
)

// file is one that is to be looked into.
type file struct {
	event *sekisho.Event
	path  string
	due   time.Time // when its writer is likely done
}

// settle is how long a file that was opened to write is left alone.
const settle = 2 * time.Second

// seenFiles remembers what was looked into lately, so that a program that runs
// a thousand times is read once. A file that was written since is another.
type seenFiles struct {
	mu   sync.Mutex
	keys map[fileKey]bool
}

type fileKey struct {
	container, path string
	inode, device   uint64
	changed         int64
}

func newSeenFiles() *seenFiles { return &seenFiles{keys: map[fileKey]bool{}} }

func (s *seenFiles) first(k fileKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[k] {
		return false
	}
	if len(s.keys) > 1<<16 {
		clear(s.keys)
	}
	s.keys[k] = true
	return true
}

// noteFile queues what was executed or written for the scan for malware.
func (e *Enforcer) noteFile(ev *sekisho.Event) {
	if e.Malware == nil || ev.Process == nil {
		return
	}
	switch p := ev.Process; {
	case ev.Kind == sekisho.EventExec:
		if p.Origin == sekisho.OriginImage {
			return // the image's scan knows it
		}
		if e.seen.first(fileKey{ev.Container.ID, p.Path, p.Inode, p.Device, p.Changed.UnixNano()}) {
			e.files.put(file{ev, p.Path, ev.Time}, true)
		}
	case ev.Kind == sekisho.EventOpen && ev.Flags&3 != 0 && ev.Result >= 0, ev.Kind == sekisho.EventCreate:
		if special(ev.Path) {
			return
		}
		second := ev.Time.Truncate(settle).UnixNano() // many writes of one moment are one
		if e.seen.first(fileKey{container: ev.Container.ID, path: ev.Path, changed: second}) {
			e.files.put(file{ev, ev.Path, ev.Time.Add(settle)}, false)
		}
	}
}

func special(path string) bool {
	for _, dir := range []string{"/proc/", "/sys/", "/dev/"} {
		if strings.HasPrefix(path, dir) && !strings.HasPrefix(path, "/dev/shm/") {
			return true
		}
	}
	return path == ""
}

// scanAll looks into files, one after another.
func (e *Enforcer) scanAll() {
	tick := time.NewTicker(settle / 4)
	defer tick.Stop()
	var waiting []file
	batch := make([]file, 0, 64)
	for open := true; open; {
		open = e.files.take(&batch, cap(batch), tick.C)
		if n := e.files.lost(); n > 0 {
			e.lost("files to scan", n)
		}
		waiting = append(waiting, batch...)
		batch = batch[:0]
		rest := waiting[:0]
		for _, f := range waiting {
			if open && e.Now().Before(f.due) && len(waiting) < fileQueue {
				rest = append(rest, f)
				continue
			}
			e.scan(f)
		}
		waiting = rest
	}
}

func (e *Enforcer) scan(f file) {
	c := f.event.Container
	list, err := e.Malware.File(c, f.event.Process.PID, f.path)
	if err != nil {
		e.Logger.Debug("file not scanned", "path", f.path, "error", err) // gone, mostly
		return
	}
	mode := ""
	if x := e.table.get(c.ID); x != nil {
		mode, _, _, _, _ = x.judgement()
	}
	for _, x := range list {
		e.respond(&Alert{Kind: KindMalware, Severity: x.Severity, Rule: x.Name, What: f.path, Mode: mode, Event: f.event, Container: c}, settings.OnMalware)
	}
}
