# Everything a person types. `make` alone shows the list.
.DEFAULT_GOAL := help
.PHONY: help run test fmt lint types bench bench-peers-lock bench-api bench-query bench-runs test-cluster chaos fuzz docs \
	docs-reference lock clean install install-dev
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
# Compiled at once: where PYTHONDONTWRITEBYTECODE is set, each process would compile all of it anew.
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
DONE := $(VENV)/.done

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

PORT ?= 8080
run: install ## serve a demo on http://127.0.0.1:8080 (or PORT=…) until Ctrl-C
	@exec $(BIN)/tidewell demo --port $(PORT)

test: install-dev ## lint, types, import rules and all tests, as CI does
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

fmt: install-dev ## format the code and mend what can be mended by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lint: install-dev ## lint and import rules only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: install-dev ## strict types only
	$(BIN)/mypy

bench: install-dev .bench/dlt/installed .bench/ingestr/installed .bench/sling/installed ## measure loads against the limit, psql \copy of the same rows, and the peers
	$(BIN)/python -m benchmarks.load

# Each in an environment of its own, as its own documentation installs it.
.bench/%/installed: benchmarks/others/%.lock $(DONE)/uv
	$(UV) venv --quiet --clear --python $(BIN)/python .bench/$*
	$(UV) pip install --quiet --python .bench/$*/bin/python --require-hashes -r $<
	@touch $@

# From its first version on ingestr fetches its program from elsewhere when it runs.
bench-peers-lock: $(DONE)/uv ## resolve the newest versions of the peers that `make bench` measures
	echo 'dlt[postgres,sql-database] adbc-driver-postgresql connectorx psycopg[binary] pyarrow' | tr ' ' '\n' \
		| $(UV) pip compile $(LOCK) - -o benchmarks/others/dlt.lock
	echo 'ingestr<1' | $(UV) pip compile $(LOCK) - -o benchmarks/others/ingestr.lock
	echo sling-linux-amd64 | $(UV) pip compile $(LOCK) - -o benchmarks/others/sling.lock

bench-api: install-dev ## measure the API's calls with 10,000 jobs, and with 1,000 sub-accounts
	$(BIN)/python -m benchmarks.api

bench-query: install-dev ## measure TPC-H in queries beside bare PostgreSQL and bare DuckDB
	$(BIN)/python -m benchmarks.query

.PHONY: bench-ranges
bench-ranges: install-dev ## measure a first load by one process and by several, near and far
	$(BIN)/python -m benchmarks.ranges

.PHONY: bench-memory
bench-memory: install-dev ## measure what a node's processes take: each role, a run, a query
	$(BIN)/python -m benchmarks.memory

.PHONY: bench-scale
bench-scale: install-dev ## measure what 1,000 to 1,000,000 jobs in the state database cost
	$(BIN)/python -m benchmarks.scale --jobs 1000,10000,100000,1000000

.PHONY: soak
soak: install-dev ## run 1,000 jobs each minute for two hours (MINUTES=…) and tell what grows
	$(BIN)/python -m benchmarks.soak --minutes $${MINUTES:-120}

.PHONY: bench-sources
bench-sources: install-dev ## measure each driver beside the plain way to read the same rows
	$(BIN)/python -m benchmarks.sources

fuzz: install-dev ## make 20,000 calls that the OpenAPI document allows or forbids
	FUZZ_CASES=20000 FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest -s tests/conformance/job_api/test_fuzz.py

docs: install-dev docs-reference ## build the documents into artifacts/docs/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-reference: $(DONE)/project $(DONE)/dev ## write docs/reference/ from the code
	$(BIN)/python website/reference.py

bench-runs: install-dev ## measure runs: no-op rate, delay after the due time, stop, an idle node
	$(BIN)/python -m benchmarks.runs

# Each count can be given (make chaos CHAOS_KILLS=200), and a seed to replay what another run met.
test-cluster: install-dev ## cut, slow, kill and roll nodes on hosts of their own; needs root and takes an hour
	CLUSTER_FAULTS=$${CLUSTER_FAULTS:-300} CLUSTER_SEED=$${CLUSTER_SEED:-$$(date +%s)} \
	CLUSTER_BEFORE=$${CLUSTER_BEFORE:-0cca69b^} $(BIN)/pytest -s tests/cluster

