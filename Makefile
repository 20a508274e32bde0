# `make` alone lists the targets. Everything a machine needs besides Python 3.11, pip, make and bash
# is set up in .venv; `make setup-ci` alone needs root (Debian's packages for the real components).
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN := .venv/bin
SCRIPTS := $(shell git ls-files '*.sh' 2>/dev/null) .ci/run .ci/setup

# pip 23, which Python 3.11 brings, knows no dependency groups and writes slow console scripts.
.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check 'pip>=26'
	touch $@

# The package alone: what `make demo` needs.
.venv/package: .venv/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable . --group runtime
	touch $@

.venv/dev: .venv/package
	$(BIN)/pip install --quiet --disable-pip-version-check --group dev
	$(BIN)/python -m tests.support.kubectl
	touch $@

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: demo
demo: .venv/package ## the whole story on the embedded mock synchronizer
	@$(BIN)/probe demo

.PHONY: test
test: .venv/dev ## every test; those whose component is missing say so (in CI they fail)
	$(BIN)/python -m tests.run
	$(BIN)/coverage report
	$(BIN)/coverage report --include='probe/contract/*' --fail-under=100

.PHONY: check
check: .venv/dev ## lint, types, layers, shell style
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/shfmt -i 2 -ci -bn -d $(SCRIPTS)

.PHONY: fuzz
fuzz: .venv/dev ## shell probe against reference probe for some minutes (FUZZ_EXAMPLES=N)
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-3000} $(BIN)/pytest tests/contract/test_fuzz.py -p no:cacheprovider --timeout=3600

.PHONY: bench
bench: .venv/dev ## measure against the peers, side by side (needs curl, wget, busybox, lddtree)
	$(BIN)/python -m tests.bench

.PHONY: generate
generate: .venv/package ## write again what is generated from code
	$(BIN)/python -m tests.generate
	$(BIN)/python -m tests.generate_shell

.PHONY: setup-ci
setup-ci: ## install the real components from Debian's packages (root)
	.ci/setup

.PHONY: clean
clean: ## remove what make made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist
