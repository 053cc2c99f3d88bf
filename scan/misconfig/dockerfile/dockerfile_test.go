package dockerfile_test

import (
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/i18n"
	"sekisho/scan/analyze"
	"sekisho/scan/misconfig/dockerfile"
)

// good is the frame of a file that nothing speaks against; the case's lines
// come before USER.
const good = "FROM debian:12@sha256:aaaa\n%s\nHEALTHCHECK CMD /app -check\nUSER 10001\n"

func judge(t testing.TB, text string) ([]sekisho.Finding, []string) {
	t.Helper()
	f := &analyze.File{Path: "Dockerfile", Mode: 0o644, Size: int64(len(text)), Root: "directory", Data: []byte(text)}
	if dockerfile.New().Wants(f) != analyze.Whole {
		t.Fatal("a Dockerfile is not wanted")
	}
	var out analyze.Result
	if err := dockerfile.New().Analyze(f, &out); err != nil {
		t.Fatal(err)
	}
	return out.Findings, out.Problems
}

func TestChecks(t *testing.T) {
	for _, c := range []struct{ id, bad, fine string }{
		{"SKS-DKF-004", "ADD app.py /app/", "ADD app.tar.gz /app/"},
		{"SKS-DKF-005", "ADD https://example.org/x.tgz /opt/", "ADD --checksum=sha256:ab https://example.org/x.tgz /opt/"},
		{"SKS-DKF-006", "RUN curl -sL https://example.org/i.sh | bash", "RUN curl -sLo i.sh https://example.org/i.sh && sha256sum -c s && bash i.sh"},
		{"SKS-DKF-007", "RUN apt-get update", "RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*"},
		{"SKS-DKF-008", "RUN apt-get install -y curl && rm -rf /var/lib/apt/lists/*", "RUN apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*"},
		{"SKS-DKF-009", "RUN apt-get -y dist-upgrade", "RUN true"},
		{"SKS-DKF-010", "RUN apk add curl", "RUN apk add --no-cache curl"},
		{"SKS-DKF-011", "RUN curl -k https://example.org -o x", "RUN curl https://example.org -o x"},
		{"SKS-DKF-012", "RUN wget http://example.org/x", "RUN wget https://example.org/x"},
		{"SKS-DKF-013", "ENV API_TOKEN=a1b2c3d4e5f6", "ENV API_TOKEN_FILE=/run/secrets/token"},
		{"SKS-DKF-014", "COPY id_rsa /root/", "COPY id_rsa.pub /root/"},
		{"SKS-DKF-015", "RUN echo root:secret | chpasswd", "RUN true"},
		{"SKS-DKF-016", "RUN chmod -R 777 /app", "RUN chmod -R 755 /app"},
		{"SKS-DKF-017", "RUN chmod u+s /app", "RUN chmod u+x /app"},
		{"SKS-DKF-018", "RUN --security=insecure make", "RUN --mount=type=cache,target=/x make"},
		{"SKS-DKF-020", "COPY . /app/", "COPY src /app/"},
		{"SKS-DKF-021", "RUN pip install flask", "RUN pip install flask==2.0.1"},
		{"SKS-DKF-022", "WORKDIR /etc", "WORKDIR /app"},
		{"SKS-DKF-023", "WORKDIR app", "WORKDIR /app"},
		{"SKS-DKF-024", "COPY a b /app", "COPY a b /app/"},
		{"SKS-DKF-025", "RUN cat x | sort", "RUN set -o pipefail; cat x | sort"},
		{"SKS-IMG-017", "EXPOSE 22", "EXPOSE 8080"},
		{"SKS-IMG-018", "RUN sudo make", "RUN make"},
		{"SKS-IMG-019", "VOLUME /etc", "VOLUME /data"},
	} {
		for _, way := range []struct {
			line string
			want bool
		}{{c.bad, true}, {c.fine, false}} {
			list, _ := judge(t, strings.Replace(good, "%s", way.line, 1))
			i := slices.IndexFunc(list, func(x sekisho.Finding) bool { return x.ID == c.id })
			if (i >= 0) != way.want {
				t.Errorf("%s: %q: found %v, want %v", c.id, way.line, i >= 0, way.want)
			}
			if i >= 0 && list[i].Location.Line != 2 {
				t.Errorf("%s: line %d, want 2", c.id, list[i].Location.Line)
			}
		}
	}
	if list, _ := judge(t, strings.Replace(good, "%s", "RUN make", 1)); len(list) > 0 {
		t.Errorf("a good file has %+v", list)
	}
}

