# Every target sets up its own virtual environment on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help demo test check bench clean

help:
	@echo "make demo    a tour: convert, emit, compile, verify, evaluate"
	@echo "make test    everything that must hold, on all cores"
	@echo "make check   format, lint and types"
	@echo "make bench   the long sweeps"

demo: $(READY)
	$(BIN)/snngen demo

test: $(READY) check
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf $(VENV) build dist

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@
