# Two commands for a new user: `make run` and `make test`. `make check` is what to run before a commit.

PORT ?= 8501
VENV ?= .venv
BIN  := $(VENV)/bin
# The first interpreter that answers and is 3.11 to 3.13 (the host runs 3.12).
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo $$p; break; }; done)

.PHONY: run test check architecture documents pictures format bench shipped mutate fuzz fuzz-links pairs audit upgrade \
	focus system-packages clean

run: $(VENV)/.installed
	$(BIN)/python -m streamlit run app.py --server.port $(PORT)

# Each file of tests goes to one of so many processes.
JOBS ?= 3

test: $(VENV)/.installed-dev system-packages
	$(BIN)/python -m pytest -rs -n $(JOBS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -rs -n $(JOBS)

# The pictures of the pages that the browser tests compare with: stored anew after a wanted change.
pictures: $(VENV)/.installed-dev
	RENEW_PICTURES=1 $(BIN)/python -m pytest -q tests/browser/test_every_page.py -k a_page_is_sound

architecture: $(VENV)/.installed-dev
	$(BIN)/python tools/architecture.py

# The parts of docs/ that are made of the code: commands, columns, errors of predictions.
documents: $(VENV)/.installed-dev
	PYTHONPATH=. $(BIN)/python tools/documents.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# docs/performance.md anew, all of it or some sections: make bench ONLY="kernel peers"
ONLY ?=
bench: $(VENV)/.installed-dev .venv-peers/.installed
	PYTHONPATH=. $(BIN)/python benchmarks/report.py $(ONLY)

# Other simulators, in an environment of their own: what they need is nobody else's business.
.venv-peers/.installed: requirements-peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-peers.txt
	@touch $@

# What a first visitor sees before anything is simulated: data/shipped.npz, computed anew.
shipped: $(VENV)/.installed
	PYTHONPATH=. $(BIN)/python tools/ship.py

# Small wrong changes, one at a time: which do the tests notice? See docs/mutation.md.
N ?= 60
SEED ?= 1
mutate: $(VENV)/.installed-dev
	$(BIN)/python tools/mutate.py --sample $(N) --seed $(SEED) $(MORE)

# Are versions pinned here known to be weak? ADVISORIES=FOLDER asks a copy of the advisory database.
audit: $(VENV)-supply/.installed $(VENV)/.installed-dev
ifdef ADVISORIES
	$(BIN)/python tools/audit.py $(ADVISORIES)
else
	@for list in $(filter-out requirements-peers.txt,$(wildcard requirements*.txt)); do echo "== $$list"; \
		$(VENV)-supply/bin/pip-audit --disable-pip --require-hashes -r $$list || exit 1; done
endif

# The validator of FOCUS files, in an environment of its own: the test of the export then runs it.
focus: $(VENV)-focus/.installed

$(VENV)-focus/.installed: requirements-focus.txt
	@test -n "$(PYTHON)" || { echo "Frontier needs Python 3.11, 3.12 or 3.13; none was found."; exit 1; }
	$(PYTHON) -m venv $(VENV)-focus
	$(VENV)-focus/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-focus.txt
	@touch $@

# Once a month: newer packages, what changed in CHANGELOG.md, and all checks. See SECURITY.md.
upgrade: $(VENV)-supply/.installed
	$(VENV)-supply/bin/python tools/upgrade.py
	$(MAKE) check

$(VENV)-supply/.installed: requirements-supply.txt
	@test -n "$(PYTHON)" || { echo "Frontier needs Python 3.11, 3.12 or 3.13; none was found."; exit 1; }
	$(PYTHON) -m venv $(VENV)-supply
	$(VENV)-supply/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-supply.txt
	@touch $@

# Mutants of good files thrown at every reader; the suite tries 20,000: make fuzz N=200000 SEED=7
fuzz: $(VENV)/.installed-dev
	PYTHONPATH=. $(BIN)/python tests/fuzz.py $(N) $(SEED)

# Pages opened with links of every kind; the suite opens some: make fuzz-links N=500 SEED=7
fuzz-links: $(VENV)/.installed-dev
	PYTHONPATH=. FRONTIER_MEMORY_MB=4000 $(BIN)/python tests/fuzz_links.py $(N) $(SEED)

# Each pair of values of two choices in one link at least; the suite opens the first: make pairs SECONDS=900
pairs: $(VENV)/.installed-dev
	PYTHONPATH=. FRONTIER_MEMORY_MB=4000 $(BIN)/python tests/combos.py $(SECONDS)

$(VENV)/.installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "Frontier needs Python 3.11, 3.12 or 3.13; none was found."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-cluster.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# The browser tests need a Chromium, the workbook test a LibreOffice. They are installed where that
# takes no password (root with apt, as in CI); elsewhere the tests say that they were skipped.
system-packages:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	|| command -v google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Chromium for the browser tests"; \
			apt-get update -qq && apt-get install -y -qq chromium >/dev/null \
			|| echo "Chromium could not be installed: the browser tests will be skipped"; \
		else echo "No Chromium found: the browser tests will be skipped"; fi; }
	@command -v soffice >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && [ -n "$$CI" ] && command -v apt-get >/dev/null; then \
			echo "Installing LibreOffice for the workbook test"; \
			apt-get update -qq && apt-get install -y -qq libreoffice-calc >/dev/null \
			|| echo "LibreOffice could not be installed: the workbook test will be skipped"; \
		else echo "No LibreOffice found: the workbook test will be skipped"; fi; }
	@command -v nginx >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && [ -n "$$CI" ] && command -v apt-get >/dev/null; then \
			echo "Installing nginx for the tests of what is in front"; \
			apt-get update -qq && apt-get install -y -qq nginx-light >/dev/null \
			|| echo "nginx could not be installed: its tests will be skipped"; \
		else echo "No nginx found: the tests of what is in front will be skipped"; fi; }

clean:
	rm -rf $(VENV) $(VENV)-supply $(VENV)-focus .pytest_cache .ruff_cache .import_linter_cache .hypothesis
