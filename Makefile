# Two targets, each with all its own set-up in a fresh virtual environment:
#   make demo    the main job: a metered search on 5,000 MNIST images, the front, and report.html
#   make test    everything that CI checks: lint, types, tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test clean

$(BIN)/python: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt nni
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

test: installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q

clean:
	rm -rf $(VENV) build demo report.html .mypy_cache .pytest_cache .ruff_cache
