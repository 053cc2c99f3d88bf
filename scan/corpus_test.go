package scan_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"
	"unicode/utf16"

	"sekisho"
	"sekisho/image"
	"sekisho/internal/draw"
	"sekisho/internal/siphash"
	"sekisho/scan"
	"sekisho/scan/analyze"
	inside "sekisho/scan/content"
	"sekisho/scan/secret"
)

// plant is a secret of one kind as it stands in a file.
type plant struct {
	id    string
	name  string // of the file that it must stand in; empty for any
	text  string
	lines bool   // it needs lines of its own
	same  string // what names its value
}

// written are secrets whose form no expression tells, or not all of it. The
// values are cut in two so that this file holds none.
func written(t *testing.T) []plant {
	b64, url := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	word := "9dkWmz2" + "Lp7"
	jwt := url([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + url([]byte(`{"sub":"u-88213","role":"admin"}`)) + ".zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq1"
	return []plant{
		{id: "private-key", text: `key = "` + strings.ReplaceAll(key, "\n", `\n`) + `"`},
		{id: "jwt", text: "t=" + jwt},
		{id: "jwt-base64", text: "t=" + b64([]byte(strings.Replace(jwt, ".zQ", ".zR", 1)))},
		{id: "jwt-form", text: "t=ey" + strings.Repeat("Q7x", 8) + ".ey" + strings.Repeat("b3Z", 8) + ".aX9" + strings.Repeat("k2", 9) + ";"},
		{id: "kubernetes-service-account-token", text: "t=" + url([]byte(`{"alg":"RS256","kid":"q1"}`)) + "." + url([]byte(`{"iss":"kubernetes.io/serviceaccount"}`)) + ".zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq2zQWBuTS"},
		{id: "database-url", text: "postgres://app:" + word + "1@db.internal:5432/app"},
		{id: "message-broker-url", text: "amqp://svc:" + word + "2@mq.internal/"},
		{id: "url-credentials", text: "https://bot:" + word + "3@git.internal/x.git"},
		{id: "basic-auth-header", text: "-H 'Authorization: Basic " + b64([]byte("ci:"+word+"4")) + "'"},
		{id: "bearer-header", text: "Authorization: Bearer zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq7"},
		{id: "curl-user", text: "curl -s -u deploy:" + word + "5 https://x.internal/"},
		{id: "curl-header", text: `curl -H "X-Api-Key: zQWBuTSOoRi4A9spHcVY5nc9"  https://x.internal/`},
		{id: "ado-connection-string", text: "Server=db;Database=x;User Id=sa;Password=" + word + "6;"},
		{id: "jdbc-password", text: "jdbc:postgresql://db.internal/x?user=a&password=" + word + "7"},
		{id: "netrc-password", lines: true, text: "machine git.internal login bot password " + word + "8"},
		{id: "vault-legacy-token", text: "VAULT_TOKEN=s." + "wuzYRgNXgT55E1ZfuiIWomVt"},
		{id: "password-assignment", text: `db_password = "` + `Zk4pW9qL2m#x"`},
		{id: "generic-secret", text: `internal_token = "` + `8f7Kd02mQpL4xZtR9vB3nW6y"`},
		{id: "docker-registry-auth", text: `{"auths":{"r.internal":{"auth":"` + b64([]byte("ci:"+word+"9")) + `"}}}`},
		{id: "django-secret-key", text: `SECRET_KEY = "` + `x9#kQ2vL7!pZ4mW8tR1nB6yC3sD5fG0hJ"`},
		{id: "npm-basic-auth", text: "//registry.internal/:_auth=" + b64([]byte("ci:"+word+"c"))},
		{id: "maven-master-password", name: "settings-security.xml", text: "<master>" + word + "d</master>"},
		{id: "pgpass-password", name: ".pgpass", lines: true, text: "db:5432:app:app:" + word + "a"},
		{id: "maven-settings-password", name: "settings.xml", text: "<server><password>" + word + "b</password></server>"},
		{id: "shadow-password-hash", lines: true, text: "app:$6$saltsalt$" + strings.Repeat("aB3.", 21) + ":19000:0:99999:7:::"},
		{id: "htpasswd-hash", lines: true, text: "app:$apr1$saltsalt$" + "aB3.aB3.aB3.aB3.aB3.aB"},
		{id: "wireguard-private-key", lines: true, text: "PrivateKey = " + b64([]byte("0123aaqq89abcdefghij4567stuvZZxz"))},
		{id: "kubernetes-secret", lines: true, text: "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  db: " + b64([]byte("zW9#kQp2mm")) + "\n---"},
		{id: "putty-private-key", lines: true, text: "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none"},
	}
}

// plants returns one secret of every kind that was found in a file of its own.
func plants(t *testing.T, e *secret.Engine, a *inside.Analyzer) []plant {
	r := randv2.New(randv2.NewPCG(11, 12))
	byID := map[string]plant{}
	for _, p := range written(t) {
		byID[p.id] = p
	}
	var list []plant
	for _, rule := range e.Rules() {
		p, ok := byID[rule.ID]
		if !ok && (rule.Regex == "" && rule.Check == "") {
			continue // a file that should not be there at all, whatever it holds
		}
		for try := 0; p.same == "" && try < 100; try++ {
			if !ok {
				p = drawn(t, r, rule)
			}
			p.same = alone(a, p)
			if ok && p.same == "" {
				break
			}
		}
		if p.same == "" {
			t.Errorf("%s is not found in a file of its own: %q", rule.ID, p.text)
			continue
		}
		list = append(list, p)
	}
	return list
}

func drawn(t *testing.T, r *randv2.Rand, rule secret.Rule) plant {
	tree, err := syntax.Parse(rule.Regex, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	text := draw.Text(r, tree)
	if len(rule.Near) > 0 {
		text = rule.Near[r.IntN(len(rule.Near))] + `_value="` + text + `"`
	}
	return plant{id: rule.ID, text: text, lines: strings.Contains(text, "\n") || strings.Contains(rule.Regex, "(?m)^")}
}

// file is where a plant stands by itself.
func (p plant) file() string {
	if p.name != "" {
		return p.name
	}
	return "settings.properties"
}

func alone(a *inside.Analyzer, p plant) string {
	var out analyze.Result
	data := []byte("\n" + p.text + "\n")
	if a.Analyze(&analyze.File{Path: p.file(), Size: int64(len(data)), Data: data}, &out) != nil {
		return ""
	}
	for _, x := range out.Findings {
		if x.ID == p.id {
			return x.Same
		}
	}
	return ""
}

// wide is text in UTF-16 (RFC 2781), the byte of less weight first or last.
func wide(text string, little, mark bool) string {
	if mark {
		text = "\ufeff" + text
	}
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(text)) {
		if little {
			b.WriteString(string([]byte{byte(u), byte(u >> 8)}))
		} else {
			b.WriteString(string([]byte{byte(u >> 8), byte(u)}))
		}
	}
	return b.String()
}

// spread puts the texts between filler, far from one another.
func spread(texts []string, filler string, size int) string {
	var b strings.Builder
	b.Grow(size + size/8)
	each := size / (len(texts) + 1) / len(filler)
	for _, text := range texts {
		for range each {
			b.WriteString(filler)
		}
		b.WriteString(text)
	}
	for range each {
		b.WriteString(filler)
	}
	return b.String()
}

type member struct{ name, text string }

func tarOf(t *testing.T, members []member) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.text)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(t *testing.T, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipOf(t *testing.T, members []member) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// layer makes a layer of files.
func layerFrom(t *testing.T, members []member) image.Layer {
	data := tarOf(t, members)
	return image.Layer{DiffID: sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(data)))), Size: int64(len(data)), CreatedBy: "COPY . /",
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(data)), nil }}
}

