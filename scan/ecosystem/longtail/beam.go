package longtail

import (
	"regexp"
	"strings"
)

var (
	hexEntry = regexp.MustCompile(`^\s*"[^"]+":\s*\{:hex, :"?([\w-]+)"?, "([^"]+)"`)
	hexRepo  = regexp.MustCompile(`, "hexpm:([\w-]+)", "[0-9a-f]{64}"\}`)
	gitEntry = regexp.MustCompile(`^\s*"([^"]+)":\s*\{:git, "([^"]+)", "([0-9a-f]{7,64})"`)
)

// mix reads mix.lock: a line for each dependency.
func mix(s *sink) error {
	for line := range lines(s.file.Data) {
		var err error
		if m := hexEntry.FindStringSubmatch(line); m != nil {
			p := pkg{kind: "hex", name: m[1], version: m[2]}
			if org := hexRepo.FindStringSubmatch(line); org != nil {
				p.space = org[1]
			}
			err = s.add(p)
		} else if m := gitEntry.FindStringSubmatch(line); m != nil {
			err = s.git(m[1], m[2], m[3], false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	rebarHex = regexp.MustCompile(`\{pkg,\s*<<"([^"]+)">>,\s*<<"([^"]+)">>`)
	rebarGit = regexp.MustCompile(`\{<<"([^"]+)">>,\s*\{git,\s*"([^"]+)",\s*\{ref,\s*"([0-9a-f]{7,64})"`)
)

// rebar reads rebar.lock, an Erlang term.
func rebar(s *sink) error {
	for _, m := range rebarHex.FindAllSubmatch(s.file.Data, maxPackages) {
		if err := s.add(pkg{kind: "hex", name: string(m[1]), version: string(m[2])}); err != nil {
			return err
		}
	}
	for _, m := range rebarGit.FindAllSubmatch(s.file.Data, maxPackages) {
		if err := s.git(string(m[1]), string(m[2]), string(m[3]), false); err != nil {
			return err
		}
	}
	return nil
}

var (
	gleamEntry  = regexp.MustCompile(`\{\s*name\s*=\s*"([^"]+)",\s*version\s*=\s*"([^"]+)"`)
	gleamSource = regexp.MustCompile(`source\s*=\s*"(\w+)"`)
)

// gleam reads manifest.toml: a line for each package.
func gleam(s *sink) error {
	for line := range lines(s.file.Data) {
		m, from := gleamEntry.FindStringSubmatch(line), gleamSource.FindStringSubmatch(line)
		if m == nil || from == nil || from[1] != "hex" {
			continue
		}
		if err := s.add(pkg{kind: "hex", name: m[1], version: m[2]}); err != nil {
			return err
		}
	}
	return nil
}

var (
	appName    = regexp.MustCompile(`\{\s*application\s*,\s*'?([a-z][\w@]*)'?\s*,`)
	appVersion = regexp.MustCompile(`\{\s*vsn\s*,\s*"([^"]+)"`)
)

// otp are the applications that come with Erlang/OTP itself.
const otp = " asn1 common_test compiler crypto debugger dialyzer diameter edoc eldap erl_docgen erl_interface et eunit ftp hipe inets jinterface kernel megaco mnesia observer odbc os_mon parsetools public_key reltool runtime_tools sasl snmp ssh ssl stdlib syntax_tools tftp tools wx xmerl "

// elixir are the applications that come with Elixir itself.
const elixir = " elixir eex ex_unit iex logger mix "

// application reads ebin/NAME.app of an installed Erlang or Elixir library.
func application(s *sink) error {
	name, version := appName.FindSubmatch(s.file.Data), appVersion.FindSubmatch(s.file.Data)
	if name == nil || version == nil {
		return nil
	}
	kind, word := "hex", " "+string(name[1])+" "
	if strings.Contains(otp, word) {
		kind = "otp"
	} else if strings.Contains(elixir, word) {
		kind = "generic"
	}
	return s.add(pkg{kind: kind, name: string(name[1]), version: string(version[1])})
}
