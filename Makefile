# make          builds ./sekisho, static, without cgo
# make demo     makes a real Debian image with applications in it and scans it
# make test     runs all tests, those with real engines too (as root)
# make cosign   builds cosign, which tests of signatures use (minutes, once)
# make docker   fetches a newer Docker engine, over which tests run too (60 MB, once)
# make kubernetes tries the gate on a real kube-apiserver, which it builds once
# make node     tries the gates and the enforcer on a real node (kubelet, containerd 2), which it builds once
# make attacks   holds the enforcer against real attacks and ordinary life, in containers (as root)
# make containerd tries the gates of a node in containerd 2, which it builds
# make kernels  boots kernels of Debian in virtual machines and tries the
#               enforcer there; FILTER is a part of the matrix, as 6.1/amd64/v2
# make bench    measures sekisho beside its peers
# make accuracy compares with debsecan, dnf, govulncheck and osv-scanner
# make fuzz     fuzzes every parser for FUZZTIME each
# make cross    builds for all platforms into dist/

GO       ?= go
GOFLAGS  ?= -trimpath
LDFLAGS  ?= -s -w
FUZZTIME ?= 10s
export CGO_ENABLED = 0

.PHONY: build demo test docker cosign kubernetes kubernetes-bench node node-built attacks containerd kernels bench accuracy fuzz cross clean

build:
	$(GO) build $(GOFLAGS) -ldflags '$(LDFLAGS)' -o sekisho ./cmd/sekisho

demo: build
	bench/demo.sh

test:
	$(GO) vet ./...
	$(GO) test -timeout 20m ./...

docker:
	e2e/docker/fetch.sh

cosign:
	SEKISHO_BUILD_COSIGN=1 $(GO) test -count 1 -timeout 30m -run Cosign ./admit/signature

kubernetes:
	cd e2e/kubernetes && $(GO) vet ./... && $(GO) test -timeout 25m -count 1 .

node:
	cd e2e/kubernetes && $(GO) vet -tags node . && $(GO) test -tags node -timeout 25m -count 1 -run '^TestNode' .

kubernetes-bench:
	cd e2e/kubernetes && $(GO) test -run '^$$' -bench Create -benchtime 1000x . && $(GO) test -tags node -run '^$$' -bench NodeStart -benchtime 20x .

node-built: # does its binary lie in the cache?
	@cd e2e/kubernetes && SEKISHO_NODE_BUILT=1 $(GO) test -tags node -count 1 -run '^$$' . >/dev/null

attacks: # apart from the other tests, whose enforcers stop what these let happen
	$(GO) vet -tags attacks ./e2e/attacks
	$(GO) test -tags attacks -timeout 15m -count 1 ./e2e/attacks

containerd:
	cd e2e/containerd && $(GO) vet ./... && $(GO) test -timeout 25m -count 1 .

kernels:
	cd e2e/kernels && $(GO) vet ./... && $(GO) test -timeout 3h -count 1 -v -run 'TestKernels/$(FILTER)' .

bench: build
	$(GO) test -run '^$$' -bench . -benchmem ./...
	$(GO) run ./bench
	$(GO) run ./bench/admit
	$(GO) run ./bench/enforce
	cd bench/opa && $(GO) test -bench . -benchmem .

accuracy: build
	$(GO) run ./bench/accuracy

fuzz:
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	  echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p || exit 1; done; done

cross:
	@mkdir -p dist
	@for t in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do \
	  GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build $(GOFLAGS) -ldflags '$(LDFLAGS)' -o dist/sekisho-$${t%/*}-$${t#*/} ./cmd/sekisho || exit 1; echo dist/sekisho-$${t%/*}-$${t#*/}; done

clean:
	rm -rf sekisho dist
