# Each target sets up what it needs first (make/setup.sh looks, and does only what is missing).
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test bench doctor lint format test-tools uninstall ready ready-dev
MAKEFLAGS += --no-print-directory

VENV := .venv/bin
export PYTHON
export MAKE_TARGET = $(firstword $(MAKECMDGOALS))

ENGINE := packages setup venv launcher links image lxcfs

help: ## what there is
	@echo "pyctr_lite: a container engine in Python, and the kit that teaches it"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo "  PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer)"

setup: ## install what is missing, make .venv, the commands and the image busybox:latest
	@make/setup.sh root $(ENGINE)

demo: ready ## set up, then a short tour: run, limits, a volume, a commit, --explain
	@make/demo.sh

test: ready ready-dev test-tools ## all tests, as root, against this machine's kernel (TESTS=tests/cgroups ARGS=-x)
	@$(VENV)/python -m pytest $(ARGS) $(TESTS)

bench: ready ## measure against runc, crun, podman and docker: build/bench.txt, build/bench.json (ROUNDS=30)
	@make/setup.sh --quiet packages bench
	@$(VENV)/python -m tests.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

doctor: ready ## what this machine can and cannot do for containers
	@$(VENV)/pyctr_lite doctor

lint: ready-dev ## format, lint, types and the import contract
	@$(VENV)/ruff format --check . && $(VENV)/ruff check . && $(VENV)/mypy && $(VENV)/lint-imports

format: ready-dev ## let ruff format the code
	@$(VENV)/ruff format . && $(VENV)/ruff check --fix .

test-tools: ## install the tools that the tests compare with
	@make/setup.sh --quiet packages test

uninstall: ## stop and remove all containers, images, volumes, links, .venv (apt's packages stay)
	@python=$$(command -v /usr/bin/python3 || command -v python3) && $$python -IB make/uninstall.py

ready:
	@make/setup.sh --quiet root $(ENGINE)

ready-dev:
	@make/setup.sh --quiet venv dev launcher
