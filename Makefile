# `make demo` and `make test` need nothing but Go on a Debian or Ubuntu machine
# with root; elsewhere scripts/setup says what is missing.

browser := playwright-core@1.64.1 axe-core@4.14.1
s3server := github.com/versity/versitygw/cmd/versitygw@v1.8.0
act := github.com/nektos/act@v0.2.89
# Later versions need a newer Node than Debian 12 has.
gitlabrunner := gitlab-ci-local@4.60.0
# Later versions need a newer Node than Debian 12 has.
vsce := @vscode/vsce@3.9.2
staticcheck := honnef.co/go/tools/cmd/staticcheck@v0.8.2
version = $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
flags = -trimpath -ldflags "-s -w -X main.version=$(version)"
platforms := linux darwin windows
architectures := amd64 arm64
fuzztime ?= 5s

# The tests of the whole program take twice as long with the race detector, so only
# those in which several things happen at once have it.
racing := ^TestDAP_|^TestWatch_|^TestRuns_|^TestStop_|^TestConformance_Host$$|^TestScripts_Running$$|^TestScripts_AWS$$|^TestScripts_S3$$|^TestScripts$$/^(cache|cache-local|output-two-at-once|stop-.*|exit-timeout|reports|artifacts|limits|docker-socket.*)$$

# Prints the results of tests and the reasons of skipped ones. Fails above the expected
# number of skips: conformance cases that need an image, on the engine host, and tests of
# data that is not in the repository.
testreport := go run ./internal/testreport

# In CI a test that finds no engine fails; elsewhere it is skipped.
ifdef CI
export BUILDLOCAL_REQUIRE_ENGINE := 1
endif

.PHONY: help setup engine images node-image build demo test unit lint fuzz bench release screenshot vscode

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/buildlocal
	CGO_ENABLED=0 go build $(flags) -o bin/buildlocal .

demo: setup ## from nothing to a build of examples/node
	@$(MAKE) --no-print-directory -j2 build node-image
	bin/buildlocal run -C examples/node -i buildlocal-test/node

test: ## lint and all tests, those with an engine and an editor too
	@scripts/setup tests
	@$(MAKE) --no-print-directory -j2 lint images bin/versitygw $(axe) $(dapclient)
	go test -json -race -timeout 60m -count=1 $$(go list ./... | grep -v /cmd$$) | $(testreport) -skips 6
	go test -json -race -timeout 60m -count=1 -run '$(racing)' ./cmd | $(testreport) -skips 11
	go test -json -timeout 60m -count=1 ./cmd | $(testreport) -skips 11

bin/versitygw: # an S3 server for the tests
	GOBIN=$(CURDIR)/bin go install $(s3server)

# What drives a browser in the tests, and a check of accessibility. axe-core is the younger of
# the two, so it says that both are there.
axe := bin/browser/node_modules/axe-core
$(axe):
	npm install --silent --no-audit --no-fund --prefix bin/browser $(browser)

# A client for debug adapters, with the versions of its lock file.
dapclient := bin/dapclient/node_modules
$(dapclient): testdata/dap/package-lock.json
	mkdir -p bin/dapclient
	cp testdata/dap/package.json testdata/dap/package-lock.json bin/dapclient
	npm ci --silent --no-audit --no-fund --prefix bin/dapclient
	touch $@

vscode: ## package the extension of VS Code, in dist/
	mkdir -p dist
	cd editors/vscode && npx --yes $(vsce) package --no-dependencies --out $(CURDIR)/dist/buildlocal.vsix

unit: ## the tests that need no engine
	BUILDLOCAL_REQUIRE_ENGINE= DOCKER_HOST=unix:///no-engine go test ./...

lint: ## gofmt, go vet, staticcheck, known vulnerabilities
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'd:" $$unformatted >&2; exit 1; }
	go vet ./...
	go run $(staticcheck) ./...
	@scripts/vulncheck

fuzz: ## each fuzz target for fuzztime, 5s
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(fuzztime) -fuzzminimizetime 1x $$package; \
		done; \
	done

bench: build images bin/act bin/gitlab-ci-local ## what a build costs
	CGO_ENABLED=0 go build $(flags) -o bin/baseline ./internal/bench/baseline
	PATH="$(CURDIR)/bin:$(CURDIR)/bin/gitlab-ci-local/node_modules/.bin:$$PATH" go run ./internal/bench $(benchflags)

# Other local runners, which the bench compares with. woodpecker-cli is measured if it is
# on the PATH: the module proxy does not have it.
bin/act:
	GOBIN=$(CURDIR)/bin go install $(act)

bin/gitlab-ci-local:
	scripts/setup bench
	npm install --silent --no-audit --no-fund --prefix $@ $(gitlabrunner)

release: ## static binaries for all platforms, in dist/
	@set -e; for os in $(platforms); do for arch in $(architectures); do \
		suffix=; if [ $$os = windows ]; then suffix=.exe; fi; \
		echo "dist/buildlocal-$$os-$$arch$$suffix"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build $(flags) -o dist/buildlocal-$$os-$$arch$$suffix .; \
	done; done

screenshot: build ## render docs/images with Chromium
	scripts/screenshot

setup: ## install what the tests and the demo need
	@scripts/setup

engine: setup ## start a Docker engine unless one answers
	@scripts/engine

images: engine ## build the test images
	@scripts/images

node-image: engine
	@scripts/images node
