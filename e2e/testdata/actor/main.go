// Command actor does in a container what the tests of the enforcer look for.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

func main() {
	actors := map[string]func([]string) error{"touch": touch, "memfd": memfd, "map": mapped, "protect": protect, "files": files, "args": args, "spawn": spawn, "talk": talk, "named": named, "show": show, "unlinked": unlinked, "calls": calls, "uring": uring, "resolve": resolve,
		"dial": dial, "send": send, "inside": inside, "fast": fast, "socket": socket, "hear": hear, "write": write, "write2": write2, "ringdial": ringdial, "ringwrite": ringwrite, "peers": peers, "call": call}
	if err := actors[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "actor:", err)
		os.Exit(1)
	}
}

func touch(a []string) error { return os.WriteFile(a[0], nil, 0o644) }

func show(a []string) error {
	fmt.Println(len(a))
	return nil
}

// memfd runs itself from memory.
func memfd(a []string) error {
	name := []byte("kworker\x00")
	fd, _, errno := syscall.Syscall(319, uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if errno != 0 {
		return errno
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if _, err := syscall.Write(int(fd), self); err != nil {
		return err
	}
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), []string{"kworker", "touch", a[0]}, nil)
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

func mapped(a []string) error {
	f, err := os.Open(a[0])
	if err != nil {
		return err
	}
	if _, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_EXEC, syscall.MAP_PRIVATE); err != nil {
		return err
	}
	return touch(a[1:])
}

func protect(a []string) error {
	f, err := os.Open(a[0])
	if err != nil {
		return err
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	if err := syscall.Mprotect(m, syscall.PROT_READ|syscall.PROT_EXEC); err != nil {
		return err
	}
	return touch(a[1:])
}

// files works with paths relative to a directory.
func files([]string) error {
	steps := []error{
		os.Mkdir("/desk", 0o755), os.Chdir("/desk"), os.WriteFile("a", []byte("x"), 0o600), os.Rename("a", "../desk/b"), os.Link("b", "c"),
		os.Symlink("/etc/shadow", "d"), os.Chmod("b", 0o755|os.ModeSetuid), os.Chown("b", 7, 8), os.Remove("c"), os.Mkdir("e", 0o700), os.Remove("e"),
	}
	if _, err := os.ReadFile("/secret-of-the-test"); err == nil {
		return fmt.Errorf("it should not be there")
	}
	if _, err := os.ReadFile("b"); err != nil {
		return err
	}
	for i, err := range steps {
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// args runs itself with very long arguments.
func args(a []string) error {
	n, _ := strconv.Atoi(a[0])
	long := strings.Repeat("x", 100000)
	list := []string{"/bin/actor", "show"}
	for range n / len(long) {
		list = append(list, long)
	}
	return syscall.Exec("/bin/actor", list, nil)
}

// spawn runs a program many times.
func spawn(a []string) error {
	n, _ := strconv.Atoi(a[0])
	for range n {
		if err := exec.Command("/bin/busybox", "true").Run(); err != nil {
			return err
		}
	}
	return nil
}

// named runs itself under a name with control characters.
func named(a []string) error {
	return syscall.Exec("/bin/actor", []string{"a\x1b[2Jb\nc\xff", "touch", a[0]}, nil)
}

// talk listens, connects to itself, and sends a datagram.
func talk([]string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:4567")
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = c.Write([]byte("hello"))
			c.Close()
		}
		done <- err
	}()
	c, err := net.Dial("tcp4", "127.0.0.1:4567")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.ReadFrom(c)
	u, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := u.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5353}); err != nil {
		return err
	}
	return <-done
}

// calls makes one of each of the calls that lead out of a container.
func calls([]string) error {
	call := func(n uintptr, a ...uintptr) {
		a = append(a, 0, 0, 0, 0, 0, 0)
		syscall.RawSyscall6(n, a[0], a[1], a[2], a[3], a[4], a[5])
	}
	l, err := net.Listen("unix", "/sock")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("unix", "/sock")
	if err != nil {
		return err
	}
	defer c.Close()
	tcp, err := net.Listen("tcp4", "127.0.0.1:4568")
	if err != nil {
		return err
	}
	f, err := tcp.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	call(syscall.SYS_DUP2, f.Fd(), 200)
	call(syscall.SYS_SOCKET, syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	call(syscall.SYS_UNSHARE, syscall.CLONE_NEWUTS)
	call(syscall.SYS_PTRACE, 16, 1)         // PTRACE_ATTACH
	call(321, 0)                            // bpf
	call(323, 1)                            // userfaultfd
	call(308, f.Fd(), syscall.CLONE_NEWNET) // setns of what is no namespace
	syscall.Mkdir("/mnt", 0o755)
	syscall.Mount("none", "/mnt", "tmpfs", syscall.MS_NOEXEC, "")
	call(syscall.SYS_SETUID, 4242)
	return nil
}

// uring asks for nothing through io_uring.
func uring([]string) error {
	params := make([]uint32, 30)
	fd, _, errno := syscall.Syscall(425, 4, uintptr(unsafe.Pointer(&params[0])), 0)
	if errno != 0 {
		return errno
	}
	entries, sq := params[0], params[10:] // sq_off: head tail ring_mask ring_entries flags dropped array
	ring, err := syscall.Mmap(int(fd), 0, int(sq[6]+entries*4), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return err
	}
	// an entry of zeros is IORING_OP_NOP
	if _, err := syscall.Mmap(int(fd), 0x10000000, int(entries*64), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE); err != nil {
		return err
	}
	*(*uint32)(unsafe.Pointer(&ring[sq[1]]))++
	if _, _, errno := syscall.Syscall6(426, fd, 1, 1, 1, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// resolve is a name server for itself, and connects to what it was told.
func resolve([]string) error {
	server, err := net.ListenPacket("udp4", "127.0.0.53:53")
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 512)
		n, from, err := server.ReadFrom(b)
		if err != nil {
			return
		}
		b[2], b[3], b[7] = 0x81, 0x80, 1 // a response with one answer
		b = append(b[:n], 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 99)
		server.WriteTo(b, from)
	}()
	c, err := net.Dial("udp4", "127.0.0.53:53")
	if err != nil {
		return err
	}
	c.Write([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02c2\x07example\x00\x00\x01\x00\x01"))
	if _, err := c.Read(make([]byte, 512)); err != nil {
		return err
	}
	if _, err := net.Dial("tcp4", "127.0.0.99:9"); err == nil {
		return fmt.Errorf("something listens there")
	}
	return nil
}
