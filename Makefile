# Targets, each with all its own set-up in a fresh virtual environment:
#   make demo    the main job: a metered search on 5,000 MNIST images, the front, and report.html
#   make check   the quick loop: lint, types, all tests but the slow ones (tests/durations.json says which)
#   make durations  measures how long each test takes
#   make audit   known holes in the packages that are installed
#   make test    lint, types, all tests but the long ones, which CI runs too (CI=1 make test)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests of one file share what is dear to make: a file goes to one process as a whole. The longest
# ones come first (tests/contracts/durations.py), and all processes end at about the same time. Each takes
# 20 CPU-seconds to begin, and few files wait: as many as there are cores (benchmarks/log.md).
WORKERS ?= 2
PYTEST := $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=20

# Commands that tests and users start shall not compile our modules anew each time.
unexport PYTHONDONTWRITEBYTECODE

# These cap packages below the versions that they are tested with here; what they import is in [dev].
CAPPING := nni aiobotocore boto3 botocore moto s3fs s3transfer

.PHONY: demo lint check test durations audit clean

$(BIN)/python: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt $(CAPPING)
	touch $@

# A strict editable install links the files that were there: new ones need it again (seconds).
.PHONY: installed
installed: $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .

demo: installed
	mkdir -p demo
	cp examples/mnist5k.toml demo/study.toml
	cd demo && rm -rf greenfront.db* .greenfront && ../$(BIN)/greenfront run study.toml
	cd demo && ../$(BIN)/greenfront report mnist5k -o ../report.html

lint: installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint
	$(PYTEST) -m "not slow"

test: lint
	$(PYTEST) $(if $(CI),,-m "not long")

# How long each test takes decides which loop runs it: to be measured anew on a quiet machine.
durations: installed
	$(PYTEST) --record-durations

# Known holes in the versions that were tested together: asks PyPI's advisory database, so it needs a
# network that reaches it. In an environment of its own, which leaves the tested one as it is.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit --disable-pip --no-deps --requirement constraints.txt

clean:
	rm -rf $(VENV) build demo report.html .mypy_cache .pytest_cache .ruff_cache
