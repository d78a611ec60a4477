# Everything runs from .venv and dev/azurite/node_modules, which the first target that needs them makes.
PYTHON ?= python3
BIN := .venv/bin
NODE_OLDEST := 18

# The Node.js of the environment comes first where one was put there.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

ON_BOTH_CORES := --numprocesses=2 --dist=worksteal --quiet
PIP := $(BIN)/python -m pip install --quiet --no-deps --require-hashes
LOCK := UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo run test kill check bench lock worker-check clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Provision one registration of each type on this machine, prove each, rotate a secret, and end
	@$(BIN)/python -m dev demo

run: setup ## Serve the whole local stack until Ctrl-C
	@$(BIN)/python -m dev up

test: setup ## Run the tests, with coverage of provisioning/; the fault schedules without, which doubles their speed
	@$(BIN)/python -m pytest $(ON_BOTH_CORES) --ignore=tests/faults --cov=provisioning --cov-branch --cov-report=term --cov-fail-under=95 $(PYTEST)
	@$(BIN)/python -m pytest $(ON_BOTH_CORES) tests/faults $(PYTEST)

kill: setup ## Kill the host at 200 points of the flow; KILL="a kill point" plays one again
	@$(BIN)/python -m pytest tests/e2e/test_kills.py --quiet \
	  $(if $(KILL),--kill="$(KILL)",--kills=200 --numprocesses=4 --dist=worksteal) $(PYTEST)

bench: setup ## Measure what users feel, as ratios, and write docs/performance.md; BENCH="--quick" for a look
	@$(BIN)/python -m bench $(BENCH)

check: setup ## Lint, check the format and the types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

worker-check: .local/worker/.installed ## Have the real Python worker's library index the app, with what is deployed only
	@.local/worker/bin/python dev/worker_check.py

lock: setup ## Pin what pyproject.toml asks for, and what Azurite brings
	@echo "Locking ..."
	@$(LOCK) pyproject.toml --python-version 3.11 -o requirements.txt
	@$(LOCK) pyproject.toml --group dev --python-version 3.11 -o requirements-dev.txt
	@$(LOCK) --group node --python-version 3.11 -o requirements-node.txt
	@$(LOCK) dev/worker/requirements.in --no-deps --python-version 3.13 -o dev/worker/requirements.txt
	@cd dev/azurite && npm install --package-lock-only --ignore-scripts --loglevel=error

clean: ## Remove all that was made
	@rm -rf .venv .local dev/azurite/node_modules .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: .venv/.installed dev/azurite/node_modules/.installed ## Install what the others need

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "This needs Python 3.11 or newer as $(PYTHON); another one: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.python requirements-dev.txt
	@echo "Installing the Python packages ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@

# A Node.js of the machine is used if it is new enough and npm is beside it.
.venv/.node: .venv/.installed requirements-node.txt
	@if node -e 'process.exit(parseInt(process.versions.node) < $(NODE_OLDEST) ? 1 : 0)' >/dev/null 2>&1 && npm --version >/dev/null 2>&1; \
	  then :; else echo "Installing Node.js ..."; $(PIP) -r requirements-node.txt; fi
	@touch $@

dev/azurite/node_modules/.installed: dev/azurite/package-lock.json dev/azurite/.npmrc .venv/.node
	@echo "Installing Azurite ..."
	@cd dev/azurite && npm ci --ignore-scripts --loglevel=error
	@touch $@

# The worker's library declares Python 3.13 and runs on 3.11 as well, which is enough for a check.
.local/worker/.installed: .venv/.python requirements.txt dev/worker/requirements.txt
	@echo "Making an environment of what is deployed ..."
	@rm -rf .local/worker && mkdir -p .local
	@.venv/bin/python -m venv .local/worker
	@.local/worker/bin/python -m pip install --quiet --require-hashes -r requirements.txt
	@.local/worker/bin/python -m pip install --quiet --require-hashes --no-deps --ignore-requires-python \
	  -r dev/worker/requirements.txt
	@touch $@
