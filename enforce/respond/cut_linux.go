package respond

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"sekisho"
)

// cut takes down the host's end of every cable into the container: nothing
// goes in or out, the container cannot undo it whatever it may do in its own
// network, and Restore brings back all of it, addresses and routes too.
func (r *Responder) cut(c *sekisho.Container) error { return r.cables(c, false) }

// Restore undoes a quarantine.
func (r *Responder) Restore(c *sekisho.Container) error { return r.cables(c, true) }

func (r *Responder) cables(c *sekisho.Container, up bool) error {
	pids, err := r.pids(c)
	if err != nil || len(pids) == 0 {
		return err
	}
	own, err := os.Readlink(r.at(os.Getpid(), "ns/net"))
	if err != nil {
		return fmt.Errorf("cut the network: %w", err)
	}
	its, err := os.Readlink(r.at(pids[0], "ns/net"))
	if err != nil {
		return fmt.Errorf("cut the network: %w", err)
	}
	if own == its {
		return sekisho.Errorf(sekisho.Unavailable, "cut the network of %s: it uses the host's own network", c.Name).WithHint("respond with pause or stop to containers of the host's network")
	}
	links, err := peers(r.at(pids[0], "ns/net"))
	if err != nil {
		return err
	}
	if len(links) == 0 {
		return sekisho.Errorf(sekisho.Unavailable, "cut the network of %s: it has no cable to the host", c.Name)
	}
	for _, index := range links {
		err = errors.Join(err, link(index, up))
	}
	return err
}

// peers lists, by number, the host's ends of the cables of a network namespace.
func peers(namespace string) ([]uint32, error) {
	type answer struct {
		links []uint32
		err   error
	}
	ch := make(chan answer)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
		links, err := peersHere(namespace)
		ch <- answer{links, err}
	}()
	a := <-ch
	return a.links, a.err
}

func peersHere(namespace string) ([]uint32, error) {
	fd, err := unix.Open(namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter network namespace: %w", err)
	}
	raw, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("list network links: %w", err)
	}
	return parseLinks(raw)
}

// parseLinks takes the number of the other end (IFLA_LINK) of links that have
// one in another namespace.
func parseLinks(raw []byte) (list []uint32, err error) {
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return nil, fmt.Errorf("list network links: %w", err)
	}
	for i := range messages {
		if messages[i].Header.Type != unix.RTM_NEWLINK {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&messages[i])
		if err != nil {
			return nil, fmt.Errorf("list network links: %w", err)
		}
		peer, elsewhere := uint32(0), false
		for _, a := range attributes {
			switch a.Attr.Type {
			case unix.IFLA_LINK:
				if len(a.Value) == 4 {
					peer = binary.NativeEndian.Uint32(a.Value)
				}
			case unix.IFLA_LINK_NETNSID:
				elsewhere = true
			}
		}
		if peer != 0 && elsewhere {
			list = append(list, peer)
		}
	}
	return list, nil
}

// link takes a link of the host up or down.
func link(index uint32, up bool) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("change network link: %w", err)
	}
	defer unix.Close(fd)
	const size = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg
	var b [size]byte
	binary.NativeEndian.PutUint32(b[0:], size)
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_NEWLINK)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(b[8:], 1)
	binary.NativeEndian.PutUint32(b[20:], index)
	if up {
		binary.NativeEndian.PutUint32(b[24:], unix.IFF_UP)
	}
	binary.NativeEndian.PutUint32(b[28:], unix.IFF_UP)
	if err := unix.Sendto(fd, b[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("change network link %d: %w", index, err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return fmt.Errorf("change network link %d: %w", index, err)
	}
	if n >= 20 && binary.NativeEndian.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		if code := int32(binary.NativeEndian.Uint32(answer[16:])); code != 0 {
			return fmt.Errorf("change network link %d: %w", index, unix.Errno(-code))
		}
	}
	return nil
}
