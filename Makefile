# Every target sets up what it needs in .venv and does nothing twice. Another interpreter: make clean, then PYTHON=python3.13

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=
# Most tests wait for other processes, so there are more of them at a time than processors.
JOBS ?= 4
SLOW ?=

.PHONY: help print-python demo test check lint types imports docs settings settings-page redaction-report picture e2e bench format constraints clean

help: ## what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

print-python:
	@echo $(PYTHON)

demo: $(VENV)/.with-demo ## run the example shop, send it requests, show the records by trace
	@$(BIN)/python -m examples.demo $(ARGS)

test: $(VENV)/.with-test ## the tests (SLOW=1 for all of them, ARGS='-k name' for some)
	@$(BIN)/python -m pytest -n $(JOBS) -m "$(if $(SLOW),not e2e,not e2e and not slow)" $(ARGS)

check: lint types imports settings docs ## lint, format, types, import order, settings page, docs

lint: $(VENV)/.with-lint ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(VENV)/.with-lint ## mypy, strict
	@$(BIN)/mypy

imports: $(VENV)/.with-test ## the shape: imports point downward, no module-level state, sizes
	@$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_public_surface.py

settings: $(VENV)/.with-test ## docs/settings.md is what the models say
	@$(BIN)/python -m logspan.settings.reference | diff -u docs/settings.md - || \
		{ echo "docs/settings.md is not what the models say: make settings-page" >&2; exit 1; }

settings-page: $(VENV)/.with-test ## write docs/settings.md from the models
	@$(BIN)/python -m logspan.settings.reference > docs/settings.new && mv docs/settings.new docs/settings.md

docs: $(VENV)/.with-docs ## the site, into site/, with warnings as errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

redaction-report: $(VENV)/.with-test ## what redaction hides and damages, by kind (ARGS=--failures lists what failed)
	@$(BIN)/python -m tests.redaction.report $(ARGS)

picture: $(VENV)/.with-demo $(VENV)/.with-docs ## draw docs/assets/demo.svg from the demo's output
	@$(BIN)/python docs/picture.py

e2e: $(VENV)/.with-e2e ## build real backends (once) and run the tests against them
	@$(BIN)/python -m tests.e2e.backends.build all
	@$(BIN)/python -m pytest -m e2e tests/e2e $(ARGS)

bench: $(VENV)/.with-bench ## caller cost and CPU per delivered record, beside the stock SDK
	@$(BIN)/python -m benchmarks $(ARGS)

format: $(VENV)/.with-lint ## let ruff put the code in order
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

constraints: ## pin what is newest now into constraints.txt
	@rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip install --quiet --upgrade pip
	@$(VENV)/lock/bin/python -m pip install --quiet -e '.[structlog,loguru]' --group dev --group bench
	@{ sed -n '/^#/p' constraints.txt; $(VENV)/lock/bin/python -m pip freeze --exclude-editable | LC_ALL=C sort -f; } > constraints.new
	@mv constraints.new constraints.txt && rm -rf $(VENV)/lock

clean: ## take away all that was made here (not the backends' cache)
	@rm -rf $(VENV) site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .nox .coverage*

# The environment itself, with logspan in it (editable), and then the dependency groups that a target asks for.
$(VENV)/.base: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "setting up $(VENV) ($$($(PYTHON) --version))" >&2
	@$(PYTHON) -m venv $(VENV) || { echo "this Python cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.with-%: $(VENV)/.base
	@echo "installing what '$*' needs" >&2
	@$(PIP) install -c constraints.txt --group $*
	@touch $@
