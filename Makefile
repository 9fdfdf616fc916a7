# On a new machine: `make demo` runs a study, `make test` runs all tests, `make help` lists the rest.
# The oldest Python first: it is the one that most of ltx's dependencies are tested with.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell tools/find_python $(v))))
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick second lint needs clean help

demo: $(VENV)/installed  ## install ltx and find the first tickets
	$(BIN)/ltx run --gin_file=gin_configs/studies/first_ticket.gin

# Two processes; the tests of one file stay together and share compiled programs. Files keep their
# order: sorted by number of tests, the few that take minutes would come last, on one core.
test: needs lint  ## run the linters and all tests
	$(PYTEST)
ifdef CI
	$(MAKE) second
endif

quick: $(VENV)/installed  ## run the tests that take no more than a few seconds each
	$(PYTEST) -m "not slow"

# The quick tests on the newest other version of Python that this machine has.
OTHER = $(lastword $(foreach v,3.12 3.13,$(shell tools/find_python $(v))))
second:  ## run the quick tests on another version of Python, if there is one
	@if [ -z "$(OTHER)" ]; then echo 'second Python: none of 3.12 and 3.13 on this machine'; \
	else echo "second Python: `$(OTHER) --version`" && \
	$(MAKE) quick PYTHON=$(OTHER) VENV=$(VENV)-second; fi

lint: $(VENV)/installed  ## run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# For the tests of pages and of Fashion-MNIST.
needs:  ## install the Debian packages that some tests need, where that is allowed
	@tools/install_needs

# Repeated whenever setup.cfg changes: entry points are read when a package is installed.
$(VENV)/installed: setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo 'ltx needs Python 3.11, 3.12 or 3.13'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s%s\n", $$1, $$2}' Makefile

clean:  ## remove the environments
	rm -rf $(VENV) $(VENV)-second *.egg-info
