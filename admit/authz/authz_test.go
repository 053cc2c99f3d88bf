package authz_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/admittest"
	"sekisho/admit/authz"
	"sekisho/policy/assurance"
)

const rulesText = `
rules:
  - name: anyone may look
    users: ["*"]
    local: true
    actions: [read]
  - name: developers
    users: ["dev-*"]
    actions: [run, pull, exec, volume, update, tag, push]
    images: ["registry.example.org/**", "good"]
    containers: []
    grants: ["mount:/srv/**", "capability:NET_ADMIN", "device:*"]
  - name: operators
    users: [ops]
    actions: ["*"]
    grants: ["*"]
`

// facts are of two images: 1 is good, 2 is not.
func facts() *admittest.Facts {
	f, evil := &admittest.Facts{}, admittest.Image(admittest.Digest(2))
	evil.Packages = append(evil.Packages, sekisho.Package{Name: "evil", Version: "1"})
	f.Keep(admittest.Image(admittest.Digest(1)), evil)
	return f
}

// engine answers look-ups as Docker does.
func engine(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "authz-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	mux := http.NewServeMux()
	text := func(path, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	}
	text("/info", `{"DefaultRuntime":"runc","CgroupVersion":"2","LoggingDriver":"gelf"}`)
	text("/images/good/json", `{"Id":"`+string(admittest.Digest(1))+`"}`)
	text("/images/registry.example.org/app/json", `{"Id":"`+string(admittest.Digest(2))+`"}`)
	text("/containers/c1/json", `{"Id":"`+strings.Repeat("a", 64)+`","Name":"/web","Image":"`+string(admittest.Digest(1))+`","Config":{"Image":"good"},"HostConfig":{"Runtime":"runc","MaskedPaths":["/proc/kcore","/proc/keys","/proc/timer_list","/sys/firmware"]}}`)
	text("/containers/c2/json", `{"Id":"`+strings.Repeat("b", 64)+`","Name":"/moved","Image":"`+string(admittest.Digest(2))+`","Config":{"Image":"good"},"HostConfig":{"Runtime":"runc"}}`)
	text("/containers/c3/json", `{"Id":"`+strings.Repeat("c", 64)+`","Name":"/open","Image":"`+string(admittest.Digest(1))+`","Config":{"Image":"good"},"HostConfig":{"Runtime":"runc","Privileged":true,"MaskedPaths":[]}}`)
	text("/containers/c4/json", `{"Id":"`+strings.Repeat("d", 64)+`","Name":"/multi","Image":"`+string(admittest.Digest(1))+`","ImageManifestDescriptor":{"digest":"`+string(admittest.Digest(2))+`"},"Config":{"Image":"good"},"HostConfig":{"Runtime":"runc"}}`)
	text("/containers/c5/json", `{"Id":"`+strings.Repeat("e", 64)+`","Name":"/files","Image":"`+string(admittest.Digest(1))+`","Config":{"Image":"good"},"HostConfig":{"Runtime":"runc","Mounts":[{"Type":"image","Source":"registry.example.org/app"}]}}`)
	text("/networks/f00", `{"Name":"host","Driver":"host"}`)
	text("/networks/own", `{"Name":"own","Driver":"bridge"}`)
	text("/exec/e1/json", `{"ContainerID":"c1"}`)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message":"no such thing"}`, http.StatusNotFound)
	})
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: mux}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "unix://" + filepath.Join(dir, "s")
}

const policyText = `
name: no-evil
mode: deny
controls:
  - control: denied-packages
    packages: [{name: evil}]
`

