package authz

import (
	"io"
	"slices"
	"strings"

	"sekisho"
	"sekisho/policy/scope"
	"sekisho/policy/source"
)

// Rules is docker.yaml: who may ask a Docker engine for what. A request passes
// when one rule allows all of it; without a rule nothing is allowed.
type Rules struct {
	Engine   string   `yaml:"engine"`      // where images and containers are looked up, as DOCKER_HOST
	Runtimes []string `yaml:"runtimes"`    // runtimes that may be asked for by name without a grant
	Images   string   `yaml:"images"`      // judge (when left out) or trust: whether the policies judge images at create and start
	Reads    bool     `yaml:"audit_reads"` // also note reads that are allowed
	StartBy  string   `yaml:"start_by"`    // name (when left out) or id: whether containers may be started by name, see docs
	Rules    []Rule   `yaml:"rules"`
}

// Rule allows some users something.
type Rule struct {
	Name       string   `yaml:"name"`
	Users      []string `yaml:"users"`      // patterns for the common name of the client's certificate
	Local      bool     `yaml:"local"`      // who comes without a certificate: over the Unix socket nobody is known
	Actions    []string `yaml:"actions"`    // see Actions; * is all
	Images     []string `yaml:"images"`     // only with images of these names, as the request writes them
	Containers []string `yaml:"containers"` // only containers of these names
	Grants     []string `yaml:"grants"`     // what is dangerous and allowed all the same; * is all

	images []scope.Image
}

// Actions are the words for what can be asked for, in the order of risk.
func Actions() []string {
	return []string{Read, Logs, Control, Run, Exec, Attach, Copy, Export, Pull, Push, Tag, Save, Import, Commit, Build, Volume, Network, Update, Remove, Checkpoint, Swarm, Plugin, System, Other}
}

// The actions.
const (
	Read       = "read"       // lists, inspections, events, versions
	Logs       = "logs"       // what containers wrote, their processes and changes
	Control    = "control"    // stop, kill, pause, rename, wait, resize
	Run        = "run"        // create and start
	Exec       = "exec"       // a further process in a container
	Attach     = "attach"     // to the streams of a container
	Copy       = "copy"       // files into or out of a container
	Export     = "export"     // a container's files
	Pull       = "pull"       // an image from a registry
	Push       = "push"       // an image to a registry
	Tag        = "tag"        // a further name for an image
	Save       = "save"       // images as an archive
	Import     = "import"     // images or a file system from an archive
	Commit     = "commit"     // an image from a container
	Build      = "build"      // an image from instructions
	Volume     = "volume"     // create volumes
	Network    = "network"    // create networks, join them
	Update     = "update"     // limits of a container
	Remove     = "remove"     // containers, images, volumes, networks
	Checkpoint = "checkpoint" // states of running containers
	Swarm      = "swarm"      // the cluster, its services, nodes, secrets and configs
	Plugin     = "plugin"     // the engine's plugins
	System     = "system"     // logins at registries
	Other      = "other"      // what this version does not know
)

// kinds of grants; what stands behind the colon is matched as it is, by a last
// /** or by a lone *.
func grantKinds() []string {
	return []string{"privileged", "mount", "mount-image", "volumes-from", "volume-driver", "network", "pid", "ipc", "uts", "userns", "cgroupns", "cgroup-parent", "capability", "device", "device-request",
		"security-opt", "unmasked-paths", "runtime", "sysctl", "annotation", "checkpoint", "log-driver", "oom", "no-image"}
}

// maxRules bounds the rules of a file.
const maxRules = 1000

// ParseRules reads docker.yaml; unknown fields and words are errors with their
// place.
func ParseRules(r io.Reader, name string) (*Rules, error) {
	rules := &Rules{}
	if err := source.Strict(r, name, rules); err != nil {
		return nil, err
	}
	if len(rules.Rules) > maxRules {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %d rules, want at most %d", name, len(rules.Rules), maxRules)
	}
	if !slices.Contains([]string{"", "judge", "trust"}, rules.Images) {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, source.Wrong("images", rules.Images, "judge", "trust"))
	}
	if !slices.Contains([]string{"", "name", "id"}, rules.StartBy) {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, source.Wrong("start_by", rules.StartBy, "name", "id"))
	}
	for i := range rules.Rules {
		if err := rules.Rules[i].compile(); err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "%s: rules[%d]: %w", name, i, err)
		}
	}
	return rules, nil
}

