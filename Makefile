# Everything here also works on a fresh Debian 12 machine (root, git, curl, any Node with npm, make).
.DEFAULT_GOAL := help
.PHONY: help check test mutate fix

help:
	@echo 'make check  format, types, architecture and every test that needs no VM: about 5 minutes on 2 cores'
	@echo 'make test   run all checks and tests, as CI does (FLOTILLA_CACHE_DIR: where kernel and images are kept)'
	@echo 'make mutate puts deliberate faults into a copy and runs the tests that must catch them'
	@echo 'make fix    format and repair what can be repaired automatically'

check:
	@./scripts/check.sh

test:
	@./scripts/test.sh

mutate:
	@./scripts/mutate.sh

fix:
	@./scripts/fix.sh
