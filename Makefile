# Two commands are enough: `make run` shows sentimon at work, `make test` checks it.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
INSTALLED := $(VENV)/.installed
DEVELOP := $(VENV)/.develop
REAL := $(VENV)/.real

# The tests of one file share what they set up, so a file is run by one process. In the order of their names: files of
# few tests, which take longest, would come last, when nothing is left for the other processes.
AT_ONCE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# What is compiled is kept, whatever the shell says: the processes that tests start would compile it all again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-all lint format bench bench-collect bench-model bench-memory bench-target bench-journey bench-spikes bench-nab bench-watch bench-web soak card clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(INSTALLED) ## Install, and show the whole pipeline on a bundled feed (Ctrl-C ends it)
	$(BIN)/sentimon demo

test: $(DEVELOP) ## Run the tests
	$(BIN)/pytest $(AT_ONCE) -m "not slow"

test-all: $(DEVELOP) $(REAL) ## Run the tests, the slow ones too, with servers that others wrote
	$(BIN)/pytest $(AT_ONCE)

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

bench-collect: $(DEVELOP) ## Measure how fast a burst is matched and stored, beside sqlite-utils
	$(BIN)/python -m benchmarks.collect

bench-model: $(DEVELOP) ## Measure the model's speed, beside naive pipelines and int8 (ARGS="--posts 1000")
	$(BIN)/python -m benchmarks.model $(ARGS)

bench-memory: $(DEVELOP) ## Measure the memory of scoring 10,000 posts and a million (ARGS="--posts 1000 20000")
	$(BIN)/python -m benchmarks.memory $(ARGS)

bench-target: $(DEVELOP) ## Measure what it brings to know the target (needs labelled posts: ARGS="--data FOLDER")
	$(BIN)/python -m benchmarks.target $(ARGS)

bench-journey: $(DEVELOP) ## Cross-validate the journey's questions by source (needs ARGS="--data FOLDER --start MODEL")
	$(BIN)/python -m benchmarks.journey $(ARGS)

bench-spikes: $(DEVELOP) ## Count false alarms and bursts found, beside vendors' rules (ARGS="--seed 2 VOLUME.csv …")
	$(BIN)/python -m benchmarks.spikes $(ARGS)

bench-nab: $(DEVELOP) ## Score volume spikes on NAB's labelled tweet counts, beside simple rules (ARGS="VOLUME.csv …")
	$(BIN)/python -m benchmarks.nab $(ARGS)

bench-watch: $(DEVELOP) ## Measure how long a tick of detection takes, and how it grows (ARGS="--brands 1000")
	$(BIN)/python -m benchmarks.watch $(ARGS)
	$(BIN)/python -m benchmarks.watch_job

bench-web: $(DEVELOP) ## Measure how fast the pages are at 20 requests a second (ARGS="--posts 100000 --seconds 30")
	$(BIN)/python -m benchmarks.web $(ARGS)

soak: $(DEVELOP) ## Run 200 simulated hours against counterfeit platforms with every fault (ARGS="--hours 48 --seed 2")
	$(BIN)/python -m benchmarks.soak $(ARGS)

card: $(DEVELOP) ## Measure the bundled model and write its card (ARGS="--folds FOLDER", or "--only-write")
	$(BIN)/python -m benchmarks.card $(ARGS)

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

$(REAL): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[real]"
	@touch $@
