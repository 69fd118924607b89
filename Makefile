# make demo: install and show the node at work.   make test: install and run all tests.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test check evaluation clean

demo: $(VENV)/demo.stamp
	$(BIN)/echo-scp demo

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

# Everything that must be clean before a change lands, tests included.
check: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest

# Measure the engines on CAMUS and write the tables into docs/evaluation.md: make evaluation DATA=FOLDER
evaluation: $(VENV)/dev.stamp
	$(BIN)/python scripts/evaluate_camus.py $(DATA)

$(VENV)/demo.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/dev.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo-output .mypy_cache .ruff_cache .pytest_cache
