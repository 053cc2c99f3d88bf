package respond

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/enforce/evidence"
	"sekisho/enforce/settings"
)

// Bounds of parts of a case, in bytes and in events.
const (
	maxText   = 1 << 20
	maxBinary = 64 << 20
	maxEvents = 100_000
)

// Seal writes a case about the container of an order and returns its file's
// name. Before a response the container is frozen meanwhile, so that nothing
// moves under the one who looks; when the context ends, the case has what was
// there until then and says what is missing.
func (r *Responder) Seal(ctx context.Context, o *Order) (string, error) {
	s, err := evidence.Seal(r.Dir, evidence.Case{Time: r.Now().UTC(), Reason: o.Reason, Host: r.Host, Container: o.Container})
	if err != nil {
		return "", err
	}
	pids, err := r.pids(o.Container)
	if err != nil {
		s.Problem("processes: %v", err)
	}
	if o.Do != settings.Alert && len(pids) > 0 {
		thaw, err := r.freeze(pids[0])
		if err != nil {
			s.Problem("freeze: %v", err)
		} else {
			defer thaw()
		}
	}
	if len(pids) == 0 {
		s.Problem("processes: none runs any more; what they did is in events.jsonl and tree.json")
	}
	if o.Event != nil {
		s.JSON("event.json", o.Event)
	}
	steps := []func(){
		func() { r.processes(ctx, s, pids) },
		func() { r.events(s, o) },
		func() { r.network(s, pids) },
		func() { r.offender(s, o) },
		func() { r.logs(s, o.Container) },
		func() {
			if o.Container.Upper == "" {
				s.Problem("own layer: the storage driver has none that is known")
				return
			}
			s.Layer(o.Container.Upper)
		},
	}
	for i, step := range steps {
		if ctx.Err() != nil {
			s.Problem("time: it was over before step %d of %d", i+1, len(steps))
			break
		}
		step()
	}
	name, err := s.Close(r.Key)
	if err != nil {
		return "", err
	}
	return name, r.trim(name)
}

// process is one process in a case.
type process struct {
	PID         int               `json:"pid"`
	Parent      int               `json:"ppid"`
	Name        string            `json:"name"`
	State       string            `json:"state"`
	Started     uint64            `json:"started_ticks"`
	Executable  string            `json:"executable"`
	Digest      sekisho.Digest    `json:"digest,omitempty"`
	Directory   string            `json:"directory"`
	Args        []string          `json:"args"`
	Environment []string          `json:"environment"` // masked
	Status      map[string]string `json:"status"`
	Files       []string          `json:"files"` // open descriptors
}

func (r *Responder) processes(ctx context.Context, s *evidence.Sealer, pids []int) {
	list := []process{}
	for _, pid := range pids {
		if ctx.Err() != nil {
			s.Problem("processes: time was over after %d of %d", len(list), len(pids))
			break
		}
		st, ok := r.stat(pid)
		if !ok {
			continue
		}
		p := process{PID: pid, Parent: st.parent, Name: st.name, State: st.state, Started: st.started, Args: []string{}, Environment: []string{}, Files: []string{}}
		p.Executable, _ = os.Readlink(r.at(pid, "exe"))
		p.Directory, _ = os.Readlink(r.at(pid, "cwd"))
		p.Digest = digest(r.at(pid, "exe"))
		p.Args = r.words(r.read(pid, "cmdline", maxText))
		p.Environment = r.environment(r.words(r.read(pid, "environ", maxText)))
		p.Status = statusOf(r.read(pid, "status", 64<<10))
		p.Files = r.descriptors(pid)
		list = append(list, p)
		s.Add(fmt.Sprintf("proc/%d/maps", pid), r.read(pid, "maps", maxText))
	}
	s.JSON("processes.json", list)
	if len(pids) > 0 {
		s.Add("mountinfo", r.read(pids[0], "mountinfo", maxText))
	}
}

// words cuts what is ended by zeros, and masks secrets.
func (r *Responder) words(data []byte) []string {
	out := []string{}
	for w := range strings.SplitSeq(strings.TrimRight(string(data), "\x00"), "\x00") {
		if w != "" && len(out) < 4096 {
			out = append(out, r.mask(w))
		}
	}
	return out
}

func (r *Responder) mask(s string) string {
	if r.Mask == nil {
		return s
	}
	return r.Mask(s)
}

var secretName = regexp.MustCompile(`(?i)pass|secret|token|credential|private|api_?key|access_?key|auth|_key$|dsn$|_url$`)