func (r *Rule) compile() error {
	if r.Name == "" {
		return sekisho.Errorf(sekisho.Invalid, "name is missing")
	}
	if len(r.Users) == 0 && !r.Local {
		return sekisho.Errorf(sekisho.Invalid, "%s: neither users nor local: true: it is for nobody", r.Name)
	}
	if len(r.Actions) == 0 {
		return sekisho.Errorf(sekisho.Invalid, "%s: actions are missing", r.Name)
	}
	for _, a := range r.Actions {
		if a != "*" && !slices.Contains(Actions(), a) {
			return source.Wrong("actions", a, append([]string{"*"}, Actions()...)...)
		}
	}
	for _, g := range r.Grants {
		kind, value, ok := strings.Cut(g, ":")
		if g != "*" && !slices.Contains(grantKinds(), kind) {
			return source.Wrong("grants", kind, append([]string{"*"}, grantKinds()...)...)
		}
		if bare := kind == "privileged" || kind == "unmasked-paths" || kind == "no-image" || kind == "oom"; g != "*" && bare == ok || ok && value == "" {
			return sekisho.Errorf(sekisho.Invalid, "grants: %q: want KIND:VALUE, as mount:/data/** or capability:NET_ADMIN, or privileged", g)
		}
	}
	for _, list := range [][]string{r.Users, r.Containers} {
		if err := scope.CheckGlobs(list, true); err != nil {
			return err
		}
	}
	for _, p := range r.Images {
		i, err := scope.ParseImage(p)
		if err != nil {
			return err
		}
		r.images = append(r.images, i)
	}
	return nil
}

// refusal is why no rule allows a request.
type refusal struct {
	rule  string   // that comes nearest, empty when no rule allows the action
	needs []string // grants that it lacks
	image bool     // its images do not match
	name  bool     // its containers do not match
}

// allow looks for a rule that allows all of a request.
func (r *Rules) allow(q *request) (rule string, no refusal) {
	for i := range r.Rules {
		u := &r.Rules[i]
		if !u.user(q) || !u.action(q.action) {
			continue
		}
		lacks := u.lacks(q.needs)
		image, name := !u.image(q), len(u.Containers) > 0 && (q.container == "" || !scope.Any(u.Containers, q.container))
		if len(lacks) == 0 && !image && !name {
			return u.Name, refusal{}
		}
		if no.rule == "" || len(lacks) < len(no.needs) {
			no = refusal{rule: u.Name, needs: lacks, image: image, name: name}
		}
	}
	return "", no
}

func (r *Rule) user(q *request) bool {
	if !q.certificate {
		return r.Local
	}
	return scope.Any(r.Users, q.user)
}

func (r *Rule) action(action string) bool {
	return slices.Contains(r.Actions, action) || slices.Contains(r.Actions, "*")
}

// image tells whether the image that the request names is one of the rule's.
func (r *Rule) image(q *request) bool {
	if len(r.images) == 0 || !imageActions(q.action) {
		return true
	}
	ref, err := scope.Parse(q.image)
	if err != nil || q.image == "" {
		return false
	}
	return slices.ContainsFunc(r.images, func(i scope.Image) bool { return i.Match(ref) })
}

// imageActions are those that name an image.
func imageActions(action string) bool {
	return action == Run || action == Pull || action == Push || action == Tag
}

// lacks lists what is needed and not granted.
func (r *Rule) lacks(needs []string) (out []string) {
	for _, n := range needs {
		if !slices.ContainsFunc(r.Grants, func(g string) bool { return covers(g, n) }) {
			out = append(out, n)
		}
	}
	return out
}

// covers tells whether a grant covers a need.
func covers(grant, need string) bool {
	if grant == "*" || grant == need {
		return true
	}
	if kind, ok := strings.CutSuffix(grant, ":*"); ok {
		return strings.HasPrefix(need, kind+":")
	}
	if dir, ok := strings.CutSuffix(grant, "/**"); ok {
		return need == dir || strings.HasPrefix(need, dir+"/")
	}
	return false
}
