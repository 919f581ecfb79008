# Two commands do everything: `make local` and `make test`. Each makes .venv first, and can be run again.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
STACK ?= dev

.PHONY: local test check audit format bench engine soak validity schema clean

local: $(READY)  ## deploy a stack on the embedded AWS: make local STACK=prod
	@$(BIN)/python -m abtest local --stack $(STACK)

test: $(READY)  ## the default test suite; needs no AWS, no Pulumi CLI, no network
	@$(BIN)/python -m pytest -n 2

check: $(READY)  ## format, lint, types, import contract, workflows, stack files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@# The sample model server is no part of that: it draws at random, and listens everywhere.
	@$(BIN)/ruff check --isolated --quiet --select S --ignore S104,S311 abtest/sample
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/zizmor --offline --quiet --persona=auditor .github
	@if command -v actionlint >/dev/null; then actionlint; else echo "actionlint is not on PATH: skipped"; fi
	@$(BIN)/python -m abtest check

audit: $(READY) .venv/audit/bin/pip-audit  ## known vulnerabilities in what the requirements bring; says so where it cannot ask
	@$(BIN)/python -m tests.audit .venv/audit/bin/pip-audit

# By itself: it brings a dozen packages that nothing else needs.
.venv/audit/bin/pip-audit: | $(READY)
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'

engine: $(READY)  ## tests with the real Pulumi engine; skipped where `pulumi` is not on PATH
	@$(BIN)/python -m pytest -m "engine and not soak" -rs

soak: $(READY)  ## 200,000 requests through the local balancer; 50 kills of a ramp where `pulumi` is on PATH (20 minutes)
	@$(BIN)/python -m pytest -m soak -s

bench: $(READY)  ## the program, the routing, the local balancer and a shift, each against a plain counterpart
	@$(BIN)/python benchmarks/program.py
	@$(BIN)/python benchmarks/decide.py
	@$(BIN)/python benchmarks/balancer.py
	@$(BIN)/python benchmarks/shift.py
	@$(BIN)/python benchmarks/logs.py

validity: $(READY)  ## false alarms, coverage and power of the report's statistics, by simulation (minutes)
	@$(BIN)/python benchmarks/validity.py

format: $(READY)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

schema: $(READY)  ## write what is generated: abtest.schema.json, and the tables in docs/config.md and docs/security.md
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
