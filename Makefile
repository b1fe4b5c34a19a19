# `make run` and `make test` need only Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
# Embedded models to install (350 MB in all); `make run MODELS=smollm2-135m` skips the larger one.
MODELS ?= smollm2-135m gemma-3-270m
BIN := .venv/bin

.PHONY: run test test-avx2 test-slow lint models clean

run: .venv/ready models
	$(BIN)/python app.py $(ARGS)

# The timeout makes a test that waits for ever fail by its name; the slowest one takes a minute.
test: .venv/ready-dev
	$(BIN)/python -m lineas_core fetch smollm2-135m
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --timeout 600 $(ARGS)

# As on a processor without AVX-512, AMX and bfloat16, where sums are added up in another order.
test-avx2: export ONEDNN_MAX_CPU_ISA = AVX2
test-avx2: export ATEN_CPU_CAPABILITY = avx2
test-avx2: export MKL_ENABLE_INSTRUCTIONS = AVX2
test-avx2: test

test-slow: .venv/ready-extras models
	$(BIN)/python -m pytest -m "slow or extra" $(ARGS)

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy lineas_core app

# A failed download must not keep the app from starting: it offers the model again.
models: .venv/ready
	-@for model in $(MODELS); do $(BIN)/python -m lineas_core fetch $$model; done

.venv/ready: requirements.txt constraints.txt pyproject.toml setup.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --progress-bar on -r requirements.txt -c constraints.txt
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .  # the command lineas
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	$(BIN)/pip install --disable-pip-version-check --quiet -r requirements-dev.txt -c constraints.txt
	touch $@

.venv/ready-extras: .venv/ready-dev setup.py
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation -e ".[oracle,harness]" -c constraints.txt
	touch $@

clean:
	rm -rf .venv
