# `make test` and `make demo` install what they need first: system packages that are missing, then .venv by hash.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Errors only: setuptools warns about every editable install.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALLED := $(VENV)/.installed
PYTEST_ARGS ?=
# Most tests wait for something real: three files at a time keep two cores busy. 0: one after the other.
# A worker that dies (a test beyond its time) ends the run: what it had left would be waited for without end.
PYTEST_WORKERS ?= 3
# The tests start our programs by the hundred; where bytecode is not kept, each compiles all of them anew.
unexport PYTHONDONTWRITEBYTECODE

# A Docker Engine of the demo's own needs root. Without sudo whoever needs it says so itself.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: help demo test test-compose lint format torture bench lock clean system install

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## the whole loop on this machine: a container falls sick and is healed
	@$(AS_ROOT) $(BIN)/hemostat demo

test: lint ## what CI runs beside test-compose: lint, types, architecture, tests
	@PYTHON="$(PYTHON)" deploy/install-system-packages test
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(PYTEST_ARGS)

test-compose: install ## docker-compose.yml brought up, and a container healed by it: three minutes, as root
	@PYTHON="$(PYTHON)" deploy/install-system-packages compose
	@$(AS_ROOT) env CI=true $(BIN)/pytest tests/compose/test_compose.py $(PYTEST_ARGS)

lint: install ## ruff, mypy, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: install ## rewrite the code in house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

torture: install ## crashes, races and lost answers by the thousand, each beside its control: about an hour, as root
	@$(AS_ROOT) $(BIN)/python -m tests.torture --long

bench: install ## the figures in the docs, measured again
	@$(BIN)/python -m bench

lock: install ## constraints.txt anew; run it with the oldest supported Python
	@head -n 2 constraints.txt > constraints.new
	@$(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-header --strip-extras --allow-unsafe \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	    --extra dev --extra embedded --extra openai --all-build-deps --output-file - pyproject.toml >> constraints.new
	@mv constraints.new constraints.txt

clean: ## remove what the targets above made
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

install: $(INSTALLED)

system:
	@PYTHON="$(PYTHON)" deploy/install-system-packages

$(INSTALLED): pyproject.toml constraints.txt | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "HemoStat needs Python 3.11 or newer; name one with make PYTHON=…")'
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement constraints.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
