package layer

import "testing"

func TestIsCode(t *testing.T) {
	for name, want := range map[string]bool{
		"usr/lib/python3/x.py": true, "usr/share/man/man1/ls.1.gz": false, "lib/modules/6.1/x.ko.xz": true,
		"usr/include/stdio.h": false, "usr/include/nlohmann/json.hpp": true, "usr/share/doc/x/copyright": false, "etc/x.conf": false,
	} {
		if got := isCode(name, nil); got != want {
			t.Errorf("isCode(%q) = %v", name, got)
		}
	}
	if !isCode("usr/bin/x", []byte("\x7fELF\x02")) || !isCode("usr/bin/y", []byte("#!/bin/sh\n")) || isCode("usr/share/z", []byte("text")) {
		t.Error("heads of files are not known")
	}
}

func TestMerged(t *testing.T) {
	for p, want := range map[string]string{"usr/lib/x86_64-linux-gnu/libc.so.6": "lib/x86_64-linux-gnu/libc.so.6", "bin/ls": "usr/bin/ls", "usr/share/x": "", "lib": "", "lib64/ld.so": "usr/lib64/ld.so"} {
		if got := merged(p); got != want {
			t.Errorf("merged(%q) = %q, want %q", p, got, want)
		}
	}
}
