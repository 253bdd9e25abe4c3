# Every target is one thing a person does; continuous integration and pre-commit call the same ones.
PYTHON ?= python3
BIN := .venv/bin
# Nothing is written outside the clone, not even what is downloaded.
export PIP_CACHE_DIR := $(CURDIR)/.local/cache/pip
export UV_CACHE_DIR := $(CURDIR)/.local/cache/uv
# The lock files are complete; what pip looks for by itself may be newer than they are.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
          --no-annotate --custom-compile-command "make lock"

.PHONY: help demo up down status doctor env stack stack-down test lint types rooms format check outputs docs pictures bench fuzz load lock

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python %d.%d is not 3.11 to 3.13; set PYTHON=python3.12 or another" % sys.version_info[:2])'
	@echo "installing into .venv, about a minute the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes -r requirements/runtime.txt
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

.venv/dev: requirements/dev.txt .venv/runtime
	@echo "installing what tests and checks need"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

demo: .venv/runtime $(if $(DOCKER),env) ## start, load a month of flights and show it; in containers with DOCKER=1
	@$(BIN)/python -m stack demo $(if $(DOCKER),--docker)

up: .venv/runtime ## start everything in the background
	@$(BIN)/python -m stack up

down: ## stop everything; nothing is lost
	@test ! -x $(BIN)/python || $(BIN)/python -m stack down

status: $(if $(DOCKER),,.venv/runtime) ## what runs; in containers with DOCKER=1
	@$(if $(DOCKER),$(PYTHON),$(BIN)/python) -m stack status $(if $(DOCKER),--docker)

doctor: $(if $(DOCKER),,.venv/runtime) ## what is wrong, and what to do; in containers with DOCKER=1
	@$(if $(DOCKER),$(PYTHON),$(BIN)/python) -m stack doctor $(if $(DOCKER),--docker)

env: ## write .env with fresh passwords for the containers
	@$(PYTHON) -m stack env

stack: env ## build and start everything in containers, and wait until it works; WORKERS=2: with workers, EXECUTOR=edge: another kind
	@$(PYTHON) -m stack up --docker $(if $(WORKERS),--workers $(WORKERS)) $(if $(EXECUTOR),--executor $(EXECUTOR))

stack-down: ## stop the containers; all data stays
	@$(PYTHON) -m stack down --docker

# Three took longer on two cores: all that runs in containers then waits for a processor.
test: .venv/dev ## all tests, two at once
	@$(BIN)/pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder --cov

lint: .venv/dev ## ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/dev ## mypy
	@$(BIN)/mypy

rooms: .venv/dev ## the layers of the core
	@$(BIN)/lint-imports --no-logo --cache-dir .local/cache/imports

format: .venv/dev ## mend what ruff can mend
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

check: lint types rooms ## all that needs no test run

outputs: .venv/dev ## write anew what the tests say that the commands print; look at what changed
	@$(BIN)/python -m tests.unit.cli.kept_outputs

docs: .venv/dev ## build the manual as a site, in .local/site
	@AIRFLOW_HOME=$(CURDIR)/.local/docs/airflow $(BIN)/python -W ignore -m docs.site.reference
	@$(BIN)/python -m docs.site.build

pictures: .venv/dev ## take the pictures of the manual anew, from a stack of their own
	@$(BIN)/python -m docs.site.pictures

bench: .venv/dev ## time everything beside its reference, about 25 minutes; PEERS=1: other tools, too; ONLY=…: one part, or the guard
	@$(BIN)/python -m benchmarks.suite $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers)

fuzz: .venv/dev ## drop 100,000 hostile files; another number with FILES=…
	@$(BIN)/python -m tests.support.door_fuzz --files $(or $(FILES),100000)

load: .venv/dev ## drop 20,000 requests, and see that all are served, in order
	@$(BIN)/python -m benchmarks.load

lock: .venv/dev ## renew the locked requirements
	$(COMPILE) $(UPGRADE) --extra airflow --extra notify --extra metrics --extra snapshots --extra store --group native pyproject.toml -o requirements/runtime.txt
	$(COMPILE) $(UPGRADE) --extra airflow --extra notify --extra metrics --extra snapshots --extra store --group native --group dev --constraints requirements/runtime.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra airflow --extra notify --extra metrics --extra snapshots --extra store --extra workers --constraints requirements/runtime.txt pyproject.toml -o requirements/image.txt
	$(COMPILE) --group build --constraints requirements/runtime.txt -o requirements/build.txt
