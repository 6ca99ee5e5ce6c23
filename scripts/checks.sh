# shellcheck shell=bash
# Sourced by check.sh and test.sh. Its functions run checks and tests without stopping at a failure, write their results to
# the directory `$reports`, and print the totals at the end.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
export NO_COLOR=1
export GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOWORK=off

# check NAME COMMAND…: runs the command, shows its output if it fails, and records whether it passed.
check() {
  local name=$1 output=$reports/output.$BASHPID started=$SECONDS
  shift
  if "$@" >"$output" 2>&1; then
    echo "ok      $name ($((SECONDS - started)) s)"
    echo "pass $name" >>"$reports/checks"
  else
    echo "FAILED  $name ($((SECONDS - started)) s)"
    tail -n 200 "$output"
    echo "fail $name" >>"$reports/checks"
  fi
}

# Prints the files gofmt would change; fails when there are any.
go_is_formatted() {
  local files
  files=$(gofmt -l .) && echo "$files" && [[ -z $files ]]
}

in_agent() {
  (cd guest-agent && "$@")
}

in_shim() {
  (cd launch-shim && "$@")
}

in_sftp() {
  (cd guest-sftp && "$@")
}

in_builder() {
  (cd image-builder && "$@")
}

# Prints the flag for Go's race detector, which needs a C compiler; without one the tests run without it.
race_flag() {
  if ! command -v gcc >/dev/null && [[ $EUID -eq 0 ]]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends gcc libc6-dev >/dev/null 2>&1 || true
  fi
  if command -v gcc >/dev/null; then
    echo -race
  else
    echo 'skipped the race detector: there is no gcc (apt-get install gcc libc6-dev)' >&2
  fi
}

# Installs the programs that only tests need. Quick when they are installed.
test_programs() {
  check 'PostgreSQL for tests' scripts/postgres-for-tests.sh
  check 'Chromium for tests' scripts/debian-programs-for-tests.sh chromium
  check 'a DHCP server for tests' scripts/debian-programs-for-tests.sh dnsmasq=dnsmasq-base
  check 'shells for tests' scripts/debian-programs-for-tests.sh zsh fish
  check 'programs of SSH for tests' scripts/debian-programs-for-tests.sh ssh=openssh-client rsync git curl
  check 'Pebble for tests' scripts/pebble-for-tests.sh
  check 'Schemathesis for tests' scripts/python-tool-for-tests.sh schemathesis test/contract/schemathesis-requirements.txt
  check 'openapi-python-client for tests' scripts/python-tool-for-tests.sh openapi-python-client test/contract/generators/requirements.txt
  check 'Python packages of quickstarts for tests' scripts/python-tool-for-tests.sh quickstarts test/fixtures/quickstarts/requirements.txt
  check 'openapi-ts for tests' scripts/openapi-ts-for-tests.sh
}

static_checks() {
  check 'biome' biome ci .
  check 'tsc' tsc --noEmit
}

go_checks() {
  check 'gofmt' in_agent go_is_formatted
  check 'go vet' in_agent go vet ./...
  check 'gofmt of the launch shim' in_shim go_is_formatted
  check 'go vet of the launch shim' in_shim go vet ./...
  check 'go test of the launch shim' in_shim env CGO_ENABLED=0 go test -timeout 5m ./...
  check 'gofmt of the SFTP server' in_sftp go_is_formatted
  check 'go vet of the SFTP server' in_sftp go vet ./...
  check 'gofmt of the image builder' in_builder go_is_formatted
  check 'go vet of the image builder' in_builder go vet ./...
  check 'go test of the image builder' in_builder env CGO_ENABLED=0 go test -timeout 5m ./...
}

# typescript_tests OPTION…: runs vitest with these options. If a few files fail, runs these once more, one at a time: a test
# that passes then counts as passed, and the tally names it.
typescript_tests() {
  echo 'vitest'
  vitest_into vitest "$@"
  local failed
  failed=$(node scripts/failed-files.ts "$reports/vitest.json")
  if [[ -n $failed ]]; then
    echo 'vitest, once more for the files that failed'
    mapfile -t failed <<<"$failed"
    vitest_into vitest-again --maxWorkers=1 "$@" "${failed[@]}"
  fi
}

# vitest_into NAME OPTION…: runs vitest with these options, and leaves NAME.json, and NAME.status if it failed.
vitest_into() {
  local name=$1
  shift
  vitest run --reporter=default --reporter=json --outputFile.json="$reports/$name.json" "$@" ||
    echo 'fail vitest' >"$reports/$name.status"
}

# go_tests FLAG…: runs the guest agent's tests with these flags.
go_tests() {
  echo 'go test'
  in_agent env CGO_ENABLED="$([[ $* == *-race* ]] && echo 1 || echo 0)" go test "$@" -timeout 10m -json ./... \
    >"$reports/go.json" || echo 'fail go test' >"$reports/go.status"
}

# Prints the last line; the exit code says whether anything failed.
tally() {
  # Outside CI a test may be skipped for any reason that it prints. Some tests only run as root.
  local strict=
  [[ -n ${CI:-} && $EUID -eq 0 ]] && strict=--strict
  node scripts/tally.ts "$reports" $strict
}
