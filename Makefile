# zeroskip: `make demo` is the main job, `make test` the tests; `make help` lists the rest.
# Needs python3 (3.11 or later), make and a C compiler; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
INSTALLED := $(VENV)/.installed

# What the caller may add: a data file for the demo, arguments for pytest.
DATA ?=
PYTEST_ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: $(INSTALLED) ## the pruned network, run and charged; DATA=path.npz takes another
	@$(BIN)/python examples/demo.py $(if $(DATA),--data "$(DATA)")

.PHONY: test
test: $(INSTALLED) ## the tests; PYTEST_ARGS="-x tests/native" narrows them
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: check
check: lint types test doctest sanitize ## what CI runs: all of the five below and the tests
	@echo "check: all passed"

.PHONY: lint
lint: $(INSTALLED) ## ruff: rules and layout
	@echo "lint"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }

.PHONY: types
types: $(INSTALLED) ## mypy --strict over the package, the tools and the examples
	@echo "types"
	@$(BIN)/python tools/typecheck.py

.PHONY: doctest
doctest: $(INSTALLED) ## the examples in docstrings and in the documentation
	@echo "doctest"
	@$(BIN)/python tools/doctests.py

.PHONY: sanitize
sanitize: $(INSTALLED) ## runtime and generated C under the address and UB sanitizers
	@echo "sanitize"
	@$(BIN)/python -m pytest -m sanitize $(PYTEST_ARGS)

.PHONY: evidence
evidence: $(INSTALLED) ## every figure that the project claims, printed and checked
	@$(BIN)/python tools/evidence.py

.PHONY: install-check
install-check: $(INSTALLED) ## install in four ways into fresh environments (needs PyPI)
	@$(BIN)/python tools/check_install.py

.PHONY: clean
clean: ## remove everything that git does not track and make can make again
	@rm -rf $(VENV) .typecheck .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@rm -rf *.egg-info src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "make: no $(PYTHON) found; set PYTHON=path"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: zeroskip needs Python 3.11 or later, found $$($(PYTHON) -V); set PYTHON=path"; \
	  exit 1; }
	@echo "Installing zeroskip and its tools into $(VENV) (once; about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --progress-bar off --editable '.[dev]'
	@touch $@
