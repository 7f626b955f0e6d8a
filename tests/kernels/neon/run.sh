#!/bin/sh
# The NEON kernels against their references, under qemu: tests/kernels/neon/run.sh [BUILD_FOLDER]
set -eu
here=$(dirname "$0")
build=${1:-build-neon}
cmake -G Ninja -S "$here" -B "$build" -DCMAKE_BUILD_TYPE=Release -DTAPLINE_WERROR=ON \
  -DCMAKE_TOOLCHAIN_FILE="$(cd "$here" && pwd)/aarch64.cmake"
cmake --build "$build" --parallel "$(nproc)"
ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)"
