#!/usr/bin/env bash
# debian-programs-for-tests.sh PROGRAM[=PACKAGE]…: installs programs from Debian that only tests need, from the package of the
# same name or the one given. Quick when all are installed.
set -euo pipefail

missing=()
for each in "$@"; do command -v "${each%%=*}" >/dev/null || missing+=("${each#*=}"); done
[[ ${#missing[@]} -eq 0 ]] && exit 0
if [[ $EUID -ne 0 ]]; then
  echo "not installed, and installing it takes root: apt-get install ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -yqq -o DPkg::Lock::Timeout=120)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends "${missing[@]}"
