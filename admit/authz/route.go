package authz

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"sekisho"
)

// request is a call of the engine's API as it was understood.
type request struct {
	user        string // common name of the certificate
	certificate bool
	method      string
	path        string // decoded, without the version
	version     [2]int // of the API; zero when the newest is meant
	query       url.Values
	action      string
	object      string // the part of the path that names something
	wants       string // what of the body or the engine decides, see below
	image       string // as the request writes it
	container   string // the name of the container that is meant
	id          string // of that container
	needs       []string
}

// What decides beside the rules.
const (
	wantsNothing = ""
	wantsCreate  = "create" // the body of containers/create
	wantsStart   = "start"  // the container as the engine has it
	wantsExec    = "exec"   // the body of exec, and the container
	wantsProcess = "process"
	wantsName    = "container"
	wantsVolume  = "volume" // the body of volumes/create
	wantsUpdate  = "update" // the body of update
)

// route is one endpoint: a method, the first and the last part of the path, and
// whether a name stands between.
type route struct {
	method, head, tail string
	named              bool
	action, wants      string
}

// parse reads method and address as the engine's router does: the path decoded
// once, an optional version in front.
func parse(method, uri string) (*request, error) {
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "address %q: %w", uri, err)
	}
	q := &request{method: method, path: u.Path}
	if q.query, err = url.ParseQuery(u.RawQuery); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "query of %q: %w", uri, err)
	}
	for name, list := range q.query {
		if len(list) > 1 && slices.Contains(single(), name) {
			return nil, sekisho.Errorf(sekisho.Invalid, "query of %q: %s stands twice", uri, name)
		}
	}
	if !strings.HasPrefix(q.path, "/") || strings.ContainsAny(q.path, "\x00\r\n") {
		return nil, sekisho.Errorf(sekisho.Invalid, "address %q: no path of the API", uri)
	}
	if q.path != path.Clean(q.path) { // the engine answers such with a redirection
		return nil, sekisho.Errorf(sekisho.Invalid, "address %q: the path is not in its plain form", uri)
	}
	q.cutVersion()
	r := find(q.method, q.path)
	q.action, q.wants = r.action, r.wants
	if r.named {
		q.object = strings.Trim(strings.TrimSuffix(strings.TrimPrefix(q.path, "/"+r.head+"/"), "/"+r.tail), "/")
	}
	q.named()
	return q, nil
}

// single are parameters that a decision looks at.
func single() []string {
	return []string{"fromImage", "fromSrc", "repo", "tag", "name", "checkpoint", "checkpoint-dir"}
}

// cutVersion takes /v1.41 off the path, as the engine's router matches it.
func (q *request) cutVersion() {
	rest, ok := strings.CutPrefix(q.path, "/v")
	if !ok {
		return
	}
	version, below, ok := strings.Cut(rest, "/")
	if !ok || version == "" || strings.Trim(version, "0123456789.") != "" {
		return
	}
	major, minor, _ := strings.Cut(version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	q.version[0], _ = strconv.Atoi(major) // what is no number is 0, which is the oldest
	q.version[1], _ = strconv.Atoi(minor)
	if q.version == [2]int{} {
		q.version[1] = 1
	}
	q.path = "/" + below
}

// before reports whether the request asks for an API older than 1.minor.
func (q *request) before(minor int) bool {
	return q.version != [2]int{} && (q.version[0] < 1 || q.version[0] == 1 && q.version[1] < minor)
}

// named finds the image that a query names.
func (q *request) named() {
	switch q.action {
	case Pull:
		q.image = q.query.Get("fromImage")
		if q.image == "" {
			q.action = Import // POST /images/create?fromSrc=…
			return
		}
		if tag := q.query.Get("tag"); strings.Contains(tag, ":") {
			q.image += "@" + tag
		} else if tag != "" {
			q.image += ":" + tag
		}
	case Push:
		q.image = q.object
		if tag := q.query.Get("tag"); tag != "" {
			q.image += ":" + tag
		}
	case Tag:
		q.image = q.query.Get("repo")
		if tag := q.query.Get("tag"); tag != "" {
			q.image += ":" + tag
		}
	}
}

// find returns the endpoint of a path. What no line names is Other.
func find(method, at string) route {
	parts := strings.Split(strings.TrimPrefix(at, "/"), "/")
	head, tail := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		tail = ""
	}
	for _, r := range routes() {
		if r.head != head || r.method != method && r.method != "*" {
			continue
		}
		if two, ok := strings.CutSuffix(at, "/"+r.tail); ok && strings.Contains(r.tail, "/") && strings.Count(two, "/") > 1 {
			return r // GET /containers/{name}/attach/ws
		}
		switch {
		case r.tail == "*":
			return r
		case r.tail == tail && r.named == (len(parts) > 2):
			return r
		case r.tail == "" && r.named && len(parts) > 1: // DELETE /images/{name}
			return r
		}
	}
	if method == http.MethodOptions {
		return route{action: Read}
	}
	return route{action: Other}
}
