package scan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/fixture"
	"sekisho/scan"
	"sekisho/scan/analyze"
)

// names are paths that some analyzer wants to see, one of each kind.
var names = []string{
	"var/lib/dpkg/status", "var/lib/dpkg/status.d/a", "var/lib/dpkg/status.d/a.md5sums", "var/lib/dpkg/info/a.list", "usr/share/doc/a/copyright", "usr/lib/opkg/status",
	"lib/apk/db/installed", "var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite", "var/lib/rpmmanifest/container-manifest-2", "var/lib/pacman/local/a-1-1/desc", "var/lib/pacman/local/a-1-1/files",
	"etc/os-release", "etc/redhat-release", "etc/lsb-release", "etc/passwd", "etc/shadow", "etc/group",
	"app/node_modules/a/package.json", "app/package-lock.json", "app/yarn.lock", "app/pnpm-lock.yaml", "app/bun.lock",
	"lib/a.dist-info/METADATA", "lib/a.egg-info/PKG-INFO", "lib/a.egg-info", "app/a-1.0-py3-none-any.whl", "app/poetry.lock", "app/uv.lock", "app/Pipfile.lock", "app/requirements.txt", "conda-meta/a.json",
	"gems/specifications/a.gemspec", "app/Gemfile.lock", "app/a.jar", "app/pom.xml", "app/gradle.lockfile", "app/go.mod", "bin/program", "app/Cargo.lock",
	"app/composer.lock", "vendor/composer/installed.json", "app/packages.lock.json", "app/a.deps.json", "app/Package.resolved", "app/Podfile.lock", "app/pubspec.lock", "app/mix.lock",
	"app/renv.lock", "app/Manifest.toml", "app/cabal.project.freeze", "app/stack.yaml.lock", "app/conan.lock", "usr/lib/R/library/a/DESCRIPTION", "vcpkg/status", "rocks/a.rockspec",
	"usr/bin/node", "usr/lib/libcrypto.so.3", "opt/java/release", "wp-includes/version.php", "go/VERSION", "Dockerfile",
}

// see shows a file to every analyzer that wants it, as a layer's reader does.
func see(list []analyze.Analyzer, name, root string, data []byte) (out analyze.Result, wanted bool) {
	f := &analyze.File{Path: name, Mode: 0o755, Size: int64(len(data)), Root: root, Head: data[:min(len(data), analyze.HeadSize)]}
	for _, a := range list {
		switch a.Wants(f) {
		case analyze.Skip:
			continue
		case analyze.Stream:
			w := a.(analyze.Streamer).Stream(f, &out)
			for chunk := range slices.Chunk(data, 1000) {
				if _, err := w.Write(chunk); err != nil {
					break
				}
			}
			_ = w.Close()
		default:
			f.Data = data
			_ = a.Analyze(f, &out)
		}
		wanted = true
	}
	return out, wanted
}

// TestWanted holds that every kind of file finds its reader.
func TestWanted(t *testing.T) {
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 2000)...)
	elf[16] = 2
	for _, name := range names {
		if _, ok := see(scan.Analyzers(), name, "directory", elf); !ok {
			t.Errorf("nobody wants %s", name)
		}
	}
	for _, name := range []string{"usr/bin/env.txt", "app/node_modules/a/lib/package.json", "app/node_modules/a/package-lock.json", "usr/share/doc/a/b/copyright"} {
		if _, ok := see(scan.Analyzers(), name, "image", []byte("x")); ok {
			t.Errorf("somebody wants %s", name)
		}
	}
}

// FuzzAnalyzers gives any bytes under any known name to all readers: none may
// panic or hang.
func FuzzAnalyzers(f *testing.F) {
	for i := range names {
		f.Add(uint8(i), []byte("{\"name\":\"a\",\"version\":\"1\"}"))
		f.Add(uint8(i), []byte("Package: a\nStatus: install ok installed\nVersion: 1\n\n"))
		f.Add(uint8(i), []byte("[[package]]\nname = \"a\"\nversion = \"1\"\n"))
	}
	list := scan.Analyzers()
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		see(list, names[int(which)%len(names)], "directory", data)
	})
}

// TestDpkg compares real databases with what dpkg-query says of them.
func TestDpkg(t *testing.T) {
	dir := fixture.Dir(t, "dpkg")
	for release, count := range map[string]int{"debian-bullseye": 110, "debian-bookworm": 96, "debian-trixie": 104} {
		admin := filepath.Join(dir, release, "var/lib/dpkg")
		data, err := os.ReadFile(filepath.Join(admin, "status"))
		if err != nil {
			t.Fatal(err)
		}
		out, _ := see(scan.Analyzers(), "var/lib/dpkg/status", "image", data)
		if len(out.Packages) != count {
			t.Errorf("%s: %d packages, want %d", release, len(out.Packages), count)
		}
		want, err := exec.Command("dpkg-query", "--admindir", admin, "-W", "-f", "${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n").Output()
		if err != nil {
			t.Fatalf("dpkg-query: %v", err)
		}
		var got []string
		for _, p := range out.Packages {
			got = append(got, strings.Join([]string{p.Name, p.Version, p.Arch, p.Source.Name, p.Source.Version}, " "))
		}
		slices.Sort(got)
		lines := strings.Split(strings.TrimSpace(string(want)), "\n")
		slices.Sort(lines)
		if !slices.Equal(got, lines) {
			t.Errorf("%s: we and dpkg-query differ:\n%v\n%v", release, got, lines)
		}
	}
}