func plugin(t testing.TB, l *admittest.Log) http.Handler {
	t.Helper()
	rules, err := authz.ParseRules(strings.NewReader(rulesText), "docker.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := assurance.Parse(strings.NewReader(policyText), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set := admit.Rules{Policies: assurance.NewSet(p)}
	e, err := authz.NewEngine(engine(t), "token", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return authz.New(authz.Options{Rules: func() *authz.Rules { return rules }, Gate: admit.New(admit.Options{Facts: facts(), Rules: func() admit.Rules { return set }, Log: l, Now: time.Now}),
		Engine: e, Log: l, Token: "token", Now: time.Now, Deadline: 10 * time.Second,
		Real: func(p string) (string, error) { return strings.Replace(p, "/srv/link", "/etc", 1), nil },
		Text: func(key string, pairs ...any) string { return key + " " + fmt.Sprint(pairs...) },
		Say:  func(d *sekisho.Decision) string { return "policy " + d.Policy }})
}

// call is what the engine asks about.
type call struct {
	user, method, uri, body string
	headers                 map[string]string
}

type verdict struct {
	Allow    bool
	Msg, Err string
}

func ask(t testing.TB, h http.Handler, c call) verdict {
	t.Helper()
	m := map[string]any{"RequestMethod": c.method, "RequestUri": c.uri, "RequestBody": base64.StdEncoding.EncodeToString([]byte(c.body)), "RequestHeaders": c.headers}
	if c.user != "" {
		m["User"], m["UserAuthNMethod"] = c.user, "TLS"
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, h, data)
}

func send(t testing.TB, h http.Handler, data []byte) (v verdict) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/AuthZPlugin.AuthZReq", bytes.NewReader(data)))
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d: %q: %v", w.Code, w.Body, err)
	}
	return v
}

