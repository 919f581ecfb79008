# Two commands do everything: `make local` and `make test`. Each makes .venv first, and can be run again.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
STACK ?= dev

.PHONY: local test check format bench engine schema clean

local: $(READY)  ## deploy a stack on the embedded AWS: make local STACK=prod
	@$(BIN)/python -m abtest local --stack $(STACK)

test: $(READY)  ## the default test suite; needs no AWS, no Pulumi CLI, no network
	@$(BIN)/python -m pytest -n 2

check: $(READY)  ## format, lint, types, import contract, stack files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m abtest check

engine: $(READY)  ## tests with the real Pulumi engine; skipped where `pulumi` is not on PATH
	@$(BIN)/python -m pytest -m engine -rs

bench: $(READY)  ## time and memory of the program against a literal one
	@$(BIN)/python benchmarks/program.py

format: $(READY)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

schema: $(READY)  ## write what is generated from the types: abtest.schema.json and the README's config reference
	@$(BIN)/python -m tests.write_generated

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("abtest needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what abtest needs into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
