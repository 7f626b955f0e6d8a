# shellcheck shell=bash
# For the scripts at the top: installs Debian packages that are missing, having said which.

# What the library, the program and the examples are built from.
tapline_build_packages=(gcc libc6-dev cmake ninja-build protobuf-c-compiler libprotobuf-c-dev
    libprotobuf-dev libcjson-dev libzip-dev)
# What the tests need besides: Check, and a consumer's tools.
tapline_test_packages=(check g++ pkg-config strace)
# What the checks of .ci/run need besides.
tapline_check_packages=(clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev valgrind ccache python3-venv
    protobuf-compiler espeak-ng gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)

# need PACKAGE...
need() {
    local package missing=() sudo=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This is no Debian; needed are: $*" >&2
        return 0
    fi
    for package in "$@"; do
        if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
            missing+=("$package")
        fi
    done
    if [[ ${#missing[@]} == 0 ]]; then
        return 0
    fi
    echo "Installing the Debian packages: ${missing[*]}"
    if [[ $(id -u) != 0 ]]; then
        if ! command -v sudo >/dev/null; then
            echo "error: not root, and no sudo; run as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        sudo=(sudo)
    fi
    quietly "${sudo[@]}" apt-get update -qq
    quietly "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

# quietly COMMAND...: its output is shown only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [[ $status != 0 ]]; then
        grep -vE '^\[[0-9]+/[0-9]+\] ' "$log" >&2 || true # but for ninja's progress
        echo "error: failed ($status): $*" >&2
    fi
    rm -f "$log"
    return "$status"
}