// TestDecide asks for everything that an engine can be asked for.
func TestDecide(t *testing.T) {
	l := &admittest.Log{}
	h := plugin(t, l)
	create := "/v1.41/containers/create"
	body := func(host string) string { return `{"Image":"good","HostConfig":` + host + `}` }
	for name, c := range map[string]struct {
		call
		want string // empty is allowed
	}{
		"a good image":                 {call{user: "dev-a", method: "POST", uri: create, body: body(`{}`)}, ""},
		"a bad image":                  {call{user: "ops", method: "POST", uri: create, body: `{"Image":"registry.example.org/app"}`}, "policy no-evil"},
		"an image that is not there":   {call{user: "ops", method: "POST", uri: create, body: `{"Image":"later"}`}, ""},
		"an image of other names":      {call{user: "dev-a", method: "POST", uri: create, body: `{"Image":"other.example/x"}`}, "docker.no_image"},
		"nobody":                       {call{method: "POST", uri: create, body: body(`{}`)}, "docker.no_rule"},
		"another user":                 {call{user: "eve", method: "POST", uri: create, body: body(`{}`)}, "docker.no_rule"},
		"a user without a name":        {call{user: "", method: "DELETE", uri: "/containers/x", body: ""}, "docker.no_rule"},
		"a grant":                      {call{user: "dev-a", method: "POST", uri: create, body: body(`{"Binds":["/srv/x:/x:ro"],"CapAdd":["cap_net_admin"],"Devices":[{"PathOnHost":"/dev/kvm"}]}`)}, ""},
		"one word for a list":          {call{user: "dev-a", method: "POST", uri: create, body: body(`{"CapAdd":"SYS_ADMIN"}`)}, "capability:SYS_ADMIN"},
		"a place beside the grant":     {call{user: "dev-a", method: "POST", uri: create, body: body(`{"Binds":["/srvx:/x"]}`)}, "mount:/srvx"},
		"a link out of the grant":      {call{user: "dev-a", method: "POST", uri: create, body: body(`{"Binds":["/srv/link:/x"]}`)}, "mount:/etc"},
		"a mount of another image":     {call{user: "dev-a", method: "POST", uri: create, body: body(`{"Mounts":[{"Type":"image","Source":"evil"}]}`)}, "mount-image:evil"},
		"annotations":                  {call{user: "dev-a", method: "POST", uri: create, body: body(`{"Annotations":{"run.oci.handler":"x"}}`)}, "annotation:run.oci.handler"},
		"a GPU":                        {call{user: "dev-a", method: "POST", uri: create, body: body(`{"DeviceRequests":[{"Driver":"cdi"}]}`)}, "device-request:cdi"},
		"a driver of volumes":          {call{user: "dev-a", method: "POST", uri: create, body: body(`{"VolumeDriver":"nfs"}`)}, "volume-driver:nfs"},
		"logs elsewhere":               {call{user: "dev-a", method: "POST", uri: create, body: body(`{"LogConfig":{"Type":"syslog"}}`)}, "log-driver:syslog"},
		"logs by the engine's default": {call{user: "dev-a", method: "POST", uri: create, body: body(`{"LogConfig":{"Type":"","Config":{"gelf-address":"udp://x"}}}`)}, "log-driver:"},
		"logs here":                    {call{user: "dev-a", method: "POST", uri: create, body: body(`{"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}}}`)}, ""},
		"the host's network, hidden":   {call{user: "dev-a", method: "POST", uri: create, body: `{"Image":"good","NetworkingConfig":{"EndpointsConfig":{"own":{"NetworkID":"f00"}}}}`}, "network:host"},
		"settings of an interface":     {call{user: "dev-a", method: "POST", uri: create, body: `{"Image":"good","NetworkingConfig":{"EndpointsConfig":{"own":{"DriverOpts":{"com.docker.network.endpoint.sysctls":"net.ipv4.conf.IFNAME.x=1, net.ipv4.y=2"}}}}}`}, "sysctl:net.ipv4.conf.IFNAME.x, sysctl:net.ipv4.y"},
		"a mount of a bad image":       {call{user: "ops", method: "POST", uri: create, body: body(`{"Mounts":[{"Type":"image","Source":"registry.example.org/app"}]}`)}, "policy no-evil"},
		"start with a bad image":       {call{user: "ops", method: "POST", uri: "/containers/c5/start"}, "policy no-evil"},
		"a web socket":                 {call{user: "dev-a", method: "GET", uri: "/v1.51/containers/c1/attach/ws"}, "docker.no_rule"},
		"what was attested":            {call{user: "dev-a", method: "GET", uri: "/v1.55/images/registry.example.org/a/attestations"}, ""},
		"no new privileges":            {call{user: "dev-a", method: "POST", uri: create, body: body(`{"SecurityOpt":["no-new-privileges:true"]}`)}, ""},
		"an older separator":           {call{user: "dev-a", method: "POST", uri: create, body: body(`{"SecurityOpt":["seccomp:unconfined"]}`)}, "security-opt:seccomp=unconfined"},
		"the engine's own hidden":      {call{user: "dev-a", method: "POST", uri: create, body: body(`{"MaskedPaths":["/proc/kcore","/proc/keys","/proc/timer_list","/sys/firmware","/x"]}`)}, ""},
		"no JSON":                      {call{user: "ops", method: "POST", uri: create, body: `{"Image"`}, "docker.unread"},
		"a list for a body":            {call{user: "ops", method: "POST", uri: create, body: `[]`}, "docker.unread"},
		"start":                        {call{user: "dev-a", method: "POST", uri: "/v1.41/containers/c1/start"}, ""},
		"start of a name that moved":   {call{user: "ops", method: "POST", uri: "/v1.41/containers/c2/start"}, "policy no-evil"},
		"restart":                      {call{user: "ops", method: "POST", uri: "/v1.41/containers/c2/restart"}, "policy no-evil"},
		"start of a privileged one":    {call{user: "dev-a", method: "POST", uri: "/containers/c3/start"}, "privileged"},
		"start of the platform's":      {call{user: "ops", method: "POST", uri: "/containers/c4/start"}, "policy no-evil"},
		"start from a checkpoint":      {call{user: "dev-a", method: "POST", uri: "/containers/c1/start?checkpoint=x&checkpoint-dir=/tmp"}, "checkpoint:/tmp/x"},
		"the host's network by ID":     {call{user: "dev-a", method: "POST", uri: create, body: body(`{"NetworkMode":"f00"}`)}, "network:host"},
		"the host's network beside":    {call{user: "dev-a", method: "POST", uri: create, body: `{"Image":"good","NetworkingConfig":{"EndpointsConfig":{"f00":{}}}}`}, "network:host"},
		"the host's network as such":   {call{user: "dev-a", method: "POST", uri: create, body: `{"Image":"good","NetworkingConfig":{"EndpointsConfig":{"host":{}}}}`}, "network:host"},
		"a network of one's own":       {call{user: "dev-a", method: "POST", uri: create, body: body(`{"NetworkMode":"own"}`)}, ""},
		"a network that is not there":  {call{user: "dev-a", method: "POST", uri: create, body: body(`{"NetworkMode":"later"}`)}, ""},
		"start, an old API":            {call{user: "ops", method: "POST", uri: "/v1.23/containers/c1/start"}, "docker.old_start"},
		"start, no number":             {call{user: "ops", method: "POST", uri: "/v./containers/c1/start"}, "docker.old_start"},
		"start of what is not there":   {call{user: "ops", method: "POST", uri: "/containers/none/start"}, "docker.unread"},
		"exec":                         {call{user: "dev-a", method: "POST", uri: "/v1.41/containers/c1/exec", body: `{"Cmd":["sh"]}`}, ""},
		"exec, privileged":             {call{user: "dev-a", method: "POST", uri: "/v1.41/containers/c1/exec", body: `{"privileged":true}`}, "privileged"},
		"exec without a body":          {call{user: "dev-a", method: "POST", uri: "/v1.41/containers/c1/exec"}, "docker.no_body"},
		"its process":                  {call{user: "dev-a", method: "POST", uri: "/exec/e1/start", body: `{}`}, ""},
		"a process of nobody":          {call{user: "eve", method: "POST", uri: "/exec/e1/start", body: `{}`}, "docker.no_rule"},
		"update":                       {call{user: "dev-a", method: "POST", uri: "/containers/c1/update", body: `{"Memory":1,"DeviceCgroupRules":["a *:* rwm"]}`}, ""},
		"update beyond":                {call{user: "dev-a", method: "POST", uri: "/containers/c1/update", body: `{"CgroupParent":"/"}`}, "cgroup-parent:/"},
		"pull":                         {call{user: "dev-a", method: "POST", uri: "/images/create?fromImage=registry.example.org%2Fapp&tag=1"}, ""},
		"pull by digest":               {call{user: "dev-a", method: "POST", uri: "/images/create?fromImage=registry.example.org/app&tag=" + string(admittest.Digest(1))}, ""},
		"pull from elsewhere":          {call{user: "dev-a", method: "POST", uri: "/images/create?fromImage=docker.io/library/x&tag=1"}, "docker.no_image"},
		"pull, twice":                  {call{user: "ops", method: "POST", uri: "/images/create?fromImage=a&fromImage=b"}, "docker.unread"},
		"import":                       {call{user: "dev-a", method: "POST", uri: "/images/create?fromSrc=-&repo=good"}, "docker.no_rule"},
		"a form":                       {call{user: "ops", method: "POST", uri: "/images/create?fromImage=good", headers: map[string]string{"content-type": "application/X-WWW-form-urlencoded; charset=x"}}, "docker.form"},
		"tag":                          {call{user: "dev-a", method: "POST", uri: "/images/x/tag?repo=registry.example.org/y&tag=1"}, ""},
		"tag elsewhere":                {call{user: "dev-a", method: "POST", uri: "/images/x/tag?repo=y"}, "docker.no_image"},
		"push":                         {call{user: "dev-a", method: "POST", uri: "/images/registry.example.org/a/b/push?tag=1"}, ""},
		"push elsewhere":               {call{user: "dev-a", method: "POST", uri: "/images/evil.example/a/push"}, "docker.no_image"},
		"a volume of the host":         {call{user: "dev-a", method: "POST", uri: "/volumes/create", body: `{"Name":"x","Driver":"local","DriverOpts":{"type":"none","o":"bind","device":"/etc"}}`}, "mount:/etc"},
		"a volume":                     {call{user: "dev-a", method: "POST", uri: "/volumes/create", body: `{"Name":"x"}`}, ""},
		"a volume of the cluster":      {call{user: "dev-a", method: "POST", uri: "/volumes/create", body: `{"Name":"x","ClusterVolumeSpec":{}}`}, "docker.no_rule"},
		"build":                        {call{user: "dev-a", method: "POST", uri: "/build?t=x"}, "docker.no_rule"},
		"a session":                    {call{user: "dev-a", method: "POST", uri: "/session"}, "docker.no_rule"},
		"services":                     {call{user: "dev-a", method: "POST", uri: "/v1.41/services/create", body: `{}`}, "docker.no_rule"},
		"plugins":                      {call{user: "dev-a", method: "POST", uri: "/plugins/pull?remote=x"}, "docker.no_rule"},
		"a list of plugins":            {call{method: "GET", uri: "/plugins"}, ""},
		"a list":                       {call{method: "GET", uri: "/v1.41/containers/json?all=1"}, ""},
		"an image's record":            {call{method: "GET", uri: "/images/registry.example.org/a/json"}, ""},
		"files out of a container":     {call{method: "GET", uri: "/containers/c1/archive?path=/"}, "docker.no_rule"},
		"a call that is not known":     {call{user: "dev-a", method: "POST", uri: "/v1.99/new/thing"}, "docker.unknown"},
		"another method":               {call{user: "dev-a", method: "TRACE", uri: "/containers/json"}, "docker.unknown"},
		"a path not in its plain form": {call{user: "ops", method: "POST", uri: "/containers/../containers/create", body: body(`{}`)}, "docker.unread"},
		"a coded path":                 {call{user: "dev-a", method: "POST", uri: "/v1.41/containers/%63reate", body: body(`{"Privileged":true}`)}, "privileged"},
		"a coded slash":                {call{user: "dev-a", method: "POST", uri: "/v1.41/containers%2fcreate", body: body(`{"Privileged":true}`)}, "privileged"},
		"coded twice":                  {call{user: "dev-a", method: "POST", uri: "/v1.41/containers/%2563reate", body: body(`{"Privileged":true}`)}, "docker.unknown"},
		"the gate itself":              {call{method: "GET", uri: "/images/x/get", headers: map[string]string{"X-Sekisho-Gate": "token"}}, ""},
		"a wrong token":                {call{method: "GET", uri: "/images/x/get", headers: map[string]string{"X-Sekisho-Gate": "tokem"}}, "docker.no_rule"},
		"the token for more":           {call{method: "POST", uri: create, body: body(`{}`), headers: map[string]string{"X-Sekisho-Gate": "token"}}, "docker.no_rule"},
	} {
		v := ask(t, h, c.call)
		if v.Allow != (c.want == "") || !strings.Contains(v.Msg, c.want) {
			t.Errorf("%s: %+v, want %q", name, v, c.want)
		}
	}
	l.Break(true)
	if v := ask(t, h, call{user: "ops", method: "POST", uri: "/containers/c1/stop"}); v.Allow {
		t.Error("what cannot be noted is allowed")
	}
	if v := ask(t, h, call{user: "dev-a", method: "POST", uri: create, body: body(`{}`)}); v.Allow {
		t.Error("what cannot be noted is allowed")
	}
	if v := send(t, h, []byte(`{"RequestMethod":"GET"`)); v.Allow {
		t.Error("half a message is allowed")
	}
	if v := send(t, h, append([]byte(`{"User":"`), bytes.Repeat([]byte("x"), 9<<20)...)); v.Allow || !strings.Contains(v.Msg, "more than") {
		t.Errorf("a large message: %+v", v)
	}
}

