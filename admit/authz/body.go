package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"sekisho"
)

// created is the body of containers/create, as far as a decision looks at it.
// The engine decodes with the same library into structs of the same names, so
// that upper and lower case and repeated keys mean the same to both. Fields of
// HostConfig that stand beside it count for engines before 25.
type created struct {
	config
	HostConfig       *hostConfig
	NetworkingConfig *struct{ EndpointsConfig map[string]*endpoint }
	hostConfigInline
}

// hostConfigInline is a host configuration that stands at the top.
type hostConfigInline struct{ hostConfig }

// config is what a container is.
type config struct {
	Image  string
	User   string
	Labels map[string]string
}

// hostConfig is what a container may do to its host.
type hostConfig struct {
	Privileged        bool
	CapAdd, CapDrop   words
	Capabilities      words
	Binds             []string
	Mounts            []mount
	VolumesFrom       []string
	VolumeDriver      string
	NetworkMode       string
	PidMode           string
	IpcMode           string
	UTSMode           string
	UsernsMode        string
	CgroupnsMode      string
	Cgroup            string
	CgroupParent      string
	SecurityOpt       []string
	MaskedPaths       []string
	ReadonlyPaths     []string
	Runtime           string
	Sysctls           map[string]string
	Annotations       map[string]string
	Devices           []device
	DeviceRequests    []deviceRequest
	DeviceCgroupRules []string
	OomScoreAdj       int
	OomKillDisable    *bool
	ReadonlyRootfs    bool
	LxcConf           json.RawMessage
	LogConfig         logConfig
}

// logConfig says where what a container writes goes.
type logConfig struct {
	Type   string
	Config map[string]string
}

// endpoint is how a container joins a network: NetworkID goes before the name
// that it stands under.
type endpoint struct {
	NetworkID  string
	DriverOpts map[string]string
}

type mount struct {
	Type, Source, Target string
	BindOptions          *struct{ Propagation string }
	VolumeOptions        *struct {
		DriverConfig *struct {
			Name    string
			Options map[string]string
		}
	}
}

type device struct{ PathOnHost, PathInContainer, CgroupPermissions string }

type deviceRequest struct{ Driver string }

// words is a list, or one word, as the engine's strslice takes it.
type words []string

// UnmarshalJSON reads a list or a word.
func (w *words) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var one string
		if err := json.Unmarshal(data, &one); err != nil {
			return err
		}
		*w = words{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*w = list
	return nil
}

// errNoBody says that a request should have had a body. The engine hands none
// over that is larger than 1 MiB.
var errNoBody = errors.New("the engine did not hand over the body of the request; one of more than 1 MiB cannot be judged")

// decode reads one document as the engine does, and refuses what could be read
// in two ways.
func decode(body []byte, v any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errNoBody
	}
	if err := plain(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(v); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return sekisho.Errorf(sekisho.Invalid, "body: something follows the document")
	}
	return nil
}

// free are objects whose keys are the user's own, so that two may differ in
// case only.
func free() []string {
	return []string{"labels", "volumes", "exposedports", "sysctls", "annotations", "portbindings", "storageopt", "tmpfs", "options", "config", "driveropts", "endpointsconfig", "onbuild", "env"}
}

// maxDepth bounds how deep a body nests.
const maxDepth = 64

// plain refuses objects of which one key stands twice, whatever its case, but
// for those whose keys are the user's.
func plain(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	var stack []*level
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return sekisho.Errorf(sekisho.Invalid, "body: %w", err)
		}
		var top *level
		if len(stack) > 0 {
			top = stack[len(stack)-1]
		}
		switch x := t.(type) {
		case json.Delim:
			if x == '}' || x == ']' {
				stack = stack[:len(stack)-1]
				continue
			}
			if len(stack) == maxDepth {
				return sekisho.Errorf(sekisho.Invalid, "body: nested more than %d deep", maxDepth)
			}
			next := &level{object: x == '{', seen: map[string]bool{}}
			if top != nil {
				next.free = slices.Contains(free(), top.key) && next.object
				top.value()
			}
			stack = append(stack, next)
		default:
			if top == nil {
				continue
			}
			if text, ok := x.(string); ok && top.object && !top.inValue {
				if err := top.name(text); err != nil {
					return err
				}
				continue
			}
			top.value()
		}
	}
}

// level is an object or list that is being read.
type level struct {
	object, free bool
	inValue      bool // the key has been read
	key          string
	seen         map[string]bool
}

func (l *level) name(key string) error {
	l.key, l.inValue = fold(key), true
	if l.seen[l.key] && !l.free {
		return sekisho.Errorf(sekisho.Invalid, "body: %q stands twice", key)
	}
	l.seen[l.key] = true
	return nil
}

func (l *level) value() { l.inValue = false }

// fold is how encoding/json compares keys with names of fields: simple folding,
// by which ſ (U+017F) is s and K (U+212A) is k.
func fold(key string) string {
	return strings.NewReplacer("\u017f", "s", "\u212a", "k").Replace(strings.ToLower(key))
}
