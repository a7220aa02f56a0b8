# The front door is `make help`.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all newer lint browser targets fuzzers proofs kernel format docs release bench figures results fuzz models clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
IS_3_10 := import sys; sys.exit(sys.version_info[:2] != (3, 10))

# First a Python that the user names, then one on the path that really runs, then pyenv's and uv's.
FIND_PYTHON = for candidate in "$$PYTHON" python3.10 \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.10*/bin/python "$$(uv python find 3.10 2>/dev/null)" python3 python; do \
	if [ -n "$$candidate" ] && "$$candidate" -c '$(IS_3_10)' 2>/dev/null; then \
	echo "$$candidate"; break; fi; done

# A set-up that was interrupted leaves a .venv without pip; one of another Python cannot hold Lava.
VENV_IS_USABLE = { $(BIN)/python -c '$(IS_3_10)' && $(BIN)/python -m pip --version; } >/dev/null 2>&1

help: ## show this help
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(STAMP) ## build .venv from the pinned constraints (about 2 minutes, 6 GB)

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@if $(VENV_IS_USABLE); then exit 0; fi; \
	python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "pisnn-deploy needs Python 3.10, because Lava runs on no other, and there is none here." >&2; \
		echo "Install it with 'pyenv install 3.10' or 'uv python install 3.10', or name one: make setup PYTHON=..." >&2; \
		exit 2; \
	fi; \
	if [ -n "$$PYTHON" ] && [ "$$PYTHON" != "$$python" ]; then \
		echo "PYTHON=$$PYTHON is no Python 3.10 that runs; using $$python instead." >&2; \
	fi; \
	echo "using $$python"; \
	"$$python" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pip setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[all,dev,docs]'
	@touch $(STAMP)

demo: setup ## compile heat1d, verify and check it, run it on Lava, draw it: build/demo/heat1d.png
	@mkdir -p build/demo
	$(BIN)/pisnn-deploy compile models/heat1d/model.pt --profile loihi2 -o build/demo/heat1d.pisnn
	$(BIN)/pisnn-deploy verify build/demo/heat1d.pisnn
	$(BIN)/pisnn-deploy check build/demo/heat1d.pisnn --profile loihi2
	$(BIN)/pisnn-deploy simulate build/demo/heat1d.pisnn --backend cpu \
		--plot build/demo/heat1d.png --save build/demo/heat1d.npz
	@echo "picture: build/demo/heat1d.png"

# Neighbouring tests share kernels and fixtures, so each process gets neighbours; one that is done takes from the other.
PYTEST = $(BIN)/python -m pytest -q -n auto --dist worksteal --durations 20

test: lint browser targets fuzzers proofs ## run ruff, mypy and all tests, and list the 20 slowest
	$(PYTEST)

test-all: lint browser targets fuzzers proofs ## the same with ten times the random examples, long cases, and newer Pythons (hours)
	PISNN_EXAMPLES=10 PISNN_CASES=1000 PISNN_ALL_PYTHONS=1 $(PYTEST) --timeout 3600

newer: setup ## test the wheel on every installed Python from 3.11 to 3.14
	PISNN_ALL_PYTHONS=1 $(BIN)/python -m pytest -q tests/test_newer_pythons.py

lint: setup ## run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy pisnn_deploy tests fuzz benchmarks release

# Reports are tested in a real browser, and playwright's own would be another download of 200 MB.
browser: ## install chromium for the tests of reports, from Debian's packages, if missing
	@if command -v chromium >/dev/null 2>&1; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then \
		echo "The tests of reports need chromium, and there is none on the path; install it, for example with" \
			"'sudo apt-get install chromium fonts-dejavu-core'." >&2; \
		exit 2; \
	fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		chromium fonts-dejavu-core

# Compilers and simulators of the machines that generated C is tested on.
TARGETS := gcc clang arm-none-eabi-gcc qemu-system-arm riscv64-unknown-elf-gcc qemu-system-riscv32 avr-gcc simavr \
	iverilog verilator g++ make yosys nextpnr-ice40 icepack
TARGET_PACKAGES := gcc clang gcc-arm-none-eabi qemu-system-arm gcc-riscv64-unknown-elf qemu-system-misc gcc-avr avr-libc simavr \
	iverilog verilator g++ make yosys nextpnr-ice40 fpga-icestorm

targets: ## install compilers, and simulators of microcontrollers and circuits, for the tests, from Debian's packages, if missing
	@for program in $(TARGETS); do command -v $$program >/dev/null 2>&1 || missing="$$missing $$program"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then \
		echo "The tests of generated C and Verilog need$$missing; install them, for example with" \
			"'sudo apt-get install $(TARGET_PACKAGES)'." >&2; \
		exit 2; \
	fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		$(TARGET_PACKAGES)

PROVERS := coqc ocamlfind ocamlopt
PROVER_PACKAGES := coq ocaml-nox

proofs: ## compile the proofs and the checker extracted from them into build/proofs; installs Debian's coq if missing
	@for program in $(PROVERS); do command -v $$program >/dev/null 2>&1 || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then \
			echo "The proofs need$$missing; install them, for example with" \
				"'sudo apt-get install $(PROVER_PACKAGES)'." >&2; \
			exit 2; \
		fi; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			$(PROVER_PACKAGES); \
	fi
	@$(MAKE) --no-print-directory -C proofs OUT=$(CURDIR)/build/proofs

