# Every target sets up what it needs: a virtual environment in .venv with requirements.txt.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO := runs/demo
# An environment of its own for the installed package, without TensorFlow.
CLEAN := .venv-package
PACKAGE := runs/package

.PHONY: demo test test-thorough lint test-package test-server test-browser test-cluster test-libtpu test-hosts test-notebooks labs

demo: $(VENV)/ready
	$(RUN) launch.py --config=configs/digits_pixelcnn.py --workdir=$(DEMO)
	$(RUN) launch.py --workdir=$(DEMO) --mode=eval
	$(RUN) launch.py --workdir=$(DEMO) --mode=sample
	@echo "loss curve: $(DEMO)/figures/loss.png"

# In two parts, so that no worker keeps what all tests together have compiled.
test: $(VENV)/ready
	$(RUN) -m pytest tests/test_[a-l]*.py
	$(RUN) -m pytest tests/test_[m-z]*.py

# Tests that need more than Python: see the markers in pyproject.toml.
# test-cluster needs a Slurm (tests/slurm/up.sh), test-hosts two hosts (tests/slurm/two_hosts.sh).
test-thorough test-server test-browser test-cluster test-libtpu test-hosts: $(VENV)/ready
	$(RUN) -m pytest -m $(@:test-%=%)

# The notebooks of docs/labs in their smoke form.
test-notebooks: $(VENV)/ready
	$(RUN) -m pytest -m notebooks tests/test_labs.py

# The same on real data, written with their outputs: TFDS_DATA_DIR names a prepared MNIST.
labs: $(VENV)/ready
	$(RUN) -m tests.labs

lint: $(VENV)/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# A wheel, installed where there is nothing else; then a script in another folder uses it.
test-package: $(VENV)/ready
	rm -rf $(CLEAN) $(PACKAGE) && mkdir -p $(PACKAGE)/elsewhere
	$(RUN) launch.py --config=configs/digits_pixelcnn.py:smoke --workdir=$(PACKAGE)/run
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir=$(PACKAGE) .
	$(PYTHON) -m venv $(CLEAN)
	$(CLEAN)/bin/python -m pip install --quiet $(PACKAGE)/genlab-*.whl
	cd $(PACKAGE)/elsewhere && ../../../$(CLEAN)/bin/python -I ../../../tests/package_run.py ../run

$(VENV)/ready: requirements.txt $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -r requirements.txt
	touch $@
