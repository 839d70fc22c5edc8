# zeroskip: `make demo` is the main job, `make test` the tests; `make help` lists the rest.
# Needs python3 (3.11 or later), make and a C compiler; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
# Stamps: the package with what it runs on, and with the tools beside it.
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed

# An environment of their own for the public suites, which bring compilers of theirs.
PEERS := .venv-peers
PEERED := $(PEERS)/.peered

# And one with everybody whom zeroskip is timed against.
BENCH := .venv-bench
BENCHED := $(BENCH)/.benched

# What the caller may add: a data file for the demo, arguments for pytest.
DATA ?=
PYTEST_ARGS ?=
# Processes that tests are shared between: one a processor; 0 keeps them in one, for a debugger.
WORKERS ?= auto
SHARED := -n $(WORKERS) --dist worksteal
PEERS_ARGS ?=
FUZZ_ARGS ?=
BENCH_ARGS ?=
# What else pip is told of the benchmarks' environment, such as a torch without CUDA.
BENCH_WITH ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# BLAS picks its own kernel: a peer is timed at its best, whatever the shell has set.
unexport OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: $(INSTALLED) ## the pruned network, run and charged; DATA=path.npz takes another
	@$(BIN)/python examples/demo.py $(if $(DATA),--data "$(DATA)")

.PHONY: test
test: $(DEVELOPED) ## the tests; PYTEST_ARGS="-x tests/native" narrows them, WORKERS=0 keeps them in one process
	@$(BIN)/python -m pytest $(SHARED) $(PYTEST_ARGS)

.PHONY: check
check: lint types test doctest sanitize ## what CI runs: lint, types, test, doctest, sanitize
	@echo "check: all passed"

.PHONY: lint
lint: $(DEVELOPED) ## ruff: rules and layout
	@echo "lint"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }

.PHONY: types
types: $(DEVELOPED) ## mypy --strict over the package, the tools and the examples
	@echo "types"
	@$(BIN)/python tools/typecheck.py

.PHONY: doctest
doctest: $(DEVELOPED) ## the examples in docstrings and in the documentation
	@echo "doctest"
	@$(BIN)/python tools/doctests.py

.PHONY: sanitize
sanitize: $(DEVELOPED) ## runtime and generated C under the address and UB sanitizers
	@echo "sanitize"
	@$(BIN)/python -m pytest $(SHARED) -m sanitize $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: $(DEVELOPED) ## 20,000 random kernels before all judges (an hour); KERNELS= SECONDS= COUNT= SEED=
	@$(BIN)/python tools/fuzz.py $(if $(KERNELS),--kernels $(KERNELS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(COUNT),--count $(COUNT)) $(FUZZ_ARGS)

.PHONY: peers
peers: $(PEERED) ## public suites run through shims, counted and compared with docs/peers.md (needs PyPI)
	@$(PEERS)/bin/python tools/peers.py $(PEERS_ARGS)

.PHONY: goldens
goldens: $(DEVELOPED) ## write the golden C of tests/native/goldens anew, to be read before it is committed
	@$(BIN)/python tools/goldens.py

.PHONY: evidence
evidence: $(DEVELOPED) ## every figure that the project claims, printed and checked
	@$(BIN)/python tools/evidence

.PHONY: bars
bars: $(BENCHED) ## every bar: measured into build/bars.json, and what was reached (hours); ONLY=row
	@$(BENCH)/bin/python -m benchmarks $(addprefix --only ,$(ONLY)) $(BENCH_ARGS)

.PHONY: bench
bench: $(BENCHED) ## a subset of the bars, at most ten minutes, into build/bench.json
	@$(BENCH)/bin/python -m benchmarks --quick --runs 3 --budget 0.2 --minutes 9.5 \
	  --into build/bench.json $(addprefix --only ,$(ONLY)) $(BENCH_ARGS)

.PHONY: guard
guard: $(DEVELOPED) ## instructions of the main kernels against benchmarks/guard.json (needs valgrind); UPDATE=1
	@$(BIN)/python -m benchmarks.guard $(if $(UPDATE),--update)

.PHONY: performance
performance: $(BENCHED) ## docs/performance.md written from build/bars.json
	@$(BENCH)/bin/python -m benchmarks --page docs/performance.md

.PHONY: install-check
install-check: $(DEVELOPED) ## install in every way into fresh environments (needs PyPI)
	@$(BIN)/python tools/check_install.py

.PHONY: clean
clean: ## remove everything that git does not track and make can make again
	@rm -rf $(VENV) $(PEERS) $(BENCH) build dist
	@rm -rf .typecheck .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml | $(BIN)/python
	@echo "Installing zeroskip into $(VENV) (once; less than a minute) ..."
	@$(PIP) install --progress-bar off --editable . threadpoolctl
	@touch $@

$(PEERED): pyproject.toml | $(BIN)/python
	@echo "Installing zeroskip and the public suites into $(PEERS) (once; about two minutes) ..."
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip -qq --disable-pip-version-check --no-input \
	  install --progress-bar off --editable '.[dev,peers]'
	@touch $@

$(BENCHED): pyproject.toml | $(BIN)/python
	@echo "Installing zeroskip and its peers into $(BENCH) (once; some minutes) ..."
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip -qq --disable-pip-version-check --no-input \
	  install --progress-bar off --editable '.[bench]' $(BENCH_WITH)
	@touch $@

$(DEVELOPED): pyproject.toml | $(BIN)/python
	@echo "Installing zeroskip and its tools into $(VENV) (once; about a minute) ..."
	@$(PIP) install --progress-bar off --editable '.[dev]'
	@touch $(INSTALLED) $@

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { echo "make: no $(PYTHON) found; set PYTHON=path"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: zeroskip needs Python 3.11 or later, found $$($(PYTHON) -V); set PYTHON=path"; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV)
