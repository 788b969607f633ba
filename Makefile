# All set-up is done by the targets themselves; see README.md.
PYTHON ?= $(shell command -v python3.12 >/dev/null && python3.12 -c '' 2>/dev/null && test -n "$$ROS_DISTRO" && echo python3.12 || { python3.11 -c '' 2>/dev/null && echo python3.11; } || { python3.12 -c '' 2>/dev/null && echo python3.12; } || echo python3)
TASK ?= pick_cup
EPISODES ?= 30
SEED ?= 0
SESSION ?=
PICTURES ?= 6000
CLIPS ?= 400
ENV = . .venv/deft_env.sh

.PHONY: help setup finetune test affordance lint clean

help:
	@echo 'make finetune [TASK=pick_cup] [EPISODES=30] [SEED=0] [SESSION=dir]   fine-tune the simulated robot'
	@echo 'make test                                                          run all tests'
	@echo 'make affordance [PICTURES=6000] [CLIPS=400]                          make the labels and train the prior anew (hours)'
	@echo 'make setup | lint | clean                                          environment and build | linters | remove both'

setup:
	@$(PYTHON) tools/bootstrap.py

finetune: setup
	@$(ENV) && deft finetune $(TASK) --sim --episodes $(EPISODES) --seed $(SEED) $(if $(SESSION),--session "$(SESSION)")

test: setup lint
	@$(ENV) && python -m pytest test

affordance: setup
	@$(ENV) && deft synthesize-labels build/affordance/stills --pictures $(PICTURES) --split train --seed 41 --workers 2 --no-sheet
	@$(ENV) && deft synthesize build/affordance/clips --clips $(CLIPS) --split train --seed 31 --workers 2
	@$(ENV) && deft extract hoi4d build/affordance/clips/hoi4d --out build/affordance/labels --contact-frame motion --workers 2
	@$(ENV) && deft train-affordance build/affordance/stills build/affordance/labels --out build/affordance/training

lint: setup
	@$(ENV) && ruff check . && mypy

clean:
	rm -rf .venv build install log build.log
