# Two commands are enough: `make run` shows sentimon at work, `make test` checks it.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
INSTALLED := $(VENV)/.installed
DEVELOP := $(VENV)/.develop

.DEFAULT_GOAL := help
.PHONY: help run test test-all lint format bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(INSTALLED) ## Install, and show the whole pipeline on a bundled feed (Ctrl-C ends it)
	$(BIN)/sentimon demo

test: $(DEVELOP) ## Run the tests
	$(BIN)/pytest -m "not slow"

test-all: $(DEVELOP) ## Run the tests, the slow ones too
	$(BIN)/pytest

lint: $(DEVELOP) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEVELOP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEVELOP) ## Measure speed, side by side with what one would take instead
	$(BIN)/python -m benchmarks

clean: ## Remove the environment and the demo
	rm -rf $(VENV) sentimon-demo

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sentimon needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch first and by its exact version: a range would bring gigabytes of GPU libraries along.
$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(DEVELOP): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@
