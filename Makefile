# Every target does its own set-up. `make demo` and `make test` are all a newcomer needs.
# PYTHON=… names another interpreter (3.11 or newer) to build .venv from.

SHELL := /bin/bash
BIN := .venv/bin
TESTS ?= tests
# Measured on two cores; loadfile keeps a file's shared network in one worker.
WORKERS ?= 2
SEEDS ?= 300
OPS ?= 1000000
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup system clusters demo up test checks lint format types imports pytest faults simulate ledger bench lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: ## build .venv from requirements.lock, if anything changed
	@scripts/setup.sh

system: ## install what the tests want from Debian (as root), or say what is missing
	@scripts/system-packages.sh bubblewrap chromium postgresql

clusters: setup ## install or build what the tests on real clusters want (minutes the first time)
	@scripts/system-packages.sh busybox podman memcached munge slurmctld slurmd slurm-client \
		slurmdbd slurmrestd slurm-wlm-jwt-plugin mariadb-server etcd-server containerd runc \
		containernetworking-plugins
	@scripts/swift/build.sh
	@scripts/ray/build.sh
	@scripts/jupyter/build.sh
	@scripts/kubernetes/build.sh

demo: setup ## tell the story of one job through three providers (under three minutes)
	@scripts/system-packages.sh bubblewrap
	@$(BIN)/python -m intertie.cli.main demo

up: setup ## leave a network running here; prints the console's address
	@scripts/system-packages.sh bubblewrap
	@$(BIN)/python -m intertie.cli.main up

test: setup system checks pytest ## run every check and every test

checks: lint types imports

lint: setup ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup ## let ruff put the format right
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

types: setup
	$(BIN)/mypy --strict src

imports: setup
	@$(BIN)/lint-imports

pytest: setup
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_FLAGS) $(TESTS)

faults: setup ## break a small real network in SEEDS=300 ways; goes on where it stopped
	@$(BIN)/python -m tests.faults --seeds 1-$(SEEDS)

simulate: setup ## live through SEEDS=300 simulated networks in trouble, judged by an auditor
	@$(BIN)/python -m tests.simulation --seeds 1-$(SEEDS) --workers $(WORKERS)

ledger: setup ## book OPS=1000000 ledger operations by processes that die, on both databases
	@$(BIN)/python -m tests.faults.ledger --ops $(OPS)

bench: setup ## list the benchmarks (run one: .venv/bin/python -m benchmarks NAME)
	@$(BIN)/python -m benchmarks list

lock: ## resolve again; run it after changing dependencies in pyproject.toml
	@scripts/lock.sh

clean: ## remove .venv and everything that runs and tests left behind
	rm -rf .venv .setup.lock demo-out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
