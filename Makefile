# The two commands of a newcomer: `make serve` and `make test`. `make help` lists the rest.
# The system's interpreter, when it is new enough and can make a virtual environment: docs/decisions/005.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && echo /usr/bin/python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help serve test install check format cover bench kill torture power budgets probes simulate breach endure doors crossings mutants fuzz estate away clients lock release bills prices clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

serve: $(VENV)/.run  ## Run the gateway with a demo provider, data in ./switchgear-data
	@exec $(BIN)/switchgear serve --demo

install: $(VENV)/.run  ## Build .venv from the hash-locked requirements

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "python 3.11 or newer is needed, $(PYTHON) is not: run  make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	  { rm -rf $(VENV); echo "the venv module is missing: run  sudo apt-get install -y python3-venv"; exit 1; }
	@touch $@

$(VENV)/.run: $(VENV)/.venv requirements/run.txt pyproject.toml
	@echo "installing (once)…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/run.txt || \
	  { echo "the package index cannot be reached, or a hash differs: check the network, or pip's settings (pip config list)"; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/test.txt
	@sh scripts/test_packages.sh
	@touch $@

check: $(VENV)/.test  ## Format, lint, types, dead code
	$(BIN)/ruff format --check src tests scripts
	$(BIN)/ruff check src tests scripts
	$(BIN)/mypy
	$(BIN)/python scripts/dead_code.py

format: $(VENV)/.test  ## Format the code
	$(BIN)/ruff format src tests scripts
	$(BIN)/ruff check --fix src tests scripts

# Three test processes on two cores: most of what they do is wait for processes that start. A file's tests stay together.
TEST_PROCESSES ?= $(shell expr $$(nproc) + 1)

test: $(VENV)/.test  ## Run all tests, in TEST_PROCESSES side by side
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

cover: $(VENV)/.test  ## How much of each module its own tests run (COVER="core wire": rooms); less than recorded fails
	$(BIN)/python scripts/cover.py $(COVER)

kill: $(VENV)/.test  ## 300 rounds of kill -9 at random moments
	KILL_ROUNDS=300 BACK_S=2 $(BIN)/python -m pytest tests/end_to_end/test_kill.py -s --timeout 3600

torture: $(VENV)/.test  ## 10,000 rounds, at random and at named places; goes on where it was interrupted (TORTURE_ROUNDS)
	$(BIN)/python -m tests.end_to_end.torture --rounds $${TORTURE_ROUNDS:-10000} --state torture.jsonl

power: $(VENV)/.test  ## 1,000 simulated power cuts of a spool, 100 of the vault's box
	POWER_ROUNDS=1000 $(BIN)/python -m pytest tests/end_to_end/test_power_loss.py

endure: $(VENV)/.test  ## Processes stopped for 30 s, 500 slow clients, a full disk
	STOP_S=30 SLOW=500 $(BIN)/python -m pytest tests/end_to_end/test_endurance.py --timeout 600

doors: $(VENV)/.test  ## An exception thrown at every door of edge and vault while others are served
	DOORS=1000 $(BIN)/python -m pytest tests/end_to_end/test_doors.py --timeout 3600

budgets: $(VENV)/.test  ## 2,000 requests at a budget's edge on 4 edges, 200 rounds of kill -9: the provider's own sum judges
	BUDGET_CLIENTS=2000 BUDGET_EDGES=4 BUDGET_KILLS=200 $(BIN)/python -m pytest tests/end_to_end/test_budgets.py --timeout 3600

probes: $(VENV)/.test  ## A dead deployment of three: how often it is asked, how soon it is back
	BACK_S=3 $(BIN)/python -m pytest tests/end_to_end/test_routing.py

breach: $(VENV)/.test  ## Attacker code inside every process, as root and as a plain user; prints what holds
	BREACH_TABLE=1 $(BIN)/python -m pytest tests/end_to_end/test_breach.py -s -p no:randomly --timeout 300

