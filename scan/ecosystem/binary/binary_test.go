package binary

import (
	"bytes"
	"os"
	"testing"

	"sekisho/scan/analyze"
)

// program is an executable that holds a text amid others.
func program(text string) []byte {
	b := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00")
	b = append(b, make([]byte, 200)...)
	b = append(b, text...)
	return append(b, make([]byte, 300)...)
}

// tell reads a file in pieces and returns the PURL of what was found.
func tell(t testing.TB, path string, data []byte, piece int) string {
	t.Helper()
	r := New()
	f := &analyze.File{Path: path, Mode: 0o755, Size: int64(len(data)), Head: data[:min(len(data), analyze.HeadSize)], Data: data}
	var out analyze.Result
	switch r.Wants(f) {
	case analyze.Whole:
		if err := r.Analyze(f, &out); err != nil {
			t.Fatal(err)
		}
	case analyze.Stream:
		s := r.(analyze.Streamer).Stream(f, &out)
		for len(data) > 0 {
			n := min(piece, len(data))
			if _, err := s.Write(data[:n]); err != nil {
				t.Fatal(err)
			}
			data = data[n:]
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		return "skipped"
	}
	if len(out.Packages) == 0 {
		return ""
	}
	return out.Packages[0].PURL
}

// The texts are those of real programs: Debian's, Docker Hub's and upstream's.
func TestPrograms(t *testing.T) {
	for _, c := range []struct{ path, text, want string }{
		{"usr/local/bin/node", "\x00/json\x00node.js/v18.20.4\x00(delegate_)", "pkg:generic/node@18.20.4"},
		{"usr/local/bin/python3.11", "pymalloc_debug\x003.11.2\x00strict", "pkg:generic/python@3.11.2"},
		{"usr/local/bin/python3.11", "other\x003.12.2\x00strict", ""},
		{"usr/lib/libpython3.13.so.1.0", "\x00/opt/versions/3.13.0\x00EXEC_PREFIX", "pkg:generic/python@3.13.0"},
		{"usr/local/bin/python2.7", "\x002.7.18\x00", "pkg:generic/python@2.7.18"},
		{"usr/sbin/nginx", "\x00nginx version: nginx/1.22.1\x00", "pkg:generic/nginx@1.22.1"},
		{"usr/local/openresty/nginx/sbin/nginx", "\x00nginx version: openresty/1.21.4.1\x00", "pkg:generic/openresty@1.21.4.1"},
		{"usr/bin/redis-server", "err\x007.0.15\x00c11-builtin\x00", "pkg:generic/redis@7.0.15"},
		{"usr/local/bin/redis-server", "\x007.0.14buildkitsandbox-1702957741000000000\x00", "pkg:generic/redis@7.0.14"},
		{"usr/lib/postgresql/15/bin/postgres", "to PostgreSQL 9.1.\x00PostgreSQL 15.20 (Debian 15.20-0+deb12u1)", "pkg:generic/postgresql@15.20"},
		{"usr/bin/openssl", "OPENSSL_3.0.0\x00OpenSSL 3.0.22 25 Aug 2026\x00", "pkg:generic/openssl@3.0.22"},
		{"usr/lib/libssl.so.1.0.0", "\x00OpenSSL 1.0.2k-fips  26 Jan 2017\x00", "pkg:generic/openssl@1.0.2k"},
		{"usr/lib/libcrypto.so.1.1", "\x00OpenSSL 1.1.1w  11 Sep 2023\x00", "pkg:generic/openssl@1.1.1w"},
		{"bin/busybox", "\x00BusyBox v1.36.1 (2023-11-07 18:53:09 UTC)\x00", "pkg:generic/busybox@1.36.1"},
		{"usr/sbin/haproxy", "since HAProxy version 2.5.\x00 version 2.6.12-1+deb12u4, released 2026/10/17", "pkg:generic/haproxy@2.6.12"},
		{"usr/local/apache2/bin/httpd", "\x00Apache/2.4.58 (Unix)\x00", "pkg:generic/httpd@2.4.58"},
		{"usr/sbin/mariadbd", "for example 10.1.1-MariaDB-mariadb1precise-log\x0010.11.19-MariaDB\x00", "pkg:generic/mariadb@10.11.19"},
		{"usr/sbin/mysqld", "/build/mysql-8.0.37/sql/mysqld.cc", "pkg:generic/mysql@8.0.37"},
		{"bin/bash", "@(#)Bash version 5.2.15(1) release GNU", "pkg:generic/bash@5.2.15"},
		{"usr/bin/git", "\xff\xfe\xfe\xffgit/2.39.5\x00GIT_USER_AGENT", "pkg:generic/git@2.39.5"},
		{"usr/bin/curl", "<curl/curl.h>\x00curl/7.88.1\x00", "pkg:generic/curl@7.88.1"},
		{"usr/sbin/php-fpm8.2", "X-Powered-By: PHP/8.2.36\x00", "pkg:generic/php@8.2.36"},
		{"usr/bin/perl5.36.0", "SEED\x00v5.36.0\x00panic", "pkg:generic/perl@5.36.0"},
		{"usr/lib/libruby-3.1.so.3.1.2", "ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]", "pkg:generic/ruby@3.1.2"},
		{"usr/lib/libz.so.1.2.13", " deflate 1.2.13 Copyright 1995-2022 Jean-loup Gailly", "pkg:generic/zlib@1.2.13"},
		{"root/lib/libstd-d1237ef7159db0a2.so", "rustc version 1.95.0 (59807616e 2026-04-14)", "pkg:generic/rust@1.95.0"},
		{"usr/bin/mongod", "7.0.28\x00heap_size", "pkg:generic/mongodb@7.0.28"},
		{"usr/sbin/nginx", "a program of the same name", ""},
		{"usr/bin/other", "\x00nginx version: nginx/1.22.1\x00", "skipped"},
	} {
		for _, piece := range []int{1 << 20, 1, 7} {
			if got := tell(t, c.path, program(c.text), piece); got != c.want {
				t.Errorf("%s, pieces of %d: %q, want %q", c.path, piece, got, c.want)
			}
		}
	}
}

// TestEdges moves a text over the border between what is looked at together.
func TestEdges(t *testing.T) {
	const text = "\x00nginx version: nginx/1.22.11\x00"
	for at := step - 50; at < step+2*around+50; at++ {
		data := bytes.Repeat([]byte{1}, at+5000)
		copy(data, program(""))
		copy(data[at:], text)
		if got := tell(t, "usr/sbin/nginx", data, 30_000); got != "pkg:generic/nginx@1.22.11" {
			t.Fatalf("at %d: %q", at, got)
		}
	}
}

func TestTexts(t *testing.T) {
	const release = "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_RUNTIME_VERSION=\"17.0.9+9\"\nJAVA_VERSION=\"17.0.9\"\n"
	for _, c := range []struct{ path, text, want string }{
		{"opt/java/openjdk/release", release, "pkg:generic/openjdk@17.0.9"},
		{"usr/lib/jvm/jre8/release", "JAVA_VERSION=\"1.8.0_402\"\nBUILD_TYPE=\"commercial\"\n", "pkg:generic/oracle-jdk@1.8.0_402"},
		{"etc/release", "some text\n", ""},
		{"usr/local/go/VERSION", "go1.22.3\ntime 2024-05-01T19:49:47Z\n", "pkg:generic/go@1.22.3"},
		{"srv/VERSION", "1.2.3\n", ""},
		{"usr/lib/erlang/releases/25/OTP_VERSION", "25.2.3\n", "pkg:generic/erlang@25.2.3"},
		{"var/www/wp-includes/version.php", "<?php\n$wp_version = '6.4.2';\n", "pkg:generic/wordpress@6.4.2"},
		{"var/www/version.php", "<?php\n$wp_version = '6.4.2';\n", "skipped"},
	} {
		if got := tell(t, c.path, []byte(c.text), 100); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
}

func TestWantsDoesNotAllocate(t *testing.T) {
	data := program("")
	r := New()
	for _, path := range []string{"usr/bin/other", "usr/bin/php8.2", "usr/lib/libruby-3.1.so.3.1.2"} {
		f := &analyze.File{Path: path, Mode: 0o755, Size: int64(len(data)), Head: data}
		if n := testing.AllocsPerRun(100, func() { r.Wants(f) }); n > 0 {
			t.Errorf("Wants(%s) allocates %v times", path, n)
		}
	}
}

func FuzzProgram(f *testing.F) {
	f.Add("node", "\x00node.js/v18.20.4\x00", 3)
	f.Add("python3.11", "\x003.11.2\x00", 100)
	f.Add("redis-server", "\x007.0.14buildkitsandbox-1702957741000000000\x00", 64)
	f.Fuzz(func(t *testing.T, base, text string, piece int) {
		data := program(text)
		whole := tell(t, "bin/"+base, data, len(data))
		if got := tell(t, "bin/"+base, data, min(max(piece, 1), 1<<20)); got != whole {
			t.Errorf("pieces: %q, whole: %q", got, whole)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("lib/release", "JAVA_VERSION=\"17\"\n")
	f.Add("go/VERSION", "go1.22")
	f.Fuzz(func(t *testing.T, path, text string) { tell(t, path, []byte(text), 100) })
}

func BenchmarkProgram(b *testing.B) {
	name, data := "node", program("")
	if big := os.Getenv("BENCH_EXECUTABLE"); big != "" {
		var err error
		if data, err = os.ReadFile(big); err != nil {
			b.Fatal(err)
		}
	} else {
		data = append(data, make([]byte, 64<<20)...)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		tell(b, "bin/"+name, data, 64<<10)
	}
}
