#!/usr/bin/env bash
# Builds Tapline into build/ and lets a trained model tell nine speakers apart. Installs what is missing (Debian 12, as
# root or with sudo), and can be run any number of times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tools/debian.sh
source tools/debian.sh

need "${tapline_build_packages[@]}"

echo "Building (the first time takes a minute or two)"
options=()
if [[ ! -f build/CMakeCache.txt ]]; then
    options=(-DTAPLINE_TESTS=OFF)
fi
quietly cmake --preset release "${options[@]}"
quietly cmake --build build

echo
echo "Who speaks? Nine men said the vowels /ae/; the model heard none of these recordings in training."
echo
build/examples/recognise models/japanesevowels_causal
echo
echo "Next: build/tapline --help, and ./test.sh for the tests."