func TestWholeFile(t *testing.T) {
	for text, want := range map[string]string{
		"FROM debian\nUSER 1\nHEALTHCHECK CMD x\n":                                                               "SKS-DKF-001:1 SKS-DKF-002:1",
		"ARG V=12\nFROM debian:$V@sha256:a\nUSER 0\nHEALTHCHECK CMD x\n":                                         "SKS-IMG-001:3",
		"FROM a@sha256:a AS b\nUSER root\nFROM b\nUSER 1\nHEALTHCHECK CMD x\n":                                   "",
		"FROM scratch\nUSER 1\nHEALTHCHECK NONE\n":                                                               "SKS-IMG-002:3",
		"# syntax=evil/frontend:1\nFROM scratch\nUSER 1\nHEALTHCHECK CMD x\n":                                    "SKS-DKF-019:1",
		"FROM scratch\nUSER 1\nHEALTHCHECK CMD x\nRUN a \\\n  # note\n  && \\\n  chmod 777 x\n":                  "SKS-DKF-016:4",
		"FROM scratch\nUSER 1\nHEALTHCHECK CMD x\nRUN <<EOF\nchmod 777 x\nEOF\nWORKDIR /etc\n":                   "SKS-DKF-016:4 SKS-DKF-022:7",
		"# escape=`\nFROM scratch\nUSER 1\nHEALTHCHECK CMD x\nRUN a && `\n chmod 777 x\n":                        "SKS-DKF-016:5",
		"FROM scratch\nUSER 1\nHEALTHCHECK CMD x\n# sekisho:ignore=SKS-DKF-016 shared volume\nRUN chmod 777 x\n": "SKS-DKF-016:5 accepted",
	} {
		list, _ := judge(t, text)
		var got []string
		for _, x := range list {
			s := x.ID + ":" + string(rune('0'+x.Location.Line))
			if x.Suppressed != nil {
				s += " accepted"
			}
			got = append(got, s)
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%q: got %q, want %q", text, g, want)
		}
	}
	list, _ := judge(t, "FROM scratch\nRUN curl -H ghp_0123456789abcdefghijABCDEFGHIJ012345 https://u:hunter22@x | sh\n")
	for _, x := range list {
		if strings.Contains(x.Evidence, "456789") || strings.Contains(x.Evidence, "hunter") {
			t.Errorf("%s shows a secret: %s", x.ID, x.Evidence)
		}
	}
	if _, problems := judge(t, "FROM scratch\n# sekisho:ignore=SKS-DKF-016\nRUN chmod 777 x\n"); len(problems) != 1 || !strings.Contains(problems[0], "line 2") {
		t.Errorf("an ignore without a reason: %v", problems)
	}
}

func TestWords(t *testing.T) {
	for _, lang := range i18n.Languages() {
		p := i18n.New(lang)
		for _, id := range dockerfile.Checks() {
			for _, part := range []string{"title", "fix", "why"} {
				if !p.Has("check." + id + "." + part) {
					t.Errorf("%s: no %s of %s", lang, part, id)
				}
			}
		}
	}
}

func FuzzAnalyze(f *testing.F) {
	f.Add("FROM a AS b\nRUN <<E\nx\nE\nCOPY [\"a\", \"b\"]\n")
	f.Add("# escape=`\nFROM scratch\nADD --checksum=x http://y z\nEXPOSE 22\n")
	f.Fuzz(func(t *testing.T, text string) {
		var out analyze.Result
		_ = dockerfile.New().Analyze(&analyze.File{Path: "Dockerfile", Data: []byte(text)}, &out)
		for _, x := range out.Findings {
			if x.Location.Line < 1 {
				t.Errorf("%s without a line", x.ID)
			}
		}
	})
}
