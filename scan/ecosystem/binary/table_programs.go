package binary

import "regexp"

// one makes the patterns of a program that writes its version in one way.
func one(name, literal, version string) []pattern {
	return []pattern{{name, literal, regexp.MustCompile(version)}}
}

func several(lists ...[]pattern) []pattern {
	var all []pattern
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

const triple = `(\d+\.\d+\.\d+)`

// The programs by file name, or by what is left of it without .so, version
// and .exe.
var programs = map[string][]pattern{
	"node": node, "nodejs": node, "libnode": node,
	"python": python, "libpython": python,
	"nginx": nginx, "nginx-debug": nginx, "openresty": nginx, "angie": nginx,
	"redis-server": redis, "redis-sentinel": redis, "redis-check-rdb": redis, "redis-check-aof": redis,
	"valkey-server": one("valkey", "-builtin\x00", `\x00`+triple+`\x00(?:c11|atomic|sync)-builtin\x00`),
	"postgres":      one("postgresql", "\x00PostgreSQL ", `\x00PostgreSQL (\d+(?:\.\d+)+|\d+(?:beta|rc)\d+)`),
	"openssl":       openssl, "libssl": openssl, "libcrypto": openssl,
	"busybox":   one("busybox", "BusyBox v", `BusyBox v`+triple),
	"haproxy":   one("haproxy", ", released 20", `version (\d+\.\d+(?:\.\d+|-dev\d+|-rc\d+))[^,\x00]{0,60}, released 20`),
	"lighttpd":  one("lighttpd", "lighttpd/", `\x00lighttpd/`+triple),
	"memcached": one("memcached", "memcached ", `memcached `+triple),
	"httpd":     httpd, "apache2": httpd,
	"mysqld": mysql, "mariadbd": mysql, "mysql": mysql, "mariadb": mysql,
	"mongod": mongo, "mongos": mongo,
	"bash": one("bash", "@(#)Bash version ", `@\(#\)Bash version `+triple),
	"git":  one("git", "git/", `git/(\d+\.\d+(?:\.\d+){1,2}(?:[.-]rc\d+)?)\x00`),
	"curl": one("curl", "curl/", `\x00curl/`+triple), "libcurl": one("curl", "libcurl/", `libcurl/`+triple),
	"libcurl-gnutls": one("curl", "libcurl/", `libcurl/`+triple),
	"php":            php, "php-fpm": php, "php-cgi": php, "libphp": php,
	"perl": perl, "libperl": perl,
	"ruby": ruby, "libruby": ruby,
	"libsqlite3": one("sqlite", "3.", `\x00(3\.\d{1,2}\.\d{1,2})\x00`),
	"libz":       one("zlib", "flate ", `flate (\d+\.\d+(?:\.\d+){1,2}) Copyright`),
	"xz":         one("xz", "xz (XZ Utils) ", `xz \(XZ Utils\) (\d+\.\d+\.\d+(?:alpha|beta)?)\x00`),
	"libstd":     one("rust", "rustc version ", `rustc version (\d+\.\d+\.\d+(?:-[\w.]+)?) \(`),
	"erlexec":    erl, "beam.smp": erl, "beam": erl,
	"squid":    one("squid", "squid/", `\x00squid/(\d+\.\d+(?:\.\d+)*)`),
	"varnishd": one("varnish", "varnish-", `varnish-`+triple+` revision`),
	"vsftpd":   one("vsftpd", "(vsFTPd ", `\(vsFTPd `+triple+`\)`),
	"proftpd":  one("proftpd", "ProFTPD Version ", `ProFTPD Version (\d+\.\d+\.\d+[a-z]?)`),
	"deno":     one("deno", "Deno/", `Deno/`+triple),
}

var (
	node  = several(one("node", "node.js/v", `node\.js/v`+triple), one("node", "node v", `\x00node v`+triple+`\x00`))
	nginx = several(one("nginx", "nginx version: nginx/", `nginx version: nginx/`+triple), one("openresty", "nginx version: openresty/", `nginx version: openresty/(\d+(?:\.\d+)+)`),
		one("angie", "Angie version: Angie/", `Angie version: Angie/`+triple))
	// linkers may keep the version only as the end of a longer text
	python = several(one("python", "\x00"+anyVersion+".", `\x00(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)\+?\x00`),
		one("python", "/Python-"+anyVersion+".", `/Python-(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)[/\x00]`), one("python", "/"+anyVersion+".", `/(\d+\.\d+\.\d+)\x00`))
	redis = several(one("redis", "-builtin\x00", `\x00`+triple+`\x00(?:c11|atomic|sync)-builtin\x00`),
		one("redis", "000000000\x00", `[^\d.](\d+\.\d+\.\d{1,2})[\w.-]*?\d{10}000000000\x00`), one("redis", "Redis version ", `Redis version `+triple))
	openssl = several(one("openssl", "OpenSSL ", `\x00OpenSSL (\d+\.\d+\.\d+[a-z]{0,2}(?:-(?:alpha|beta|pre)\d+)?)(?:-fips)?(?:\+\w+)?\s+\d{1,2} [A-Z][a-z]{2} \d{4}`),
		one("libressl", "LibreSSL ", `LibreSSL `+triple))
	httpd = one("httpd", "Apache/", `\x00Apache/`+triple)
	mysql = several(one("mariadb", "-MariaDB", `\x00(\d+\.\d+\.\d+)-MariaDB[\x00-]`), one("percona-server", "/percona-server-", `/percona-server-(\d+\.\d+\.\d+(?:-\d+)?)`),
		one("mysql", "/mysql-", `/mysql-(?:community-)?`+triple))
	mongo = several(one("mongodb", "\x00tcmalloc", triple+`\x00tcmalloc`), one("mongodb", "\x00heap_size", triple+`\x00+heap_size`), one("mongodb", "\x00cppdefines", triple+`\x00+cppdefines`))
	php   = one("php", "X-Powered-By: PHP/", `X-Powered-By: PHP/(\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)`)
	perl  = several(one("perl", "\x00v5.", `\x00v(5\.\d+\.\d+)\x00`), one("perl", "/perl5/5.", `/perl5/(5\.\d+\.\d+)`))
	ruby  = one("ruby", "ruby ", `ruby (\d+\.\d+\.\d+(?:preview\d+|rc\d+|dev)?)(?:p\d+)? \(20`)
	erl   = several(one("erlang", "/otp_src_", `/otp_src_(\d+\.\d+(?:\.\d+)*(?:-rc\d)?)/`), one("erlang", "/otp-", `/src/otp-(\d+\.\d+(?:\.\d+)*)/`))
)

var (
	goRelease        = regexp.MustCompile(`^go(\d+\.\d+[\w.]*)`)
	otpRelease       = regexp.MustCompile(`^(\d+\.\d+(?:\.\d+)*(?:-rc\d+)?)\s*$`)
	wordpressRelease = regexp.MustCompile(`\$wp_version\s*=\s*'(\d+\.\d+[\w.-]*)'`)
)
