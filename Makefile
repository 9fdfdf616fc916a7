# Two commands for a fresh machine: `make demo` shows ltx at work, `make test` checks all of it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/installed
	$(BIN)/ltx run --gin_file=gin_configs/studies/first_ticket.gin

# Two at a time; the tests of one file stay together and share what they compiled. Files go in their
# order: by the count of their tests, the few that take minutes would come last, on one core.
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Anew whenever setup.cfg changes: entry points are frozen when a package is installed.
$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) *.egg-info
