#!/bin/sh
# lower and fuse: sh save.sh path/to/tapline path/to/models
#
# Every written model must give the values that its original's test data asks for; fusing what lowering a fused model
# gave must give the same file again, byte for byte.
set -u
tapline=$1
models=$2
data=$(cd "$(dirname "$0")" && pwd)/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
[ -x "$tapline" ] || { echo "no program $tapline"; exit 1; }
failures=0
checks=0
warnings=0 # functions that the next command cannot rewrite in their places

complain() {
    failures=$((failures + 1))
    echo "FAILED: $1"
    head -3 out err 2>/dev/null
}

# expect CODE argument...: also one line on standard error where it failed, and but for $warnings none where it did not
expect() {
    code=$1
    shift
    checks=$((checks + 1))
    "$tapline" "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$code" ] || complain "exit code $got instead of $code: $*"
    lines=$(grep -vc '^warning: ' err)
    [ "$lines" -eq $((code != 0)) ] || complain "$lines lines on standard error: $*"
    lines=$(grep -c '^warning: .* is written out where it is called' err)
    [ "$lines" -eq "$warnings" ] || complain "$lines warnings, not $warnings: $*"
    warnings=0
}
printed() {
    checks=$((checks + 1))
    grep -qxF -- "$1" out || complain "$2: printed something else than: $1"
}
same() {
    checks=$((checks + 1))
    cmp -s "$1" "$2" || complain "$3"
}

# convert COMMAND FOLDER NAME TEXT: writes NAME/model.onnx beside FOLDER's test data, and expects TEXT
convert() {
    mkdir -p "$3"
    cp -r "$2"/test_data_set_* "$3"
    expect 0 "$1" "$2/model.onnx" -o "$3/model.onnx"
    printed "$4" "$1 $2"
}

# whole NAME COUNT: lowers and fuses what was fused; back/NAME is the lowered model
whole() {
    mkdir -p "back/$1"
    cp -r "fused/$1"/test_data_set_* "back/$1"
    expect 0 lower "fused/$1/model.onnx" -o "back/$1/model.onnx"
    expect 0 fuse "back/$1/model.onnx" -o again.onnx
    printed "$2 SeparableConv1D" "fuse, lower, fuse $1"
    # One more turn: the first may put initializers in another order.
    expect 0 lower again.onnx -o twice.onnx
    expect 0 fuse twice.onnx -o twice.onnx
    same again.onnx twice.onnx "$1: fuse, lower, fuse is no fixed point"
}

# right FOLDER TOLERANCE COUNT
right() {
    checks=$((checks + 1))
    "$tapline" test "$1" --rtol "$2" --atol 1e-5 >out 2>err || complain "values of $1"
    tail -1 out | grep -qx "$3 passed, 0 failed, 0 skipped" || complain "not all of $1 passed: $(tail -1 out)"
}

count=0
for folder in "$data"/lower/*; do
    name=$(basename "$folder")
    text="1 node lowered"
    case $name in
    branches_*) text="3 nodes lowered" ;;
    branch_in_function | nested_functions) text="2 nodes lowered" ;;
    channels_disagree) text="2 nodes lowered" warnings=2 ;;
    padding_of_the_call) text="2 nodes lowered" warnings=1 ;;
    dead_*) text="0 nodes lowered" warnings=1 ;;
    esac
    convert lower "$folder" "lowered/$name" "$text"
    expect 0 lower "lowered/$name/model.onnx" -o again.onnx
    printed "0 nodes lowered" "lower again $name"
    same "lowered/$name/model.onnx" again.onnx "lowering $name again changes it"
    checks=$((checks + 1))
    grep -qa SeparableConv1D "lowered/$name/model.onnx" && complain "$name still names the operator"
    count=$((count + 1))
done
right lowered 1e-5 $count

count=0
for folder in "$models"/separable_conv1d/custom/*; do
    convert lower "$folder" "custom/$(basename "$folder")" "1 node lowered"
    count=$((count + 1))
done
right custom 1e-3 $count

count=0
for folder in "$data"/fuse/* "$models"/separable_conv1d/exported/*; do
    name=$(basename "$folder")
    [ "$name" = split_pair ] && warnings=2
    convert fuse "$folder" "fused/$name" "1 SeparableConv1D"
    whole "$name" 1
    count=$((count + 1))
done
for folder in "$models"/*; do
    name=$(basename "$folder")
    case $name in
    japanesevowels_causal) pairs=4 ;;
    japanesevowels_same) pairs=2 ;;
    matchboxnet_*) pairs=8 ;;
    quartznet_mini_*) pairs=6 ;;
    tcn_chomp_*) pairs=5 ;;
    *) continue ;;
    esac
    convert fuse "$folder" "fused/$name" "$pairs SeparableConv1D"
    whole "$name" $pairs
    count=$((count + 1))
done
right fused 1e-5 $count
right back 1e-5 $count

# External tensors stay where they are in the model's own folder, and else come along.
cp -r "$data/fuse/external" external
expect 0 fuse external/model.onnx -o external/model.onnx
checks=$((checks + 1))
grep -qa weights.bin external/model.onnx || complain "external tensors are not external any more"
checks=$((checks + 1))
grep -qa weights.bin fused/external/model.onnx && complain "external tensors are far from their file"
right external 1e-5 1

# Nothing to do: the file as it is.
expect 0 fuse "$data/lower/everything/model.onnx" -o nothing.onnx
printed "0 SeparableConv1D" "nothing to fuse"
same "$data/lower/everything/model.onnx" nothing.onnx "nothing was fused, but the file differs"

# Functions that nobody calls and that are no functions do no harm; where they are called, they are refused.
warnings=2
convert lower "$data/hostile/uncalled_circle" hostile/lowered "1 node lowered"
right hostile 1e-5 1
for name in called_circle missing_import; do
    expect 1 lower "$data/refused/$name/model.onnx" -o refused.onnx
    expect 1 fuse "$data/refused/$name/model.onnx" -o refused.onnx
done

# What fails leaves nothing behind, and what was there as it was.
mkdir failing
echo before >failing/there.onnx
expect 1 lower "$data/refused/unknown_channels/model.onnx" -o failing/there.onnx
expect 1 lower "$data/refused/unknown_channels/model.onnx" -o failing/new.onnx
expect 1 fuse "$data/fuse/pair/model.onnx" -o failing/no/folder.onnx
expect 1 fuse "$data/fuse/pair/model.onnx" -o failing
expect 1 fuse "$data/fuse/pair/model.onnx" --no-plugins -o failing/new.onnx
expect 1 lower failing/none.onnx -o failing/new.onnx
expect 2 lower "$data/fuse/pair/model.onnx"
expect 2 fuse "$data/fuse/pair/model.onnx"
checks=$((checks + 1))
[ "$(ls failing)" = there.onnx ] || complain "something was left in the folder: $(ls failing)"
checks=$((checks + 1))
[ "$(cat failing/there.onnx)" = before ] || complain "a file was replaced by a failure"

echo "$checks checks, $failures failed"
[ $failures -eq 0 ]