// environment hides the values of variables whose names promise secrets; a
// piece of the hash tells whether two are the same.
func (r *Responder) environment(list []string) []string {
	for i, e := range list {
		name, value, ok := strings.Cut(e, "=")
		if ok && value != "" && secretName.MatchString(name) {
			sum := sha256.Sum256([]byte(value))
			list[i] = fmt.Sprintf("%s=(%d bytes, sha256 %s…)", name, len(value), hex.EncodeToString(sum[:3]))
		}
	}
	return list
}

func statusOf(data []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && slices.Contains([]string{"Uid", "Gid", "Groups", "NStgid", "NSpid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "TracerPid", "Threads", "VmRSS"}, k) {
			out[k] = strings.Join(strings.Fields(v), " ")
		}
	}
	return out
}

func (r *Responder) descriptors(pid int) []string {
	out := []string{}
	d, err := os.Open(r.at(pid, "fd"))
	if err != nil {
		return out
	}
	defer d.Close()
	names, _ := d.Readdirnames(1024)
	for _, n := range names {
		if to, err := os.Readlink(r.at(pid, "fd/"+n)); err == nil {
			out = append(out, n+" -> "+to)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b)) })
	return out
}

func number(s string) int {
	text, _, _ := strings.Cut(s, " ")
	n, _ := strconv.Atoi(text)
	return n
}

func digest(name string) sekisho.Digest {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxBinary)); err != nil {
		return ""
	}
	return sekisho.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// events adds what the log knows: the container's life as lines and as a tree.
func (r *Responder) events(s *evidence.Sealer, o *Order) {
	var list []*sekisho.Event
	q := evidence.Query{Container: o.Container.ID, Since: o.Time.Add(-o.Recent)}
	_, err := evidence.Read(r.Log, q, func(e *sekisho.Event) error {
		if len(list) >= maxEvents {
			list = list[1:] // the latest count
		}
		list = append(list, e)
		return nil
	})
	if err != nil {
		s.Problem("events: %v", err)
	}
	var lines strings.Builder
	for _, e := range list {
		doc, err := json.Marshal(e)
		if err == nil {
			lines.Write(doc)
			lines.WriteByte('\n')
		}
	}
	s.Add("events.jsonl", []byte(lines.String()))
	s.JSON("tree.json", evidence.Tree(list))
}

// network adds the sockets of the container's network.
func (r *Responder) network(s *evidence.Sealer, pids []int) {
	if len(pids) == 0 {
		return
	}
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "unix", "packet", "route", "arp"} {
		if data := r.read(pids[0], "net/"+name, maxText); len(data) > 0 {
			s.Add("net/"+name, data)
		}
	}
}

// offender adds the executable of the process that the order is about, which
// may have no name any more.
func (r *Responder) offender(s *evidence.Sealer, o *Order) {
	if o.PID == 0 || !r.belongs(o.PID, o.Container) {
		return
	}
	f, err := os.Open(r.at(o.PID, "exe"))
	if err != nil {
		s.Problem("executable of %d: %v", o.PID, err)
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBinary))
	if err != nil {
		s.Problem("executable of %d: %v", o.PID, err)
		return
	}
	s.Add(fmt.Sprintf("proc/%d/exe", o.PID), data)
}

// logs adds the end of what the container printed.
func (r *Responder) logs(s *evidence.Sealer, c *sekisho.Container) {
	var names []string
	if data, _, ok := strings.Cut(c.Root, "/overlay2/"); ok {
		names = append(names, filepath.Join(data, "containers", c.ID, c.ID+"-json.log"))
	}
	if dir := c.Labels["io.kubernetes.cri.sandbox-log-directory"]; filepath.IsAbs(dir) && c.Workload.Container != "" && filepath.Base(c.Workload.Container) == c.Workload.Container {
		more, _ := filepath.Glob(filepath.Join(dir, c.Workload.Container, "*.log"))
		names = append(names, more...)
	}
	for i, name := range names {
		if data, err := tail(name, maxText); err == nil {
			s.Add(fmt.Sprintf("logs/%d.log", i), []byte(r.mask(string(data))))
		}
	}
}

func tail(name string, n int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: no regular file", name)
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-n), n))
}

// trim removes the oldest cases while all together are too large; the one just
// sealed stays.
func (r *Responder) trim(keep string) error {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return fmt.Errorf("trim cases: %w", err)
	}
	total := int64(0)
	for _, e := range slices.Backward(entries) { // names begin with the time
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), ".case") && r.Now().Sub(info.ModTime()) < time.Hour {
			continue
		}
		total += info.Size()
		if name := filepath.Join(r.Dir, e.Name()); total > r.MaxCases && name != keep {
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("trim cases: %w", err)
			}
		}
	}
	return nil
}
