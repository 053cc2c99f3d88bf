package longtail

import "strings"

// form is a kind of file.
type form uint8

// The forms: what is declared first, then what is installed.
const (
	nothing form = iota
	composerLockFile
	nugetLock
	nugetAssets
	nugetConfig
	nugetProject
	nugetCentral
	paketLock
	swiftPins
	podfileLock
	pubspecLock
	mixLock
	rebarLock
	gleamManifest
	renvLock
	juliaManifest
	cabalFreeze
	stackLock
	conanLock
	firstInstalled
	composerInstalled
	dotnetDeps
	erlangApp
	rDescription
	luaRock
	vcpkgStatus
	opamState
	cpanInstall
	gentooName
	gentooLicence
	gentooContents
	snapYAML
	flatpakInfo
	cosPackages
)

// find knows files by the last letter and the ends of their paths.
func find(p string) form {
	switch p[len(p)-1] {
	case 'k':
		if strings.HasSuffix(p, ".lock") {
			return locks(p)
		}
	case 'n':
		if strings.HasSuffix(p, ".json") {
			return documents(p)
		}
	case 'l':
		return tomlOrXML(p)
	case 'e':
		switch {
		case is(p, "cabal.project.freeze"):
			return cabalFreeze
		case strings.HasSuffix(p, ".opam-switch/switch-state"):
			return opamState
		}
	case 'd':
		if is(p, "Package.resolved") {
			return swiftPins
		}
	case 'N':
		if strings.HasSuffix(p, "/DESCRIPTION") && strings.Contains(p, "library/") {
			return rDescription
		}
	case 's':
		switch {
		case strings.HasSuffix(p, "vcpkg/status"):
			return vcpkgStatus
		case is(p, "Directory.Packages.props"):
			return nugetCentral
		}
	case 'g':
		if is(p, "packages.config") {
			return nugetConfig
		}
	case 'j':
		if strings.HasSuffix(p, ".csproj") || strings.HasSuffix(p, ".fsproj") || strings.HasSuffix(p, ".vbproj") {
			return nugetProject
		}
	case 'c':
		if strings.HasSuffix(p, ".rockspec") && strings.Contains(p, "rocks") {
			return luaRock
		}
	case 'p':
		if strings.HasSuffix(p, ".app") && strings.Contains(p, "/ebin/") {
			return erlangApp
		}
	case 'F', 'E', 'S':
		if strings.HasPrefix(p, "var/db/pkg/") {
			return gentoo(p)
		}
	}
	return nothing
}

// is reports whether base is the last element of the path.
func is(p, base string) bool {
	return strings.HasSuffix(p, base) && (len(p) == len(base) || p[len(p)-len(base)-1] == '/')
}

func locks(p string) form {
	switch p[strings.LastIndexByte(p, '/')+1:] {
	case "composer.lock":
		return composerLockFile
	case "Podfile.lock":
		return podfileLock
	case "pubspec.lock":
		return pubspecLock
	case "mix.lock":
		return mixLock
	case "rebar.lock":
		return rebarLock
	case "renv.lock":
		return renvLock
	case "stack.yaml.lock":
		return stackLock
	case "conan.lock":
		return conanLock
	case "paket.lock":
		return paketLock
	}
	return nothing
}

func documents(p string) form {
	if strings.HasSuffix(p, ".deps.json") {
		return dotnetDeps
	}
	switch p[strings.LastIndexByte(p, '/')+1:] {
	case "packages.lock.json":
		return nugetLock
	case "project.assets.json":
		return nugetAssets
	case "installed.json":
		if strings.HasSuffix(p, "composer/installed.json") {
			return composerInstalled
		}
	case "install.json":
		if strings.Contains(p, ".meta/") {
			return cpanInstall
		}
	case "cos-package-info.json":
		if p == "etc/cos-package-info.json" {
			return cosPackages
		}
	}
	return nothing
}

func tomlOrXML(p string) form {
	switch {
	case is(p, "Manifest.toml") || is(p, "JuliaManifest.toml"):
		return juliaManifest
	case is(p, "manifest.toml"):
		return gleamManifest
	case strings.HasSuffix(p, "/meta/snap.yaml") && strings.HasPrefix(p, "snap/"):
		return snapYAML
	case strings.HasSuffix(p, "metainfo.xml") && strings.Contains(p, "flatpak/app/") && strings.Contains(p, "/export/share/metainfo/"):
		return flatpakInfo
	}
	return nothing
}

func gentoo(p string) form {
	if strings.Count(p, "/") != 5 {
		return nothing
	}
	switch p[strings.LastIndexByte(p, '/')+1:] {
	case "PF":
		return gentooName
	case "LICENSE":
		return gentooLicence
	case "CONTENTS":
		return gentooContents
	}
	return nothing
}

// read hands a file to the reader of its form.
func read(f form, s *sink) error {
	switch f {
	case composerLockFile:
		return composerLock(s)
	case composerInstalled:
		return composerTree(s)
	case nugetLock:
		return packagesLock(s)
	case nugetAssets:
		return libraries(s)
	case dotnetDeps:
		return libraries(s)
	case nugetConfig, nugetProject, nugetCentral:
		return references(s)
	case paketLock:
		return paket(s)
	case swiftPins:
		return swift(s)
	case podfileLock:
		return pods(s)
	case pubspecLock:
		return pub(s)
	case mixLock:
		return mix(s)
	case rebarLock:
		return rebar(s)
	case gleamManifest:
		return gleam(s)
	case erlangApp:
		return application(s)
	case renvLock:
		return renv(s)
	case rDescription:
		return description(s)
	case juliaManifest:
		return julia(s)
	case cabalFreeze:
		return cabal(s)
	case stackLock:
		return stack(s)
	case luaRock:
		return rockspec(s)
	case conanLock:
		return conan(s)
	case vcpkgStatus:
		return vcpkg(s)
	case opamState:
		return opam(s)
	case cpanInstall:
		return cpan(s)
	case gentooName, gentooLicence, gentooContents:
		return portage(f, s)
	case snapYAML:
		return snap(s)
	case flatpakInfo:
		return flatpak(s)
	case cosPackages:
		return cos(s)
	}
	return nil
}
