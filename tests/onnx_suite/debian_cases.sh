#!/bin/sh
# Runs the node cases of onnx 1.12 that Debian has as files, in the package libonnx-testdata.
#
#     debian_cases.sh TAPLINE FOLDER SKIPS
#
# The package is fetched into FOLDER, not installed, and kept for the next time. Exit status 77: it cannot be had here.
tapline=$1 folder=$2 skips=$3
mkdir -p "$folder" && cd "$folder" || exit 1
if ! [ -d data ]; then
    if ! apt-get download libonnx-testdata >download.log 2>&1 || ! dpkg-deb -x libonnx-testdata_*.deb files; then
        echo "skipped: libonnx-testdata cannot be fetched here: $(grep -m 1 '^E:' download.log || tail -n 1 download.log)"
        exit 77
    fi
    mv files/usr/share/libonnx-testdata/data data && rm -rf files libonnx-testdata_*.deb || exit 1
fi
exec "$tapline" test data --skips "$skips"
