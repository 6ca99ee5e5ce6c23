#!/usr/bin/env bash
# Installs Chromium (Debian) for the tests that look at our pages. Quick when it is there. Not part of anyone's set-up.
set -euo pipefail

[[ -x /usr/bin/chromium ]] && exit 0
if [[ $EUID -ne 0 ]]; then
  echo 'Chromium is not installed, and installing it takes root: apt-get install chromium' >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -yqq -o DPkg::Lock::Timeout=120)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends chromium
