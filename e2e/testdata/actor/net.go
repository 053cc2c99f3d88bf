package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// tells prints what became of a try in one word: ok, EPERM or the error.
func tells(err error) error {
	switch {
	case err == nil:
		fmt.Println("ok")
	case errors.Is(err, syscall.EPERM):
		fmt.Println("EPERM")
	default:
		fmt.Println(err)
	}
	return nil
}

// dial connects: dial tcp ADDRESS:PORT.
func dial(a []string) error {
	c, err := net.DialTimeout(a[0], a[1], 5*time.Second)
	if err == nil {
		c.Close()
	}
	return tells(err)
}

// send sends a datagram without connecting: send udp ADDRESS:PORT [LOCAL].
func send(a []string) error {
	local := ":0"
	if len(a) > 2 {
		local = a[2]
	}
	u, err := net.ListenPacket(a[0], local)
	if err != nil {
		return tells(err)
	}
	to, err := net.ResolveUDPAddr(a[0], a[1])
	if err == nil {
		_, err = u.WriteTo([]byte("x"), to)
	}
	return tells(err)
}

func sockaddr6(address string) (syscall.SockaddrInet6, error) {
	to, err := net.ResolveTCPAddr("tcp", address)
	sa := syscall.SockaddrInet6{}
	if err == nil {
		sa.Port = to.Port
		copy(sa.Addr[:], to.IP.To16()) // an IPv4 address becomes ::ffff:a.b.c.d
	}
	return sa, err
}

// inside reaches an IPv4 address through an IPv6 socket: inside stream|datagram|connected ADDRESS:PORT.
func inside(a []string) error {
	sa, err := sockaddr6(a[1])
	if err != nil {
		return err
	}
	kind := syscall.SOCK_DGRAM
	if a[0] == "stream" {
		kind = syscall.SOCK_STREAM
	}
	fd, err := syscall.Socket(syscall.AF_INET6, kind, 0)
	if err != nil {
		return err
	}
	if a[0] == "datagram" {
		return tells(syscall.Sendto(fd, []byte("x"), 0, &sa))
	}
	return tells(syscall.Connect(fd, &sa))
}

// fast sends with the first packet of a connection: fast ADDRESS:PORT.
func fast(a []string) error {
	to, err := net.ResolveTCPAddr("tcp4", a[0])
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	const fastOpen = 0x20000000
	return tells(syscall.Sendto(fd, []byte("x"), fastOpen, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}))
}

// socket makes a socket: socket raw|ping|packet.
func socket(a []string) error {
	kinds := map[string][3]int{"raw": {syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP}, "raw6": {syscall.AF_INET6, syscall.SOCK_RAW, syscall.IPPROTO_UDP}, "ping": {syscall.AF_INET, syscall.SOCK_DGRAM, syscall.IPPROTO_ICMP}, "packet": {syscall.AF_PACKET, syscall.SOCK_RAW, 0}}
	k := kinds[a[0]]
	_, err := syscall.Socket(k[0], k[1], k[2])
	return tells(err)
}

// hear listens: hear ADDRESS:PORT.
func hear(a []string) error {
	l, err := net.Listen("tcp", a[0])
	if err == nil {
		l.Close()
	}
	return tells(err)
}

// write opens a file to write and writes: write PATH [trunc|read].
func write(a []string) error {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if len(a) > 1 && a[1] == "trunc" {
		flags = os.O_RDONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(a[0], flags, 0o644)
	if err == nil && len(a) == 1 {
		_, err = f.WriteString("written\n")
	}
	return tells(err)
}

// write2 does the same by openat2.
func write2(a []string) error {
	name := append([]byte(a[0]), 0)
	how := [3]uint64{syscall.O_CREAT | syscall.O_WRONLY, 0o644, 0}
	fd, _, errno := syscall.Syscall6(437, ^uintptr(99), uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&how)), 24, 0, 0) // AT_FDCWD
	if errno != 0 {
		return tells(errno)
	}
	_, err := syscall.Write(int(fd), []byte("written\n"))
	return tells(err)
}

// ring makes one request through io_uring and returns its result.
func ring(opcode uint8, fd int32, addr, off uint64, length, flags uint32) (int32, error) {
	params := make([]uint32, 30)
	ringFD, _, errno := syscall.Syscall(425, 4, uintptr(unsafe.Pointer(&params[0])), 0)
	if errno != 0 {
		return 0, errno
	}
	entries, sq, cq := params[0], params[10:], params[20:] // offsets: head tail ring_mask ring_entries …
	size := int(max(sq[6]+entries*4, cq[5]+params[1]*16))
	m, err := syscall.Mmap(int(ringFD), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return 0, err
	}
	e, err := syscall.Mmap(int(ringFD), 0x10000000, int(entries*64), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return 0, err
	}
	e[0] = opcode
	binary.LittleEndian.PutUint32(e[4:], uint32(fd))
	binary.LittleEndian.PutUint64(e[8:], off)
	binary.LittleEndian.PutUint64(e[16:], addr)
	binary.LittleEndian.PutUint32(e[24:], length)
	binary.LittleEndian.PutUint32(e[28:], flags)
	*(*uint32)(unsafe.Pointer(&m[sq[1]]))++
	if _, _, errno := syscall.Syscall6(426, ringFD, 1, 1, 1, 0, 0); errno != 0 {
		return 0, errno
	}
	return int32(binary.LittleEndian.Uint32(m[cq[5]+8:])), nil
}

