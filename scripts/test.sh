#!/usr/bin/env bash
# Runs everything that CI runs: set-up, static checks, TypeScript tests, deliberate faults, Go tests. Does not stop at a failure.
# The last line is `N passed, N failed` (and `, N skipped`); each static check counts as one. Exits 0 only if nothing failed.
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

check 'set-up' ./flotilla setup
test_programs
go_checks &
static_checks
wait
typescript_tests
race=$(race_flag)
# The longest of them use one core only, and some deliberate faults show as an event that never comes.
go_tests ${race:+"$race"} &
check 'deliberate faults are caught' node scripts/mutate.ts
wait
tally
