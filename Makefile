# armshare: `make run` starts the platform, `make test` runs every check. Both set up what is missing, once.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# More than half of a test's time is waiting: two workers more than cores use some of it.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores + 2 : 8)))
STAMPS := .setup
WEB := $(shell find armshare/web/src -type f 2>/dev/null) $(wildcard armshare/web/*.ts armshare/web/*.js armshare/web/*.json armshare/web/*.html armshare/web/public/*) teleop/wire/wire.json teleop/typed_data.json recorder/typed_data.json $(wildcard docs/gallery/*.jpg)

.PHONY: help run test check docs fuzz setup lint ruff mypy import-linter svelte-check static pytest vitest bench soak mutants peers lerobot newest \
	corpus-pythons screenshots lock clean tools chromium nginx postgres opengl

help: ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/'

run: setup ## set up what is missing, start the platform, print and open its URL
	@exec $(BIN)/armshare run --open $(ARGS)

test: setup peers chromium nginx postgres opengl ## set up what is missing, run every check
	@$(MAKE) --no-print-directory static
	@$(MAKE) --no-print-directory pytest

# Lint beside the tests: alone, neither keeps two cores busy. Its output comes after theirs, in one piece.
check: setup peers nginx postgres opengl ## run lint and the fast half of the tests, for daily work
	@lint=$$(mktemp); trap 'rm -f "$$lint"' EXIT; \
	$(MAKE) --no-print-directory static >"$$lint" 2>&1 & linting=$$!; failed=0; \
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not docs and not lerobot and not newest" $(ARGS) || failed=1; \
	wait $$linting || failed=1; cat "$$lint"; exit $$failed

docs: setup peers chromium opengl ## type every command of every page that a machine can type, beside a real platform
	@$(BIN)/python -m pytest -n 0 -m docs $(ARGS)

fuzz: setup ## run the property tests with new random examples; ARGS=--hypothesis-seed=N repeats a run
	@$(BIN)/python -m pytest -n $(WORKERS) -m hypothesis --hypothesis-profile=fuzz $(ARGS)

setup: $(STAMPS)/web ## install what the project needs, in this folder only

lint: ruff mypy import-linter svelte-check ## run ruff, mypy, import-linter, svelte-check

ruff: setup
	@echo "--- ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check -q .

mypy: setup
	@echo "--- mypy (strict)"; $(BIN)/mypy

import-linter: setup
	@echo "--- import-linter"; $(BIN)/lint-imports --no-cache

svelte-check: setup
	@echo "--- svelte-check"; npm run --silent -w armshare/web check

vitest: setup
	@echo "--- vitest"; npm run --silent -w armshare/web test

# Checks that need no platform, two at a time; the output of each is printed in one piece.
static: setup
	@$(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) lint vitest

pytest: setup
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

bench: setup ## measure speed; every benchmark prints its command and one JSON object
	@for script in benchmarks/*.py; do echo "\$$ $(BIN)/python $$script --json"; $(BIN)/python $$script --json; done

soak: setup ## open and close ten thousand connections, and report what they leave behind
	@$(BIN)/python -m tests.soak --json $(ARGS)

mutants: setup ## change the code where it matters, one place at a time, and list the changes that no fast test notices
	@[ -x .venv-mutants/bin/mutmut ] || { $(PYTHON) -m venv .venv-mutants \
		&& .venv-mutants/bin/python -m pip install --disable-pip-version-check -q mutmut==3.8.1 \
		&& $(BIN)/python -c 'import site; print(site.getsitepackages()[0])' \
			> "$$(.venv-mutants/bin/python -c 'import site; print(site.getsitepackages()[0])')/project.pth"; }
	@.venv-mutants/bin/mutmut run $(ARGS) && .venv-mutants/bin/mutmut results

corpus-pythons: ## replay the golden corpus with Python 3.11, 3.12 and 3.13; ARGS='3.11 3.13' names others
	@tests/pythons $(ARGS)

lerobot: setup ## read the LeRobot and Lance exports with LeRobot itself, which wants Python 3.12; not a part of `make test`
	@echo "[lerobot] LeRobot and torch into .venv-lerobot (6 GB), its reader of Lance into .venv-lance"
	@tests/peers/lerobot/setup && tests/peers/lance/setup
	@$(BIN)/python -m pytest -n 0 -m lerobot tests/recorder/importing tests/recorder/export/test_lerobot_peer.py tests/recorder/export/test_lance_peer.py tests/rewards/hub/exports/test_lerobot_peer.py $(ARGS)

newest: setup peers ## read the robomimic export with robomimic's newest loader; not a part of `make test`
	@tests/peers/newest/setup && $(BIN)/python -m pytest -n 0 -m newest tests/recorder/export/test_robomimic.py $(ARGS)

peers: $(STAMPS)/peers

screenshots: setup chromium ## take the pictures in docs/screenshots
	@$(BIN)/python -m tests.screenshots $(ARGS)

lock: ## choose newer versions: rewrites requirements.lock (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --extra sim --extra platform --extra dev pyproject.toml -o requirements.lock

clean: ## remove what setup made; keep data
	rm -rf .venv .venv-peers .venv-lerobot .venv-lance .venv-robomimic .venv-mutants .venv-python* mutants node_modules $(STAMPS) armshare/web/dist armshare.egg-info \
		build sim/motion/_native.*.so

tools:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is missing: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) is here: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "Node.js 20 or newer is missing: apt-get install nodejs npm"; exit 1; }
	@node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' || { echo "Node.js 20 or newer is needed, $$(node --version) is here"; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing: apt-get install gcc"; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
		|| { echo "Python's C headers are missing: apt-get install python3-dev"; exit 1; }

chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && [ -n "$${CI:-}" ] && { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }; } \
		|| { echo "Chromium is missing, for the browser tests: apt-get install chromium"; exit 1; }

# Its program alone: a service on port 80 is nothing that tests should start.
nginx:
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && [ -n "$${CI:-}" ] && { apt-get update -qq; DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends nginx >/dev/null; }; } \
		|| { echo "nginx is missing, for the tests behind a proxy: apt-get install nginx"; exit 1; }

# Its programs alone, as with nginx: without a cluster there is no service. Tests make their own, in a temporary folder.
postgres:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && [ -n "$${CI:-}" ] && { apt-get update -qq; export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
			apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null \
			&& sed -Ei 's/^#?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
			&& apt-get install -y -qq --no-install-recommends postgresql >/dev/null; }; } \
		|| { echo "PostgreSQL is missing, for the tests of the tables: apt-get install postgresql"; exit 1; }

opengl:
	@ldconfig -p | grep -q libEGL.so.1 && ls /usr/share/glvnd/egl_vendor.d/*.json >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && [ -n "$${CI:-}" ] && { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libegl1 libegl-mesa0 libgl1-mesa-dri >/dev/null; }; } \
		|| { echo "OpenGL is missing, for the tests of pictures: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri"; exit 1; }

$(STAMPS)/venv: requirements.lock pyproject.toml sim/motion/_native.c | tools
	@mkdir -p $(STAMPS)
	@echo "[1/3] Python packages into .venv (about a minute the first time)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-build-isolation --no-deps -e .
	@touch $@

$(STAMPS)/node: package.json package-lock.json armshare/web/package.json rewards/chain/contracts/package.json | tools
	@mkdir -p $(STAMPS)
	@echo "[2/3] Node packages into node_modules"
	@npm ci --silent --no-fund --no-audit --ignore-scripts
	@touch $@

$(STAMPS)/peers: tests/peers/setup tests/peers/requirements.lock tests/peers/torch.lock tests/peers/torch-cpu.lock | tools
	@mkdir -p $(STAMPS)
	@echo "[peers] robomimic and torch into .venv-peers, for the test with its own loader"
	@PYTHON=$(PYTHON) tests/peers/setup
	@touch $@

$(STAMPS)/web: $(STAMPS)/venv $(STAMPS)/node $(WEB)
	@echo "[3/3] browser client"
	@npm run --silent -w armshare/web build
	@touch $@
