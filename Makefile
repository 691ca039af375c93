# Run `make` alone to see what there is.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Used when set, so that a run elsewhere needs no edit (see README: Point it at S3).
export LAKE_ROOT ?= ./lake

.DEFAULT_GOAL := help
.PHONY: help setup demo build test lint format check bench docs clean lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## Make .venv with the locked dependencies

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Sample files -> ./lake -> dbt build -> first queries
	$(BIN)/ticklake demo

build: setup ## dbt build on $LAKE_ROOT
	$(BIN)/dbt build

test: setup ## The whole test suite
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: setup ## ruff, mypy, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint models tests/singular analyses

format: setup ## Let ruff and sqlfluff mend what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix models

check: lint test ## Everything a pull request needs, without network or credentials

bench: setup ## Measure landing, building and what scales; writes docs/scaling.md
	$(BIN)/python -m benchmarks

docs: setup ## Generate the documentation and serve it on localhost:8080
	$(BIN)/dbt docs generate
	$(BIN)/dbt docs serve

lock: ## Write requirements.lock anew from pyproject.toml
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet '.[dev]' setuptools wheel
	.lock/bin/python -m pip freeze --exclude ticklake --all | grep -v '^pip==' > requirements.lock
	rm -rf .lock build

clean: ## Remove the environment, the demo lake and everything generated
	rm -rf $(VENV) .lock build lake sample target logs *.duckdb *.duckdb.wal *.duckdb.tmp
