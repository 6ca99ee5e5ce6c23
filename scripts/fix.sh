#!/usr/bin/env bash
# Formats the TypeScript and Go sources, and applies the linter's safe fixes.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
biome check --write .
gofmt -w guest-agent/cmd guest-agent/internal launch-shim image-builder guest-sftp
