#!/bin/sh
# Unpacks ONNX Runtime's C API headers, as Debian 13 packages them, to DIR:
#
#     ops/onnxruntime/get-headers.sh build/onnxruntime
#     cmake -S . -B build -DTAPLINE_ORT_INCLUDE_DIR=build/onnxruntime/include
#
# They come from the Debian archive that this machine's apt is set up for, whatever release that is. Nothing is
# installed, and apt's own state stays as it is. Needs apt and dpkg-deb; not root.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT

# The archive that a Debian release is configured from; updates to security lie elsewhere.
archive=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(LABEL)' 2>/dev/null |
    awk '$3 == "Debian" && $2 !~ /security/ { print $1; exit }')
if [ -z "$archive" ]; then # no lists yet: as the sources say
    archive=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        grep -hoE 'https?://[^ ]*/debian/?([[:space:]]|$)' | head -n 1 | tr -d '[:space:]')
fi
if [ -z "$archive" ]; then
    echo "error: apt has no Debian archive configured here" >&2
    exit 1
fi

mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/parts"
: > "$state/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive trixie main" > "$state/sources.list"
separate() {
    apt-get -qq -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts="$state/parts" \
        -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@"
}
separate update
cd "$state"
separate download libonnxruntime-dev
dpkg-deb -x libonnxruntime-dev_*.deb "$state/package"
header=$(find "$state/package" -name onnxruntime_c_api.h | head -n 1)
if [ -z "$header" ]; then
    echo "error: the package has no onnxruntime_c_api.h" >&2
    exit 1
fi
mkdir -p "$dir/include"
cp "$(dirname "$header")"/onnxruntime*.h "$dir/include/"
echo "$dir/include"
