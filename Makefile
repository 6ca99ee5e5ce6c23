# Everything here also works on a fresh Debian 12 machine (root, git, curl, any Node with npm, make).
.DEFAULT_GOAL := help
.PHONY: help test fix

help:
	@echo 'make test   run all checks and tests, as CI does (FLOTILLA_CACHE_DIR: where kernel and images are kept)'
	@echo 'make fix    format and repair what can be repaired automatically'

test:
	@./scripts/check.sh

fix:
	@./scripts/fix.sh
