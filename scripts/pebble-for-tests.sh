#!/usr/bin/env bash
# Builds Pebble, a server of ACME for tests, into .toolchain/pebble, with the certificate that it shows to clients. Quick when
# it is there. Flotilla itself does not need it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=v2.10.3
home=$PWD/.toolchain/pebble
[[ -x $home/pebble && $(cat "$home/version" 2>/dev/null) == "$version" ]] && exit 0
export GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOWORK=off
mkdir -p "$home"
GOBIN=$home go install "github.com/letsencrypt/pebble/v2/cmd/pebble@$version"
certs=$(go env GOMODCACHE)/github.com/letsencrypt/pebble/v2@$version/test/certs
install -m 644 "$certs/pebble.minica.pem" "$certs/localhost/cert.pem" "$certs/localhost/key.pem" "$home/"
echo "$version" >"$home/version"
