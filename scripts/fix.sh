#!/usr/bin/env bash
# Formats TypeScript and Go and applies the linter's safe repairs.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
biome check --write .
gofmt -w guest-agent/cmd guest-agent/internal launch-shim image-builder
