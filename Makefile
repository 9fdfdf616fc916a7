# Two commands for a fresh machine: `make demo` shows ltx at work, `make test` checks all of it.
# The oldest Python first: it is the one that most of ltx's dependencies are tested with.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell tools/find_python $(v))))
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick second lint needs clean

demo: $(VENV)/installed
	$(BIN)/ltx run --gin_file=gin_configs/studies/first_ticket.gin

# Two at a time; the tests of one file stay together and share what they compiled. Files go in their
# order: by the count of their tests, the few that take minutes would come last, on one core.
test: needs lint
	$(PYTEST)
ifdef CI
	$(MAKE) second
endif

# The tests that take no more than seconds each.
quick: $(VENV)/installed
	$(PYTEST) -m "not slow"

# The quick tests on the newest other version of Python that this machine has.
OTHER = $(lastword $(foreach v,3.12 3.13,$(shell tools/find_python $(v))))
second:
	@if [ -z "$(OTHER)" ]; then echo 'second Python: none of 3.12 and 3.13 on this machine'; \
	else echo "second Python: `$(OTHER) --version`" && \
	$(MAKE) quick PYTHON=$(OTHER) VENV=$(VENV)-second; fi

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Debian's packages for the tests of pages and of Fashion-MNIST, where they can be installed.
needs:
	@tools/install_needs

# Anew whenever setup.cfg changes: entry points are frozen when a package is installed.
$(VENV)/installed: setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo 'ltx needs Python 3.11, 3.12 or 3.13'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-second *.egg-info