fuzz: $(VENV)/.test  ## Property tests with 20,000 examples each (FUZZ_EXAMPLES), then each target for FUZZ_S seconds (300)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/fuzz.txt
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} $(BIN)/python -m pytest tests/dialects tests/wire tests/core tests/pricing \
	  tests/spool tests/vault/test_signing.py --timeout 7200
	for target in http1 responses sse frames records eventstream keys config routes; do \
	  $(BIN)/python -m tests.end_to_end.fuzz_targets $$target -max_total_time=$${FUZZ_S:-300} -print_final_stats=1 || exit 1; done

estate: $(VENV)/.test  ## Real products (LiteLLM, Jupyter, Gradio, MLflow, Chroma, marimo, MCP), fakes and decoys, found by discover (needs PyPI)
	@test -x .bench-peers/discover/bin/litellm || { $(PYTHON) -m venv .bench-peers/discover && \
	  .bench-peers/discover/bin/pip install -q "litellm[proxy]" prisma; }
	@test -x .bench-peers/estate/bin/chroma || { $(PYTHON) -m venv .bench-peers/estate && \
	  .bench-peers/estate/bin/pip install -q --only-binary :all: jupyter-server gradio marimo "mcp>=2" mlflow chromadb; }
	ESTATE_BIN=$(CURDIR)/.bench-peers/estate/bin LITELLM_BIN=$(CURDIR)/.bench-peers/discover/bin/litellm $(BIN)/python -m pytest tests/end_to_end/test_estate.py --timeout 300

away: $(VENV)/.test  ## The database moved away for a minute under load
	AWAY_S=60 $(BIN)/python -m pytest tests/end_to_end/test_gateway_processes.py -k database_moved_away --timeout 300

crossings: $(VENV)/.test  ## All recorded exchanges through the gateway, every client's dialect to every provider's strict twin
	$(BIN)/python -m tests.end_to_end.crossings --every $${EVERY:-1}

mutants: $(VENV)/.test  ## Some 60 mistakes put into a copy of the product, one after the other; a test must notice each
	$(BIN)/python -m tests.mutants

clients: $(VENV)/.test  ## Real clients (Claude Code, Codex, Gemini CLI, opencode, AI SDK, LangChain, …) set up by `connect` (CLIENTS="--client codex"; needs npm, PyPI, Maven)
	@sh tests/clients/install.sh .clients
	$(BIN)/python -m tests.clients --write $(CLIENTS)

simulate: $(VENV)/.run  ## A day of 10,000 keys in virtual time: failing providers, dying edges; limits, budgets and counts must hold (SEEDS="1 2 3")
	$(BIN)/python -m switchgear.bench.simulate --seeds $${SEEDS:-1}

bench: $(VENV)/.run  ## Measure against nginx on this machine; writes docs/benchmarks.md
	$(BIN)/python -m switchgear.bench --write docs/benchmarks.md

lock: $(VENV)/.test  ## Lock the requirements anew, with hashes
	cd requirements && for f in run litellm test fuzz; do ../$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -o $$f.txt $$f.in; done

release: $(VENV)/.test  ## Sdist, wheel, bill of materials, notices in ./dist; installed and tried in an empty environment
	$(BIN)/python scripts/release.py --out dist
	RELEASE_DIST=$(CURDIR)/dist $(BIN)/python -m pytest tests/end_to_end/test_release.py --timeout 900

bills: $(VENV)/.test  ## Recorded exchanges through a running gateway: what is booked beside what providers charge; writes docs/bills.md
	BILLS_WRITE=1 $(BIN)/python -m pytest tests/end_to_end/test_bills_through_gateway.py tests/end_to_end/test_cut_streams.py -s --timeout 900

prices: $(VENV)/.test  ## Write the shipped price snapshot from the installed genai-prices
	$(BIN)/python scripts/update_prices.py

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
