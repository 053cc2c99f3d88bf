package object

import (
	"bytes"
	"debug/elf"
	"os"
	"testing"
)

// TestAgainstStandardLibrary reads this very test program with debug/elf too.
func TestAgainstStandardLibrary(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	want, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Skip("this system's programs are not ELF files")
	}
	got, err := Parse(data[:min(len(data), FrontSize)])
	if err != nil {
		t.Fatal(err)
	}
	var loads []*elf.Prog
	for _, p := range want.Progs {
		if p.Type == elf.PT_LOAD {
			loads = append(loads, p)
		}
	}
	if len(got.Segments) != len(loads) {
		t.Fatalf("%d segments, want %d", len(got.Segments), len(loads))
	}
	for i, s := range got.Segments {
		p := loads[i]
		if s.Addr != p.Vaddr || s.Off != p.Off || s.Size != p.Filesz || s.Write != (p.Flags&elf.PF_W != 0) || s.Exec != (p.Flags&elf.PF_X != 0) {
			t.Errorf("segment %d: %+v, want %+v", i, s, p.ProgHeader)
		}
	}
	at := func(off, n uint64) []byte { return data[off : off+n] }
	for _, s := range want.Sections {
		if s.Name == "" || s.Type == elf.SHT_NOBITS {
			continue
		}
		p, ok := got.Find(s.Name, at)
		if !ok || p.Off != s.Offset || p.Size != s.FileSize || p.Addr != s.Addr {
			t.Errorf("section %s: %+v, %v; want %+v", s.Name, p, ok, s.SectionHeader)
		}
	}
	if _, ok := got.Find(".nothing", at); ok {
		t.Error("found a section that is not there")
	}
}

func TestSniff(t *testing.T) {
	pad := func(s string) []byte { return append([]byte(s), make([]byte, 64)...) }
	for _, c := range []struct {
		head []byte
		want Format
	}{
		{pad("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00"), ELF},
		{pad("\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"), ELF},
		{pad("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"), None}, // object file
		{pad("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00"), None}, // core dump
		{[]byte("\x7fELF\x02\x01"), None},
		{pad("MZ"), PE},
		{pad("\xcf\xfa\xed\xfe"), MachO},
		{pad("\xfe\xed\xfa\xce"), MachO},
		{pad("\xca\xfe\xba\xbe\x00\x00\x00\x02"), Fat},
		{pad("\xca\xfe\xba\xbe\x00\x00\x00\x34"), None}, // Java class
		{pad("#!/bin/sh"), None},
		{nil, None},
	} {
		if got := Sniff(c.head); got != c.want {
			t.Errorf("Sniff(%q) = %d, want %d", c.head[:min(len(c.head), 18)], got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	exe, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		f.Add(exe[:min(len(exe), 4096)])
	}
	f.Add([]byte("\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + string(make([]byte, 64))))
	f.Add([]byte("MZ" + string(make([]byte, 0x3a)) + "\x40\x00\x00\x00PE\x00\x00" + string(make([]byte, 200))))
	f.Add([]byte("\xcf\xfa\xed\xfe" + string(make([]byte, 200))))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := Parse(data)
		if err != nil {
			return
		}
		o.Find(".dep-v0", func(off, n uint64) []byte {
			if off > uint64(len(data)) || n > uint64(len(data))-off {
				return nil
			}
			return data[off : off+n]
		})
		for _, p := range append(o.Segments, o.Sections...) {
			if p.End() < p.Off {
				t.Errorf("part overflows: %+v", p)
			}
		}
	})
}
