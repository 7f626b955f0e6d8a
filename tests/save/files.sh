#!/bin/sh
# What lower and fuse write of every model in the given folders, or one in EVERY:
#   sh files.sh path/to/tapline EVERY FOLDER...
#
# However a model runs, no operator of the runtime's own is ever in a file.
set -u
tapline=$1
every=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -x "$tapline" ] || { echo "no program $tapline"; exit 1; }
written=0
inside=0
failures=0

complain() {
    failures=$((failures + 1))
    echo "FAILED: $1"
    head -1 "$work/err"
}

# write COMMAND MODEL OUT: false where the program refuses to, in one line
write() {
    "$tapline" "$1" "$2" -q -o "$3" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    if [ $code -eq 1 ] && [ "$(grep -c '^error: ' "$work/err")" -eq 1 ] && [ ! -e "$3" ]; then
        return 1
    fi
    [ $code -eq 0 ] || complain "$1 $2: exit code $code"
    grep -qa 'tapline[.]internal' "$3" && complain "$1 $2 writes an operator of the runtime's own"
    written=$((written + 1))
}

find "$@" -name '*.onnx' | sort | awk "NR % $every == 0" >"$work/models"
while read -r model; do
    rm -f "$work"/*.onnx
    "$tapline" inspect "$model" --json - 2>"$work/err" | grep -q 'tapline[.]internal' && inside=$((inside + 1))
    write fuse "$model" "$work/fused.onnx" && write lower "$work/fused.onnx" "$work/back.onnx"
    write lower "$model" "$work/lowered.onnx"
done <"$work/models"

echo "$written files of $(wc -l <"$work/models") models, $inside of which run by such operators; $failures failed"
[ $failures -eq 0 ] && [ $written -gt 0 ] && [ $inside -gt 0 ]
