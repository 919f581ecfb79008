# Two commands do everything: `make local` and `make test`. Each makes .venv first, and can be run again.
PYTHON ?= python3
BIN := .venv/bin
LOCAL := .venv/.local
READY := .venv/.dev
STACK ?= dev
# For `make lock`: highest, or lowest-direct.
RESOLUTION ?= highest

.NOTPARALLEL:
.PHONY: help local test check audit format bench engine aws soak validity schema lock clean

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

local: $(LOCAL)  ## deploy a stack on the embedded AWS: make local STACK=prod
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

audit: $(READY)  ## known vulnerabilities in the locked packages; says so if it cannot ask
	@$(BIN)/python -m tests.audit $(BIN)/pip-audit

engine: $(READY)  ## tests with the real Pulumi engine; skipped where `pulumi` is not on PATH
	@$(BIN)/python -m pytest -m "engine and not soak" -rs

aws: $(READY)  ## stand a stack up in a real AWS account, ask it everything, take it away; says what it makes and asks first
	@$(BIN)/python -m pytest tests/aws -m aws -s -v -rs -p no:randomly -p no:xdist

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

COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--annotation-style line --custom-compile-command "make lock" --no-emit-package abtest \
	--upgrade --resolution $(RESOLUTION)

lock: $(READY)  ## compile the requirement files from pyproject.toml, with the newest versions in its ranges
	@$(COMPILE) --extra dev --output-file requirements-dev.txt
	@$(COMPILE) --extra local --constraints requirements-dev.txt --output-file requirements-local.txt
	@$(COMPILE) --constraints requirements-dev.txt --output-file requirements.txt

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Installs a locked file and abtest itself into .venv, and marks that as done. uv needs seconds where pip needs a minute, but
# reads no pip.conf and no PIP_*, so pip installs what uv cannot. A .venv that is broken or too old is made again.
define install
	@$(PYTHON) -c 'import sys; sys.exit("abtest needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@rm -f $@
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "creating .venv"; $(PYTHON) -m venv --clear .venv; }
	@echo "installing $$(grep -c == $(1)) packages from $(1) into .venv, once"
	@PATH="$$PATH:$(CURDIR)/$(BIN)"; \
	command -v uv >/dev/null || { \
		sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > .venv/uv.txt; \
		$(PIP) --quiet -r .venv/uv.txt; \
	}; \
	{ UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS:-true} uv pip install --python $(BIN)/python --no-deps \
		-r $(1) --editable . 2>&1 && touch $@; } | $(PROGRESS)
	@test -e $@ || { \
		echo "uv cannot install them here; pip does, in a minute or two"; \
		{ $(PIP) --no-deps -r $(1) 2>&1 && $(PIP) --no-deps --editable . 2>&1 && touch $@; } | $(PROGRESS); \
		test -e $@; \
	}
endef
PIP = $(BIN)/python -m pip install --disable-pip-version-check
# Leaves out the lines that come for each package.
PROGRESS = $(BIN)/python -c 'import re, sys; [print(line, end="", flush=True) for line in sys.stdin if not re.match(" [-+~] |  [DU]|Req", line)]'

$(LOCAL): requirements-local.txt pyproject.toml
	$(call install,requirements-local.txt)

$(READY): requirements-dev.txt pyproject.toml
	$(call install,requirements-dev.txt)
