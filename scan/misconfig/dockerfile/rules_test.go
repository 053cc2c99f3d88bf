package dockerfile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/analyze"
	"sekisho/scan/misconfig/dockerfile"
)

// TestWays goes through further ways to fail a check, and near misses.
func TestWays(t *testing.T) {
	for id, c := range map[string]struct{ bad, fine []string }{
		"SKS-DKF-004": {[]string{"ADD [\"a b\", \"/x/\"]"}, []string{"ADD rootfs.tar.xz /", "ADD $FILES /x/", "ADD <<EOF /x\nhi\nEOF"}},
		"SKS-DKF-005": {[]string{"ADD https://github.com/a/b.git#main /src", "ADD git@github.com:a/b.git /src"},
			[]string{"ADD https://github.com/a/b.git#0123456789012345678901234567890123456789 /src", "COPY https /x"}},
		"SKS-DKF-006": {[]string{"RUN wget -qO- https://x/y | tar xz | sh", "RUN bash -c \"$(curl -fsSL https://x)\"", "RUN bash <(curl -s https://x)", "RUN curl https://x | sudo -E bash -", "RUN <<EOF\ncurl https://x |\\\n  sh -s -- -y\nEOF", "RUN bash -o pipefail -c 'curl https://x | python3 -'", "RUN [\"sh\", \"-c\", \"curl https://x | sh\"]", "RUN (curl https://x) | sh"},
			[]string{"RUN curl https://x | python3 -m json.tool", "RUN curl https://x | tar xz && sh install.sh", "RUN curl https://x | perl -ne print", "RUN echo 'curl https://x | sh' > how.txt", "RUN curl https://x | bash -c 'cat > f'", "RUN curl https://x || sh fallback.sh", "RUN # curl x | sh\\\n true"}},
		"SKS-DKF-007": {[]string{"RUN apt-get -qq update && true", "RUN apk update", "RUN yum makecache", "RUN set -e; apt update"},
			[]string{"RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends x && rm -rf /var/lib/apt/lists/*", "RUN --mount=type=cache,target=/var/lib/apt apt-get update", "RUN echo apt-get update", "RUN npm update", "RUN dnf update -y curl-minimal && dnf clean all"}},
		"SKS-DKF-008": {[]string{"RUN apt-get install --no-install-recommends curl && rm -rf /var/lib/apt/lists/*"},
			[]string{"RUN apt-get -qqy install --no-install-recommends curl", "RUN echo 'APT::Install-Recommends \"0\";' > /etc/apt/apt.conf.d/x && apt-get install -y curl", "RUN dnf install curl"}},
		"SKS-DKF-010": {[]string{"RUN apt-get install -y x && rm -rf /var/cache/apt", "RUN yum -y install x", "RUN dnf install -y x && dnf makecache", "RUN zypper -n in x", "RUN apk add -t .build x"},
			[]string{"RUN apt-get install -y x && rm -rf /var/lib/apt/lists/*", "RUN apk --no-cache add x", "RUN dnf -y install x && dnf -y clean all", "RUN --mount=type=cache,target=/var/cache/dnf dnf install -y x", "RUN zypper in x && zypper clean -a"}},
		"SKS-DKF-011": {[]string{"RUN curl -fsSLk https://x", "ENV NODE_TLS_REJECT_UNAUTHORIZED=0", "RUN GIT_SSL_NO_VERIFY=1 git clone https://x", "RUN npm config set strict-ssl false", "RUN pip3 install --trusted-host x y==1", "RUN git -c http.sslVerify=false clone https://x", "RUN echo 'deb [trusted=yes] https://x ./' > /etc/apt/sources.list.d/x.list", "RUN yum install -y --nogpgcheck x && yum clean all"},
			[]string{"RUN curl -fsSLo k https://x", "RUN curl -o -k https://x", "RUN grep -k --insecure x", "ENV NODE_TLS_REJECT_UNAUTHORIZED=1", "RUN sort -k 2 x"}},
		"SKS-DKF-012": {[]string{"RUN curl -O http://example.org/x", "RUN git clone http://example.org/x", "ADD http://example.org/x /x", "ENV URL=http://example.org\nRUN wget $URL/x"},
			[]string{"RUN curl http://localhost:8080/health", "RUN curl -x http://proxy:3128 https://x", "RUN curl -O http://x/y && echo 'abc y' | sha256sum -c", "ADD --checksum=sha256:ab http://example.org/x /x", "RUN echo http://example.org"}},
		"SKS-DKF-013": {[]string{"ARG NPM_TOKEN", "ENV DB_PASSWORD \"hunter2hunter9\"", "RUN export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYzzKEYq", "RUN git clone https://bob:hunter22x@example.org/x", "RUN echo //registry/:_authToken=npm_0123456789abcdefghijABCDEFGHIJ012345 > .npmrc"},
			[]string{"ARG VERSION", "ENV TOKEN_URL=https://example.org/token", "RUN TOKEN=$(cat /run/secrets/token) make", "ENV PASSWORD=changeme", "RUN --mount=type=secret,id=token make"}},
		"SKS-DKF-014": {[]string{"COPY conf/.env /app/", "ADD [\"server.key\", \"/etc/ssl/\"]", "COPY .aws /root/.aws"},
			[]string{"COPY .env.example /app/.env", "COPY ca-bundle.pem /etc/ssl/", "COPY --from=build /root/.ssh/id_rsa /x", "COPY keys.go /x"}},
		"SKS-DKF-015": {[]string{"RUN useradd -m -p abc bob", "RUN passwd -d root", "RUN echo 'root:x' | chpasswd -e"}, []string{"RUN useradd -m bob", "RUN apt-get install -y passwd", "RUN mkdir -p /x"}},
		"SKS-DKF-016": {[]string{"RUN chmod a+rwx /x", "RUN find / -name x && chmod -R ugo+w /x", "COPY --chmod=0777 a /x", "RUN install -m 666 a b", "RUN chmod o=rw x"},
			[]string{"RUN chmod 1777 /tmp", "RUN chmod g+w /x", "RUN chmod a+rx /x", "COPY --chmod=755 a /x", "RUN chmod u+w,o-w x"}},
		"SKS-DKF-017": {[]string{"RUN chmod 4755 /x", "RUN chmod +s /x", "RUN setcap cap_net_raw+ep /x", "COPY --chmod=6755 a /x"}, []string{"RUN chmod 0755 /x", "RUN chmod u-s /x", "RUN setcap cap_net_bind_service+ep /x", "RUN chmod 1755 /x"}},
		"SKS-DKF-018": {[]string{"RUN --network=host make"}, []string{"RUN --network=none make"}},
		"SKS-DKF-020": {[]string{"ADD . /app", "COPY --chown=1:1 ./ /app"}, []string{"COPY --from=x . /app", "COPY ./src /app"}},
		"SKS-DKF-021": {[]string{"RUN pip install --upgrade pip", "RUN python3 -m pip install 'flask>=2'", "RUN npm install -g typescript", "RUN yarn global add serve@latest", "RUN gem install rails", "RUN go install x.org/y@latest", "COPY package*.json ./\nRUN npm install --omit=dev"},
			[]string{"RUN pip install -r requirements.txt", "RUN pip install .", "RUN pip install flask==2.0 && pip install x[y]==1", "RUN npm ci", "RUN npm install -g typescript@5.1.2 @a/b@^1", "RUN gem install rails -v 7.0", "RUN gem install rails:7.0", "RUN go install x.org/y@v1.2.3", "RUN npm install", "RUN pip install -c c.txt flask", "RUN pip install $PACKAGES"}},
		"SKS-DKF-022": {[]string{"WORKDIR /", "WORKDIR /proc/self", "ENV D=/usr\nWORKDIR ${D}/"}, []string{"WORKDIR /usr/src/app", "WORKDIR $HOME", "WORKDIR /device"}},
		"SKS-DKF-023": {[]string{"CMD a\nCMD b", "ENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]", "MAINTAINER me", "EXPOSE 70000", "RUN cd /x && make", "RUN apk add --no-cache curl && apk add --no-cache wget"}, []string{"CMD a\nENTRYPOINT b", "EXPOSE 8000-9000/tcp", "RUN (cd /x && make)", "WORKDIR \"/app\""}},
		"SKS-DKF-024": {[]string{"COPY --from=0 a /b/", "COPY [\"a\", \"b\", \"/c\"]"}, []string{"COPY --from=base a /b", "COPY a b ./", "COPY a b $TARGET"}},
		"SKS-DKF-025": {[]string{"RUN ls | grep x", "RUN <<EOF\nls | grep x\nEOF"}, []string{"RUN set -euxo pipefail; ls | grep x", "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN ls | grep x", "RUN a || b", "RUN echo 'a | b'", "RUN [\"ls\", \"|\", \"x\"]", "RUN make 2>&1", "RUN echo x >| y"}},
		"SKS-IMG-017": {[]string{"EXPOSE 20-25", "ARG P=22\nEXPOSE $P/tcp"}, []string{"EXPOSE 2222", "EXPOSE $PORT"}},
		"SKS-IMG-018": {[]string{"RUN make && sudo -u root make install"}, []string{"RUN apt-get install -y sudo", "RUN echo sudo rm"}},
		"SKS-IMG-019": {[]string{"VOLUME [\"/data\", \"/etc\"]", "VOLUME /data /var/run/docker.sock"}, []string{"VOLUME [\"/data\"]"}},
	} {
		for want, list := range map[bool][]string{true: c.bad, false: c.fine} {
			for _, lines := range list {
				found, problems := judge(t, strings.Replace(good, "%s", lines, 1))
				if got := slices.ContainsFunc(found, func(x sekisho.Finding) bool { return x.ID == id }); got != want || len(problems) > 0 {
					t.Errorf("%s: %q: found %v, want %v; problems %v", id, lines, got, want, problems)
				}
			}
		}
	}
}

