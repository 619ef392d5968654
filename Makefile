# Everything a person or a CI machine does with this repository. What each target needs beyond Rust
# is fetched by scripts/setup into .tools.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

POSTGRES := $(CURDIR)/.tools/postgresql/18/bin
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# EXIT=1 ends the demo when its story is told instead of leaving the dashboard up.
EXIT ?=
# What of the benchmarks is measured, and whether only a few runs are.
ONLY ?=
QUICK ?=

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: setup
setup: ## fetch what the tests and the demo need: PostgreSQL, Docker and its images, npm packages, a browser
	@scripts/setup all

# The dev profile everywhere: one compilation serves build, demo, lint and test, and the demo is up minutes
# before an optimised binary would be. The time it shows is PostgreSQL's, not ours. The Dockerfile is
# where the release profile is used.
.PHONY: build
build: ## compile the service
	@cargo build --locked --package offshoot

.PHONY: demo
demo: ## show it all without GitHub: a simulated one, real pull requests, a dashboard (EXIT=1 to end by itself)
	@scripts/setup postgres 18
	@cargo build --locked --package offshoot
	@OFFSHOOT_POSTGRES_BIN="$${OFFSHOOT_POSTGRES_BIN:-$(POSTGRES)}" "$(TARGET_DIR)/debug/offshoot" demo $(if $(EXIT),--exit)

.PHONY: test
test: test-tools lint ## all checks, from a clean checkout: set-up, lint, every test, the Docker image
	@OFFSHOOT_POSTGRES_BIN="$(POSTGRES)" scripts/stage "tests" scripts/in-memory cargo test --locked --workspace --all-features
	@scripts/stage "Docker image" scripts/test-docker-image

.PHONY: hostile
hostile: ## attacks by pull request, on PostgreSQL 18 and 15, beside a neighbour that must not notice (docs/security.md)
	@scripts/setup postgres 18 15
	@OFFSHOOT_POSTGRES_BIN="$(POSTGRES)" cargo test --locked --package offshoot --all-features --test integration -- --ignored --nocapture --test-threads=1 hostile::

# OFFSHOOT_TEST_SEED repeats a run; as root a disk is filled as well.
MINUTES ?= 10
.PHONY: chaos
chaos: ## storms of pull requests under every fault, for MINUTES=10, and their score (docs/chaos.md)
	@scripts/setup postgres 18
	@scripts/setup clock
	@OFFSHOOT_POSTGRES_BIN="$(POSTGRES)" MINUTES="$(MINUTES)" cargo test --locked --package offshoot --test integration -- --ignored --nocapture chaos::

.PHONY: test-tools
test-tools:
	@scripts/stage "PostgreSQL" scripts/setup postgres 18 15
	@scripts/stage "npm packages" scripts/setup node-tools
	@scripts/stage "mkfs.xfs" scripts/setup storage
	@scripts/stage "libfaketime" scripts/setup clock
	@scripts/stage "Docker" scripts/setup docker
	@scripts/stage "images" scripts/setup images 18 15

# QUICK=1 leaves docs/ alone: a few runs prove only that measuring works.
.PHONY: bench
bench: ## measure the release binary beside its rivals and write docs/benchmarks.md (ONLY=ready,forks; QUICK=1 for a try)
	@scripts/setup postgres 18
	@scripts/setup node-tools
	@scripts/setup storage
	@cargo build --locked --release --package offshoot
	@cargo build --locked --release --package benchmarks
	@OFFSHOOT_POSTGRES_BIN="$(POSTGRES)" "$(TARGET_DIR)/release/benchmarks" $(if $(ONLY),--only $(ONLY)) \
		$(if $(QUICK),--quick --docs "$(TARGET_DIR)/bench") "$(TARGET_DIR)/release/offshoot"

.PHONY: lint
lint: ## formatting and clippy, where a warning is an error
	@scripts/stage "formatting" cargo fmt --all --check
	@scripts/stage "clippy" cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

# Not a part of test: installing cargo-deny takes minutes, and an advisory published today must not fail a
# change that has nothing to do with it.
.PHONY: deny
deny: ## licences, sources and known vulnerabilities of the dependencies (installs cargo-deny)
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@cargo deny check

# Coverage alone and no sanitizer: that runs on stable Rust, and there is no unsafe code of ours to catch. A crash
# is kept in fuzz/artifacts, with the command that repeats it.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## a minute of random webhooks, trees and configurations each (installs cargo-fuzz; FUZZ_SECONDS=60)
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	@for target in webhook chain config; do \
		mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
		scripts/stage "fuzz $$target" cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target \
			-- -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=8192; \
	done

# Root's .tools may be a link that scripts/setup made. Anyone else's link is theirs: only the link goes.
.PHONY: clean-tools
clean-tools: ## remove .tools; Debian packages, images and a started Docker engine stay
	@case "$$(readlink .tools)" in /var/cache/offshoot-tools/*) rm -rf "$$(readlink .tools)" ;; esac
	@rm -rf .tools integration/node/node_modules
