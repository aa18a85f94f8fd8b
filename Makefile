# Everything runs in .venv; `make install` is the only set-up there is.
PYTHON ?= python3
# Where pip finds the CPU build of torch, besides the index it is configured with.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TOOLS := $(VENV)/.tools

.PHONY: install demo test check serve protos format long-test stress bench-summaries bench-backends bench-kernels bench-detection bench-symbols bench bench-quick bench-overload report-summaries report-fidelity clean

install: $(TOOLS)
	@$(BIN)/latimer-server models fetch

$(TOOLS): requirements.lock pyproject.toml setup.py clients/python/pyproject.toml $(wildcard service/latimer_server/backends/marian/native/*.cpp service/latimer_server/backends/marian/native/*.h)
	$(PYTHON) -m venv $(VENV)
	@echo "installing pip and torch (CPU) ..."
	$(PIP) install --upgrade "$$(grep '^pip==' requirements.lock)" "$$(grep '^setuptools==' requirements.lock)"
	$(PIP) install --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) "$$(grep '^torch==' requirements.lock)"
	@echo "installing the other packages ..."
	$(PIP) install --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable clients/python --editable .
	@$(BIN)/python -m latimer_server.backends.marian.native_engine
	@touch $@

demo: install
	@$(BIN)/python clients/python/examples/demo.py

serve: install
	@$(BIN)/latimer-server serve

test: install
	$(BIN)/python -m pytest

# Slow: the real model on a document of 1 MB, through a real channel; fetches the text with apt.
long-test: install
	$(BIN)/python -m benchmarks.service.long_document

# Forty models, room for eight: every call answered or refused by name, memory back (about 8 minutes).
stress: install
	$(BIN)/python -m benchmarks.service.model_churn

# ROUGE of the extractive summaries beside the first and random sentences.
bench-summaries: install
	$(PIP) install --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.quality.summaries

# Language detection: libraries side by side, and how honest ours is.
bench-detection: install
	$(PIP) install --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.quality.detection

# Matrix products and other operators of the students, by every library that could compute them.
bench-kernels: install
	$(PIP) install --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.micro.kernels
	$(BIN)/python -m benchmarks.micro.operators

# CTranslate2 beside transformers, on a model of OPUS-MT's size.
bench-backends: install
	$(BIN)/python -m benchmarks.micro.hub_backends

# Which symbols the embedded models copy: behind them protected spans are hidden.
bench-symbols: install
	$(BIN)/python -m benchmarks.quality.symbols

# Ours beside the other engines that run the same model (they go into an environment of their own), about 15 minutes on
# an otherwise idle machine; writes benchmarks/peers/report.{md,json,svg}.
bench: install
	$(BIN)/python -m benchmarks.peers

# The same in a few minutes and on less text, to see whether it works; writes into benchmarks/.cache/peers.
bench-quick: install
	$(BIN)/python -m benchmarks.peers --quick

# Under twice the load that it can bear, for five minutes.
bench-overload: install
	$(BIN)/python -m benchmarks.service.overload

# HYBRID summaries of thirty texts, with what readers said of them; writes benchmarks/quality/faithfulness/report.md.
report-summaries: install
	$(BIN)/python -m benchmarks.quality.faithfulness

# What survives the service: nasty inputs, an invariant on each, then ordinary text; writes benchmarks/quality/fidelity/*.md.
report-fidelity: install
	$(BIN)/python -m benchmarks.quality.fidelity
	$(BIN)/python -m benchmarks.quality.fidelity.ordinary
	$(BIN)/python -m benchmarks.quality.fidelity.cost

check: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --lint
	$(BIN)/python protos/generate.py --check
	$(BIN)/hadolint Dockerfile

format: $(TOOLS)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: $(TOOLS)
	$(BIN)/python protos/generate.py

clean:
	rm -rf $(VENV) protos/.venv benchmarks/.cache build
