# The Python that .venv is made from; any of 3.10 to 3.13. Not given: python3, or the one that .venv has already.
PYTHON ?= python3
# The video that the demo plays. Empty: 25 seconds of pedestrians on a campus, from the set-up.
VIDEO ?=
# The PyTorch that `make train-setup` installs. As pip has it, it may come with CUDA, which is several GB.
TORCH ?= torch>=2.1,<3
# Options for pytest, such as ARGS="-k mask".
ARGS ?=
# Processes that run the tests, each with about 600 MB; more than two processors, because many tests wait for nodes and
# other processes. 0: only one, which shows its output at once.
JOBS ?= 4
# The checks that `make check` runs, such as CHECKS="ruff mypy"; empty: all.
CHECKS ?=
# What `make fuzz` does: the number of cases, the seed from which they are drawn, and, such as "bags:17", one case alone.
CASES ?= 20000
SEED ?= 1
CASE ?=
# What `make soak` does: minutes of overload, and frames of long truth, which ends after five times MINUTES in any case;
# PARTS="truth": one part alone.
MINUTES ?= 10
FRAMES ?= 100000
PARTS ?= overload truth
# What `make life-cycles` does in each of its rows.
ROUNDS ?= 200

BOOTSTRAP = $(PYTHON) -m bootstrap
export VIDEO TORCH
unexport PYTHONSAFEPATH

.DEFAULT_GOAL := help
.PHONY: help setup lava runtimes rerun-setup foxglove-setup train-setup fleet fleet-test check-setup check site audit test fuzz soak life-cycles demo clean

help:
	@echo "make setup        create .venv with everything that is needed (PYTHON=/path/to/python3.12: with another Python)"
	@echo "make lava         add Lava's simulator, in .venv/lava with a Python of its own, for --backend lava_sim"
	@echo "make runtimes     add OpenVINO and ONNX Runtime, for networks in ONNX files and for bench, 350 MB"
	@echo "make rerun-setup  add what writes recordings for the Rerun viewer, and the viewer, 630 MB"
	@echo "make foxglove-setup"
	@echo "                  add what serves topics to Foxglove, for \`python -m regionmask_ros view --foxglove\`, 55 MB"
	@echo "make fleet        add Ray and fsspec, for many sources on many machines (--ray, s3://...), 260 MB"
	@echo "make fleet-test   run the tests of many sources, those on a Ray cluster included"
	@echo "make train-setup  add PyTorch for the commands train_mgnet and distill (TORCH=torch==2.13.0: another one)"
	@echo "make check        check style, types, imports, spelling and the documentation (CHECKS=\"ruff mypy\": some of them)"
	@echo "make site         build the documentation as a site: open site/index.html, no network needed"
	@echo "make audit        look up the pinned packages in the list of known vulnerabilities, where the network allows it"
	@echo "make test         run all tests (ARGS=\"-k mask\": options for pytest)"
	@echo "make fuzz         give damaged files and messages to all readers (CASES=200000 SEED=2: more, and others)"
	@echo "make soak         overload the node, and compare 100,000 frames with a reference (MINUTES=10 FRAMES=100000)"
	@echo "make life-cycles  configure, activate and change the node 200 times in 7 ways, and watch its memory (ROUNDS=20: less)"
	@echo "make demo         play a video through the ROS node, results in demo_output/ (VIDEO=file: your own video)"
	@echo "make clean        remove .venv and everything else that these commands made"

setup:
	@command -v "$(PYTHON)" >/dev/null || \
	    { echo "regionmask_ros set-up: missing: $(PYTHON) (Debian package: python3)" >&2; exit 2; }
	@$(BOOTSTRAP) setup $(if $(filter file,$(origin PYTHON)),,--with-this-python)

lava: setup
	@$(BOOTSTRAP) lava

runtimes: setup
	@$(BOOTSTRAP) add runtimes
	@$(BOOTSTRAP) python -c "import onnxruntime.quantization, openvino; print('ready: python -m regionmask_ros run VIDEO --output DIR --network FILE.onnx')"

rerun-setup: setup
	@$(BOOTSTRAP) add rerun
	@$(BOOTSTRAP) python -c "import rerun; print('ready: python -m regionmask_ros run VIDEO --output DIR --rerun FILE.rrd')"

foxglove-setup: setup
	@$(BOOTSTRAP) add foxglove
	@$(BOOTSTRAP) python -c "import foxglove; print('ready: python -m regionmask_ros view --foxglove')"

fleet: setup
	@$(BOOTSTRAP) add fleet
	@$(BOOTSTRAP) python -c "import fsspec, ray; print('ready: python -m regionmask_ros run FOLDER --output DIR --ray')"

train-setup: setup
	@$(BOOTSTRAP) torch "$$TORCH"
	@$(BOOTSTRAP) python -c "import torch; print('ready: python -m regionmask_ros distill, train_mgnet')"

check-setup: setup
	@$(BOOTSTRAP) add check

check: check-setup
	@$(BOOTSTRAP) python -m checks $(CHECKS)

site: check-setup
	@$(BOOTSTRAP) python -m checks.site

audit: setup
	@$(BOOTSTRAP) python -m checks.audit

# A test that hangs is ended after five minutes, so that a run always ends.
test: setup
	@# Several processes share the cores: threads of a product of matrices would wait for each other.
	@PYTEST_TIMEOUT=300 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BOOTSTRAP) python -m pytest -n "$(JOBS)" --dist loadfile $(ARGS)

fleet-test: fleet
	@PYTEST_TIMEOUT=300 $(BOOTSTRAP) python -m pytest test/fleet $(ARGS)

fuzz: setup
	@$(BOOTSTRAP) python -m checks.fuzz --cases "$(CASES)" --seed "$(SEED)" $(if $(CASE),--case "$(CASE)")

soak: setup
	@$(BOOTSTRAP) python -m checks.soak --minutes "$(MINUTES)" --frames "$(FRAMES)" --parts "$(PARTS)"

life-cycles: setup
	@$(BOOTSTRAP) python -m checks.life_cycles --rounds "$(ROUNDS)"

demo: setup
	@$(BOOTSTRAP) python -m regionmask_ros demo --output demo_output $${VIDEO:+--video "$$VIDEO"}

clean:
	rm -rf .venv demo_output runs site build install log .pytest_cache .hypothesis .mypy_cache .ruff_cache
	rm -f regionmask_ros/tiles/native/libtiles.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
