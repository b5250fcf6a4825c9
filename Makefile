# make demo: set up .venv (no torch) and run the demo.    make check: set up .venv-dev and run every check.
# make bindings: fetch NVIDIA's bindings and TensorRT-RTX, and run the checks against them; no GPU is needed.
# Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
PY := $(shell $(PYTHON) -c 'import sys; print("py%d%d" % sys.version_info[:2])' 2>/dev/null)
PINS := constraints/$(PY).txt
DEV := .venv-dev/bin

.PHONY: demo check bindings clean

demo: .venv/$(PY)-installed
	.venv/bin/edge3vt demo

check: .venv-dev/$(PY)-installed
	$(DEV)/ruff format --check .
	$(DEV)/ruff check .
	$(DEV)/mypy
	$(DEV)/lint-imports --no-logo
	$(DEV)/python -m pytest

bindings: .venv-dev/$(PY)-installed
	$(DEV)/python -m pip install -q --disable-pip-version-check -c $(PINS) --no-build-isolation -e '.[rtx]'
	$(DEV)/python -m pytest -rs -m "slow or not slow" tests/test_aarch64.py tests/engine/test_tensorrt_api.py tests/engine/test_rtx.py

clean:
	rm -rf .venv .venv-dev build dist out engines/build .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

.venv/$(PY)-installed: EXTRAS := openvino
.venv-dev/$(PY)-installed: EXTRAS := openvino,window,train,bundle,metrics,igtl,v4l2,viewer,clinic,report,dev
.venv-dev/$(PY)-installed: BUILT := crcmod  # pyigtl's, as source only: built apart, with the tools it wants

%/$(PY)-installed: pyproject.toml $(PINS) | %/$(PY)
	@echo "installing edge3vt[$(EXTRAS)] into $*"
	$*/bin/python -m pip install -q --disable-pip-version-check -c $(PINS) hatchling $(BUILT)
	$*/bin/python -m pip install -q --disable-pip-version-check -c $(PINS) --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@

%/$(PY):
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment (no ensurepip); install its venv package, for example: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $*
	@touch $@

.PRECIOUS: %/$(PY)

ifneq ($(MAKECMDGOALS),clean)
ifeq ($(wildcard $(PINS)),)
$(error $(PYTHON) is $(or $(shell $(PYTHON) -c 'import platform; print("Python " + platform.python_version())' 2>/dev/null),not here); edge3vt needs Python 3.10 to 3.12: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.11)
endif
endif
