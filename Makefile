# Everything starts from Python >= 3.11, make and the package registry; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
SIZE ?= small

.DEFAULT_GOAL := help
.PHONY: help install demo check test format proof bench docs picture figures lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "regulars needs Python 3.11 or later; name one: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt
	@touch $@

install: $(VENV)/.installed ## Install regulars into .venv

demo: install ## Load a real shop, score it, serve the API
	$(BIN)/regulars demo

check: $(VENV)/.installed-dev ## Lint, types, floors, structure
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q tests/test_architecture.py

test: $(VENV)/.installed-dev ## Run every test
	$(BIN)/pytest -n $(WORKERS) -q

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proof: $(VENV)/.installed-dev ## Break things on purpose, count what is lost; SIZE=small or full
	$(BIN)/python -m proof.crash --size $(if $(filter full,$(SIZE)),long,short)
	$(BIN)/python -m proof.slow_clients --size $(if $(filter full,$(SIZE)),long,short)
	$(BIN)/python -m proof.jobs --size $(if $(filter full,$(SIZE)),long,short)

bench: $(VENV)/.installed-dev ## Measure how fast it is, write docs/benchmarks.md; SIZE=toy, small or full
	$(BIN)/python -m benchmarks --size $(SIZE)

docs: $(VENV)/.installed-dev ## Write the pages that are made from the code
	$(BIN)/python docs/reference/settings.py
	$(BIN)/python docs/reference/schema.py
	$(BIN)/python docs/reference/licences.py
	$(BIN)/python docs/adr/index.py

picture: $(VENV)/.installed-dev ## Draw the picture of the README anew
	$(BIN)/python docs/pictures/demo.py

figures: $(VENV)/.installed-dev ## Print the back-tests of the documentation anew
	$(BIN)/python docs/figures/backtests.py

lock: $(VENV)/.installed-dev ## Compile the pinned requirements anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --python-version 3.11 --extra demo \
		pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --python-version 3.11 --extra demo --extra dev \
		--extra completejourney -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt

clean: ## Remove what was installed
	rm -rf $(VENV)
