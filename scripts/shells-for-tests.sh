#!/usr/bin/env bash
# Installs zsh and fish (Debian) for the tests of the command line's completion. Quick when they are there. Not part of
# anyone's set-up.
set -euo pipefail

missing=()
for shell in zsh fish; do command -v "$shell" >/dev/null || missing+=("$shell"); done
[[ ${#missing[@]} -eq 0 ]] && exit 0
if [[ $EUID -ne 0 ]]; then
  echo "not installed, and installing it takes root: apt-get install ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -yqq -o DPkg::Lock::Timeout=120)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends "${missing[@]}"
