#!/usr/bin/env bash
# usage: steady_run.sh PROGRAM MODEL...: fails if a run with known shapes calls the system.
set -euo pipefail
program=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for model in "$@"; do
    strace -f -o "$log" "$program" "$model" >/dev/null
    calls=$(sed -n '/write(1, "<", 1)/,/write(1, ">", 1)/p' "$log" | sed '1d;$d')
    if ! grep -q 'write(1, ">", 1)' "$log" || [[ -n $calls ]]; then
        echo "$model: system calls in a steady run: ${calls:-no marks found}"
        exit 1
    fi
    echo "$model: 100 runs, 0 system calls"
done
