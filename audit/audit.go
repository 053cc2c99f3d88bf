// Package audit keeps who did or decided what, and why: an append-only log
// whose entries are chained by hash, so that a change, a cut or a hole in the
// middle is seen. Entries go in, files of lines come out. It refuses to append
// to a chain whose end does not hold.
//
// A line is "HASH JSON": the SHA-256, in hexadecimal, of the hash before it and
// the bytes of the document. A file is closed at maxFile bytes and the chain
// goes on in the next one. Several processes may append.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
)

// maxFile is the size, in bytes, at which a file is closed, and maxLine how
// long a line may be.
const maxFile, maxLine = 64 << 20, 1 << 20

// Entry is one record.
type Entry struct {
	Seq      uint64            `json:"seq"`
	Time     time.Time         `json:"time"`
	Actor    string            `json:"actor"`              // who: a user, a service account, a program
	Action   string            `json:"action"`             // what: admit, approve, exception, policy.change …
	Subject  string            `json:"subject"`            // on what: an image digest, a workload
	Gate     string            `json:"gate,omitempty"`     // where: ci, kubernetes, docker, runc, nri
	Result   string            `json:"result"`             // allow, warn, deny, done, error
	Policies []string          `json:"policies,omitempty"` // names with versions
	Facts    string            `json:"facts,omitempty"`    // digest of the facts that were judged
	Feeds    map[string]string `json:"feeds,omitempty"`    // versions of feeds, by name
	Latency  time.Duration     `json:"latency_ns,omitempty"`
	Reasons  []sekisho.Reason  `json:"reasons,omitempty"`
	Details  map[string]string `json:"details,omitempty"`
}

// Log appends entries to a directory.
type Log struct {
	dir string

	queue   sync.Mutex
	waiting []*request // that the one who writes takes next
	writing bool

	mu   sync.Mutex
	lock *os.File // held while appending, so that processes take turns
	name string   // of the file that was last written
	file *os.File
	seq  uint64
	last [sha256.Size]byte
	size int64
}

// Open opens or makes the log in a directory, and reads where its chain ends.
func Open(dir string) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return &Log{dir: dir, lock: lock}, nil
}

// Close closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.lock.Close()
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
	}
	return err
}

// request is entries that somebody waits for.
type request struct {
	entries []Entry
	err     error
	wake    chan struct{} // closed when they are written, or when it is this one's turn to write
	lead    bool          // it is
}

// Append numbers, chains and writes entries. They are with the operating system
// when it returns; Sync makes them last through a crash of the machine. While
// one writes, what others bring is gathered; one of them then writes it all.
func (l *Log) Append(entries ...Entry) error {
	r := &request{entries: entries, wake: make(chan struct{})}
	l.queue.Lock()
	l.waiting = append(l.waiting, r)
	if l.writing {
		l.queue.Unlock()
		if <-r.wake; !r.lead {
			return r.err
		}
		l.queue.Lock()
	}
	l.writing = true
	list := l.waiting
	l.waiting = nil
	l.queue.Unlock()
	l.append(list)
	for _, x := range list {
		if x != r {
			close(x.wake)
		}
	}
	l.queue.Lock()
	defer l.queue.Unlock()
	if l.writing = len(l.waiting) > 0; l.writing { // nobody writes for others without end
		l.waiting[0].lead = true
		close(l.waiting[0].wake)
	}
	return r.err
}

// append writes what several brought. What is wrong with one does not concern
// the others.
func (l *Log) append(list []*request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fail := func(err error) {
		for _, r := range list {
			if r.err == nil {
				r.err = fmt.Errorf("append to audit log: %w", err)
			}
		}
	}
	if err := lockFile(l.lock); err != nil {
		fail(err)
		return
	}
	defer unlockFile(l.lock)
	if err := l.catchUp(); err != nil {
		fail(err)
		return
	}
	var out bytes.Buffer
	last, seq := l.last, l.seq
	for _, r := range list {
		size, before, number := out.Len(), last, seq
		if last, seq, r.err = encode(&out, r.entries, last, seq); r.err != nil {
			out.Truncate(size)
			last, seq = before, number
		}
	}
	if _, err := l.file.Write(out.Bytes()); err != nil {
		l.file.Close()
		l.file = nil // read again what of it was written
		fail(err)
		return
	}
	l.last, l.seq, l.size = last, seq, l.size+int64(out.Len())
}

