# Everything runs from .venv and dev/azurite/node_modules, which the first target that needs them makes.
PYTHON ?= python3
BIN := .venv/bin
NODE_OLDEST := 18

# The Node.js of the environment comes first where one was put there.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What was installed is told by the locks' content: one that is written anew and says the same installs nothing again.
stamp = $(1)/.installed-$(shell cat $(2) | git hash-object --stdin)
PACKAGES := $(call stamp,.venv,requirements-dev.txt requirements-node.txt)
AZURITE := $(call stamp,dev/azurite/node_modules,dev/azurite/package-lock.json dev/azurite/.npmrc)
BROWSER := $(call stamp,.local/browser,requirements-browser.txt)
WORKER := $(call stamp,.local/worker,requirements.txt dev/worker/requirements.txt)
INFRA := $(call stamp,.local/infra,dev/infra/requirements.txt)
CHECKOV := $(call stamp,.local/checkov,requirements-checkov.txt)

# One process more than there are cores: some tests wait, for a process or a clock.
AT_ONCE := --numprocesses=3 --dist=worksteal --quiet
STEP := $(PYTHON) dev/progress.py
# What a lock file names is installed and nothing else: pip looks for no other release, and builds nothing.
PIP := -m pip install --no-deps --require-hashes --only-binary=:all: --progress-bar=off
# A package's extras are named in a lock as well: where pip resolves, as in Azure's remote build, some versions of it
# else take `pyjwt[crypto]` for a package beside the pinned `pyjwt`, find a newer release, and refuse it for its hash.
LOCK := UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras \
  --no-annotate --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo run test browser driver checkov test-browser coverage faults description kill fuzz nights rebuild \
  check bench lock lock-check package package-check infra-check infra-models worker worker-check clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Provision one registration of each type on this machine, prove each, rotate a secret, and end
	@$(BIN)/python -m dev demo

run: setup ## Serve the local stack until Ctrl-C; PORT=8080 EMULATOR_PORT=9443 take other ports, 0 a free one; AUTH=entra has callers sign in
	@$(BIN)/python -m dev up $(if $(PORT),--port $(PORT)) $(if $(EMULATOR_PORT),--emulator-port $(EMULATOR_PORT)) \
	  $(if $(AUTH),--auth $(AUTH))

test: setup ## Run the tests
	@$(BIN)/python -m pytest $(AT_ONCE) $(PYTEST)

test-browser: setup driver ## Run the tests of the page in a browser; IMAGES=yes makes docs/images/ anew
	@PYTHONPATH=$$(echo .local/browser/lib/python*/site-packages) $(BIN)/python -m pytest --quiet tests/browser \
	  $(if $(IMAGES),--images) $(PYTEST)

browser: driver ## Install what test-browser needs: Debian's Chromium with a font for its pictures, and a driver
	@sh dev/install_browser.sh

coverage: setup ## Run the tests that start no process of their own, and say what of provisioning/ they never reach
	@$(BIN)/python -m pytest $(AT_ONCE) --cov=provisioning --cov-branch --cov-report=term --cov-fail-under=95 \
	  tests/unit tests/contract $(PYTEST)

faults: setup ## Play every fault schedule, a sixth of which is part of `make test`
	@$(BIN)/python -m pytest $(AT_ONCE) --schedules=all tests/faults $(PYTEST)

description: setup ## Play the described API against itself, in every phase and by every check
	@$(BIN)/python -m pytest tests/e2e/description.py --quiet --capture=no $(PYTEST)

kill: setup ## Kill the host at 200 points of the flow; KILL="a kill point" plays one again
	@$(BIN)/python -m pytest tests/e2e/test_kills.py --quiet \
	  $(if $(KILL),--kill="$(KILL)",--kills=200 --numprocesses=4 --dist=worksteal) $(PYTEST)

fuzz: setup ## Play the described API against itself for longer; FUZZ=500 makes so many requests of each call and phase
	@$(BIN)/python -m pytest tests/e2e/description.py --quiet --capture=no --fuzz=$(or $(FUZZ),200) $(PYTEST)

nights: setup ## Play six nights of whoever is on call on the local stack: symptom, log line, remedy
	@$(BIN)/python -m pytest tests/e2e/nights.py --numprocesses=2 --quiet $(PYTEST)

rebuild: setup ## Delete the tables of 1,000 registrations and rebuild them, with time and requests; REBUILD=100 of so many
	@REBUILD=$(or $(REBUILD),1000) $(BIN)/python -m pytest tests/contract/test_rebuild.py --quiet --capture=no $(PYTEST)

bench: setup ## Measure what users feel, as ratios, and write docs/performance.md; BENCH="--quick" for a look
	@$(BIN)/python -m bench $(BENCH)

check: setup ## Lint, check the format and the types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

