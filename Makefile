# One word for each thing that one does with the book. Nothing is needed beforehand but
# Python 3.11 to 3.14 with venv, make and git; tests of the pages want Chromium besides.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Two notebooks run at once; more threads in each would only get in one another's way.
export OPENBLAS_NUM_THREADS ?= 1
export PYDEVD_DISABLE_FILE_VALIDATION = 1

.PHONY: help book test check lint lab serve bench new-chapter store lock clean

help:
	@echo "make book         build the site in _build/html"
	@echo "make test         run every test and every notebook"
	@echo "make lab          open JupyterLab on the notebooks"
	@echo "make serve        show the built site on this machine"
	@echo "make check        lint, types, docstrings, hygiene and the slow statistics"
	@echo "make bench        compare the solvers with what you would use otherwise"
	@echo "make new-chapter name=03-minimal-degree"
	@echo "make store [name=...]   run notebooks and store what the tests compare"
	@echo "make lock         renew requirements.lock"
	@echo "make clean        remove what was built"

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	  || { echo "Python 3.11 to 3.14 is needed; say which with make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

book: $(INSTALLED)
	$(BIN)/python tools/book.py

test: book
	$(BIN)/python -m pytest -n auto --dist loadscope tests
	$(BIN)/python -m pytest -n auto --dist loadscope --nbval-lax --nbval-current-env notebooks

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/notebooks.py check

check: lint book
	$(BIN)/python -m pytest -n auto --dist loadscope -m "slow or not slow" tests

lab: $(INSTALLED)
	$(BIN)/jupyter lab notebooks

serve: book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

bench: book
	PYTHONPATH=tools $(BIN)/python benchmarks/run.py

new-chapter: $(INSTALLED)
	$(BIN)/python tools/notebooks.py new $(name)

store: $(INSTALLED)
	$(BIN)/python tools/notebooks.py store $(name)

lock: $(INSTALLED)
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --extra dev \
	  --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --upgrade --quiet --output-file requirements.lock

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
