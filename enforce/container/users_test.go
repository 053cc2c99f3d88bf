package container

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"sekisho"
)

// TestUsers holds that names come from the container's own files, that the
// first reading counts, and that a file which hangs holds nobody up for long.
func TestUsers(t *testing.T) {
	now := time.Unix(1000, 0)
	passwd := "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\nbroken\nevil\x1b[2J:x:7:7::/:/\nother:x:1000:1::/:/\n"
	hang := make(chan struct{})
	defer close(hang)
	u := NewUsers(func(c *sekisho.Container, path string) (io.ReadCloser, error) {
		switch {
		case c == nil:
			return nil, errors.New("no files")
		case c.ID == "hangs":
			<-hang
			return nil, errors.New("gone")
		case path == "/etc/group":
			return io.NopCloser(strings.NewReader("staff:x:50:\n")), nil
		}
		return io.NopCloser(strings.NewReader(passwd)), nil
	}, func() time.Time { return now })
	web := &sekisho.Container{ID: "web"}
	want := func(c *sekisho.Container, uid uint32, name string) {
		t.Helper()
		if got, ok := u.User(c, uid); got != name || ok != (name != "") {
			t.Errorf("user %d is %q", uid, got)
		}
	}
	want(web, 1000, "app")
	want(web, 7, "")
	want(nil, 1000, "")
	if g, _ := u.Group(web, 50); g != "staff" {
		t.Errorf("group 50 is %q", g)
	}
	passwd = "root:x:1000:0::/:/\nlate:x:1001:0::/:/\n"
	want(web, 1001, "")
	now = now.Add(time.Minute)
	want(web, 1001, "late")
	want(web, 1000, "app")
	for i := range 2 * userReaders {
		began := time.Now()
		want(&sekisho.Container{ID: "hangs"}, uint32(i), "")
		if d := time.Since(began); d > time.Second {
			t.Errorf("it waited %v", d)
		}
	}
	want(web, 1000, "app")
}

func FuzzAccounts(f *testing.F) {
	f.Add("root:x:0:0::/:/bin/sh\n:::\na:b:4294967295:")
	f.Fuzz(func(t *testing.T, s string) {
		for id, name := range accounts(strings.NewReader(s)) {
			if name == "" || len(name) > 3*maxAccountName || strings.ContainsAny(name, "\x1b\n:") {
				t.Errorf("%d is %q", id, name)
			}
		}
	})
}
