# Every target sets up what it needs: a virtual environment in .venv with requirements.txt.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO := runs/demo

.PHONY: demo test lint

demo: $(VENV)/ready
	$(RUN) launch.py --config=configs/digits_pixelcnn.py --workdir=$(DEMO)
	$(RUN) launch.py --workdir=$(DEMO) --mode=eval
	$(RUN) launch.py --workdir=$(DEMO) --mode=sample
	@echo "loss curve: $(DEMO)/figures/loss.png"

test: $(VENV)/ready
	$(RUN) -m pytest

lint: $(VENV)/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

$(VENV)/ready: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -r requirements.txt
	touch $@