worker-check: setup worker ## Have the real Python worker's library call every function, with what is deployed only
	@$(BIN)/python -m dev worker-check

package: setup ## Build the zip that is deployed, and the bill of its materials, in .local/package
	@$(BIN)/python -m dev package

package-check: package ## Install what the package names in a clean environment of each Python, and do there as worker-check does
	@$(BIN)/python -m dev worker-check --every-python

infra-check: setup $(INFRA) $(CHECKOV) ## Look at the infrastructure as far as can be without a subscription
	@$(BIN)/python -m dev infra-check
	@.local/infra/bin/python -m dev.infra.models --check
	@.local/checkov/bin/checkov --config-file infra/checkov.yaml

infra-models: setup $(INFRA) ## Take what a resource may hold from Azure's libraries, after a property came into use
	@.local/infra/bin/python -m dev.infra.models

lock: setup ## Pin what pyproject.toml asks for, and what Azurite brings
	@echo "Locking ..."
	@$(LOCK) pyproject.toml --python-version 3.11 -o requirements.txt
	@$(LOCK) pyproject.toml --group dev --python-version 3.11 -o requirements-dev.txt
	@$(LOCK) --group browser --python-version 3.11 -o requirements-browser.txt
	@$(LOCK) --group checkov --python-version 3.11 -o requirements-checkov.txt
	@$(LOCK) --group node --python-version 3.11 -o requirements-node.txt
	@$(LOCK) dev/worker/requirements.in --no-deps --python-version 3.13 -o dev/worker/requirements.txt
	@$(LOCK) dev/infra/requirements.in --no-deps --python-version 3.11 -o dev/infra/requirements.txt
	@npm --prefix dev/azurite install --package-lock-only --ignore-scripts --loglevel=error

lock-check: setup ## Install the locks where newer releases are to be had, and compare them with pyproject.toml
	@$(BIN)/python -m dev.lock_check

clean: ## Remove all that was made
	@rm -rf .venv .local dev/azurite/node_modules .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(PACKAGES) $(AZURITE) ## Install what the others need

worker: $(WORKER)

driver: $(BROWSER)

checkov: $(CHECKOV)

# An environment of pip alone, in the place of an older one: what a lock no longer names is gone. It is cleared and not
# removed, because the interpreter that does it may be its own. Some versions of Python put setuptools in.
define new_environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
  { echo "This needs Python 3.11 or newer as $(PYTHON); another one: make PYTHON=/path/to/python" >&2; exit 1; }
@$(STEP) "Making $(1) with $$($(PYTHON) --version)" $(PYTHON) -m venv --clear $(1)
@$(1)/bin/python -m pip uninstall -qq --yes setuptools
endef

# A Node.js of the machine is used if it is new enough and npm is beside it.
$(PACKAGES):
	$(call new_environment,.venv)
	@$(STEP) "Installing the Python packages (1/3)" $(BIN)/python $(PIP) -r requirements-dev.txt
	@if node -e 'process.exit(parseInt(process.versions.node) < $(NODE_OLDEST) ? 1 : 0)' >/dev/null 2>&1 && npm --version >/dev/null 2>&1; \
	  then echo "Node.js $$(node --version) of this machine serves (2/3)"; \
	  else $(STEP) "Installing Node.js (2/3)" $(BIN)/python $(PIP) -r requirements-node.txt; fi
	@touch $@

# `npm ci` takes what the lock file names, by its hash, or nothing.
$(AZURITE): | $(PACKAGES)
	@$(STEP) "Installing Azurite (3/3)" npm --prefix dev/azurite ci --ignore-scripts --loglevel=error
	@touch $@

# They are read and never imported, so that what they need is not installed.
$(INFRA):
	$(call new_environment,.local/infra)
	@$(STEP) "Installing the models of Azure's resources" .local/infra/bin/python $(PIP) -r dev/infra/requirements.txt
	@touch $@

$(CHECKOV):
	$(call new_environment,.local/checkov)
	@$(STEP) "Installing checkov" .local/checkov/bin/python $(PIP) -r requirements-checkov.txt
	@touch $@

$(BROWSER):
	$(call new_environment,.local/browser)
	@$(STEP) "Installing the browser's driver" .local/browser/bin/python $(PIP) -r requirements-browser.txt
	@touch $@

# The worker's library declares Python 3.13 and runs on 3.11 as well, which is enough for a check.
$(WORKER):
	$(call new_environment,.local/worker)
	@$(STEP) "Installing what is deployed (1/2)" .local/worker/bin/python $(PIP) -r requirements.txt
	@$(STEP) "Installing the worker's library (2/2)" .local/worker/bin/python $(PIP) --ignore-requires-python \
	  -r dev/worker/requirements.txt
	@touch $@
