# shellcheck shell=bash
# Sourced by the other scripts: changes to the root of the checkout and puts Node, the npm programs and Go on PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

toolchain=$(FLOTILLA_DEV=1 ./flotilla --toolchain)
PATH=$toolchain:$PWD/node_modules/.bin:$PATH:/usr/local/go/bin
export PATH
