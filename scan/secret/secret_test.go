package secret_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"sekisho"
)

func key(t testing.TB) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// join keeps tokens out of this file's own text.
func join(parts ...string) string { return strings.Join(parts, "") }

func TestFound(t *testing.T) {
	e := engine(t)
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []struct{ name, path, text, id, confidence string }{
		{"private key", "root/.ssh/id", key(t), "private-key", "high"},
		{"private key in JSON", "sa.json", `{"private_key": "` + strings.ReplaceAll(key(t), "\n", `\n`) + `"}`, "private-key", "high"},
		{"GitHub's check digits hold", "a.env", join("T=ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"), "github-pat", "high"},
		{"GitHub's check digits do not hold", "a.env", join("T=ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq18"), "github-pat", "low"},
		{"AWS secret", "credentials", join("aws_secret_access_key = ", "kWcrlUX5JEDGM/LtmEENI/aVmYvHNif5zB+d9+ct"), "aws-secret-access-key", "medium"},
		{"AWS key id behind an escape", "a.json", join(`"x\nAKIA`, `QYLPMN5HFIQR7BBB"`), "aws-access-key-id", "high"},
		{"database URL", "app.env", "DATABASE_URL=postgres://app:Tr0ub4dor3x@db.internal:5432/app", "database-url", "high"},
		{"broker URL", "app.env", "amqp://svc:9dkWmz2Lp@mq.internal/", "message-broker-url", "high"},
		{"git remote", ".git/config", "url = https://bot:9dkWmz2Lp7@git.internal/x.git", "url-credentials", "high"},
		{"Kubernetes secret", "s.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  db: " + b64([]byte("zW9#kQp2mm")) + "\n", "kubernetes-secret", "high"},
		{"registry login", "root/.docker/config.json", `{"auths":{"r.internal":{"auth":"` + b64([]byte("ci:pL4zRt9w")) + `"}}}`, "docker-registry-auth", "high"},
		{"password in settings", "app.properties", "spring.datasource.password=Zk4pW9qL2m", "password-assignment", "medium"},
		{"password with signs", "app.yml", `password: "p@ss!W0rd#77x"`, "password-assignment", "medium"},
		{"password from standard input", "stdin", "password=Zk4pW9qL2m", "password-assignment", "medium"},
		{"wrapped in a prefix", "a.py", `heroku_key = b"` + join("93D9bA1C-FDAC-30A5-", "6C47-6FCfb83BeEf4") + `"`, "heroku-api-key", "medium"},
		{"curl over several lines", "deploy.sh", "curl -s \\\n  -u deploy:9dkWmz2Lp7 \\\n  https://x.internal/", "curl-user", "high"},
		{"key whose body is no base64", "k", "-----BEGIN PRIVATE KEY-----" + "x?-nl^Q()IYtcja]n]B>QzWg\"=_%9H`q6_YW;ujWg&knhR0MguY37-Sqa{6],~H1m" + "-----END PRIVATE KEY-----", "private-key", "low"},
		{"token whose header is no JSON", "a.txt", "t=ey" + strings.Repeat("Q7x", 8) + ".ey" + strings.Repeat("b3Z", 8) + ".aX9k2k2k2k2k2;", "jwt-form", "low"},
		{"random value in the form of a path", "app.env", "API_TOKEN=KZUA/0xMSU/olj0/x4v7Qe", "generic-secret", "medium"},
		{"random key in settings", "conf/app.ini", "internal_token = 8f7Kd02mQpL4xZtR9vB3nW6y", "generic-secret", "medium"},
		{"XML element", "config.xml", "<apiToken>8f7Kd02mQpL4xZtR9vB3nW6y</apiToken>", "generic-secret", "medium"},
		{"curl", "deploy.sh", "curl -s -u deploy:9dkWmz2Lp7 https://x.internal/", "curl-user", "high"},
		{"connection string", "web.config", "Server=db;Database=x;User Id=sa;Password=9dkWmz2Lp7;", "ado-connection-string", "high"},
		{"netrc", "root/.netrc", "machine git.internal login bot password 9dkWmz2Lp7", "netrc-password", "high"},
		{"pgpass", "root/.pgpass", "db:5432:app:app:9dkWmz2Lp7\n", "pgpass-password", "high"},
		{"shadow", "etc/shadow", "app:$6$saltsalt$" + strings.Repeat("aB3.", 21) + ":19000:0:99999:7:::\n", "shadow-password-hash", "high"},
		{"WireGuard", "etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = " + b64([]byte("0123aaqq89abcdefghij4567stuvZZxz")) + "\n", "wireguard-private-key", "high"},
		{"Maven", "root/.m2/settings.xml", "<server><password>9dkWmz2Lp7</password></server>", "maven-settings-password", "high"},
		{"basic header", "a.sh", "-H 'Authorization: Basic " + b64([]byte("ci:pL4zRt9w")) + "'", "basic-auth-header", "high"},
		{"JWT", "a.txt", b64url(`{"alg":"HS256","typ":"JWT"}`) + "." + b64url(`{"sub":"u-88213","role":"admin"}`) + ".zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq1", "jwt", "medium"},
		{"old Vault token", "a.sh", join("VAULT_TOKEN=s.", "wuzYRgNXgT55E1ZfuiIWomVt"), "vault-legacy-token", "high"},
		{"in documents: perhaps", "docs/setup.md", join("AKIA", "QYLPMN5HFIQR7BBB"), "aws-access-key-id", "low"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := e.look(c.path, c.text)
			if len(found) != 1 || found[0].ID != c.id || found[0].Confidence != c.confidence || found[0].Kind != sekisho.Secret {
				t.Fatalf("got %+v\nwant one %s, %s", found, c.id, c.confidence)
			}
		})
	}
}

