# Every command of this project; `make` lists them. Needs git, make, and Python 3.11 to 3.13 with venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
PY := .venv/bin/python
READY := .venv/.installed
FOR ?=
ARGS ?=
CHECKS := format lint types contracts secrets

.PHONY: help docs run test check bench soak console lock clean $(CHECKS:%=check-%)
.DEFAULT_GOAL := help

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(READY) ## trade on paper; FOR=75s stops by itself, ARGS="…" goes to the bot
	@$(PY) -m bot $(if $(FOR),--for $(FOR)) $(ARGS)

console: $(READY) ## open the operator console
	@$(PY) -m console $(ARGS)

test: $(READY) ## run the tests; ARGS="tests/core -k guard" for some
	@$(PY) -m $(if $(ARGS),pytest $(ARGS),tests.side_by_side)

check: $(CHECKS:%=check-%) test ## everything CI does

check-format: $(READY) ## is the code formatted (`.venv/bin/ruff format` does it)
	@.venv/bin/ruff format --check --output-format concise .

check-lint: $(READY) ## ruff
	@.venv/bin/ruff check --quiet .

check-types: $(READY) ## mypy, strict
	@.venv/bin/mypy

check-contracts: $(READY) ## who may import what
	@.venv/bin/lint-imports --no-logo

check-secrets: $(READY) ## no secret in any file; asks no network
	@git ls-files -z --cached --others --exclude-standard | xargs -0 .venv/bin/detect-secrets-hook --no-verify --baseline .secrets.baseline

bench: $(READY) ## print the figures
	@$(PY) -m tests.bench $(ARGS)

soak: $(READY) ## the long tests: thousands of kills, every await point under every fault, months of faults, an hour of memory
	@$(PY) -m pytest tests/soak -m soak --timeout 0 $(ARGS)

docs: $(READY) ## draw the machines into ARCHITECTURE.md
	@$(PY) -m docs.diagrams

lock: $(READY) ## pin the dependencies anew, with hashes
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet uv
	@$(PY) -m uv pip compile --quiet --universal --generate-hashes --no-header --extra test \
		--python-version 3.11 pyproject.toml -o requirements.lock

clean: ## remove caches and the virtual environment, never a database
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is a copy of the lock file: a checkout that only touches its time installs nothing.
$(READY): requirements.lock
	@test -x .venv/bin/pip || { \
		'$(PYTHON)' -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
			{ echo "expected Python 3.11 to 3.13, found '$(PYTHON)'; name one with make PYTHON=…" >&2; exit 1; }; \
		'$(PYTHON)' -m venv .venv; }
	@cmp -s requirements.lock $@ || { \
		echo "installing dependencies (once, about a minute)" >&2; \
		$(PY) -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements.lock; }
	@cp requirements.lock $@
