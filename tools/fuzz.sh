#!/usr/bin/env bash
# usage: tools/fuzz.sh TIME
# Runs every fuzz target for so long, and fails at the first finding.
#
# At its deadline Go's fuzzer now and then takes the deadline itself for a failure of the target: it says "context deadline
# exceeded" and nothing else, and writes no input that fails. That is not a finding; anything beside it is.
#
# Inputs that find new paths are not made smaller (-fuzzminimizetime 1x): with large ones that would take all of the time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# What is left of a run's words without its progress, its headings and the deadline: a finding says more.
complaints() {
	grep -vE '^(fuzz: |--- FAIL: Fuzz|    context deadline exceeded$|FAIL|exit status|$)' "$said" || true
}

grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's#^(.*)/[^/]*:[0-9]+:func (.*)#\1 \2#' |
	while read -r dir target; do
		echo "$dir $target"
		if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$dir" >"$said" 2>&1 </dev/null; then
			tail -2 "$said"
			continue
		fi
		if grep -q 'context deadline exceeded' "$said" && [ -z "$(complaints)" ]; then
			echo "the fuzzer met its own deadline: no finding"
			continue
		fi
		cat "$said"
		exit 1
	done
