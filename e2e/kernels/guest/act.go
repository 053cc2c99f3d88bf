//go:build linux

package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// act is what the program does in a container.
func act(args []string) error {
	switch args[0] {
	case "memfd":
		return memfd(args[1], args[2:])
	case "deleted":
		f, err := os.Open(args[1])
		if err != nil {
			return err
		}
		if err := os.Remove(args[1]); err != nil {
			return err
		}
		return execute(int(f.Fd()), args[2:])
	case "mprotect":
		return mprotect(args[1])
	}
	return fmt.Errorf("no %s", args[0])
}

// memfd runs a copy of a program that is in memory only.
func memfd(name string, args []string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	label := [2]byte{'x'}
	fd, _, e := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(&label[0])), 0, 0)
	if e != 0 {
		return e
	}
	for len(data) > 0 {
		n, err := syscall.Write(int(fd), data)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return execute(int(fd), args)
}

func execute(fd int, args []string) error {
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), args, []string{"PATH=/bin"})
}

// mprotect makes a file's memory executable after it was mapped to read.
func mprotect(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	return syscall.Mprotect(b, syscall.PROT_READ|syscall.PROT_EXEC)
}
