package kubernetes_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// cluster is an API server that tests share.
type cluster struct {
	dir    string // its state and keys
	url    string
	roots  *x509.CertPool
	ca     *pair
	stop   []func()
	tested string   // the binary under test
	flags  []string // of the API server, that a node needs
	names  []net.IP // of the API server, that a node needs
	node   *node    // nil without the tag node
	ended  chan string
}

var shared *cluster

func TestMain(m *testing.M) {
	code := 1
	if os.Getenv("SEKISHO_NODE_BUILT") != "" { // asks, and starts nothing
		os.Exit(built())
	}
	var err error
	if shared, err = start(); err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, "start a cluster:", err)
	}
	if shared != nil {
		for i := len(shared.stop) - 1; i >= 0; i-- {
			shared.stop[i]()
		}
	}
	os.Exit(code)
}

// built is the exit status that tells whether all is there that start would
// build: 0 if so.
func built() int {
	for _, find := range []func() (string, error){kept, containerdKept} {
		name, err := find()
		if _, missing := os.Stat(name); err != nil || missing != nil {
			return 1
		}
	}
	return 0
}

// kept is where the server is.
func kept() (string, error) {
	return cached(program, "go.mod", "go.sum", "testkube/main.go", "testkube/node.go")
}

// containerdKept is where containerd and its tools are.
func containerdKept() (string, error) {
	return cached("containerd", "../containerd/go.mod", "../containerd/go.sum")
}

// testkube builds the server, once for one state of its sources.
func testkube() (string, error) {
	if name := os.Getenv("TESTKUBE"); name != "" {
		return name, nil
	}
	name, err := kept()
	if _, missing := os.Stat(name); err != nil || missing == nil {
		return name, err
	}
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes").Output()
	if err != nil {
		return "", err
	}
	v := strings.TrimSpace(string(version))
	const at = "k8s.io/component-base/version"
	minor := strings.Split(v, ".")[1]
	fmt.Fprintln(os.Stderr, "building", name)
	return name, build(name, "./testkube", tags, fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=%[3]s -X %[1]s.gitTreeState=clean", at, v, minor), ".")
}

// cached is where a program is kept that is built once for one state of its
// sources, below the user's cache directory.
func cached(name string, sources ...string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH)
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	base, err := os.UserCacheDir()
	return filepath.Join(base, "sekisho-e2e", name+"-"+hex.EncodeToString(h.Sum(nil))[:16]), err
}

// build builds a program into a file.
func build(name, pkg, tags, ldflags, dir string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	c := exec.Command("go", "build", "-tags", tags, "-ldflags", ldflags, "-o", name+".new", pkg)
	c.Dir, c.Stderr, c.Env = dir, os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	if err := c.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return os.Rename(name+".new", name)
}

