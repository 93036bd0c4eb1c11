# Counterpart's commands. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

GO ?= go
TOOLS := .ci/tools/go.mod
TOOL := $(GO) tool -modfile=$(TOOLS)
PROGRAMS := bin/counterpart-hub bin/counterpart-agent

# What the tests drive beside Go: a C compiler for the race detector, the schema
# compiler, a browser, an outside broker, the database for large chains, what
# records an agent's writes, and what the page for shops uses.
PACKAGES := ca-certificates gcc libc6-dev protobuf-compiler chromium mosquitto postgresql strace curl

FUZZTIME ?= 30s
ROUNDS ?= 1000
SEEDS ?= 20000

# $(call flag,data,$(DATA)) is `-data VALUE`, or nothing while DATA is unset.
flag = $(if $(2),-$(1) '$(2)')

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## Install the Debian packages and Go modules that are missing.
	@if command -v dpkg >/dev/null; then \
	  missing=''; \
	  for p in $(PACKAGES); do \
	    case "$$(dpkg-query -W -f='$${Status}' "$$p" 2>/dev/null)" in \
	      *' ok installed') ;; \
	      *) missing="$$missing $$p" ;; \
	    esac; \
	  done; \
	  if [ -n "$$missing" ]; then \
	    echo "setup: installing$$missing"; \
	    as_root=''; [ "$$(id -u)" = 0 ] || as_root='sudo'; \
	    $$as_root apt-get -qq update </dev/null; \
	    $$as_root env DEBIAN_FRONTEND=noninteractive \
	      apt-get -qq -y --no-install-recommends install $$missing </dev/null >/dev/null; \
	  fi; \
	else \
	  echo 'setup: not Debian; install what is missing yourself: $(PACKAGES)'; \
	fi
	@$(GO) mod download
	@cd $(dir $(TOOLS)) && $(GO) mod download

.PHONY: build
build: $(PROGRAMS) ## Build both programs into bin/.

.PHONY: $(PROGRAMS)
bin/counterpart-hub:
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./cloud/cmd/counterpart-hub
bin/counterpart-agent:
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./agent/cmd/counterpart-agent

.PHONY: run
run: ## Start a small chain on this machine; needs only Go and make.
	@$(GO) run ./test/chain

.PHONY: test
test: setup lint ## Lint, then run the long pure tests, then every test with the race detector; what CI runs.
	@if [ -d ../shared/data ]; then echo "test: real data found in ../shared/data, the tests over it run"; \
	else echo "test: no real data in ../shared/data, the tests over it do nothing"; fi
	@$(GO) test -count=1 -timeout 20m ./protocol/ledger/... ./protocol/sim
	@CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 20m ./...

.PHONY: test-full
test-full: setup ## Run the tests at full length: more seeds, more rounds, hours.
	@COUNTERPART_FULL=1 $(GO) test -count=1 -timeout 12h ./...

.PHONY: replay
replay: ## Replay recorded trade through real processes (DATA STORES SEED KILLS CUTS); ORDERS=1 adds online orders (DOCUMENTS) and compares rules for promises (SEEDS).
	@$(GO) run ./test/replay $(call flag,data,$(DATA)) $(call flag,stores,$(STORES)) $(call flag,seed,$(SEED)) $(call flag,kills,$(KILLS)) $(call flag,cuts,$(CUTS)) \
	  $(if $(ORDERS),-orders $(call flag,documents,$(DOCUMENTS)) $(if $(filter-out file,$(origin SEEDS)),-seeds '$(SEEDS)'))

.PHONY: kill
kill: ## Kill a selling agent ROUNDS times and verify each restart.
	@$(GO) run ./test/kill -rounds '$(ROUNDS)'

.PHONY: crash
crash: ## Record an agent's writes, check STATES states that a power cut could leave (SEED).
	@$(GO) run ./test/crash $(call flag,states,$(STATES)) $(call flag,seed,$(SEED))

.PHONY: sim
sim: ## Simulate SEEDS seeds from FIRST on all cores; MUTANTS=1 proves that faults are found.
	@$(GO) build -o bin/sim ./test/sim
	@./bin/sim -seeds '$(SEEDS)' $(call flag,from,$(FIRST)) $(if $(MUTANTS),-mutants)

.PHONY: bench
bench: ## Measure this machine's floors and the programs on it (WORKLOADS=w1,w2,…).
	@$(GO) run ./test/bench -out dist/bench $(call flag,workloads,$(WORKLOADS))

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME.
	@{ grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . || true; } | sort \
	| while IFS=: read -r file name; do \
	  echo "fuzz: $${name#func } in $${file%/*}"; \
	  $(GO) test -run='^$$' -fuzz="^$${name#func }$$" -fuzztime='$(FUZZTIME)' "$${file%/*}" </dev/null; \
	done

.PHONY: generate
generate: ## Regenerate the wire format's code from its .proto sources.
	@plugin="$$($(TOOL) -n protoc-gen-go)"; \
	protoc --plugin=protoc-gen-go="$$plugin" --proto_path=. \
	  --go_out=. --go_opt=module=counterpart protocol/wire/*.proto

.PHONY: fmt
fmt: ## Format all Go files in place.
	@$(TOOL) gofumpt -w .

.PHONY: vet
vet: ## Vet for each operating system that the agent runs on.
	@for os in linux windows darwin; do CGO_ENABLED=0 GOOS=$$os $(GO) vet ./...; done

.PHONY: lint
lint: ## Check formatting, go vet and staticcheck.
	@unformatted="$$($(TOOL) gofumpt -l .)"; \
	if [ -n "$$unformatted" ]; then \
	  echo 'lint: not formatted (make fmt):' >&2; echo "$$unformatted" >&2; exit 1; \
	fi
	@$(GO) vet ./...
	@$(TOOL) staticcheck ./...

.PHONY: tidy
tidy: ## Check that go.mod and go.sum of both modules are tidy.
	@$(GO) mod tidy -diff
	@cd .ci/tools && $(GO) mod tidy -diff

.PHONY: check
check: lint vet tidy ## Check everything that needs no test run; for all systems.
	@$(GO) test -count=1 ./docs

.PHONY: clean
clean: ## Remove what was built.
	@rm -rf bin dist coverage*
