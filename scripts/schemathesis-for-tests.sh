#!/usr/bin/env bash
# Installs Schemathesis into .toolchain for the contract tests, at the versions that are pinned. Quick when it is there.
# Where it cannot be had (no Python, no package index) it says so and succeeds: its test is then skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

requirements=test/contract/schemathesis-requirements.txt
home=$PWD/.toolchain/schemathesis
cmp -s "$requirements" "$home/installed" && exit 0

if ! python3 -c 'import ensurepip' 2>/dev/null && [[ $EUID -eq 0 ]]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends python3-venv >/dev/null 2>&1 || true
fi
rm -rf "$home"
if python3 -m venv "$home" && "$home/bin/pip" install -q --no-deps --require-hashes --disable-pip-version-check -r "$requirements"; then
  cp "$requirements" "$home/installed"
else
  rm -rf "$home"
  echo 'Schemathesis cannot be installed here; its test is skipped' >&2
fi
