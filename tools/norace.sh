#!/usr/bin/env bash
# usage: tools/norace.sh
# Runs the tests that would take minutes under the race detector. Their files say so with a build tag, by which they are found: a
# test that is named nowhere would never run.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(grep -rl --include='*_test.go' '^//go:build !race' .)
tests=$(grep -ho '^func Test[A-Za-z0-9_]*' "${files[@]}" | cut -c6- | paste -sd'|')
mapfile -t packages < <(dirname "${files[@]}" | sort -u)
go test -timeout 20m -run "^($tests)\$" "${packages[@]}"
