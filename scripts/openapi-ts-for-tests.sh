#!/usr/bin/env bash
# Installs @hey-api/openapi-ts and the TypeScript that it needs into .toolchain for the contract tests, at the pinned versions.
# Quick when it is installed. Without a package registry it prints why and succeeds; the test is then skipped.
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
