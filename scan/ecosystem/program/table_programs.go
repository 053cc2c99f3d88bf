package program

import "regexp"

func v(re string) *regexp.Regexp { return regexp.MustCompile(re) }

// programs by the base name of their file; version digits are cut off.
var programs = map[string]known{
	"node":         {"node", "node v", v(`node v(\d+\.\d+\.\d+)`)},
	"nodejs":       {"node", "node v", v(`node v(\d+\.\d+\.\d+)`)},
	"python":       {"python", "\x003.", v(`\x00(3\.\d+\.\d+(?:[abrc]+\d+)?)\x00`)},
	"nginx":        {"nginx", "nginx/", v(`nginx/(\d+\.\d+\.\d+)`)},
	"redis-server": {"redis", "redis_version:", v(`\x00(\d+\.\d+\.\d+)\x00`)},
	"postgres":     {"postgresql", "PostgreSQL ", v(`PostgreSQL (\d+(?:\.\d+)+)`)},
	"openssl":      {"openssl", "OpenSSL ", v(`OpenSSL (\d+\.\d+\.\d+[a-z]{0,2})`)},
	"busybox":      {"busybox", "BusyBox v", v(`BusyBox v(\d+\.\d+\.\d+)`)},
	"httpd":        {"httpd", "Apache/", v(`Apache/(\d+\.\d+\.\d+)`)},
	"apache2":      {"httpd", "Apache/", v(`Apache/(\d+\.\d+\.\d+)`)},
	"haproxy":      {"haproxy", "HAProxy version", v(`(\d+\.\d+\.\d+)[-\x00]`)},
	"memcached":    {"memcached", "memcached ", v(`memcached (\d+\.\d+\.\d+)`)},
	"mysqld":       {"mysql", "mysqld-", v(`mysqld-(\d+\.\d+\.\d+)`)},
	"mariadbd":     {"mariadb", "-MariaDB", v(`(\d+\.\d+\.\d+)-MariaDB`)},
	"php":          {"php", "X-Powered-By: PHP/", v(`PHP/(\d+\.\d+\.\d+)`)},
	"php-fpm":      {"php", "X-Powered-By: PHP/", v(`PHP/(\d+\.\d+\.\d+)`)},
	"perl":         {"perl", "/perl5/", v(`/perl5?/(5\.\d+\.\d+)`)},
	"ruby":         {"ruby", "ruby ", v(`ruby (\d\.\d+\.\d+)`)},
	"bash":         {"bash", "@(#)Bash version ", v(`@\(#\)Bash version (\d+\.\d+\.\d+)`)},
	"curl":         {"curl", "curl/", v(`curl/(\d+\.\d+\.\d+)`)},
	"git":          {"git", "git version ", v(`git version (\d+\.\d+\.\d+)`)},
	"envoy":        {"envoy", "/envoy/", v(`[0-9a-f]{40}/(\d+\.\d+\.\d+)/`)},
	"mongod":       {"mongodb", "\x00mongod", v(`(\d+\.\d+\.\d+)`)},
	"lighttpd":     {"lighttpd", "lighttpd/", v(`lighttpd/(\d+\.\d+\.\d+)`)},
}

// libraries by the part of their file name before .so.
var libraries = map[string]known{
	"libcrypto":  {"openssl", "OpenSSL ", v(`OpenSSL (\d+\.\d+\.\d+[a-z]{0,2})`)},
	"libssl":     {"openssl", "OpenSSL ", v(`OpenSSL (\d+\.\d+\.\d+[a-z]{0,2})`)},
	"libsqlite3": {"sqlite", "SQLite format 3", v(`\x00(3\.\d+\.\d+)\x00`)},
	"libz":       {"zlib", "deflate ", v(`deflate (\d+\.\d+(?:\.\d+)*) Copyright`)},
	"libcurl":    {"curl", "libcurl/", v(`libcurl/(\d+\.\d+\.\d+)`)},
}
