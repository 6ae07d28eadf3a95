# Each target makes its own virtual environment with plain venv and pip; nothing else is assumed on the machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench clean

$(VENV)/core.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(PIP) --editable '.[dev]'
	@touch $@

# For the tests of the report's page. Where Chromium cannot be installed they are skipped, and say so.
$(VENV)/browser.stamp: $(VENV)/dev.stamp
	@if ! { command -v chromium && command -v chromedriver; } >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver; } >/dev/null \
			|| echo "Chromium could not be installed: the tests of the report's page will be skipped"; \
	fi
	@touch $@

# For the tests of banks in PostgreSQL. Where it cannot be installed they are skipped, and say so.
$(VENV)/postgres.stamp: $(VENV)/browser.stamp
	@if ! { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update && apt-get install -y --no-install-recommends postgresql; } >/dev/null \
			|| echo "PostgreSQL could not be installed: the tests of banks in it will be skipped"; \
	fi
	@touch $@

$(VENV)/train.stamp: $(VENV)/dev.stamp
	$(PIP) --editable '.[train]'
	@touch $@

demo: $(VENV)/core.stamp  ## the main job on the built-in model
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh recipes/demo.sh

lint: $(VENV)/dev.stamp  ## formatting, lint and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint $(VENV)/browser.stamp $(VENV)/postgres.stamp  ## all that CI runs
	$(BIN)/pytest

bench: $(VENV)/train.stamp  ## benchmarks against peers and limits; takes minutes
	for file in bench/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
