# make help lists what there is.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Without a tag it is still a version that krew and container registries accept.
VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-dev-$$(git describe --always --dirty 2>/dev/null || echo unknown))
IMAGE   ?= ghcr.io/kubectl-pipeline/hookd:$(VERSION)
# What is released is built one way only, so that builds share one cache.
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/kubectl-pipeline/kubectl-pipeline/pkg/version.Version=$(VERSION)"
LINT    := go tool -modfile=tools/lint/go.mod golangci-lint
DIST    ?= dist
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: deps
deps: ## Install the Debian packages that the cluster tests use (needs root)
	@hack/deps.sh

.PHONY: build
build: ## Build the programs into bin/
	@mkdir -p bin
	@$(BUILD) -o bin/ ./cmd/...

.PHONY: test
test: cluster ## Run every test: unit, race, API server, end to end on simulated and real nodes
	go test -race -timeout 20m ./...

.PHONY: cluster
cluster: ## Build the test cluster's parts once (minutes when the caches are empty)
	@go run ./test/cluster/cmd/cluster build

.PHONY: e2e
e2e: export KUBECTL_PIPELINE_LONG ?= 1
e2e: cluster build ## Run the end-to-end tests alone, verbosely, the long ones in full (20 minutes and more)
	go test -count=1 -v -p 1 -timeout 45m ./test/e2e/... ./test/once/... ./test/chaos/...

.PHONY: demo
demo: cluster build ## Watch a real git push become a finished execution
	@go run ./test/demo

.PHONY: bench
bench: cluster ## Measure: parts, and the whole on a cluster (several minutes; see docs/performance.md)
	go test -run '^$$' -bench . -benchmem -benchtime 300ms ./pkg/jenkins ./pkg/logs ./pkg/hook
	go test -run '^$$' -bench . -benchtime 1x -timeout 15m ./test/bench

.PHONY: generate
generate: ## Write every generated file anew
	@hack/generate.sh

.PHONY: verify
verify: ## Check that generated files are up to date, modules tidy and code formatted
	@hack/verify.sh

.PHONY: lint
lint: ## Run go vet and golangci-lint
	go vet ./...
	$(LINT) run ./...

.PHONY: image
image: ## Build hookd's image with docker
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: dist
dist: ## Build the plugin's release archives and the krew manifest into dist/
	@VERSION=$(VERSION) PLATFORMS="$(PLATFORMS)" hack/dist.sh "$(DIST)"
