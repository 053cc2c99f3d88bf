package container

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
)

// Bounds of what is read of the files of users, which a container may write.
const (
	maxAccountFile = 1 << 20 // bytes
	maxAccounts    = 4096    // names of one file
	maxAccountName = 64      // bytes
	maxUserSets    = 1024    // containers whose names are kept
	userReaders    = 4       // that read at once: a file system may hang
	userWait       = 20 * time.Millisecond
	userAgain      = 10 * time.Second // before an unknown number is looked up again
)

// Users names the users and groups of containers by their own files
// (passwd(5), group(5)), and those of the host for nil. What was read first
// counts: a container that renames its users later renames nobody. It does not
// hold up who asks for longer than 20 ms.
type Users struct {
	open func(c *sekisho.Container, path string) (io.ReadCloser, error)
	now  func() time.Time
	mu   sync.Mutex
	sets map[string]*userSet
	free chan struct{}
}

type userSet struct {
	ready         chan struct{} // closed when the names are there
	users, groups map[uint32]string
	read          time.Time
	slow          bool // the first one waited in vain
}

// NewUsers returns names that are read with open.
func NewUsers(open func(c *sekisho.Container, path string) (io.ReadCloser, error), now func() time.Time) *Users {
	return &Users{open: open, now: now, sets: map[string]*userSet{}, free: make(chan struct{}, userReaders)}
}

// User returns the name of a user.
func (u *Users) User(c *sekisho.Container, uid uint32) (string, bool) {
	return u.find(c, uid, func(s *userSet) map[uint32]string { return s.users })
}

// Group returns the name of a group.
func (u *Users) Group(c *sekisho.Container, gid uint32) (string, bool) {
	return u.find(c, gid, func(s *userSet) map[uint32]string { return s.groups })
}

func (u *Users) find(c *sekisho.Container, id uint32, of func(*userSet) map[uint32]string) (string, bool) {
	key := ""
	if c != nil {
		key = c.ID
	}
	s := u.set(c, key, nil)
	if !s.wait() {
		return "", false
	}
	name, ok := of(s)[id]
	if !ok && u.now().Sub(s.read) > userAgain { // it may have been made since
		if s = u.set(c, key, s); s.wait() {
			name, ok = of(s)[id]
		}
	}
	return name, ok
}

// set returns what is known of a container, and begins to read when nothing is
// or only what is given.
func (u *Users) set(c *sekisho.Container, key string, old *userSet) *userSet {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.sets[key]; s != nil && s != old {
		return s
	}
	if len(u.sets) >= maxUserSets {
		clear(u.sets)
	}
	s := &userSet{ready: make(chan struct{}), read: u.now()}
	select {
	case u.free <- struct{}{}:
	default: // all readers hang: nothing is known this time
		close(s.ready)
		if old != nil {
			return old
		}
		return s
	}
	u.sets[key] = s
	go func() {
		s.users, s.groups = u.read(c, "/etc/passwd"), u.read(c, "/etc/group")
		if old != nil { // who was known keeps the name
			for id, name := range old.users {
				s.users[id] = name
			}
			for id, name := range old.groups {
				s.groups[id] = name
			}
		}
		<-u.free
		close(s.ready)
	}()
	return s
}

func (s *userSet) wait() bool {
	select {
	case <-s.ready:
		return true
	default:
	}
	if s.slow {
		return false
	}
	late := time.NewTimer(userWait)
	defer late.Stop()
	select {
	case <-s.ready:
		return true
	case <-late.C:
		s.slow = true // only the one goroutine that judges asks
		return false
	}
}

// read reads the names by number of a file of lines with colons.
func (u *Users) read(c *sekisho.Container, path string) map[uint32]string {
	f, err := u.open(c, path)
	if err != nil {
		return map[uint32]string{} // an image without users
	}
	defer f.Close()
	return accounts(f)
}

func accounts(r io.Reader) map[uint32]string {
	out := map[uint32]string{}
	lines := bufio.NewScanner(io.LimitReader(r, maxAccountFile))
	for lines.Scan() && len(out) < maxAccounts {
		f := strings.SplitN(lines.Text(), ":", 4)
		if len(f) < 3 || f[0] == "" || len(f[0]) > maxAccountName || strings.ContainsFunc(f[0], func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			continue
		}
		id, err := strconv.ParseUint(f[2], 10, 32)
		if _, known := out[uint32(id)]; err != nil || known {
			continue
		}
		out[uint32(id)] = strings.ToValidUTF8(f[0], "�")
	}
	return out
}
