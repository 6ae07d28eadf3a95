# Each target makes its own virtual environment with plain venv and pip; nothing else is assumed on the machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test test-torch lint bench clean

$(VENV)/core.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(PIP) --editable '.[dev]'
	@touch $@

# Programs that the tests use: a browser, the sandbox, a proof checker. Where one cannot be installed its tests are
# skipped, and say so.
$(VENV)/system.stamp: $(VENV)/dev.stamp
	@missing=""; \
	for pair in chromium:chromium chromedriver:chromium-driver bwrap:bubblewrap coqc:coq; do \
		command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; \
	done; \
	if [ "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update >/dev/null || true; \
		for package in $$missing; do \
			apt-get install -y --no-install-recommends $$package >/dev/null \
				|| echo "$$package could not be installed: the tests that need it will be skipped"; \
		done; \
	elif [ "$$missing" ]; then echo "not installed, so that tests will be skipped:$$missing"; fi
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

test: lint $(VENV)/system.stamp  ## all that CI runs
	$(BIN)/pytest

test-torch: $(VENV)/train.stamp  ## the tests that need torch, which `make test` skips
	$(BIN)/pytest tests/verifiers/test_local.py

bench: $(VENV)/train.stamp  ## benchmarks against peers and limits; takes minutes
	for file in bench/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