// TestStages: what a stage hands on, and what it does not.
func TestStages(t *testing.T) {
	for text, want := range map[string]string{
		"FROM a@sha256:a AS base\nUSER 1\nHEALTHCHECK CMD x\nFROM base\n":                                                             "",
		"FROM a@sha256:a AS b\nEXPOSE 22\nVOLUME /etc\nCOPY . /x\nFROM scratch\nUSER 1\nHEALTHCHECK CMD x\n":                          "",
		"FROM a@sha256:a AS b\nCOPY . /x\nFROM b\nUSER 1\nHEALTHCHECK CMD x\n":                                                        "SKS-DKF-020:2",
		"FROM a@sha256:a AS b\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nFROM b\nUSER 1\nHEALTHCHECK CMD x\nRUN a | b\n":   "",
		"FROM a@sha256:a AS b\nFROM c@sha256:a AS B\nUSER 1\nHEALTHCHECK CMD x\n":                                                     "SKS-DKF-024:2",
		"ARG TAG=latest\nFROM --platform=$BUILDPLATFORM node:${TAG} AS x\nUSER 1\nHEALTHCHECK CMD x\n":                                "SKS-DKF-001:2 SKS-DKF-002:2",
		"ARG TAG\nFROM node:${TAG}\nUSER 1\nHEALTHCHECK CMD x\n":                                                                      "",
		"FROM localhost:5000/x\nUSER 1\nHEALTHCHECK CMD x\n":                                                                          "SKS-DKF-001:1 SKS-DKF-002:1",
		"FROM gcr.io/distroless/static:nonroot@sha256:a\nHEALTHCHECK CMD x\n":                                                         "",
		"FROM a@sha256:a\nHEALTHCHECK CMD x\nUSER $UID\n":                                                                             "",
		"FROM a@sha256:a\nHEALTHCHECK CMD x\nARG UID=0\nUSER ${UID}:0\n":                                                              "SKS-IMG-001:4",
		"FROM a@sha256:a\nHEALTHCHECK CMD x\n":                                                                                        "SKS-IMG-001:1",
		"FROM a@sha256:a\nUSER 1\nHEALTHCHECK CMD x\nONBUILD RUN chmod 777 /x\nONBUILD FROM b\n":                                      "SKS-DKF-016:4",
		"FROM a@sha256:a\nUSER 1\nHEALTHCHECK CMD x\n# sekisho:ignore=SKS-DKF-016,SKS-DKF-022 on purpose\nWORKDIR /etc\nWORKDIR /etc": "SKS-DKF-022:5 accepted SKS-DKF-022:6",
		"# syntax = docker/dockerfile:1.7@sha256:a\n# Escape=`\nFROM a@sha256:a\nUSER 1\nHEALTHCHECK CMD x\nCOPY a `\n b `\n /c\n":    "SKS-DKF-024:6",
		"FROM a@sha256:a\r\nUSER 1\r\nHEALTHCHECK CMD x\r\nRUN true \\ \r\n\r\n # no\r\n && chmod 777 /x\r\n":                         "SKS-DKF-016:4",
		"from a@sha256:a\nuser 1\nhealthcheck cmd x\ncopy <<-\"A\" <<B /x/\n\tFROM x\n\tA\nADD y z\nB\nadd y z\n":                     "SKS-DKF-004:9",
		"FROM a@sha256:a\nUSER 1\nHEALTHCHECK CMD x\nRUN python3 <<EOF\nimport os # chmod 777 x | y\nEOF\n":                           "",
		"FROM mcr.microsoft.com/windows@sha256:a\nUSER 1\nHEALTHCHECK CMD x\nSHELL [\"powershell\", \"-c\"]\nRUN a | Select x\n":      "",
	} {
		list, problems := judge(t, text)
		got := []string{}
		for _, x := range list {
			s := fmt.Sprintf("%s:%d", x.ID, x.Location.Line)
			if x.Suppressed != nil {
				s += " accepted"
			}
			got = append(got, s)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" || len(problems) > 0 {
			t.Errorf("%q: %s %v", text, diff, problems)
		}
	}
}