// encode writes entries as lines behind a chain's end.
func encode(out *bytes.Buffer, entries []Entry, last [sha256.Size]byte, seq uint64) ([sha256.Size]byte, uint64, error) {
	for _, e := range entries {
		seq++
		e.Seq = seq
		doc, err := json.Marshal(e)
		if err != nil {
			return last, seq, fmt.Errorf("append to audit log: %w", err)
		}
		if len(doc) > maxLine-2*sha256.Size-2 {
			return last, seq, sekisho.Errorf(sekisho.Invalid, "append to audit log: an entry of %d bytes, want at most %d", len(doc), maxLine)
		}
		last = link(last, doc)
		out.WriteString(hex.EncodeToString(last[:]))
		out.WriteByte(' ')
		out.Write(doc)
		out.WriteByte('\n')
	}
	return last, seq, nil
}

// Sync writes what was appended to the disk.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Sync()
}

func link(last [sha256.Size]byte, doc []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(last[:])
	h.Write(doc)
	return [sha256.Size]byte(h.Sum(nil))
}

// catchUp goes to the end of the chain, where another process may have written.
func (l *Log) catchUp() error {
	names, err := files(l.dir)
	if err != nil {
		return err
	}
	if l.file != nil && len(names) > 0 && names[len(names)-1] == l.name {
		if info, err := l.file.Stat(); err == nil && info.Size() == l.size && l.size < maxFile {
			return nil
		}
	}
	if len(names) == 0 {
		return l.start(1)
	}
	name := names[len(names)-1]
	if err := l.end(name); err != nil {
		return err
	}
	if l.size >= maxFile {
		return l.start(len(names) + 1)
	}
	return l.reopen(name)
}

func (l *Log) start(n int) error { return l.reopen(fmt.Sprintf("audit-%06d.log", n)) }