// start starts etcd and the API server.
func start() (c *cluster, err error) {
	server, err := testkube()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sekisho-kubernetes-")
	if err != nil {
		return nil, err
	}
	c = &cluster{dir: dir, ended: make(chan string, 100), roots: x509.NewCertPool(), stop: []func(){func() { os.RemoveAll(dir) }}}
	c.tested = filepath.Join(dir, "sekisho")
	if err := build(c.tested, "./cmd/sekisho", "", "-s -w", "../.."); err != nil {
		return c, err
	}
	if err := c.keys(); err != nil {
		return c, err
	}
	etcd, peer, api := freePort(), freePort(), freePort()
	c.url = "https://127.0.0.1:" + api
	u := "http://127.0.0.1:"
	if err := c.run("etcd", server, "etcd", "--name=t", "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+u+etcd, "--advertise-client-urls="+u+etcd,
		"--listen-peer-urls="+u+peer, "--initial-advertise-peer-urls="+u+peer, "--initial-cluster=t="+u+peer, "--unsafe-no-fsync"); err != nil {
		return c, err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("audit.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return c, err
	}
	if err := c.run("kube-apiserver", server, append([]string{"kube-apiserver", "--etcd-servers=" + u + etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + api,
		"--endpoint-reconciler-type=none", "--allow-privileged=true", "--authorization-mode=Node,RBAC",
		"--client-ca-file=" + at("ca.crt"), "--tls-cert-file=" + at("api.crt"), "--tls-private-key-file=" + at("api.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + at("api.key"), "--service-account-signing-key-file=" + at("api.key"),
		"--audit-policy-file=" + at("audit.yaml"), "--audit-log-path=" + at("audit.log")}, c.flags...)...); err != nil {
		return c, err
	}
	if err := c.ready(); err != nil {
		return c, err
	}
	return c, c.join(server)
}

const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    verbs: [create, update, patch, get]
    resources: [{group: "", resources: [pods, pods/exec]}]
  - level: None
`

// run starts a part of the cluster, which stop ends.
func (c *cluster) run(name, program string, args ...string) error {
	out, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err
	}
	p := exec.Command(program, args...)
	p.Stdout, p.Stderr = out, out
	if err := p.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.ended <- fmt.Sprintf("%s ended: %v", name, p.Wait())
	}()
	c.stop = append(c.stop, func() {
		_ = p.Process.Signal(os.Interrupt)
		late := time.AfterFunc(10*time.Second, func() { _ = p.Process.Kill() })
		<-gone
		late.Stop()
		out.Close()
	})
	return nil
}

// ready waits until the API server is.
func (c *cluster) ready() error {
	admin := c.as("admin", "system:masters")
	var last answer
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); wait() {
		if last = admin.do("GET", "/readyz", "", nil); last.code == 200 {
			return nil
		}
		if len(c.ended) > 0 {
			break
		}
	}
	return fmt.Errorf("the API server does not become ready: %v\n%s", last, c.tails())
}

// tails is what the parts of the cluster said last, and which have ended.
func (c *cluster) tails() (text string) {
	for len(c.ended) > 0 {
		text += <-c.ended + "\n"
	}
	names, _ := filepath.Glob(filepath.Join(c.dir, "*.log"))
	for _, name := range names {
		data, _ := os.ReadFile(name)
		text += filepath.Base(name) + ":\n" + string(data[max(0, len(data)-2000):]) + "\n"
	}
	return text
}

// wait is between two looks at something that another process does.
func wait() { <-time.After(50 * time.Millisecond) }

// eventually waits for something that another process does.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); wait() {
		if ok() {
			return
		}
	}
	t.Fatalf("it does not come: %s", what)
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// pair is a certificate with its key.
type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func (c *cluster) keys() (err error) {
	if c.ca, err = c.issue("ca", &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil); err != nil {
		return err
	}
	c.roots.AddCert(c.ca.certificate)
	if err := c.prepare(); err != nil {
		return err
	}
	_, err = c.issue("api", &x509.Certificate{Subject: pkix.Name{CommonName: "api"}, IPAddresses: append(c.names, net.IPv4(127, 0, 0, 1)), DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, c.ca)
	return err
}

// issue makes a certificate and writes NAME.crt and NAME.key.
func (c *cluster) issue(name string, t *x509.Certificate, by *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t.SerialNumber, t.NotBefore, t.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := t, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	write := func(suffix, kind string, data []byte) {
		err = os.WriteFile(filepath.Join(c.dir, name+suffix), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600)
	}
	if write(".crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	if write(".key", "EC PRIVATE KEY", private); err != nil {
		return nil, err
	}
	out, err := x509.ParseCertificate(der)
	return &pair{out, key}, err
}

// client is a user of the API.
type client struct {
	http *http.Client
	url  string
}

// as is a user by a certificate.
func (c *cluster) as(user string, groups ...string) *client {
	p, err := c.issue("user-"+user, &x509.Certificate{Subject: pkix.Name{CommonName: user, Organization: groups}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, c.ca)
	if err != nil {
		panic(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.roots, Certificates: []tls.Certificate{{Certificate: [][]byte{p.certificate.Raw}, PrivateKey: p.key}}}}
	return &client{&http.Client{Transport: tr, Timeout: time.Minute}, c.url}
}

// answer is what the API says.
type answer struct {
	code     int
	body     []byte
	warnings string
}

func (a answer) String() string { return fmt.Sprintf("%d %s %q", a.code, a.body, a.warnings) }

// has reports whether the answer's message or warnings hold all texts.
func (a answer) has(texts ...string) bool {
	var s struct{ Message string }
	_ = json.Unmarshal(a.body, &s)
	for _, x := range texts {
		if !strings.Contains(s.Message+"\n"+a.warnings, x) {
			return false
		}
	}
	return true
}

func (c *client) do(method, path, contentType string, body []byte) answer {
	r, err := http.NewRequest(method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	return answer{resp.StatusCode, data, strings.Join(resp.Header.Values("Warning"), "\n")}
}

// create makes an object of JSON or YAML.
func (c *client) create(path string, o any) answer {
	if text, ok := o.(string); ok {
		return c.do("POST", path, "application/yaml", []byte(text))
	}
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return c.do("POST", path, "application/json", data)
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
