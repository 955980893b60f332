# make help lists the targets. Everything runs in .venv, which is built once from requirements.lock.

# The interpreter that .venv is built with: set it (make PYTHON=/opt/python3.12) or let check-python find one.
PYTHON ?=
# Flatfiles to work on: one path or several. Empty: the embedded synthetic default.
DATA :=
# More options for the script: make train-bliqnet ARGS="--epochs 5 --seed 1"
ARGS :=
# Folder of real data, laid out as data/README.md says, for make reproduce.
DATA_DIR :=
# Which benchmark `make bench` runs.
BENCH := bliqnet

VENV := .venv
INSTALLED := $(VENV)/.installed
RUN := $(VENV)/bin/python
# OpenQuake pins old libraries, hence an environment of its own.
OPENQUAKE := .venv-openquake
INSTALLED_OPENQUAKE := $(OPENQUAKE)/.installed
DATA_OPTION := $(if $(strip $(DATA)),--data $(DATA))

.DEFAULT_GOAL := help
.PHONY: gallery test-openquake help env demo reproduce docs export-bliqnet export-cvae campaign-faults campaign-inputs campaign-hostile train-bliqnet evaluate-bliqnet train-cvae evaluate-cvae explain-cvae search-cvae train-cgm search-cgm generate-cgm evaluate-cgm train-ml4szeq evaluate-ml4szeq explain-ml4szeq sample-ml4szeq search-ml4szeq map-ml4szeq test lint bench clean check-python

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target line; do \
		printf '  make %-17s %s\n' "$$target" "$$line"; done

env: $(INSTALLED) ## build .venv (the other targets do it by themselves, once)

train-bliqnet: $(INSTALLED) ## train on the embedded data, or on DATA=path [path ...]; options through ARGS="..."
	$(RUN) bliqnet/train_bliqnet.py $(DATA_OPTION) $(ARGS)

evaluate-bliqnet: $(INSTALLED) ## cross-validate beside a plain MLP and BSSA14; DATA= and ARGS= as above
	$(RUN) bliqnet/evaluate_bliqnet.py $(DATA_OPTION) $(ARGS)

train-cvae: $(INSTALLED) ## train the CVAE of spectral acceleration; DATA= and ARGS= as above
	$(RUN) cvae_sa/train_cvae.py $(DATA_OPTION) $(ARGS)

evaluate-cvae: $(INSTALLED) ## cross-validate it: residuals, calibration of its samples, SHAP; DATA= and ARGS= as above
	$(RUN) cvae_sa/evaluate_cvae.py $(DATA_OPTION) $(ARGS)

explain-cvae: $(INSTALLED) ## Shapley values and the latent space of the newest trained CVAE; ARGS= as above
	$(RUN) cvae_sa/explain_cvae.py $(ARGS)

search-cvae: $(INSTALLED) ## search the CVAE's recipe on event-grouped folds; DATA= and ARGS= as above
	$(RUN) cvae_sa/search_cvae.py $(DATA_OPTION) $(ARGS)

train-cgm: $(INSTALLED) ## train the generator of waveforms on embedded records or DATA=waveforms.h5; ARGS= as above
	$(RUN) cgm_gm/train_cgm.py $(DATA_OPTION) $(ARGS)

search-cgm: $(INSTALLED) ## search its recipe by TPE; DATA= and ARGS= as above
	$(RUN) cgm_gm/train_hyperopt.py $(DATA_OPTION) $(ARGS)

generate-cgm: $(INSTALLED) ## waveforms and maps of ARGS="--mag 3.9 --source-lat ... --output FILE.h5" by the newest run
	$(RUN) cgm_gm/generate_points.py $(ARGS)

evaluate-cgm: $(INSTALLED) ## judge the newest generator on earthquakes that it has not seen; DATA= and ARGS= as above
	$(RUN) cgm_gm/test_best_model.py $(DATA_OPTION) $(ARGS)

train-ml4szeq: $(INSTALLED) ## train on embedded trench segments or DATA=segments.csv [...]; ARGS= as above
	$(RUN) ml4szeq/train_fcn.py $(DATA_OPTION) $(ARGS)

evaluate-ml4szeq: $(INSTALLED) ## judge networks and baselines on segments held out; DATA= and ARGS= as above
	$(RUN) ml4szeq/evaluate_fcn.py $(DATA_OPTION) $(ARGS)

explain-ml4szeq: $(INSTALLED) ## which features the newest networks go by; DATA= and ARGS= as above
	$(RUN) ml4szeq/explain_fcn.py $(DATA_OPTION) $(ARGS)

sample-ml4szeq: $(INSTALLED) ## segments from grids, poles, a catalogue: ARGS="--grid SED=sediment.nc ... --output FILE.csv"
	$(RUN) ml4szeq/sample_grids.py $(ARGS)

search-ml4szeq: $(INSTALLED) ## search the recipe of the networks at random; DATA= and ARGS= as above
	$(RUN) ml4szeq/random_search.py $(DATA_OPTION) $(ARGS)

map-ml4szeq: $(INSTALLED) ## maps of ARGS="--predictions FILE.csv --output FOLDER", or of --relevances FILE.csv
	$(RUN) ml4szeq/map_segments.py $(ARGS)