// TestOnce: one finding for a check and an instruction, with all the evidence.
func TestOnce(t *testing.T) {
	list, _ := judge(t, "FROM a@sha256:a\nUSER 1\nHEALTHCHECK CMD x\nRUN pip install a b && gem install c\n")
	if len(list) != 1 || list[0].Evidence != "pip a; pip b; gem c" {
		t.Errorf("got %+v", list)
	}
	list, _ = judge(t, "FROM a@sha256:a\nUSER 1\nHEALTHCHECK CMD x\nARG API_KEY\n")
	if len(list) != 1 || list[0].Severity != sekisho.Medium {
		t.Errorf("an ARG that waits for a secret: %+v", list)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]analyze.Want{
		"Dockerfile": analyze.Whole, "a/Containerfile": analyze.Whole, "a/Dockerfile.prod": analyze.Whole, "web.Dockerfile": analyze.Whole, "x.dockerfile": analyze.Whole,
		".dockerignore": analyze.Whole, "Dockerfile.md": analyze.Skip, "Dockerfiles": analyze.Skip, "Dockerfile_test.go": analyze.Skip, "node_modules/a/Dockerfile": analyze.Skip,
	} {
		if got := dockerfile.New().Wants(&analyze.File{Path: name, Root: "directory"}); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	if dockerfile.New().Wants(&analyze.File{Path: "Dockerfile", Root: "image"}) != analyze.Skip {
		t.Error("a Dockerfile of an image is wanted")
	}
}

func TestIgnoreFile(t *testing.T) {
	for text, want := range map[string]int{".git\n.env*\n": 1, "*\n!src\n": 1, "node_modules\n": 0, "**/.git\n.env\n!.env\n": 0} {
		var out analyze.Result
		if err := dockerfile.New().Analyze(&analyze.File{Path: "a/.dockerignore", Data: []byte(text)}, &out); err != nil || len(out.Facts) != want {
			t.Errorf("%q: %v %v", text, out.Facts, err)
		}
	}
}

// TestBounds: growing variables, deep nesting, floods of instructions.
func TestBounds(t *testing.T) {
	for name, text := range map[string]string{
		"doubling":  "FROM a\nENV A=xxxxxxxxxxxxxxxx\n" + strings.Repeat("ENV A=$A$A$A$A\n", 500),
		"nested":    "FROM a\nENV A=" + strings.Repeat("${B:-", 30_000) + strings.Repeat("}", 30_000) + "\n",
		"subshells": "FROM a\nRUN " + strings.Repeat("$(", 50_000) + "x" + strings.Repeat(")", 50_000) + "\n",
		"pipes":     "FROM a\nRUN " + strings.Repeat("a|", 50_000) + "\n",
		"stages":    strings.Repeat("FROM a AS a\n", 9_000),
		"ticks":     "FROM a\nRUN " + strings.Repeat("`", 100_000) + "\n",
		"installs":  "FROM a\nRUN " + strings.Repeat("apt install x;curl http://x;", 8_000) + "\n",
		"chmods":    "FROM a\nRUN " + strings.Repeat("sh -c 'chmod 777 x;apk add y';", 7_000) + "\n",
		"secrets":   "FROM a\n" + strings.Repeat("ENV A=bbbb\n", 9_000) + "RUN " + strings.Repeat("A_TOKEN=q7Zk2Rw9Xb4T ", 12_000) + "\n",
		"parens":    "FROM a\nRUN " + strings.Repeat("(", 100_000) + "\n",
		"evidence":  "FROM a\nRUN pip install " + strings.Repeat("abc ", 20_000) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			var out analyze.Result
			if err := dockerfile.New().Analyze(&analyze.File{Path: "Dockerfile", Data: []byte(text)}, &out); err != nil {
				t.Error(err)
			}
		})
	}
	for _, text := range []string{"FROM a\n" + strings.Repeat("RUN a\n", 20_000), "just text\n", "FROM a\nRUN " + strings.Repeat("x", 300<<10)} {
		if err := dockerfile.New().Analyze(&analyze.File{Path: "Dockerfile", Data: []byte(text)}, new(analyze.Result)); err == nil {
			t.Errorf("%.20q: no error", text)
		}
	}
}

func BenchmarkWants(b *testing.B) {
	a := dockerfile.New()
	files := []*analyze.File{{Path: "src/app/main/java/org/example/Application.java", Root: "directory"}, {Path: "usr/bin/env", Root: "image"}, {Path: "deploy/Dockerfile.prod", Root: "directory"}}
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range files {
			a.Wants(f)
		}
	}
}

func BenchmarkAnalyze(b *testing.B) {
	text := "FROM debian:12 AS build\nARG V=1\nENV A=$V\n" + strings.Repeat("RUN apt-get update && \\\n  apt-get install -y --no-install-recommends curl ca-certificates && \\\n  curl -fsSL https://example.org/x.tgz | tar xz && rm -rf /var/lib/apt/lists/*\nCOPY src /src/\n", 20)
	f := &analyze.File{Path: "Dockerfile", Data: []byte(text)}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := dockerfile.New().Analyze(f, new(analyze.Result)); err != nil {
			b.Fatal(err)
		}
	}
}
