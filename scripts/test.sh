#!/usr/bin/env bash
# All that CI runs: set-up, static checks, TypeScript tests, Go tests. Nothing stops at the first failure; the last line
# is `N passed, N failed` (and `, N skipped`), where each static check counts as one. Exits 0 only if nothing failed.
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

check 'set-up' ./flotilla setup
test_programs
static_checks
typescript_tests
check 'deliberate faults are caught' node scripts/mutate.ts
race=$(race_flag)
go_tests ${race:+"$race"}
tally
