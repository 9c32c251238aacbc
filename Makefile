# Two commands do all the set-up: `make run` runs the main job, `make test` passes the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
BIN := .venv/bin

.PHONY: run test lint clean

run: .venv/installed
	$(BIN)/lumbargrade run

test: .venv/installed lint
	$(BIN)/pytest -n auto --dist loadfile

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

clean:
	rm -rf .venv
