# The two commands: `make run` and `make test`. `make check` is what must hold before a commit.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := server/static/demo/index.html
ARGS ?=

.PHONY: run test check audit fuzz soak bench lock format wheel screenshot reference matrix clean

run: $(VENV)/.run $(DEMO)
	$(BIN)/collab serve $(ARGS)

test: $(VENV)/.dev $(DEMO)
	npm --prefix web-demo test
	$(BIN)/python -m tests $(ARGS)

check: $(VENV)/.dev web-demo/node_modules/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm --prefix web-demo run check

# Known weaknesses of what is locked, where the registries tell.
audit: $(VENV)/.dev
	$(BIN)/python -m scripts.audit

# An hour of fuzzing, which keeps in the corpus what reaches something new; `ARGS='--seconds 600 y-websocket'`.
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz $(ARGS)

# The long forms of kill rounds and random histories; an hour and more.
soak: $(VENV)/.dev $(DEMO)
	COLLAB_SOAK=1 $(BIN)/python -m pytest --timeout=7200 $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks $(ARGS)

# Pins everything that pyproject.toml bounds, hashes included.
lock: $(VENV)/.dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --extra uvloop --extra redis pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --extra uvloop --extra redis --group dev pyproject.toml \
	  --output-file requirements-dev.lock

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What an earlier build has left would be packed in as well.
wheel: $(VENV)/.dev $(DEMO)
	rm -rf build
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

screenshot: $(VENV)/.dev $(DEMO)
	$(BIN)/python scripts/screenshot.py

reference: $(VENV)/.dev
	$(BIN)/python scripts/reference.py

# What docs/reference/clients.md claims: the outcome of the tests that are there for it.
matrix: $(VENV)/.dev
	COLLAB_MATRIX=1 $(BIN)/python -m pytest -m matrix $(ARGS)
	$(BIN)/python scripts/reference.py

clean:
	rm -rf $(VENV) build dist *.egg-info server/static/demo web-demo/node_modules

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps -e .
	touch $@ $(VENV)/.run

web-demo/node_modules/.installed: web-demo/package-lock.json
	npm --prefix web-demo ci --no-audit --no-fund
	touch $@

$(DEMO): web-demo/node_modules/.installed $(shell find web-demo/src web-demo/provider web-demo/public web-demo/index.html web-demo/vite.config.ts -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
	npm --prefix web-demo run build
	touch $@