chaos: install-dev ## kill, stop, cut off and fill up everything, hundreds of times; takes hours
	CHAOS_SEED=$${CHAOS_SEED:-$$(date +%s)} \
	CHAOS_KILLS=$${CHAOS_KILLS:-1000} CHAOS_JOINED=$${CHAOS_JOINED:-200} CHAOS_SLEEPERS=$${CHAOS_SLEEPERS:-100} \
	CHAOS_RESTARTS=$${CHAOS_RESTARTS:-100} CHAOS_LOST_ANSWERS=$${CHAOS_LOST_ANSWERS:-100} \
	CHAOS_NETWORK_SEEDS=$${CHAOS_NETWORK_SEEDS:-10} CHAOS_FULL_DISKS=$${CHAOS_FULL_DISKS:-10} \
	CHAOS_SCHEDULES=$${CHAOS_SCHEDULES:-10000} CHAOS_CHANGING=$${CHAOS_CHANGING:-200} CHAOS_RANGES=$${CHAOS_RANGES:-200} \
	$(BIN)/pytest -s --timeout 36000 tests/chaos

lock: $(DONE)/uv ## resolve the dependencies anew into requirements*.lock
	$(UV) pip compile $(LOCK) pyproject.toml -o requirements.lock
	$(UV) pip compile $(LOCK) pyproject.toml --all-extras -o requirements-extras.lock
	$(UV) pip compile $(LOCK) pyproject.toml --all-extras --group dev -o requirements-dev.lock
	$(UV) pip compile $(LOCK) --group build -o requirements-build.lock
	$(UV) pip compile $(LOCK) --group demo --no-deps -o requirements-demo.lock
	$(UV) pip compile $(LOCK) --group connectors --no-deps -o requirements-connectors.lock
LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

clean: ## remove what was installed and built; data in .tidewell stays
	rm -rf $(VENV) node_modules tests/*/node_modules website/node_modules .mypy_cache .ruff_cache .pytest_cache

# What is installed, each step once for each state of its lock.
install: $(DONE)/project $(DONE)/demo $(DONE)/compiled
install-dev: $(DONE)/project $(DONE)/demo $(DONE)/compiled $(DONE)/dev $(DONE)/odata $(DONE)/mailchimp $(DONE)/connectors $(DONE)/axe $(DONE)/mermaid \
	$(DONE)/postgresql $(DONE)/system

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Tidewell needs Python 3.11 or later: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DONE)/uv: $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@mkdir -p $(DONE) && touch $@

$(DONE)/locked: requirements.lock requirements-build.lock $(DONE)/uv
	$(INSTALL) --require-hashes -r requirements-build.lock -r requirements.lock
	@touch $@

$(DONE)/project: pyproject.toml src/tidewell/__init__.py $(DONE)/locked
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DONE)/compiled: $(shell find src -name '*.py') $(DONE)/project
	$(BIN)/python -m compileall -q src
	@touch $@

# Only the data of this package is used; its own dependency, pandas, stays out.
$(DONE)/demo: requirements-demo.lock $(DONE)/locked
	$(INSTALL) --no-deps --no-build-isolation --require-hashes -r requirements-demo.lock
	@touch $@

$(DONE)/dev: requirements-dev.lock $(DONE)/locked
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# The real OData server of the tests is a Node program; Node itself comes with the dev lock.
$(DONE)/odata: tests/odata/package-lock.json $(DONE)/dev
	cd tests/odata && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	@touch $@

# Airbyte connectors for the tests, in a folder that the tests alone put on their path.
$(DONE)/connectors: requirements-connectors.lock $(DONE)/uv
	$(UV) pip install --quiet --no-deps --require-hashes --python-version 3.11 \
		--target $(VENV)/connectors -r requirements-connectors.lock
	@touch $@

# MailChimp's published description of its API, and Prism that answers as it says.
$(DONE)/mailchimp: tests/mailchimp/package-lock.json $(DONE)/dev
	cd tests/mailchimp && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	@touch $@

# axe-core judges the accessibility of the pages, inside the browser.
$(DONE)/axe: tests/e2e/package-lock.json $(DONE)/dev
	cd tests/e2e && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	@touch $@

# Older PostgreSQL servers, for what a cache may be on. Their packages hold no symbolic links.
$(DONE)/postgresql: tests/postgresql/package-lock.json $(DONE)/dev
	cd tests/postgresql && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund --ignore-scripts
	cd tests/postgresql && PATH="$(CURDIR)/$(BIN):$$PATH" sh -c 'for one in node_modules/postgresql-*; do \
		(cd "$$one" && node scripts/hydrate-symlinks.js >/dev/null); done'
	@touch $@

# Mermaid draws the documents' diagrams in the reader's browser.
$(DONE)/mermaid: website/package-lock.json $(DONE)/dev
	cd website && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	@touch $@

# What the tests need of the system itself: a browser, a MariaDB.
$(DONE)/system: tests/system_packages.sh $(BIN)/python
	sh tests/system_packages.sh
	@mkdir -p $(DONE) && touch $@