export-bliqnet: $(INSTALLED) ## the newest BLiqNet, or the shipped one, as one ONNX file: ARGS="--output FILE.onnx"
	$(RUN) bliqnet/export_bliqnet.py $(ARGS)

export-cvae: $(INSTALLED) ## likewise the CVAE: ARGS="--output FILE.onnx"
	$(RUN) cvae_sa/export_cvae.py $(ARGS)

demo: $(INSTALLED) ## a first figure of each sub-project by the models that are shipped, within a minute
	$(RUN) shared/demo.py $(ARGS)

reproduce: $(INSTALLED) ## run all four on embedded data, with DATA_DIR=folder on real data too: runs/report/index.html
	$(RUN) shared/reproduce.py $(if $(strip $(DATA_DIR)),--data-dir $(DATA_DIR)) $(ARGS)

gallery: $(INSTALLED) ## make the README's pictures again from the runs of make reproduce DATA_DIR=...
	$(RUN) shared/make_gallery.py --output docs/gallery $(ARGS)

docs: $(INSTALLED) ## build the pages of all modules from their docstrings: runs/docs/index.html
	$(RUN) -m sphinx -q -b html -W --keep-going docs runs/docs

test: $(INSTALLED) ## run all tests; fails below 90 % branch coverage
	$(RUN) -m pytest -n 2 --dist worksteal --cov $(ARGS)

test-openquake: $(INSTALLED) $(INSTALLED_OPENQUAKE) ## exported models in OpenQuake's hazard curves, beside BSSA14, in its own environment
	$(RUN) bliqnet/export_bliqnet.py --run pretrained --output runs/openquake/bliqnet.onnx
	$(RUN) cvae_sa/export_cvae.py --run pretrained --output runs/openquake/cvae_sa.onnx
	$(OPENQUAKE)/bin/python -m pytest -W default tests/openquake $(ARGS)

campaign-faults: $(INSTALLED) ## kill every training, search and generation at 100 random moments, and resume: hours
	$(RUN) tests/campaigns/faults.py $(ARGS)

campaign-inputs: $(INSTALLED) ## corrupt every file format that is read, some thousand times
	$(RUN) tests/campaigns/inputs.py $(ARGS)

campaign-hostile: $(INSTALLED) ## open files that were made to harm
	$(RUN) tests/campaigns/hostile.py $(ARGS)

lint: $(INSTALLED) ## check style and formatting, changing nothing
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

bench: $(INSTALLED) ## time ours against a peer on the same work: BENCH=bliqnet (the default), cvae, cgm, ml4szeq, residuals, export or memory
	$(RUN) benchmarks/bench_$(BENCH).py $(ARGS)

clean: ## remove caches and build leftovers; keeps .venv, data/ and the trained models in runs/
	rm -rf .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist docs/api *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

check-python: ## say which Python .venv would be built with
	@echo '$(python)'

# --- .venv -----------------------------------------------------------------------------------------------------------
# The stamp is written last, so an install that broke off is taken up again. A .venv that still runs is brought up to
# date in place; a broken one, or one that is to change its Python (PYTHON=...), is built afresh.
$(INSTALLED): requirements.lock pyproject.toml
	@rm -f $@
	$(if $(or $(PYTHON),$(venv_is_broken)),'$(python)' -m venv --clear $(VENV))
	$(RUN) -m pip install --quiet -r requirements.lock
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(INSTALLED_OPENQUAKE): tests/openquake/requirements.lock
	@rm -f $@
	'$(python)' -m venv --clear $(OPENQUAKE)
	$(OPENQUAKE)/bin/python -m pip install --quiet --no-deps -r $<
	@touch $@

in_range := sys.exit(not (3, 11) <= sys.version_info < (3, 14))
venv_is_broken = $(shell $(RUN) -c 'import sys, pip; $(in_range)' >/dev/null 2>&1 || echo yes)

# The interpreter to build with, or one line that says what to do.
python = $(call or_stop,$(shell $(find_python)))
or_stop = $(if $(filter error:,$(firstword $(1))),$(error $(1)),$(1))

# A candidate has to run: a pyenv shim may exist and yet fail. It also needs ensurepip, which Debian packs separately.
define find_python
	if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; else set -- python3.11 python3.12 python3.13 python3 python; fi; \
	for name in "$$@"; do \
		version=$$("$$name" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue; \
		found="$${found:+$$found, }$$name $$version"; \
		"$$name" -c 'import sys; $(in_range)' 2>/dev/null || continue; \
		if "$$name" -c 'import venv, ensurepip' 2>/dev/null; then echo "$$name"; exit; fi; \
		bare="$${bare:-$$name}"; \
	done; \
	if [ -n "$$bare" ]; then \
		problem="$$bare cannot build a virtual environment"; cure="install its venv module (Debian: python3-venv)"; \
	else \
		problem="Python 3.11 to 3.13 is needed (found $${found:-$(if $(PYTHON),$(PYTHON) that does not run,none)})"; cure="install it"; \
	fi; \
	echo "error: $$problem; $$cure or set PYTHON=/path/to/python"
endef
