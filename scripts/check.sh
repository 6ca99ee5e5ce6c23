#!/usr/bin/env bash
# Runs the quick checks, for use during development: static checks and all tests that boot no VM (see test/vm-tests.ts).
# Needs no set-up and no kernel. The Go tests run without the race detector, and the longest tests try only a sample of
# their cases (test/support/thoroughness.ts). The last line is the same as that of test.sh.
export FLOTILLA_TESTS=quick
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

test_programs
static_checks
# The longest tests use one core only.
{
  go_checks
  go_tests
} &
typescript_tests --project no-vm --project no-vm-alone --project no-vm-timed
wait
tally