func b64url(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestNotFound(t *testing.T) {
	e := engine(t)
	for _, c := range []struct{ path, text string }{
		{"a.env", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE"},
		{"a.env", "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
		{"a.env", "PASSWORD=changeme\nDB_PASSWORD=${DB_PASSWORD}\nAPI_KEY=<your-api-key>\nTOKEN={{ .Values.token }}\nSECRET=xxxxxxxxxxxxxxxx"},
		{"a.yml", "url: postgres://user:password@localhost/db\nother: postgres://postgres:postgres@db/x\nredis://:${PW}@r/0"},
		{"a.go", `password := os.Getenv("DB_PASSWORD"); token := lexer.nextToken2()` + "\n" + `if key == "Content-Type1" {}`},
		{"java.security", "jdk.tls.keyLimits=AES/GCM/NoPadding\nsecurity.api=com.sun.crypto.provider.HmacSHA256Factory"},
		{"a.py", "api_key = settings.services.primary_key_v2\naccess_token_path=/var/run/secrets/kubernetes.io/x509v3"},
		{"a.js", `const authors = "abc123def456"; keyboard = {key: "ArrowLeft1"}; monkey = "a1b2c3d4e5f6g7h8"`},
		{"package-lock.json", `"integrity": "sha512-bB8x7Tz9kQ2wL0pR5vN3mJ6hG1fD4sA=="`},
		{"a.json", `"public_key": "8f7Kd02mQpL4xZtR9vB3nW6y", "cacheKey": "8f7Kd02mQpL4xZtR9vB3nW6y"`},
		{"a.yaml", "secretKeyRef:\n  name: app-secret-2\n  key: db-password-1"},
		{"a.pem", "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----"},
		{"a.md", "-----BEGIN PRIVATE KEY-----\n...your key here...\n-----END PRIVATE KEY-----"},
		{"usr/lib/python3/dist-packages/x/keys.py", key(t)},
		{"app/node_modules/x/test/key.pem", key(t)},
		{"a.txt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"},
	} {
		if found := e.look(c.path, c.text); len(found) != 0 {
			t.Errorf("%s: %q\n got %+v", c.path, c.text[:min(len(c.text), 80)], found)
		}
	}
}

// TestMasked wants no value in anything that leaves.
func TestMasked(t *testing.T) {
	e := engine(t)
	for _, v := range []string{join("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"), "9dkWmz2Lp7xQ4", key(t)} {
		for _, text := range []string{"password=" + v, "a='" + v + "'; api_token: " + v + "\n", "https://u:" + v + "@h.internal/", v} {
			for _, x := range e.look("app.env", text) {
				for i := 0; i+8 <= len(v); i++ {
					if strings.Contains(x.Evidence+x.Title, v[i:i+8]) && !strings.Contains("-----BEGIN PRIVATE KEY-----", v[i:i+8]) {
						t.Fatalf("%q shows %q", x.Evidence, v[i:i+8])
					}
				}
			}
		}
	}
}

// TestLine wants the line of the value, and one identity for equal values.
func TestLine(t *testing.T) {
	e := engine(t)
	v := join("AKIA", "QYLPMN5HFIQR7BBB")
	found := e.look("a", "\n\n"+v+"\nx\n"+v+"\n"+join("AKIA", "QYLPMN5HFIQR7BBC"))
	if len(found) != 3 || found[0].Location.Line != 3 || found[1].Location.Line != 5 || found[0].Same != found[1].Same || found[0].Same == found[2].Same {
		t.Fatalf("got %+v", found)
	}
}

// TestHostileText wants an end, and a word about what was left out, for text
// that is made of nothing but beginnings.
func TestHostileText(t *testing.T) {
	e := engine(t)
	for _, word := range []string{"curl -", "://a:", "-----BEGIN PRIVATE KEY-----", "kind: secret\n", "password=", "aws_", "AccountKey=", "eyJ", "jdbc:"} {
		start := time.Now()
		e.look("a.env", strings.Repeat(word, (8<<20)/len(word)))
		t.Logf("%q over 8 MiB: %s", word, time.Since(start))
	}
}

func FuzzLook(f *testing.F) {
	e := engine(f)
	f.Add("a.env", "password = \"x1y2z3w4v5\"\nhttps://u:p4ssw@h/")
	f.Add("s.yaml", "kind: Secret\ndata:\n  a: YWJjZGVmZ2g=\n")
	f.Add("k", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEpAIBAAKCAQEA")
	f.Fuzz(func(t *testing.T, name, text string) {
		for _, x := range e.look(name, text) {
			if x.ID == "" || x.Location.Line < 0 || x.Location.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("got %+v", x)
			}
		}
	})
}
