#!/usr/bin/env bash
# The quick part of test.sh, for while one works: static checks and every test that boots no VM (see test/vm-tests.ts).
# Needs no set-up and no kernel; the Go tests run without the race detector. Ends with the same line as test.sh.
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

test_programs
static_checks
typescript_tests --project no-vm
go_tests
tally
