# The targets that a person or CI runs. `make` alone lists them.
.DEFAULT_GOAL := help
BIN := .venv/bin
PYTHON ?= python3
PARALLEL := -n auto --dist worksteal
UV := $(or $(shell command -v uv),.uv/bin/uv)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: install free-port migrate seed hello serve ## Install, migrate, seed and serve on http://127.0.0.1:8000

.PHONY: free-port
free-port: ## Check that the port is free
	@$(BIN)/school-billing serve --check-port

.PHONY: hello
hello: ## Say where the documentation is, and how to log in
	@echo "See http://127.0.0.1:$(or $(PORT),8000)/docs. Log in as $(or $(ADMIN_USERNAME),admin) with $(if $(ADMIN_PASSWORD),your ADMIN_PASSWORD,the password change_me)."

.PHONY: install
install: | $(UV) ## Install exactly what uv.lock says into .venv
	$(UV) sync --locked --quiet --all-extras

.uv/bin/uv: # For a machine that has no uv; the version is the Containerfile's.
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9

.PHONY: migrate
migrate: ## Apply the migrations that the database lacks
	$(BIN)/school-billing migrate

.PHONY: seed
seed: ## Make the first administrator and the demo schools
	$(BIN)/school-billing seed

.PHONY: reset
reset: install ## Remove the embedded database of DATA_DIR, after saying what is removed
	$(BIN)/school-billing reset

.PHONY: verify
verify: ## Prove that every total and every audit chain is right
	$(BIN)/school-billing ledger verify

.PHONY: serve
serve: ## Serve the API; Ctrl-C stops it
	$(BIN)/school-billing serve --with-parent

.PHONY: check
check: install ## Lint, check the format and the types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: format
format: install ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: test
test: install ## Run every test, in parallel, on a real PostgreSQL
	$(BIN)/pytest $(PARALLEL)

.PHONY: test-faults
test-faults: install ## Kill servers and PostgreSQL under a stream of payments, for most of a minute
	FAULT_SECONDS=45 $(BIN)/pytest tests/integration/ledger/test_faults.py

.PHONY: test-cluster
test-cluster: install ## Compare a Citus cluster (CLUSTER_DATABASE_URL) with a plain PostgreSQL, request by request
	$(BIN)/python -m tests.cluster

.PHONY: schema
schema: install ## Write migrations/schema.sql again, after a change of the migrations
	$(BIN)/python -m tests.schema

.PHONY: clients
clients: install ## Make the Python client and, where there is npm, the TypeScript one; check their examples
	$(BIN)/python -m tests.openapi > clients/openapi.json
	$(BIN)/openapi-python-client generate --path clients/openapi.json --config clients/python/config.yaml \
		--meta none --output-path clients/python/school_billing_client --overwrite
	cd clients/python && ../../$(BIN)/mypy --config-file= --strict example.py
	@if command -v npm; then cd clients/typescript && npm install --no-audit --no-fund && npm run check; \
		else echo "There is no npm here, so there is no TypeScript client."; fi

.PHONY: bench
bench: | $(UV) ## Measure every kind of request beside the machine's own limits, or beside BESIDE=another/checkout
	$(UV) sync --locked --quiet --all-extras --group bench
	$(BIN)/python -m tests.benchmarks $(if $(BESIDE),--beside $(BESIDE)) $(if $(ONLY),--only "$(ONLY)")

.PHONY: bench-growth
bench-growth: install ## Measure a student's statement among 1,000 to 10,000,000 invoices; takes 15 GB of disk
	$(BIN)/python -m tests.benchmarks.growth

.PHONY: bench-crowd
bench-crowd: install ## Measure how forty readers of a large statement slow other callers, for a minute
	$(BIN)/python -m tests.benchmarks.crowd

.PHONY: smoke
smoke: install ## Run the tests that need no database
	$(BIN)/pytest -m smoke

.PHONY: coverage
coverage: install ## Run every test and report what they cover, here and in htmlcov/
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term --cov-report=html
