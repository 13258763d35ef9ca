# Thin: everything behind a target runs by hand too (see scripts/).
.DEFAULT_GOAL := help
.PHONY: help demo cluster build tools web runtime test test-all test-deps lint fmt deny bench chaos crash fuzz

help: ## What there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: build ## Build everything, send the sample series, show the result, serve until Ctrl-C
	@target_dir=$$(scripts/target-dir); "$$target_dir/release/hilum" demo

build: tools runtime web ## The hilum binary with the web application in it
	cargo build --release --locked -p hilum

cluster: build ## Every service in a process of its own, on a private PostgreSQL, RabbitMQ and S3, until Ctrl-C
	@scripts/cluster

tools: # Everything that is missing is said at once, before anything is built.
	@scripts/need cargo cc cmake nasm node npm $${PYTHON:-python3}

web: ## The web application and the viewer (web/dist)
	@scripts/web

runtime: ## ONNX Runtime, from PyPI, into .cache/
	@scripts/runtime

test: test-deps web ## The tests that CI runs
	@scripts/test

test-all: test-deps web ## Those, and the long ones
	@scripts/test --all

test-deps: ## What the tests need: dcmtk, dicom3tools, dicom-storescu, Chromium, Python packages
	@scripts/test-deps

lint: web ## Format, lints, licences
	@scripts/lint

fmt: ## Format the code
	cargo fmt --all

bench: build ## Side by side with Orthanc; writes docs/benchmarks.md (ARGS=--scale: with ten years of studies; ARGS=--audit: what the trail costs; --traces; --storage: SQLite and PostgreSQL, files and bucket; --services: one process and six; --pages: a thousand open pages)
	@scripts/bench $(ARGS)

chaos: test-deps web ## Breaks one part of an installation after the other; writes docs/reliability-chaos.md
	@scripts/chaos

crash: test-deps web ## Kills, power cuts and faults of the disk; writes docs/reliability.md
	@scripts/crash

fuzz: ## Run every fuzz target for a while (FUZZ_SECONDS=60 each)
	@scripts/fuzz
