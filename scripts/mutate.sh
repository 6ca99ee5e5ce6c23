#!/usr/bin/env bash
# Can the tests fail? See mutate.ts; arguments choose faults by parts of their names.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export NO_COLOR=1 GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOWORK=off
exec node scripts/mutate.ts "$@"
