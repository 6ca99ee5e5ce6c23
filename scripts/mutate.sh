#!/usr/bin/env bash
# Runs mutate.ts, which checks that the tests can fail. Arguments: parts of the names of the faults to try; default: all.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export NO_COLOR=1 GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOWORK=off
exec node scripts/mutate.ts "$@"
