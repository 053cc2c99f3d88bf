package match

import (
	"strings"

	"sekisho"
)

// languages are the ecosystems of package URL types.
var languages = map[string]string{
	"npm": "npm", "pypi": "PyPI", "golang": "Go", "maven": "Maven", "gem": "RubyGems", "cargo": "crates.io", "nuget": "NuGet",
	"composer": "Packagist", "hex": "Hex", "pub": "Pub", "swift": "SwiftURL", "cran": "CRAN", "hackage": "Hackage",
	"conan": "ConanCenter", "julia": "Julia", "githubactions": "GitHub Actions",
	"bitnami": "Bitnami", "generic": "Bitnami", // upstream versions of well-known programs
}

// Ecosystem returns where the advisories of packages of a type are, given that
// of the distribution; "" when nobody knows.
func Ecosystem(kind, distribution string) string {
	switch kind {
	case "deb", "apk", "rpm", "alpm":
		return distribution
	}
	return languages[kind]
}

// distributions by ID of os-release(5), with how many numbers of VERSION_ID
// name a release that gets advisories of its own; 0 for rolling ones.
var distributions = map[string]struct {
	name    string
	numbers int
}{
	"debian": {"Debian", 1}, "ubuntu": {"Ubuntu", 2}, "alpine": {"Alpine", 2}, "wolfi": {"Wolfi", 0}, "chainguard": {"Chainguard", 0},
	"rhel": {"Red Hat", 1}, "almalinux": {"AlmaLinux", 1}, "rocky": {"Rocky Linux", 1}, "ol": {"Oracle", 1}, "amzn": {"Amazon", 1},
	"sles": {"SUSE", 2}, "sled": {"SUSE", 2}, "suse": {"SUSE", 2}, "sle_hpc": {"SUSE", 2}, "opensuse-leap": {"openSUSE", 2}, "opensuse": {"openSUSE", 2},
	"fedora": {"Fedora", 1}, "photon": {"Photon OS", 2}, "mariner": {"Azure Linux", 2}, "azurelinux": {"Azure Linux", 2},
	"mageia": {"Mageia", 1}, "openeuler": {"openEuler", 2}, "alpaquita": {"Alpaquita", 1}, "minimos": {"MinimOS", 0}, "arch": {"Arch", 0},
}

// codenames of Debian's releases, for images that name no version (testing, sid).
var codenames = map[string]string{"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15", "sid": "sid"}

// Distribution returns the ecosystem of a distribution's release, "" for one
// that nobody publishes advisories for. approximate tells that another
// distribution's advisories stand in: CentOS has none of its own, and
// derivatives name whom they are like.
func Distribution(os *sekisho.OS) (ecosystem string, approximate bool) {
	if os == nil {
		return "", false
	}
	switch os.ID {
	case "debian":
		if os.Version == "" {
			return "Debian:" + codenames[debianCodename(os)], false
		}
	case "opensuse-tumbleweed", "opensuse-microos":
		return "openSUSE:tumbleweed", false
	case "alpine":
		if strings.Contains(os.Version, "_alpha") || os.Version == "edge" {
			return "Alpine:edge", false
		}
	case "sle-micro", "sle-micro-rancher", "sl-micro":
		return "SUSE:Micro " + numbers(os.Version, 2), false
	case "openeuler": // a service pack is in the name only: "openEuler 22.03 (LTS-SP4)"
		if _, pack, ok := strings.Cut(os.Name, "("); ok {
			return "openEuler:" + numbers(os.Version, 2) + "-" + strings.TrimRight(pack, " )"), false
		}
	case "centos", "scientific", "eurolinux", "virtuozzo", "circle", "navylinux":
		return "Red Hat:" + numbers(os.Version, 1), true
	case "amzn":
		if strings.HasPrefix(os.Version, "2018") || strings.HasPrefix(os.Version, "2017") {
			return "Amazon:1", false
		}
	}
	if d, ok := distributions[os.ID]; ok {
		return release(d.name, os.Version, d.numbers), false
	}
	return like(os)
}

