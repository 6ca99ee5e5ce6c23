#!/usr/bin/env bash
# Installs PostgreSQL's programs from Debian for the tests of src/store, which start their own servers. Creates no cluster and
# starts no service. Quick when they are installed. Flotilla itself does not need them.
set -euo pipefail

programs=(/usr/lib/postgresql/*/bin/postgres)
[[ -x ${programs[0]} ]] && exit 0
if [[ $EUID -ne 0 ]]; then
  echo 'PostgreSQL is not installed, and installing it takes root: apt-get install postgresql' >&2
  exit 1
fi

# Both files are there only while the package is installed; a machine's own policy stays as it is.
no_cluster=/etc/postgresql-common/createcluster.d/flotilla-tests.conf
no_services=/usr/sbin/policy-rc.d
cleanup=("$no_cluster")
[[ -e $no_services || -L $no_services ]] || cleanup+=("$no_services")
trap 'rm -f "${cleanup[@]}"' EXIT

mkdir -p "${no_cluster%/*}"
echo 'create_main_cluster = false' >"$no_cluster"
if [[ ${#cleanup[@]} -eq 2 ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$no_services"
  chmod 755 "$no_services"
fi

export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -yqq -o DPkg::Lock::Timeout=120)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends postgresql
