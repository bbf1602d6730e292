# Every target sets up its own virtual environment on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help demo test check analyse fuzz prove prove-hdl sanitize bench bench-accuracy bench-area bench-balancing bench-boards bench-hardware bench-lossless bench-mapping bench-mcu bench-pc bench-peers bench-synops bench-trained bench-tune clean

help:
	@echo "make demo    a tour: convert, emit, compile, verify, evaluate"
	@echo "make test    the tests, on all cores"
	@echo "make check   format, lint, types and the tests"
	@echo "make analyse   emitted C under gcc -fanalyzer, clang-tidy, cppcheck and MISRA's rules; minutes"
	@echo "make fuzz    the public functions of emitted C under libFuzzer; an hour, or SECONDS=..."
	@echo "make prove   no run-time error in emitted C, for every input of small networks; half an hour"
	@echo "make prove-hdl   claims about the hardware's cores, for all inputs, and planted bugs; some minutes"
	@echo "make sanitize   trained networks under AddressSanitizer, UBSan, valgrind; a quarter of an hour"
	@echo "make bench   trained networks on whole test sets; needs SNNGEN_DATA and SNNGEN_MODELS"
	@echo "make bench-accuracy   every method at many lengths: what is not measured yet; hours"
	@echo "make bench-area   what hardware takes, estimated and synthesised; half an hour"
	@echo "make bench-balancing   threshold balancing, timestep by timestep; ten minutes"
	@echo "make bench-boards   whole traces on every emulated processor; half an hour"
	@echo "make bench-hardware   chips compiled by Verilator: whole traces, cycles; half an hour"
	@echo "make bench-lossless   quantised networks, every level of them; half an hour"
	@echo "make bench-mapping   networks on simulated crossbar cores; some minutes"
	@echo "make bench-mcu   instructions on emulated processors beside other C; an hour"
	@echo "make bench-pc   time per inference on this machine beside other C; a quarter of an hour"
	@echo "make bench-synops   accuracy against synaptic operations; trains networks in FOLDER=..., two hours"
	@echo "make bench-trained   every network trained here, from ONNX to C on a processor; some minutes"
	@echo "make bench-tune   what tune chooses beside the table of everything; a quarter of an hour"
	@echo "make bench-peers   speed and accuracy beside torch tools, which it installs"

demo: $(READY)
	$(BIN)/snngen demo

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadgroup

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --dist loadgroup

analyse: $(READY)
	$(BIN)/python -m tests.assurance.analyse

fuzz: $(READY)
	$(BIN)/python -m tests.assurance.fuzz $(SECONDS)

prove: $(READY)
	$(BIN)/python -m tests.assurance.prove

prove-hdl: $(READY)
	$(BIN)/python -m hdl.proofs

sanitize: $(READY)
	$(BIN)/python -m tests.assurance.trained

bench: $(READY)
	$(BIN)/python -m bench.given_networks
	$(BIN)/python -m bench.resnet20

bench-accuracy: $(READY)
	$(BIN)/python -m bench.accuracy
	$(BIN)/python -m bench.ecc

bench-area: $(READY)
	$(BIN)/python -m bench.area

bench-balancing: $(READY)
	$(BIN)/python -m bench.balancing

bench-boards: $(READY)
	$(BIN)/python -m bench.boards

bench-hardware: $(READY)
	$(BIN)/python -m bench.hardware

bench-lossless: $(READY)
	$(BIN)/python -m bench.lossless

bench-mapping: $(READY)
	$(BIN)/python -m bench.mapping

bench-peers: $(READY)
	$(BIN)/python -m pip install --quiet torch==2.13.0 spikingjelly==2.0.0 sinabs==3.1.3
	$(BIN)/python -m bench.golden_vs_torch
	$(BIN)/python -m bench.peers_accuracy

bench-mcu: $(READY)
	$(BIN)/python -m pip install --quiet emx-onnx-cgen==1.4.0
	$(PYTHON) -m venv build/acetone
	build/acetone/bin/python -m pip install --quiet acetone-nnet==1.0.post1 tensorflow-cpu==2.12.1 keras==2.12.0 onnx==1.16.2 numpy==1.23.5
	$(BIN)/python -m bench.mcu

bench-pc: $(READY)
	$(BIN)/python -m pip install --quiet emx-onnx-cgen==1.4.0
	$(BIN)/python -m bench.pc

bench-synops: $(READY)
	$(BIN)/python -m pip install --quiet --editable ".[train]"
	$(BIN)/python -m bench.synops $(or $(FOLDER),build/synops)

bench-trained: $(READY)
	$(BIN)/python -m bench.trained

bench-tune: $(READY)
	$(BIN)/python -m bench.tune

clean:
	rm -rf $(VENV) build dist

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@