func (l *Log) reopen(name string) error {
	if l.file != nil {
		l.file.Close()
	}
	f, err := os.OpenFile(filepath.Join(l.dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.name, l.size = f, name, info.Size()
	return nil
}

// end reads the last whole line of a file. What a crash left of a line is cut
// off: it was never acknowledged.
func (l *Log) end(name string) error {
	path := filepath.Join(l.dir, name)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	from := max(0, info.Size()-2*maxLine)
	tail := make([]byte, info.Size()-from)
	if _, err := f.ReadAt(tail, from); err != nil && err != io.EOF {
		return err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	if whole < len(tail) {
		if err := f.Truncate(from + int64(whole)); err != nil {
			return err
		}
	}
	l.size = from + int64(whole)
	if whole == 0 {
		return l.before(name)
	}
	line := tail[bytes.LastIndexByte(tail[:whole-1], '\n')+1 : whole-1]
	hash, e, err := parse(line)
	if err != nil {
		return sekisho.Errorf(sekisho.Corrupt, "%s: last line: %w", path, err).WithHint("sekisho audit verify tells where the chain breaks; move the directory away to start a new one")
	}
	l.last, l.seq = hash, e.Seq
	return nil
}

// before takes the end of the file before an empty one.
func (l *Log) before(name string) error {
	names, err := files(l.dir)
	if err != nil {
		return err
	}
	i := slices.Index(names, name)
	if i <= 0 {
		l.last, l.seq = [sha256.Size]byte{}, 0
		return nil
	}
	err = l.end(names[i-1])
	l.size = 0
	return err
}

func files(dir string) ([]string, error) {
	list, err := filepath.Glob(filepath.Join(dir, "audit-*.log"))
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i] = filepath.Base(list[i])
	}
	slices.Sort(list)
	return list, nil
}

func parse(line []byte) (hash [sha256.Size]byte, e Entry, err error) {
	text, doc, ok := bytes.Cut(line, []byte(" "))
	if !ok || hex.DecodedLen(len(text)) != len(hash) {
		return hash, e, errors.New("want a hash of 64 hexadecimal digits, a blank and a document")
	}
	if _, err := hex.Decode(hash[:], text); err != nil {
		return hash, e, err
	}
	return hash, e, json.Unmarshal(doc, &e)
}

// Read calls each for every entry, oldest first, and checks the chain as it
// goes: an error of kind Corrupt names the file and line where it breaks.
func Read(dir string, each func(Entry) error) error {
	names, err := files(dir)
	if err != nil {
		return err
	}
	var last [sha256.Size]byte
	var seq uint64
	for _, name := range names {
		if last, seq, err = readFile(filepath.Join(dir, name), last, seq, each); err != nil {
			return err
		}
	}
	return nil
}

func readFile(path string, last [sha256.Size]byte, seq uint64, each func(Entry) error) ([sha256.Size]byte, uint64, error) {
	return walkFile(path, last, seq, func(e Entry, _ [sha256.Size]byte) error { return each(e) })
}

// walkFile checks the chain through one file and calls each with every entry
// and its hash.
func walkFile(path string, last [sha256.Size]byte, seq uint64, each func(Entry, [sha256.Size]byte) error) ([sha256.Size]byte, uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return last, seq, fmt.Errorf("read audit log: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		hash, e, err := parse(lines.Bytes())
		if err != nil {
			return last, seq, sekisho.Errorf(sekisho.Corrupt, "%s:%d: %w", path, n, err)
		}
		_, doc, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		if link(last, doc) != hash || e.Seq != seq+1 {
			return last, seq, sekisho.Errorf(sekisho.Corrupt, "%s:%d: the chain breaks: entry %d does not follow entry %d as it was written", path, n, e.Seq, seq)
		}
		last, seq = hash, e.Seq
		if err := each(e, hash); err != nil {
			return last, seq, err
		}
	}
	if err := lines.Err(); err != nil {
		return last, seq, sekisho.Errorf(sekisho.Corrupt, "%s: %w", path, err)
	}
	return last, seq, nil
}

// Head returns the number of entries and the hash that the chain ends with, in
// hexadecimal. Who notes it elsewhere can later show that nothing before it
// changed and nothing was cut off.
func Head(dir string) (entries uint64, hash string, err error) {
	names, err := files(dir)
	if err != nil {
		return 0, "", err
	}
	var last [sha256.Size]byte
	for _, name := range names {
		if last, entries, err = readFile(filepath.Join(dir, name), last, entries, func(Entry) error { return nil }); err != nil {
			return entries, "", err
		}
	}
	return entries, hex.EncodeToString(last[:]), nil
}

// Holds reports whether the chain passes through a head that was noted earlier,
// as COUNT:HASH or as HASH. It checks the chain as Read does.
func Holds(dir, head string) (bool, error) {
	count, hash, ok := strings.Cut(head, ":")
	if !ok {
		count, hash = "", head
	}
	want, err := hex.DecodeString(hash)
	if err != nil || len(want) != sha256.Size {
		return false, sekisho.Errorf(sekisho.Usage, "head %q: want COUNT:HASH, as sekisho audit head writes it", head)
	}
	names, err := files(dir)
	if err != nil {
		return false, err
	}
	var last [sha256.Size]byte
	var seq uint64
	found := bytes.Equal(last[:], want) && (count == "" || count == "0") // nothing was there yet
	for _, name := range names {
		last, seq, err = walkFile(filepath.Join(dir, name), last, seq, func(e Entry, hash [sha256.Size]byte) error {
			found = found || bytes.Equal(hash[:], want) && (count == "" || count == strconv.FormatUint(e.Seq, 10))
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return found, nil
}
