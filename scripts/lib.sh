# shellcheck shell=bash
# Sourced by the scripts beside it: goes to the checkout's root and puts the toolchain on PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

toolchain=$(FLOTILLA_DEV=1 ./flotilla --toolchain)
PATH=$toolchain:$PWD/node_modules/.bin:$PATH:/usr/local/go/bin
export PATH