# Every branch of what proves an artifact alone is taken by its own tests.
kernel: setup ## measure the coverage of the kernel of `verify` by its own tests, which must be 100 %
	$(BIN)/python -m pip install --quiet --disable-pip-version-check coverage==7.16.2
	$(BIN)/python -m coverage run --branch --data-file build/kernel.coverage \
		--include 'pisnn_deploy/verify/kernel.py,pisnn_deploy/verify/plain_artifact.py' -m pytest -q tests/verify/test_kernel.py
	$(BIN)/python -m coverage report --data-file build/kernel.coverage --show-missing --fail-under 100

format: setup ## format the sources with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The theme's makers warn of another MkDocs than the one that is kept up as properdocs.
docs: setup ## build the documentation into build/site and check links, without network
	NO_MKDOCS_2_WARNING=1 $(BIN)/properdocs build --strict

release: setup ## build wheel and sdist of the last commit twice, compare them, and write them with an SBOM into dist
	$(BIN)/python -m release

bench: setup ## compare speed with Lava's own processes, C, numba, numpy, py-pde and FiPy, and with recorded ratios (20 minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev,baselines]'
	$(BIN)/python -m benchmarks.performance
	$(BIN)/python -m benchmarks.peers

figures: setup ## measure the figures and the picture of README.md and write them there
	$(BIN)/python -m benchmarks.figures

PROBLEMS := heat1d heat2d laplace2d advection_diffusion1d burgers1d

results: setup ## measure the zoo and its baselines for docs/results (100 minutes; keeps trainings in build)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev,baselines]'
	@for problem in $(PROBLEMS); do $(BIN)/python -m benchmarks.baselines --problem $$problem || exit 1; done
	$(BIN)/python -m benchmarks.ablation
	$(BIN)/python -m benchmarks.quantisation
	$(BIN)/python -m benchmarks.placement
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.fast_kernel
	$(BIN)/python -m benchmarks.generated_kernels
	$(BIN)/python -m benchmarks.long_horizons
	$(BIN)/python -m benchmarks.domains
	$(BIN)/python -m benchmarks.check_speed
	$(BIN)/python -m benchmarks.verify_speed
	$(BIN)/python -m benchmarks.start_up
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.faults_of_kinds
	$(BIN)/python -m benchmarks.invariance
	$(BIN)/python -m benchmarks.limiter
	$(BIN)/python -m benchmarks.limited_laws
	$(BIN)/python -m benchmarks.meshes
	$(BIN)/python -m benchmarks.convergence
	$(BIN)/python -m benchmarks.zoo_of_laws
	$(BIN)/python -m benchmarks.burgers
	$(BIN)/python -m benchmarks.trained_laws
	$(BIN)/python -m benchmarks.goals_of_laws
	$(BIN)/python -m benchmarks.stock
	$(BIN)/python -m benchmarks.residues
	$(MAKE) --no-print-directory proofs
	$(BIN)/python -m benchmarks.mutants
	$(BIN)/python -m benchmarks.goals_of_accuracy
	$(BIN)/python -m benchmarks.results

# atheris has wheels for these Pythons alone. One that makes environments goes before one that does not yet.
FUZZ_VENV := .venv-fuzz
FUZZ_STAMP := $(FUZZ_VENV)/.installed
FOR_ATHERIS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
FIND_FUZZING = for needed in "import ensurepip; " ""; do \
	for candidate in "$$FUZZ_PYTHON" python3.13 python3.12 python3.11 python3 \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[123]*/bin/python; do \
	if [ -n "$$candidate" ] && "$$candidate" -c "$${needed}$(FOR_ATHERIS)" 2>/dev/null; then \
	echo "$$candidate"; exit; fi; done; done

# Readers run on any Python, the fuzzing on fewer; without one, tests judge the seeds alone.
fuzzers: ## build .venv-fuzz for fuzzing, if there is a Python from 3.11 to 3.13
	@if [ -n "$$($(FIND_FUZZING))" ]; then $(MAKE) --no-print-directory $(FUZZ_STAMP); else \
		echo "There is no Python from 3.11 to 3.13 here: readers are tried with the seeds of the fuzzing alone." >&2; fi

$(FUZZ_STAMP): setup.cfg constraints-newer.txt
	@python=$$($(FIND_FUZZING)); \
	if [ -z "$$python" ]; then \
		echo "Fuzzing needs atheris, which runs on Python 3.11 to 3.13; install one, or name it: FUZZ_PYTHON=..." >&2; \
		exit 2; \
	fi; \
	if ! "$$python" -c 'import ensurepip' 2>/dev/null; then \
		package=$$("$$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])'); \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then \
			echo "$$python makes no environments; install it whole, for example with 'sudo apt-get install $$package'." >&2; \
			exit 2; \
		fi; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$package; \
	fi; \
	"$$python" -m venv --clear $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints-newer.txt \
		-e '.[cluster,fast,meshes,netx,nir,onnx,report]' atheris
	@touch $(FUZZ_STAMP)

MINUTES ?= 60

fuzz: $(FUZZ_STAMP) ## fuzz all readers for MINUTES=60 in total; resumes (findings in build/fuzz)
	$(FUZZ_VENV)/bin/python -m fuzz --minutes $(MINUTES) --page docs/results/fuzzing.md

models: setup ## train the zoo again into build/models
	@mkdir -p build/models
	@for problem in $(PROBLEMS); do $(BIN)/pisnn-deploy train $$problem -o build/models/$$problem.pt || exit 1; done

clean: ## remove build products, but not .venv
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
