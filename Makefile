# Two commands set everything up: `make demo` and `make test`. Both use the environment in $(VENV).
PYTHON ?= python3
VENV ?= .venv
EXTRAS := pretrained,parquet,export,serve,studio,cluster,track
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt

.PHONY: demo test lint figures bench clean

demo: $(VENV)/.installed
	$(BIN)/striate demo

test: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadscope

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy

figures: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.figure
	$(BIN)/python docs/figures.py

# the short form of every benchmark but course, and which ratios fell since they were last committed
bench: $(VENV)/.installed-bench
	for name in main_job documents peers ladder budget loader inference serving growth label_errors transfer certainty gpu; do \
		$(BIN)/python -m benchmarks.$$name --quick || exit; done
	$(BIN)/python -m benchmarks.compare

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,$(EXTRAS)]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,$(EXTRAS),bench]'
	touch $@
