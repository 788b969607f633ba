# All set-up is done by the targets themselves; see README.md.
PYTHON ?= $(shell command -v python3.12 >/dev/null && python3.12 -c '' 2>/dev/null && test -n "$$ROS_DISTRO" && echo python3.12 || { python3.11 -c '' 2>/dev/null && echo python3.11; } || { python3.12 -c '' 2>/dev/null && echo python3.12; } || echo python3)
TASK ?= pick_cup
EPISODES ?= 30
SEED ?= 0
SESSION ?=
ENV = . .venv/deft_env.sh

.PHONY: help setup finetune test affordance lint clean

help:
	@echo 'make finetune [TASK=pick_cup] [EPISODES=30] [SEED=0] [SESSION=dir]   fine-tune the simulated robot'
	@echo 'make test                                                          run all tests'
	@echo 'make affordance                                                    make the labels and train the prior anew (2 hours)'
	@echo 'make setup | lint | clean                                          environment and build | linters | remove both'

setup:
	@$(PYTHON) tools/bootstrap.py

finetune: setup
	@$(ENV) && deft finetune $(TASK) --sim --episodes $(EPISODES) --seed $(SEED) $(if $(SESSION),--session "$(SESSION)")

test: setup lint
	@$(PYTHON) tools/test_programs.py
	@$(PYTHON) tools/bootstrap.py --for-tests
	@. .venv/test_env.sh; python -m pytest test -m 'not graph' -n 2 --dist loadfile --durations=10; cores=$$?; \
		python -m pytest test -m graph -n 2 --dist loadfile --durations=20 && exit $$cores

affordance: setup
	@$(ENV) && deft synthesize-labels build/affordance/stills --pictures 4800 --split train --seed 41 --workers 2 --no-sheet
	@$(ENV) && deft train-affordance build/affordance/stills --out build/affordance/training

lint: setup
	@$(ENV) && ruff check . && mypy

clean:
	rm -rf .venv build install log build.log
