# Two commands are all a newcomer needs: `make demo` and `make test`. Each makes its own .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: demo test live kills agents check contract gateway-load fmt bench bench-peers mutants rates clean

demo: $(STAMP)            ## play seven failure scenarios against real mock providers
	$(BIN)/understudy demo

test: check               ## lint, types, directions, then every test
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

live: $(STAMP)            ## what is promised in seconds, in real time: six minutes
	$(BIN)/python -m pytest -q -m slow_live

kills: $(STAMP)           ## kill a process 200 times under load in each durability, and compare the books
	UNDERSTUDY_KILLS=200 $(BIN)/python -m pytest -q -s tests/live/test_kills.py

agents: $(STAMP)          ## kill an agent at every event, 50 times for real, and run it for a week of virtual time
	UNDERSTUDY_AGENTS=1 $(BIN)/python -m pytest -q -s tests/engine/agent tests/live/test_agents.py

check: $(STAMP)           ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

contract: $(STAMP)        ## a hundred requests a path, drawn from the gateway's own document
	UNDERSTUDY_CONTRACT=50 UNDERSTUDY_PATIENCE_S=3600 $(BIN)/python -m pytest -q -s tests/engine/gateway/test_explored.py

gateway-load: $(STAMP)    ## 500 streams beside 2,000 idle connections, and 10,000 mutated requests
	UNDERSTUDY_LOAD=1 UNDERSTUDY_PATIENCE_S=3600 $(BIN)/python -m pytest -q tests/live/test_gateway_load.py

fmt: $(STAMP)             ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)           ## cost of a routed call over the bare call
	$(BIN)/python -m benchmarks.overhead

bench-peers:              ## what benchmarks.gateway compares with: pip and npm fetch it
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check "litellm[proxy]==1.106.2"
	npm install --silent --no-audit --no-fund --prefix .peers @portkey-ai/gateway@1.15.2

mutants: $(STAMP)         ## hunt every planted fault; prints which checker finds it, and how soon
	$(BIN)/python -m tests.mutants

rates: $(STAMP)           ## a thousand worlds about limits a minute: no provider counts more
	$(BIN)/python -m tests.sim.campaign.rates

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
