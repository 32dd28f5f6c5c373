# Everything works in .venv/, so nothing is installed on the system.
PYTHON ?= python3
BIN := .venv/bin
# cpu takes PyTorch's builds without CUDA, 0.9 GB instead of 6.7 GB.
TORCH ?= cuda
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
# Programs that are started again and again are compiled once.
unexport PYTHONDONTWRITEBYTECODE

# The tests of one file stay in one process.
ON_ALL_CORES := --numprocesses auto --maxprocesses 8 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test quick fuzz kills lint bench bench-gpu clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

.venv/installed: setup.py package.xml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
ifeq ($(TORCH),cpu)
	$(BIN)/python -m pip install --quiet --index-url https://download.pytorch.org/whl/cpu torch torchvision
	@$(BIN)/python -c "import torch, torchvision; assert not torch.version.cuda" || \
	  { echo "pip took no CPU builds: was https://download.pytorch.org/whl/cpu reached?"; exit 1; }
else
	@[ -e /proc/driver/nvidia/version ] || [ -e /dev/nvhost-gpu ] || \
	  echo "There is no NVIDIA driver here: make demo TORCH=cpu takes 0.9 GB instead of 6.7 GB."
endif
	$(BIN)/python -m pip install --quiet --editable '.[ros,slam,fleet,onnx,test,lint]'
	touch $@

demo: .venv/installed ## Build maps from the shipped images, replay a bag through the live node, write a report
	$(BIN)/progeo demo

robot: ## Install beside a sourced ROS 2 distribution, into its workspace (TORCH=cpu|cuda|system)
	TORCH=$(TORCH) config/robot/install.sh

test: .venv/installed ## Run the tests (real DDS between processes, real images)
	$(BIN)/python -m pytest -m "not slow" $(ON_ALL_CORES)
	$(BIN)/python -m pytest -m slow --ignore=test/progeo_ros $(ON_ALL_CORES)
	$(BIN)/python -m pytest -m slow test/progeo_ros

quick: .venv/installed ## Run the quick tests on all cores, in under two minutes on two
	$(BIN)/python -m pytest -m "not slow" $(ON_ALL_CORES)

kills: .venv/installed ## Kill programs that write, a hundred times each; print a table of what was lost
	$(BIN)/python -m test.benchmarks.kills

fuzz: .venv/installed ## Read 50,000 damaged and hostile inputs of every kind; print a table of what became of them
	$(BIN)/python -m test.fuzz --cases 50000

compat: .venv/installed ## Run the demo and tests with the oldest versions allowed, of Ubuntu 24.04
	$(BIN)/python -m test.compat

lint: .venv/installed ## Check style, types, the order of imports and the structure
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m test.benchmarks.structure --source

bench: .venv/installed ## Run the benchmarks and write benchmarks.json
	$(BIN)/python -m test.benchmarks

bench-gpu: ## Run the benchmark of a CUDA device and write benchmarks_gpu.json; installs nothing
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m test.benchmarks --only cuda --out benchmarks_gpu.json

clean: ## Remove the environment and everything that was made
	rm -rf .venv .compat build install log demo_output *.egg-info
