# Every target first sets up what it needs: make/setup.sh checks, and does only what is missing.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test bench doctor lint format test-tools uninstall ready ready-dev ready-course \
	lab1 lab2 lab3 lab4 lab5 lab6 lab7 capstone check hint reset level watch grade solution trace break mine clean-lab notebook \
	labs-check notebooks-test notebooks-refresh orchestrators registry box test-vm url ready-venv
MAKEFLAGS += --no-print-directory

VENV := .venv/bin
KIT = $(VENV)/python -m labs.kit
need = $(or $($1),$(error $1 is missing: make $(MAKE_TARGET) $1=$(if $(filter EX,$1),3.2,3)))
export PYTHON
# Paths and texts are UTF-8, even if the locale is C or is not installed.
export PYTHONUTF8 = 1
export MAKE_TARGET = $(firstword $(MAKECMDGOALS))

ifneq ($(NB),)
ifeq ($(wildcard notebooks/$(NB)*.ipynb),)
$(error there is no notebook $(NB): NB is the beginning of a name in notebooks/, such as 03)
endif
endif

ENGINE := packages setup venv launcher links manual image lxcfs

help: ## list the targets
	@echo "pyctr_lite: a container engine in Python, and the kit that teaches it"
	@awk -F ':.*## ' '/^[a-z1-7 -]+:.*## / { sub(/lab1 .* lab7/, "lab1 to lab7", $$1); printf "  make %-17s %s\n", $$1, $$2 }' Makefile
	@echo "  PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer)"

setup: ## install missing packages; make .venv, the commands and the image busybox:latest
	@make/setup.sh root $(ENGINE)

demo: ready ## take a short tour: run, limits, a volume, a commit, --explain
	@make/demo.sh

test: ready ready-dev ready-course test-tools ## run all tests, as root, against this machine's kernel (TESTS=tests/cgroups ARGS=-x)
	@$(VENV)/python -m pytest $(ARGS) $(TESTS)

# Chapter 6 is the capstone's: from lab 6 on, a lab's notebook has the next number.
NOTEBOOK_lab6 := 7
NOTEBOOK_lab7 := 8
lab1 lab2 lab3 lab4 lab5 lab6 lab7: ready ready-course ## check a lab: results, observations and one next step (OPEN=1, VERBOSE=1)
	@$(if $(filter lab7,$@),make/setup.sh --quiet packages registry || true)
	@$(if $(OPEN),$(MAKE) notebook NB=0$(or $(NOTEBOOK_$@),$(@:lab%=%)),$(KIT) lab $(@:lab%=%))

lab%:
	$(error there is no lab $*: they are 1 to 7)

capstone: ready ready-course ## check the capstone, a run of your own: 25 checks, and a question for each that fails
	@$(KIT) capstone

check: ready ready-course ## check exercises: EX=3.2 or EX=3.1,3.2
	@$(KIT) check $(call need,EX)

hint: ready ready-course ## show one more hint for an exercise: EX=3.2
	@$(KIT) hint $(call need,EX)

trace: ready ready-course ## show the kernel steps of a run, yours beside the engine's: EX=3.2
	@$(KIT) trace $(call need,EX)

break: ready ready-course ## a faulty function: see what it does wrong, and name the fault: EX=3.2 (ANSWER=b)
	@$(KIT) break $(call need,EX)

mine: ready ready-course ## show which functions on the way of a run are yours
	@$(KIT) mine

solution: ready ready-course ## show the engine's own function beside yours: EX=3.2
	@$(KIT) solution $(call need,EX)

watch: ready ready-course ## check a lab again whenever you save: LAB=3
	@$(KIT) watch $(call need,LAB)

reset: ready ready-course ## restore a lab's starter files; yours are kept as a backup: LAB=3 (LEVEL=bare)
	@$(KIT) reset $(call need,LAB)

level: ready ready-course ## give out what is still to do with numbered steps or without: LEVEL=guided, LEVEL=bare
	@$(KIT) level

grade: ready ready-course ## grade all labs: a table and build/grade.json (WORK=another checkout)
	@$(KIT) grade $(if $(WORK),--work $(WORK))

clean-lab: ready ready-course ## remove the containers, mounts, cgroups and files that labs left behind
	@$(KIT) clean

notebook: ready ready-course ## start JupyterLab with the notebooks, and print its address (PORT=8888 NB=03)
	@$(VENV)/python -IXutf8 make/notebook.py "$(or $(PORT),8888)" "$(NB)"

notebooks-test: ready ready-course ## run every notebook and compare its outputs (NB=03)
	@$(VENV)/python -m tests.notebooks.run $(NB)

notebooks-refresh: ready ready-course ## run notebooks and store their outputs; review the diff (NB=03)
	@$(VENV)/python -m tests.notebooks.refresh $(NB)

labs-check: ready ready-dev ready-course ## prove the labs: starters, solutions, mistakes, mutants (EX=3.2 SAMPLE=10)
	@$(VENV)/python -m pytest tests/labs $(if $(EX),-k "[$(EX)") $(ARGS)
	@$(VENV)/python -m tests.labs.mutants $(if $(EX),--exercise $(EX)) $(if $(SAMPLE),--sample $(SAMPLE))

bench: ready ## measure against runc, crun, podman and docker: build/bench.txt, .json, .md, .svg (ROUNDS=30)
	@make/setup.sh --quiet packages bench
	@$(VENV)/python -m tests.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

orchestrators: ready ready-course ## show podman, Docker, Swarm, containerd and Kubernetes' CRI live on our OCI runtime
	@$(KIT) orchestrators

registry: ready ## start a registry on this machine with the course's images (PORT=5000, STOP=1 ends it)
	@make/setup.sh --quiet packages registry
	@$(VENV)/python -IXutf8 make/registry.py "$(or $(PORT),5000)" $(if $(STOP),--stop)

doctor: ready ## check this machine's support for containers
	@$(VENV)/pyctr_lite doctor

lint: ready-dev ## check format, lint rules, types and the import contracts
	@$(VENV)/ruff format --check . && $(VENV)/ruff check . && $(VENV)/mypy && $(VENV)/lint-imports

format: ready-dev ## format the code with ruff
	@$(VENV)/ruff format . && $(VENV)/ruff check --fix .

box: ready-venv ## build the VM's box from Debian's packages, for libvirt and QEMU: build/box (ARGS=--raw)
	@make/setup.sh --quiet root packages box
	@$(VENV)/python vagrant/box.py $(ARGS)

test-vm: ready-dev ready-course ## run `vagrant up` with that box, and test in the VM what needs one (FULL=1: everything)
	@make/setup.sh --quiet root packages box packages vm packages laptop
	@PYCTR_SLOW=10 $(VENV)/python -m tests.vm $(if $(FULL),--full) $(ARGS)

url: ## print the address of JupyterLab in the VM
	@echo "this checkout has no VM: vagrant up makes one (or, without a VM: make notebook)" >&2; exit 1

test-tools: ## install the programs that tests compare with
	@make/setup.sh --quiet packages test $(if $(wildcard /var/lib/pyctr_vm/is_the_vm),,packages laptop)

uninstall: ## stop and remove all containers, images, volumes, links, .venv (apt's packages stay)
	@[ ! -e /var/lib/pyctr_lite/registry/pid ] || $(VENV)/python -IXutf8 make/registry.py --stop
	@python=$$(command -v /usr/bin/python3 || command -v python3) && $$python -IB make/uninstall.py

ready:
	@make/setup.sh --quiet root $(ENGINE)

ready-course:
	@make/setup.sh --quiet venv extra course launcher

ready-dev:
	@make/setup.sh --quiet venv extra dev launcher