// TestActivate holds the handshake.
func TestActivate(t *testing.T) {
	w := httptest.NewRecorder()
	plugin(t, &admittest.Log{}).ServeHTTP(w, httptest.NewRequest("POST", "/Plugin.Activate", nil))
	if !strings.Contains(w.Body.String(), `{"Implements":["authz"]}`) {
		t.Errorf("it says %s", w.Body)
	}
}

// TestRules holds that a mistake in the rules is told with its place.
func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		"rules:\n  - name: a\n    users: [x]\n    action: [read]\n":                      "docker.yaml:4:5: unknown field",
		"rules:\n  - users: [x]\n    actions: [read]\n":                                  "name is missing",
		"rules:\n  - name: a\n    actions: [read]\n":                                     "for nobody",
		"rules:\n  - name: a\n    local: true\n":                                         "actions are missing",
		"rules:\n  - {name: a, local: true, actions: [rum]}\n":                           `is "run" meant?`,
		"rules:\n  - {name: a, local: true, actions: [run], grants: [mounts:/x]}\n":      `is "mount" meant?`,
		"rules:\n  - {name: a, local: true, actions: [run], grants: [mount]}\n":          "want KIND:VALUE",
		"rules:\n  - {name: a, local: true, actions: [run], grants: ['privileged:x']}\n": "want KIND:VALUE",
		"images: trusted\n":     "images",
		"start_by: pid\n":       "start_by",
		"rules: &a []\nx: *a\n": "anchors",
		"rules:\n  - {name: a, local: true, actions: [run], images: ['*x*']}\n": "registry",
	} {
		if _, err := authz.ParseRules(strings.NewReader(text), "docker.yaml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzBody holds that no body that the engine reads as privileged passes, that
// nothing panics, and that there is always an answer.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{"Image":"good"}`, `{"Image":"good","HostConfig":{"Privileged":true}}`, `{"image":"good","hostconfig":{"privileged":true},"HostConfig":{}}`, `{"Privileged":true}`,
		`{"Image":"good","Ho` + "\u017f" + `tConfig":{"Privileged":true}}`, `{"HostConfig":null,"PRIVILEGED":true}`, `{"HostConfig":{"Binds":["/:/x"]}}`, `[[[[`, `{"Image":"good"} {}`} {
		f.Add("POST", "/v1.41/containers/create", seed)
	}
	f.Add("POST", "/v1.23/containers/c1/start", `{"Privileged":true}`)
	f.Add("POST", "/%76%31.41/containers/create?name=x", `{"Image":"good","HostConfig":{"Privileged":true}}`)
	f.Add("POST", "http://x/containers/create", `{"Image":"good","HostConfig":{"Privileged":true}}`)
	f.Add("GET", "/images/a%00b/json?x=%zz", "")
	h := plugin(f, &admittest.Log{})
	f.Fuzz(func(t *testing.T, method, uri, body string) {
		v := ask(t, h, call{user: "dev-a", method: method, uri: uri, body: body})
		if v.Allow && privileged(body) && method == "POST" && strings.HasSuffix(strings.SplitN(uri, "?", 2)[0], "/containers/create") {
			t.Errorf("%s %s %s passes", method, uri, body)
		}
	})
}

// privileged reads a body as dockerd 20.10 does (runconfig, ContainerConfigWrapper).
func privileged(body string) bool {
	type host struct {
		Privileged bool
		Binds      []string
	}
	var w struct {
		HostConfig *host `json:"HostConfig,omitempty"`
		*host
	}
	w.host = &host{}
	if json.NewDecoder(strings.NewReader(body)).Decode(&w) != nil {
		return false
	}
	return w.HostConfig != nil && w.HostConfig.Privileged || w.host.Privileged
}

func BenchmarkCreate(b *testing.B) {
	h := plugin(b, &admittest.Log{})
	for b.Loop() {
		if v := ask(b, h, call{user: "dev-a", method: "POST", uri: "/v1.41/containers/create", body: `{"Image":"good","HostConfig":{"Binds":["/srv/x:/x"]}}`}); !v.Allow {
			b.Fatal(v.Msg)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	h := plugin(b, &admittest.Log{})
	for b.Loop() {
		if v := ask(b, h, call{method: "GET", uri: "/v1.41/containers/json"}); !v.Allow {
			b.Fatal(v.Msg)
		}
	}
}
