# make demo: install and show the node at work.   make test: install and run all tests.   make viewer: the results in OHIF.
VENV ?= .venv
PYTHON ?= python3
OHIF := 3.13.2
BIN := $(VENV)/bin

.PHONY: demo test check evaluation clean viewer viewer-tools

demo: $(VENV)/demo.stamp
	$(BIN)/echo-scp demo

# The results of a synthetic study in a real viewer: OHIF on Orthanc, beside the node.
viewer: $(VENV)/dev.stamp viewer-tools
	PYTHONPATH=. $(BIN)/python -m scripts.viewer.show

viewer-tools: .viewer/package/dist/index.html .viewer/node_modules/dcmjs-dimse
	@test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so || echo "Missing: apt-get install orthanc orthanc-dicomweb"
	@command -v chromium >/dev/null || echo "Missing (for its tests): apt-get install chromium"

.viewer/package/dist/index.html:
	mkdir -p .viewer
	cd .viewer && npm pack --silent @ohif/app@$(OHIF) && tar -xzf ohif-app-$(OHIF).tgz package/dist && rm ohif-app-$(OHIF).tgz

# The adapters use @babel/runtime without saying so.
.viewer/node_modules/dcmjs-dimse:
	npm install --silent --no-save --prefix .viewer \
		dcmjs@0.52.2 dcmjs-dimse@0.3.3 @cornerstonejs/adapters@5.14.0 @babel/runtime@7.26.10

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

# Everything that must be clean before a change lands, tests included.
check: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest

# Measure the engines on CAMUS and write the tables into docs/evaluation.md: make evaluation DATA=FOLDER
evaluation: $(VENV)/dev.stamp
	$(BIN)/python scripts/evaluate_camus.py $(DATA)

$(VENV)/demo.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/dev.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo-output .mypy_cache .ruff_cache .pytest_cache
