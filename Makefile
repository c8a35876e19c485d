# `make help` lists what there is. Needs Python >= 3.11 with pip; everything else is installed below this folder.
PYTHON ?= python3
UV_VERSION := $(shell sed -n "s/^uv==\([0-9.]*\).*/\1/p" .ci/uv.txt)
UV := .tools/uv-$(UV_VERSION)/bin/uv
RUN := .venv/bin

export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV
# Without bytecode Airflow's imports take 2.5 times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install servers stores demo docs release-check sbom test test-cloud test-cluster test-lowest test-newest versions audit torture fuzz screenshots gallery bench bench-quick bench-cluster bench-memory bench-plan bench-nightly bench-audit check lint types unit format build clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: servers  ## run a nightly sync on a real Airflow, S3 server and Azurite (KEEP=1: leave them running)
	@$(RUN)/python -m demo $(if $(KEEP),--keep)

test: stores  ## all tests
	@$(RUN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-lowest: stores  ## the tests against the wheel, on the lowest versions it allows (PYTHON=python3.13, TESTS=tests/e2e)
	@UV=$(abspath $(UV)) $(PYTHON) -m tests.versions lowest $(TESTS)

test-newest: stores  ## the same on the newest
	@UV=$(abspath $(UV)) $(PYTHON) -m tests.versions newest $(TESTS)

versions: $(UV)  ## choose the versions of test-lowest and test-newest: the floors of pyproject.toml, and what is new
	@UV=$(abspath $(UV)) $(PYTHON) -m tests.versions lock

audit: $(UV)  ## look up known vulnerabilities of what is locked, of the floors and of Azurite (needs PyPI's JSON API and npm's audit endpoint)
	@UV=$(abspath $(UV)) $(PYTHON) -m tests.versions.audit

test-cluster: servers .tools/cluster/installed  ## on a CeleryExecutor with two workers, and its faults (CLUSTER_SEEDS=1)
	@$(PYTHON) -m tests.servers.debian
	@.tools/cluster/bin/python -m pytest -m cluster tests/cluster

test-cloud: .venv/installed  ## the preflight and the contract tests on accounts of yours (prints which variables to set)
	@$(RUN)/python -m tests.cloud

torture: servers  ## 20 kills of a copy of 256 MiB, over HTTP and over TLS (KILLS=, KILL_SEED=, KILL_MIB= change that)
	@KILLS=$(or $(KILLS),20) KILL_MIB=$(or $(KILL_MIB),256) $(RUN)/python -m pytest -s tests/faults/test_kill.py

fuzz: .venv/installed  ## send 100,000 mutated responses of S3 and Azure to the clients (FUZZ=, FUZZ_SEED=, FUZZ_CASE= change that)
	@FUZZ=$(or $(FUZZ),100000) $(RUN)/python -m pytest -s tests/fuzz

screenshots: servers  ## take the pictures of docs/ui.md from real runs (needs Chromium; some minutes)
	@$(RUN)/python -m tests.ui.screenshots

gallery: .venv/installed  ## pictures of every page in every state, 800 to 1920 px wide, into gallery/, and how fast each page is (needs Chromium)
	@$(RUN)/python -m tests.ui.gallery gallery

bench: .tools/bench/installed  ## side by side with what a user would pick instead, into benchmarks/results (13 to 32 minutes; BENCH="--only tls" prints those cases only)
	@$(PYTHON) -m tests.servers.debian curl
	@.tools/bench/bin/python -m benchmarks.bench $(or $(BENCH),--write benchmarks/results)

bench-quick: .tools/bench/installed  ## the same with fewer bytes, in about four minutes
	@$(PYTHON) -m tests.servers.debian curl
	@.tools/bench/bin/python -m benchmarks.bench --quick $(BENCH)

bench-memory: .venv/installed  ## peak memory, disk writes and CPU of a copy of 2 GiB, with their bounds
	@$(RUN)/python -m benchmarks.memory

bench-plan: .tools/bench/installed  ## peak memory and time of plans of up to 1,000,000 keys, with their bounds (11 minutes; PLAN="--keys 100000 --latency-keys 0")
	@.tools/bench/bin/python -m benchmarks.plan $(PLAN)

bench-nightly: .tools/cluster/installed .tools/bench/installed  ## whole runs of quiet nights on an Airflow with PostgreSQL, beside rclone in a BashOperator (8 minutes)
	@$(PYTHON) -m tests.servers.debian
	@.tools/cluster/bin/python -m benchmarks.nightly $(NIGHTLY)

bench-audit: .venv/installed  ## peak memory and time of audits of up to 1,000,000 blobs, with their bounds
	@$(RUN)/python -m benchmarks.audit

bench-cluster: .tools/cluster/installed  ## how much faster two Celery workers copy than one (6 minutes)
	@$(PYTHON) -m tests.servers.debian
	@.tools/cluster/bin/python -m benchmarks.cluster

check: lint types unit  ## lint, types and unit tests: what to run before each commit

lint: .venv/installed
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/lint-imports --no-logo

types: .venv/installed
	@$(RUN)/mypy

unit: .venv/installed
	@$(RUN)/python -m pytest -q -n 2 --hypothesis-profile quick -m "not servers and not airflow and not slow"

format: .venv/installed  ## format the code
	@$(RUN)/ruff format .
	@$(RUN)/ruff check --fix .

docs: .tools/docs/installed  ## build the documentation site into dist/docs; warnings are errors
	@NO_MKDOCS_2_WARNING=1 .tools/docs/bin/mkdocs build
	@echo "open dist/docs/index.html"

release-check: servers docs .tools/release/installed  ## all of a release that works offline (CONSTRAINT=file or URL: other versions)
	@UV=$(abspath $(UV)) $(RUN)/python -m tests.release $(if $(CONSTRAINT),--constraint $(CONSTRAINT)) $(if $(TAG),--tag $(TAG))

sbom: $(UV)  ## list what the package needs, with versions, as CycloneDX into dist/sbom.cdx.json
	@$(UV) export --quiet --locked --no-default-groups --format cyclonedx1.5 --output-file dist/sbom.cdx.json > /dev/null

build: .venv/installed  ## build the wheel and the source distribution into dist/
	@$(UV) build --quiet --out-dir dist

install: .venv/installed  ## install the locked environment into .venv

servers: .venv/installed  ## install the S3 server and Azurite for the demo and the tests
	@UV=$(abspath $(UV)) $(PYTHON) -m tests.servers.install

stores: .venv/installed  ## the same, and the stores that resemble S3
	@UV=$(abspath $(UV)) $(PYTHON) -m tests.servers.install --stores

clean:  ## remove everything that was installed or built
	rm -rf .venv .tools dist demo-runs $(addprefix tests/servers/environment/,.venv .venv-stores node_modules)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@echo "installing uv $(UV_VERSION)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
		--require-hashes --only-binary :all: --target $(dir $(UV)).. --requirement .ci/uv.txt

.venv/installed: $(UV) uv.lock pyproject.toml
	@echo "installing the locked environment into .venv"
	@$(UV) sync --quiet --locked --python $(PYTHON)
	@touch $@

# An environment of its own: who does not test on Celery needs none of it.
.tools/cluster/installed: $(UV) uv.lock pyproject.toml
	@echo "installing Airflow with Celery into .tools/cluster"
	@UV_PROJECT_ENVIRONMENT=.tools/cluster $(UV) sync --quiet --locked --compile-bytecode --no-default-groups --group cluster \
		--python $(PYTHON)
	@touch $@

# An environment of its own: the site is made without the package, whose sources are parsed.
.tools/docs/installed: $(UV) uv.lock pyproject.toml
	@echo "installing mkdocs into .tools/docs"
	@UV_PROJECT_ENVIRONMENT=.tools/docs $(UV) sync --quiet --locked --only-group docs --python $(PYTHON)
	@touch $@

# An environment of its own: it needs nothing of the package.
.tools/release/installed: $(UV) uv.lock pyproject.toml
	@echo "installing twine, check-jsonschema and zizmor into .tools/release"
	@UV_PROJECT_ENVIRONMENT=.tools/release $(UV) sync --quiet --locked --only-group release --python $(PYTHON)
	@touch $@

# An environment of its own: what is compared needs other versions than what is developed.
.tools/bench/installed: $(UV) uv.lock pyproject.toml
	@echo "installing what is compared into .tools/bench"
	@UV_PROJECT_ENVIRONMENT=.tools/bench $(UV) sync --quiet --locked --compile-bytecode --no-default-groups --group bench \
		--python $(PYTHON)
	@touch $@
