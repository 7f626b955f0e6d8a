#!/usr/bin/env bash
# Builds Tapline with its tests into build/, runs them all, and closes with a line 'N passed, N failed'. Installs what
# is missing (Debian 12, as root or with sudo), and can be run any number of times. Arguments go to ctest: ./test.sh -R plugin
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tools/debian.sh
source tools/debian.sh

need "${tapline_build_packages[@]}" "${tapline_test_packages[@]}"

echo "Building with tests (the first time takes a few minutes)"
# A new compiler's new warnings are no reason not to build, but for those who change the sources.
warnings=OFF
if [[ -n ${CI:-} ]]; then
    warnings=ON
fi
quietly cmake --preset release -DTAPLINE_TESTS=ON -DTAPLINE_WERROR=$warnings
quietly cmake --build build

echo "Testing"
log=build/test.log
status=0
ctest --test-dir build --output-on-failure -j "$(nproc)" "$@" >"$log" 2>&1 </dev/null || status=$?
if [[ $status != 0 ]]; then
    cat "$log"
fi
# ctest: "98% tests passed, 1 tests failed out of 40"
summary=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$log" || true)
if [[ -z $summary ]]; then
    tail -n 5 "$log"
    echo "error: no test was run" >&2
    exit 1
fi
failed=$(sed -E 's/.*passed, ([0-9]+) tests failed.*/\1/' <<<"$summary")
total=$(sed -E 's/.*out of ([0-9]+).*/\1/' <<<"$summary")
echo "$((total - failed)) passed, $failed failed"
exit "$status"
