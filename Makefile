# What a developer runs. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL := go tool -modfile=hack/tools/go.mod
# Packages whose tests need a real API server; the others are the unit and engine tests.
ENVTEST_PACKAGES := $(shell grep -rlE 'envtest\.Environment' --include='*_test.go' api controllers 2>/dev/null | xargs -r -n1 dirname | sort -u | sed 's,^,./,')

##@ See it work
.PHONY: demo demo-down
demo: ## Bring up a kind cluster with Weir and PostgreSQL, and show a pool at work
	hack/demo.sh up
demo-down: ## Remove the cluster of `make demo`; what was built stays for the next time
	hack/demo.sh down

##@ Test
.PHONY: test test-unit test-envtest test-drivers test-e2e test-versions test-scale test-mutations verify lint bench bench-go bench-pool soak-pool soak-sessions
test: ## Run every check and test; needs Go, root (or Docker) and 12 GB of disk
	hack/test.sh verify lint unit envtest drivers e2e
verify: ## Check that generated files, formatting, go.mod and documents fit the sources
	hack/test.sh verify
lint: ## Run the linters and the import law
	hack/test.sh lint
test-unit: ## Run the unit tests, and the engine tests against a real PostgreSQL
	hack/test.sh unit
test-envtest: ## Run the tests against a real API server
	hack/test.sh envtest
test-drivers: ## Run pgx's own suite, node-postgres, postgres.js, psycopg, psql and pgbench through Weir
	hack/test.sh drivers
test-e2e: ## Run the tests on a real kind cluster; KEEP=1 leaves it running
	hack/test.sh e2e
test-versions: ## Nightly: run the engine's tests against PostgreSQL 14, 16, 17 and 18
	hack/versions.sh
test-scale: ## Measure the operator with 1,000 pools of 10 pretended pods on a real API server; SCALE='--pools 100' makes it smaller
	KUBEBUILDER_ASSETS=$$(hack/envtest.sh) go run ./hack/scale $(SCALE)
test-mutations: ## Nightly: break the pool and the budget one rule at a time; a test must notice each
	hack/mutations.sh
	go test -tags mutation -run Guard -timeout 60m ./controllers/budget
bench: ## Put the pooler beside PgBouncer and PostgreSQL; prints a table after half an hour
	hack/bench.sh
bench-go: ## Run the Go benchmarks of the data plane
	go test -run '^$$' -bench . -benchmem ./pooler/...
bench-pool: ## Put the pool beside puddle, database/sql and smartconnpool; prints a table after 4 minutes
	cd hack/bench-pool && go run .
SOAK ?= 30m
soak-pool: ## Wear the pool out against a PostgreSQL that is killed and restarted, for SOAK=30m
	hack/postgresql.sh
	go test -tags soak -race -count=1 -v -timeout 24h ./pooler/pool/soak -lasts $(SOAK)
soak-sessions: ## Let random clients loose through Weir for SOAK=30m: no reply may reach another client
	hack/postgresql.sh
	go test -race -count=1 -v -timeout 0 -run NoReply ./pooler/postgres/oracle -oracle.duration $(SOAK) -oracle.clients 32

##@ Build
.PHONY: build images generate manifests clean
build: ## Build the programs into bin/
	CGO_ENABLED=0 go build -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...
images: ## Build the container images as tarballs, without Docker or a registry
	hack/images.sh
generate: ## Write the generated Go code: deepcopy and apply configurations
	$(TOOL) controller-gen object:headerFile=hack/boilerplate.go.txt applyconfiguration:headerFile=hack/boilerplate.go.txt paths=./api/...
manifests: ## Write the CustomResourceDefinition, of which the helm chart has a copy
	$(TOOL) controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd
	cp config/crd/weir.dev_connectionpools.yaml config/chart/crd/
clean: ## Remove bin/ and dist/; the caches stay (PURGE=1 hack/cluster/down.sh removes them)
	rm -rf bin dist

.PHONY: help envtest-packages
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
envtest-packages:
	@echo $(ENVTEST_PACKAGES)