// like uses the advisories of the distribution that this one is built from,
// where their versions are the same.
func like(os *sekisho.OS) (string, bool) {
	for _, id := range os.IDLike {
		switch {
		case id == "debian" && codenames[os.Codename] != "":
			return "Debian:" + codenames[os.Codename], true
		case id == "rhel" && os.Version != "":
			return "Red Hat:" + numbers(os.Version, 1), true
		}
	}
	return "", false
}

func debianCodename(os *sekisho.OS) string {
	if os.Codename != "" {
		return os.Codename
	}
	_, name, _ := strings.Cut(os.Name, "/") // "Debian GNU/Linux trixie/sid"
	return name[strings.LastIndexByte(name, '/')+1:]
}

func release(name, version string, n int) string {
	if n == 0 {
		return name
	}
	return name + ":" + numbers(version, n)
}

// numbers keeps the first n numbers of a version.
func numbers(v string, n int) string {
	parts := strings.SplitN(v, ".", n+1)
	return strings.Join(parts[:min(n, len(parts))], ".")
}

// programs are the names that Bitnami gives to well-known programs, where they
// differ from ours.
var programs = map[string]string{"httpd": "apache", "openjdk": "java", "libphp": "php", "go": "golang"}

// components are the names that the Kubernetes project's feed gives to programs
// of its main module.
var components = map[string]string{
	"kube-apiserver": "k8s.io/apiserver", "kubelet": "k8s.io/kubelet", "kubectl": "k8s.io/kubectl", "kube-proxy": "k8s.io/kube-proxy",
	"kube-controller-manager": "k8s.io/controller-manager", "kube-scheduler": "k8s.io/kube-scheduler", "kubeadm": "k8s.io/kubeadm",
}

// others returns the ecosystems beside the first one that may know a package:
// Red Hat's layered products where the target gets one, Node.js itself, and
// what the Kubernetes project announces about its own programs.
func others(p *sekisho.Package, first string, repositories []string) []string {
	switch {
	case p.Type == "rpm" && strings.HasPrefix(first, "Red Hat:") && len(repositories) > 0:
		return []string{"Red Hat"}
	case p.Type == "generic" && p.Name == "node":
		return []string{"Node.js"}
	case p.Type == "golang" && (p.Name == "k8s.io/kubernetes" || strings.HasPrefix(p.Name, "sigs.k8s.io/") || strings.HasPrefix(p.Name, "github.com/kubernetes-csi/")):
		return []string{"Kubernetes"}
	}
	return nil
}

// names are the names under which feeds of an ecosystem may know a package,
// each with the version that counts for it.
type names struct {
	binaries              []string
	version               string
	source, sourceVersion string // empty for what has no source package
}

func namesOf(p *sekisho.Package, ecosystem string) names {
	n := names{binaries: []string{p.Name}, version: p.Version, source: p.Source.Name, sourceVersion: p.Source.Version}
	if other, ok := programs[p.Name]; ok && p.Type == "generic" {
		n.binaries = []string{other}
	}
	if ecosystem == "Kubernetes" {
		for _, path := range p.Locations {
			if c := components[path[strings.LastIndexByte(path, '/')+1:]]; c != "" && p.Name == "k8s.io/kubernetes" {
				n.binaries = append(n.binaries, c)
			}
		}
	}
	if n.source == "" && (p.Type == "deb" || p.Type == "apk" || p.Type == "rpm") {
		n.source = p.Name // deb-control(5): no Source field is a source of the same name; bills of materials often have none
	}
	if n.sourceVersion == "" {
		n.sourceVersion = p.Version
	}
	if p.Type == "rpm" {
		n.sourceVersion = withEpoch(n.sourceVersion, p.Version)
	}
	return n
}

// withEpoch gives a source package's version, whose file name holds no epoch,
// that of the binary.
func withEpoch(source, binary string) string {
	epoch, _, ok := strings.Cut(binary, ":")
	if !ok || strings.Contains(source, ":") {
		return source
	}
	return epoch + ":" + source
}