// ringdial connects through io_uring: ringdial ADDRESS:PORT.
func ringdial(a []string) error {
	to, err := net.ResolveTCPAddr("tcp4", a[0])
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	sa := make([]byte, 16)
	binary.LittleEndian.PutUint16(sa, syscall.AF_INET)
	binary.BigEndian.PutUint16(sa[2:], uint16(to.Port))
	copy(sa[4:], to.IP.To4())
	res, err := ring(16, int32(fd), uint64(uintptr(unsafe.Pointer(&sa[0]))), 16, 0, 0)
	runtime.KeepAlive(sa)
	if err == nil && res < 0 {
		err = syscall.Errno(-res)
	}
	return tells(err)
}

// ringwrite opens a file to write through io_uring: ringwrite PATH.
func ringwrite(a []string) error {
	name := append([]byte(a[0]), 0)
	fd, err := ring(18, -100, uint64(uintptr(unsafe.Pointer(&name[0]))), 0, 0o644, syscall.O_CREAT|syscall.O_WRONLY)
	runtime.KeepAlive(name)
	if err == nil && fd < 0 {
		err = syscall.Errno(-fd)
	}
	if err == nil {
		_, err = syscall.Write(int(fd), []byte("written\n"))
	}
	return tells(err)
}

// peers serve what the tests connect to: TCP and UDP at port 7000 of all
// addresses, and a name server that knows names ending in .example.
func peers([]string) error {
	for _, words := range []string{"addr add 10.9.0.1/16 dev lo", "-6 addr add fd09::1/128 dev lo", "-6 addr add fd09::2/128 dev lo"} {
		if out, err := exec.Command("/bin/busybox", append([]string{"ip"}, strings.Fields(words)...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", words, err, out)
		}
	}
	l, err := net.Listen("tcp", ":7000")
	if err != nil {
		return err
	}
	go func() {
		for {
			if c, err := l.Accept(); err == nil {
				c.Close()
			}
		}
	}()
	server, err := net.ListenPacket("udp4", "10.9.0.53:53")
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for b := make([]byte, 512); ; {
		n, from, err := server.ReadFrom(b)
		if err != nil {
			return err
		}
		server.WriteTo(answer(b[:n]), from)
	}
}

// answer names addresses: aN.example is 10.9.1.N, by way of another name.
func answer(question []byte) []byte {
	out := append([]byte{}, question...)
	out[2], out[3], out[7] = 0x81, 0x80, 2
	at := 12
	host := byte(0)
	for _, c := range out[14 : 13+int(out[12])] {
		host = host*10 + c - '0'
	}
	for out[at] != 0 {
		at += int(out[at]) + 1
	}
	out = out[:at+5]
	alias := []byte("\x03cdn\x05other\x00")
	out = append(out, 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, byte(len(alias)))
	place := len(out)
	out = append(out, alias...)
	return append(out, 0xc0|byte(place>>8), byte(place), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 1, host)
}

// call resolves a name and connects to it at once: call NAME:PORT [TIMES]. It
// counts the times that it could.
func call(a []string) error {
	name, port, _ := strings.Cut(a[0], ":")
	times := 1
	if len(a) > 1 {
		fmt.Sscan(a[1], &times)
	}
	did := 0
	for i := range times {
		address, err := ask(strings.Replace(name, "%d", fmt.Sprint(i%250), 1))
		if err != nil {
			return err
		}
		c, err := net.DialTimeout("tcp4", net.JoinHostPort(address, port), 5*time.Second)
		if err == nil {
			c.Close()
			did++
		} else if !errors.Is(err, syscall.EPERM) {
			return err
		}
	}
	fmt.Println(did)
	return nil
}

func ask(name string) (string, error) {
	c, err := net.Dial("udp4", "10.9.0.53:53")
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	q := []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, label := range strings.Split(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	if _, err := c.Write(append(q, 0, 0, 1, 0, 1)); err != nil {
		return "", err
	}
	b := make([]byte, 512)
	n, err := c.Read(b)
	if err != nil {
		return "", err
	}
	return net.IP(b[n-4 : n]).String(), nil
}