// TestDatabases reads every small database and description that the peers test
// with: none may fail, and known ones give known counts.
func TestDatabases(t *testing.T) {
	dir := fixture.Dir(t, "os-small")
	var files, packages int
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, as := range []string{"lib/apk/db/installed", "var/lib/dpkg/status", "etc/os-release"} {
			out, _ := see(scan.Analyzers(), as, "image", data)
			packages += len(out.Packages)
		}
		files++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 || packages < 100 {
		t.Errorf("%d packages in %d files", packages, files)
	}
}

// samples are small real excerpts and what they tell.
var samples = []struct{ path, content, want string }{
	{"etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n", "os alpine 3.20.3"},
	{"etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n", "os centos 7.9.2009"},
	{"app/yarn.lock", "# yarn lockfile v1\n\n\"@babel/core@^7.0.0\", \"@babel/core@^7.1.0\":\n  version \"7.1.2\"\n  resolved \"https://x\"\n\nlodash@^4.0.0:\n  version \"4.17.21\"\n", "pkg:npm/%40babel/core@7.1.2 pkg:npm/lodash@4.17.21"},
	{"app/yarn.lock", "__metadata:\n  version: 8\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n\n\"lodash@npm:^4.0.0\":\n  version: 4.17.21\n  resolution: \"lodash@npm:4.17.21\"\n", "pkg:npm/lodash@4.17.21"},
	{"app/pnpm-lock.yaml", "lockfileVersion: '9.0'\n\npackages:\n\n  '@types/node@20.1.0':\n    resolution: {integrity: sha512-x}\n\n  lodash@4.17.21:\n    resolution: {integrity: sha512-x}\n\nsnapshots:\n\n  lodash@4.17.21: {}\n", "pkg:npm/%40types/node@20.1.0 pkg:npm/lodash@4.17.21"},
	{"app/pnpm-lock.yaml", "lockfileVersion: 5.4\n\npackages:\n\n  /lodash/4.17.21:\n    resolution: {integrity: x}\n    dev: true\n", "pkg:npm/lodash@4.17.21"},
	{"app/package-lock.json", `{"lockfileVersion":1,"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}},"c":{"version":"file:../c"}}}`, "pkg:npm/a@1.0.0 pkg:npm/b@2.0.0"},
	{"app/package-lock.json", `{"lockfileVersion":3,"packages":{"":{"name":"x"},"lib":{"version":"1.0.0"},"node_modules/lib":{"link":true},"node_modules/a/node_modules/@s/b":{"version":"2.0.0"}}}`, "pkg:npm/%40s/b@2.0.0"},
	{"usr/lib/python3/dist-packages/Foo_Bar-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\nLicense: MIT\n\nName: not this\n", "pkg:pypi/foo-bar@1.0"},
	{"app/requirements.txt", "# pinned\nflask==2.0.1 ; python_version > '3'\nrequests>=2\nDjango[argon2]==4.2 \\\n    --hash=sha256:x\n-r other.txt\n", "pkg:pypi/flask@2.0.1 pkg:pypi/django@4.2"},
	{"app/poetry.lock", "[[package]]\nname = \"flask\"\nversion = \"2.0.1\"\n\n[package.dependencies]\nname = \"x\"\n\n[metadata]\nversion = \"9\"\n", "pkg:pypi/flask@2.0.1"},
	{"app/uv.lock", "version = 1\n\n[[package]]\nname = \"app\"\nversion = \"0.1\"\nsource = { virtual = \".\" }\n\n[[package]]\nname = \"flask\"\nversion = \"2.0.1\"\nsource = { registry = \"x\" }\n", "pkg:pypi/flask@2.0.1"},
	{"gems/specifications/rack-2.2.3.gemspec", "# -*- encoding: utf-8 -*-\n# stub: rack 2.2.3 ruby lib\n\nGem::Specification.new do |s|\n  s.licenses = [\"MIT\".freeze]\n", "pkg:gem/rack@2.2.3"},
	{"app/Gemfile.lock", "PATH\n  remote: .\n  specs:\n    app (0.1)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    rack (2.2.3)\n    rails (7.0)\n      rack (>= 2)\n\nDEPENDENCIES\n  rack\n", "pkg:gem/rack@2.2.3 pkg:gem/rails@7.0"},
	{"app/composer.lock", `{"packages":[{"name":"monolog/monolog","version":"v2.0.0","license":["MIT"]}],"packages-dev":[]}`, "pkg:composer/monolog/monolog@v2.0.0"},
	{"app/a.deps.json", `{"libraries":{"App/1.0.0":{"type":"project"},"Newtonsoft.Json/13.0.1":{"type":"package"}}}`, "pkg:nuget/Newtonsoft.Json@13.0.1"},
	{"app/Package.resolved", `{"pins":[{"location":"https://github.com/apple/swift-nio.git","state":{"version":"2.0.0"}}],"version":2}`, "pkg:swift/github.com/apple/swift-nio@2.0.0"},
	{"app/Podfile.lock", "PODS:\n  - AFNetworking (4.0.1):\n    - AFNetworking/X (= 4.0.1)\n", "pkg:cocoapods/AFNetworking@4.0.1"},
	{"app/pubspec.lock", "packages:\n  async:\n    dependency: direct main\n    description:\n      name: async\n    source: hosted\n    version: \"2.11.0\"\n", "pkg:pub/async@2.11.0"},
	{"app/mix.lock", "%{\n  \"jason\": {:hex, :jason, \"1.4.0\", \"abc\", [:mix], [], \"hexpm\", \"d\"},\n}\n", "pkg:hex/jason@1.4.0"},
	{"app/renv.lock", `{"Packages":{"R6":{"Package":"R6","Version":"2.5.1"}}}`, "pkg:cran/R6@2.5.1"},
	{"app/Manifest.toml", "[[deps.JSON]]\ndeps = [\"Dates\"]\nuuid = \"x\"\nversion = \"0.21.3\"\n\n[[deps.Dates]]\nuuid = \"y\"\n", "pkg:julia/JSON@0.21.3?uuid=x"},
	{"app/cabal.project.freeze", "constraints: any.aeson ==2.0.3.0,\n             any.base ==4.15\n", "pkg:hackage/aeson@2.0.3.0 pkg:hackage/base@4.15"},
	{"app/stack.yaml.lock", "packages:\n- completed:\n    hackage: fuzzyset-0.2.4@sha256:abc,123\n", "pkg:hackage/fuzzyset@0.2.4"},
	{"app/conan.lock", `{"version":"0.5","requires":["zlib/1.2.11#abc%123"]}`, "pkg:conan/zlib@1.2.11"},
	{"usr/lib/R/library/R6/DESCRIPTION", "Package: R6\nVersion: 2.5.1\nLicense: MIT + file LICENSE\n", "pkg:cran/R6@2.5.1"},
	{"vcpkg/status", "Package: zlib\nVersion: 1.2.12\nStatus: install ok installed\n\nPackage: gone\nVersion: 1\nStatus: purge ok not-installed\n", "pkg:vcpkg/zlib@1.2.12"},
	{"rocks/lua-cjson.rockspec", "package = \"lua-cjson\"\nversion = \"2.1.0-1\"\n", "pkg:luarocks/lua-cjson@2.1.0-1"},
	{"app/Cargo.lock", "version = 3\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\nsource = \"registry+https://x\"\n", "pkg:cargo/serde@1.0.1"},
	{"opt/java/release", "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"17.0.9\"\n", "pkg:generic/openjdk@17.0.9"},
	{"var/lib/pacman/local/zlib-1:1.3-2/desc", "%NAME%\nzlib\n\n%VERSION%\n1:1.3-2\n\n%BASE%\nzlib\n\n%ARCH%\nx86_64\n\n%LICENSE%\nZlib\n", "pkg:alpm/zlib@1:1.3-2?arch=x86_64"},
	{"lib/apk/db/installed", "P:musl\nV:1.2.5-r1\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld-musl-x86_64.so.1\n\n", "pkg:apk/musl@1.2.5-r1?arch=x86_64"},
}

func TestSamples(t *testing.T) {
	for _, s := range samples {
		out, _ := see(scan.Analyzers(), s.path, "directory", []byte(s.content))
		var got []string
		for _, p := range out.Packages {
			got = append(got, p.PURL)
		}
		if out.OS != nil {
			got = append(got, "os "+out.OS.ID+" "+out.OS.Version)
		}
		if g := strings.Join(got, " "); g != s.want || len(out.Problems) > 0 {
			t.Errorf("%s: got %q, want %q; problems %v", s.path, g, s.want, out.Problems)
		}
	}
}

// BenchmarkWants asks all analyzers about a file that nobody wants, which is
// what most files are.
func BenchmarkWants(b *testing.B) {
	list := scan.Analyzers()
	f := &analyze.File{Path: "usr/lib/node_modules/npm/node_modules/abbrev/lib/index.js", Mode: 0o644, Size: 1000, Root: "image", Head: make([]byte, 512)}
	b.ReportAllocs()
	for b.Loop() {
		for _, a := range list {
			a.Wants(f)
		}
	}
}
