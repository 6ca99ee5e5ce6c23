#!/usr/bin/env bash
# Installs @hey-api/openapi-ts for the contract tests into .toolchain, with the TypeScript that it needs, at the versions
# that are pinned. Quick when it is there. Where there is no package registry it says so and succeeds: its test is then skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source=test/contract/generators
home=$PWD/.toolchain/openapi-ts
cmp -s "$source/package-lock.json" "$home/installed" && exit 0

rm -rf "$home"
mkdir -p "$home"
cp "$source/package.json" "$source/package-lock.json" "$home/"
if npm ci --prefix "$home" --ignore-scripts --no-audit --no-fund --no-update-notifier >"$home/npm.log" 2>&1; then
  cp "$source/package-lock.json" "$home/installed"
else
  tail -n 5 "$home/npm.log" >&2
  rm -rf "$home"
  echo '@hey-api/openapi-ts cannot be installed here; its test is skipped' >&2
fi
