#!/usr/bin/env bash
# python-tool-for-tests.sh NAME REQUIREMENTS: installs a Python program for tests into .toolchain/NAME, at the versions that
# are pinned in the file. Quick when it is installed. Without Python or a package index it prints why and succeeds; the tests
# that need the program are then skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

requirements=$2
home=$PWD/.toolchain/$1
cmp -s "$requirements" "$home/installed" && exit 0

if ! python3 -c 'import ensurepip' 2>/dev/null && [[ $EUID -eq 0 ]]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends python3-venv >/dev/null 2>&1 || true
fi
rm -rf "$home"
if python3 -m venv "$home" && "$home/bin/pip" install -q --no-deps --require-hashes --disable-pip-version-check -r "$requirements"; then
  cp "$requirements" "$home/installed"
else
  rm -rf "$home"
  echo "$1 cannot be installed here; its tests are skipped" >&2
fi
