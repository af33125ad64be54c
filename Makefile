# Two front doors, `make figures` and `make test`. Each needs Python 3.11 or later and sets up all the rest.
#
#   make figures                  every figure of the reduced scale, from embedded data, in a few minutes
#   make figures SCALE=desktop    the same from the real data: config/desktop.yaml
#   make figures CORES=2          leave some processors free
#   make figures CONFIG=mine.yaml    with a configuration file of your own over the scale
#   make figures OPTIONS="--config mirror=/data"    whatever else Snakemake is to be told
#   make test                     the tests, linters included
#   make bench                    the speed of the margin engine against its peers
#   make clean-environment        remove .venv; the next target makes it again

SCALE   ?= reduced
CORES   ?= all
CONFIG  ?=
OPTIONS ?=
PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix == "$(CURDIR)/.venv")' 2>/dev/null && echo $$p && break; done)

BIN       := $(CURDIR)/.venv/bin
REPORT    := results/$(SCALE)/report.html
CONFIGS   := $(if $(filter-out reduced,$(SCALE)),config/$(SCALE).yaml) $(CONFIG)
SNAKEMAKE := "$(BIN)/snakemake" $(if $(strip $(CONFIGS)),--configfile $(CONFIGS)) $(OPTIONS)
PACKAGES  := envs/requirements.txt envs/requirements-dev.txt
READY     := $(shell cat $(PACKAGES) | cmp -s - .venv/ready && echo yes)
DESKTOP   := $(if $(CI),,$(if $(filter Darwin,$(shell uname)),open,$(if $(DISPLAY)$(WAYLAND_DISPLAY),xdg-open)))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: figures test bench clean-environment environment-differs

figures: .venv/ready
	@$(SNAKEMAKE) --cores $(CORES)
	@$(MAKE) --silent --no-print-directory $(REPORT)
	@echo "All figures, with what to look for in each: $(REPORT)"

test: .venv/ready
	@"$(BIN)/python" -m pytest

bench: .venv/ready
	@"$(BIN)/python" tests/benchmarks/bench.py

clean-environment:
	rm -rf .venv

# Written again only when a figure, a table or a caption is newer.
$(REPORT): $(wildcard results/$(SCALE)/figures/*/* results/$(SCALE)/tables/*/* workflow/report/* workflow/report/*/*)
	@$(SNAKEMAKE) --report $(@D)/.report.html && mv $(@D)/.report.html $@
	@$(if $(DESKTOP),$(DESKTOP) $@ </dev/null >/dev/null 2>&1 &)

.venv/ready: $(if $(READY),,environment-differs)
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Marginalia needs Python 3.11 or later: install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test ! -L .venv || { echo ".venv is a link to another environment, which would be cleared: remove the link" >&2; exit 1; }
	@echo "Setting up .venv, once: a few minutes, most of them for torch"
	@"$(PYTHON)" -m venv --clear .venv
	@"$(BIN)/python" -m pip install $(PACKAGES:%=-r %) --editable .
	@cat $(PACKAGES) > $@