// TestEveryKindEverywhere plants one secret of every kind in every kind of
// place and wants each found in each: one finding that lists all its places.
func TestEveryKindEverywhere(t *testing.T) {
	key := siphash.Key{1}
	e, err := secret.New(key)
	if err != nil {
		t.Fatal(err)
	}
	a, err := inside.New(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	list := plants(t, e, a)
	if len(list) < 250 {
		t.Fatalf("%d kinds, want at least 250", len(list))
	}
	var single, lined []string // texts that may stand anywhere: all but those with lines of their own, all
	var files []member
	for i, p := range list {
		files = append(files, member{fmt.Sprintf("conf/%d/%s", i, p.file()), p.text + "\n"})
		if p.name == "" {
			lined = append(lined, "\n"+p.text+"\n")
			if !p.lines {
				single = append(single, ";"+p.text+";")
			}
		}
	}
	text := strings.Join(lined, "\n")
	logged := spread(lined, "2026-11-24T10:00:00Z INFO request served in 12 ms by worker 17\n", 40<<20)
	jar := zipOf(t, files)
	first := append([]member{
		{"wide/le.properties", wide(text, true, true)}, {"wide/be.properties", wide(text, false, true)}, {"wide/plain.properties", wide(text, true, false)},
		{"www/app.min.js", spread(single, "function a(b){return b+1};", 5<<20)},
		{"var/log/app.log", logged}, {"var/log/huge.log", strings.Repeat(logged[:20<<20], 4) + logged + logged[:16<<20]},
		{"app.tar.gz", gzipOf(t, tarOf(t, files))}, {"app.jar", jar}, {"app.war", zipOf(t, []member{{"WEB-INF/lib/app.jar", jar}})},
	}, files...)
	var gone, whiteouts []member
	for i := range files {
		gone = append(gone, member{"gone/" + files[i].name, files[i].text})
	}
	whiteouts = append(whiteouts, member{".wh.gone", ""})

	img := &image.Image{Kind: image.KindImage, Layers: []image.Layer{layerFrom(t, first), layerFrom(t, gone), layerFrom(t, whiteouts)}}
	img.Config.Config.Labels = map[string]string{}
	for i, p := range list {
		if p.name != "" || p.lines {
			continue
		}
		img.Config.Config.Env = append(img.Config.Config.Env, fmt.Sprintf("V%d=%s", i, p.text))
		img.Config.Config.Labels[fmt.Sprintf("l%d", i)] = p.text
		img.Config.History = append(img.Config.History, image.History{CreatedBy: "RUN |1 ARG=" + p.text + " /bin/sh -c make", EmptyLayer: true})
	}
	report, err := scan.Scan(context.Background(), img, scan.Options{Jobs: 2, Analyzers: []analyze.Analyzer{a}, Text: a.Text, Mask: a.Mask})
	if err != nil {
		t.Fatal(err)
	}
	found := placesOf(report)
	for i, p := range list {
		want := []string{fmt.Sprintf("conf/%d/%s", i, p.file()), "app.tar.gz!/conf/" + fmt.Sprintf("%d/%s", i, p.file()), "app.jar!/conf/" + fmt.Sprintf("%d/%s", i, p.file()),
			"app.war!/WEB-INF/lib/app.jar!/conf/" + fmt.Sprintf("%d/%s", i, p.file()), fmt.Sprintf("gone/conf/%d/%s (hidden)", i, p.file())}
		if p.name == "" {
			want = append(want, "wide/le.properties", "wide/be.properties", "wide/plain.properties", "var/log/app.log", "var/log/huge.log")
		}
		if p.name == "" && !p.lines {
			want = append(want, "www/app.min.js", fmt.Sprintf("ENV V%d", i), fmt.Sprintf("LABEL l%d", i), "RUN")
		}
		for _, w := range want {
			if !found[fmt.Sprintf("conf/%d/%s", i, p.file())][w] {
				t.Errorf("%s is not found in %s: %q", p.id, w, p.text)
			}
		}
	}
}

// placesOf returns where each secret was found, by each of its places.
func placesOf(r *sekisho.Report) map[string]map[string]bool {
	found := map[string]map[string]bool{}
	for _, x := range r.Findings {
		var places []string
		for _, l := range append([]sekisho.Location{x.Location}, x.Places...) {
			where := l.Path
			if where == "" {
				where = l.Instruction
				if strings.HasPrefix(where, "RUN") {
					where = "RUN"
				}
			}
			if l.Hidden {
				where += " (hidden)"
			}
			places = append(places, where)
		}
		for _, p := range places {
			if found[p] == nil {
				found[p] = map[string]bool{}
			}
			for _, q := range places {
				found[p][q] = true
			}
		}
	}
	return found
}
