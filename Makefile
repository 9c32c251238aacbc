# `make run` runs the main job, `make test` passes the tests; both do all the set-up. `make check` is the quick half of the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
BIN := .venv/bin

.PHONY: run check test test-shapes test-long test-cluster server lint page lint-page clean

# The reading room's page is built by Node 20.19 or newer; without it a wheel's own page is used, or none.
PAGE := src/lumbargrade/viewer/page/index.html
PAGE_SOURCES := web/index.html web/openapi.json web/package-lock.json web/vite.config.ts \
	$(shell find web/src web/dev -type f ! -name openapi.d.ts 2>/dev/null)
NEW_ENOUGH := const [major, minor] = process.versions.node.split("."); process.exit(major * 100 + +minor < 2019 ? 1 : 0)
NPM := $(shell node -e '$(NEW_ENOUGH)' 2>/dev/null && command -v npm)

# A module's tests share what is slow to make, so they stay in one process; slow modules come first (tests/conftest.py).
SPREAD := -n auto --dist loadfile --no-loadscope-reorder

run: .venv/installed page
	$(BIN)/lumbargrade run

server: .venv/installed page
	$(BIN)/lumbargrade server

# What a change is tried with; without Chromium, and without what trains or runs the main job.
check: .venv/installed lint lint-page
	$(BIN)/pytest $(SPREAD) -m "not slow and not browser and not cluster"

test: .venv/installed lint page lint-page
	$(BIN)/pytest $(SPREAD) -m "not long"

# Kills at many moments, and the main job's second stories; a quarter of an hour.
test-long: .venv/installed page
	$(BIN)/pytest $(SPREAD) -m long

# Each shape of a real export, on five phantoms, through every way into the product; half an hour.
test-shapes: .venv/installed
	$(BIN)/pytest -n auto tests/real_world --every-study

# A search on two machines: Ray and PostgreSQL's driver into .venv; PostgreSQL's server is the system's.
test-cluster: .venv/installed
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[cluster]'
	$(BIN)/pytest -v tests/training/jobs/test_ray_cluster.py

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/installed: pyproject.toml constraints.txt
	@echo "setting up .venv (several minutes, about 8 GB)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable . --group dev
	@touch $@

ifeq ($(NPM),)
page lint-page:
	@echo "$@: skipped, Node 20.19 or newer is missing"
else
page: $(PAGE)

$(PAGE): web/node_modules/installed $(PAGE_SOURCES)
	@cd web && npm run --silent build

lint-page: web/node_modules/installed
	@cd web && npm run --silent lint && npm run --silent typecheck && npm run --silent test

web/node_modules/installed: web/package-lock.json
	@cd web && npm ci --silent
	@touch $@
endif

clean:
	rm -rf .venv web/node_modules
