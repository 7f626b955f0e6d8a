#!/bin/sh
# The program: layers with Keras' weights give Keras' outputs, penalties and configurations; wrong use is refused.
# usage: layer.sh TAPLINE zip|without-zip
set -u
tapline=$1
zip=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

fail() {
    echo "FAILED: $*" >&2
    failed=1
}

# refused TEXT ARGUMENT...: an error of one line that has TEXT, and no file
refused() {
    text=$1
    shift
    if "$tapline" layer "$@" >"$folder/out" 2>"$folder/error"; then
        fail "accepted: $*"
    fi
    if [ "$(wc -l <"$folder/error")" != 1 ] || ! grep -q "^error: .*$text" "$folder/error"; then
        fail "layer $*: not '$text' but: $(cat "$folder/error")"
    fi
    if [ -e "$folder/refused.onnx" ]; then
        fail "layer $*: left a file"
    fi
}

config=data/cases/default_2/config.json

# ---- Weights of our own: the same for the same seed, others for another

"$tapline" layer "$config" --channels 3 --seed 5 -o "$folder/a.onnx" || fail "seed 5"
"$tapline" layer "$config" --channels 3 --seed 5 -o "$folder/b.onnx" || fail "seed 5 again"
"$tapline" layer "$config" --channels 3 --seed 6 -o "$folder/c.onnx" || fail "seed 6"
cmp "$folder/a.onnx" "$folder/b.onnx" || fail "a seed does not decide the weights"
cmp -s "$folder/a.onnx" "$folder/c.onnx" && fail "another seed gives the same weights"
"$tapline" run "$folder/a.onnx" --random 1 --dim N=2 --dim L=9 -q || fail "it does not run"
"$tapline" layer "$config" --channels 3 --length 20 -o "$folder/a.onnx" || fail "with a length"
"$tapline" inspect "$folder/a.onnx" | grep -q 'Y  float\[N,18,4\]' || fail "the output's shape is not known"

# ---- What is refused

refused "cannot be opened" "$folder/none" --channels 3 -o "$folder/refused.onnx"
printf '{"filters": 4, "kernel_size": 3' >"$folder/broken.json"
refused "no JSON" "$folder/broken.json" --channels 3 -o "$folder/refused.onnx"
printf '{"filters": 4, "kernel_size": 3} x' >"$folder/broken.json"
refused "no JSON" "$folder/broken.json" --channels 3 -o "$folder/refused.onnx"
printf '{"filters": 4, "kernel_size": 3}' >"$folder/small.json"
refused "channels" "$folder/small.json" -o "$folder/refused.onnx"
refused "length" "$folder/small.json" --channels 3 --length 2 -o "$folder/refused.onnx"
refused "hannels takes" "$folder/small.json" --channels 0 -o "$folder/refused.onnx"
refused "OUT is missing" "$folder/small.json" --channels 3
refused "no other option" "$folder/a.onnx" --show --channels 3
refused "built for 3" data/cases/causal_2/config.json --channels 4 -o "$folder/refused.onnx"
refused "no node" --show data/../../../models/japanesevowels_causal/model.onnx
refused "cannot be opened" --show "$folder/none"
printf '{"filters": 2147483647, "kernel_size": 3}' >"$folder/large.json"
refused "2 GiB" "$folder/large.json" --channels 2000000 -o "$folder/refused.onnx"
printf '{"filters": 4, "kernel_size": 3, "padding": "causal"}' >"$folder/causal.json"
refused "Keras 3" "$folder/causal.json" --channels 3 --keras 3 -o "$folder/refused.onnx"
"$tapline" layer "$folder/causal.json" --channels 3 -o "$folder/causal.onnx" || fail "causal padding"

if [ "$zip" = without-zip ]; then
    refused "libzip" "$config" --channels 3 --weights data/cases/default_2/weights.npz -o "$folder/refused.onnx"
    exit $failed
fi
refused "cannot be opened\|No such file" "$config" --channels 3 --weights "$folder/none" -o "$folder/refused.onnx"
refused "not a .npz" "$config" --channels 3 --weights "$config" -o "$folder/refused.onnx"
refused "depthwise_kernel is" "$config" --channels 5 --weights data/cases/default_2/weights.npz -o "$folder/refused.onnx"
refused "arrays" "$config" --channels 3 --weights data/cases/leaky_2/weights.npz -o "$folder/refused.onnx"
head -c 700 data/cases/causal_2/weights.npz >"$folder/cut.npz"
refused "not a .npz\|." "$config" --channels 3 --weights "$folder/cut.npz" -o "$folder/refused.onnx"

# ---- Keras' weights: its configuration comes back, and its penalties and outputs come out

for case in data/cases/*; do
    name=${case#data/cases/}
    mkdir -p "$folder/cases/$name"
    cp -r "$case/test_data_set_0" "$folder/cases/$name/"
    model=$folder/cases/$name/model.onnx
    channels=$(sed -n 's/^channels //p' "$case/penalties.txt")
    if ! "$tapline" layer "$case/config.json" --channels "$channels" --weights "$case/weights.npz" -o "$model"; then
        fail "$name: not made"
        continue
    fi
    "$tapline" layer --show "$model" >"$folder/shown" || fail "$name: not shown"
    tr -d ' \n' <"$case/config.json" >"$folder/expected"
    tr -d '\n' <"$folder/shown" | cmp - "$folder/expected" || fail "$name: its configuration has changed"
    "$tapline" inspect "$model" -i "$case/test_data_set_0/input_0.pb" |
        sed -n 's/^  \([a-z]*\)_regularizer .*: penalty /\1 /p' >"$folder/penalties"
    sed 1d "$case/penalties.txt" | paste -d ' ' - "$folder/penalties" >"$folder/both"
    awk '{ difference = $2 - $4; if (difference < 0) difference = -difference
           if (NF != 4 || $1 != $3 || difference > 2e-3 * $2 + 1e-7) { print; wrong = 1 } }
         END { exit wrong }' "$folder/both" || fail "$name: its penalties differ"
done
"$tapline" test -q --rtol 1e-3 --atol 1e-5 "$folder/cases" || fail "outputs differ"
"$tapline" inspect "$folder/cases/leaky_3/model.onnx" -q --json - | tr -d ' \n\t' |
    grep -q '"keras":\[{"node":"separable_conv1d[_0-9]*","version":3,"penalties":{"depthwise":[0-9.e-]*,"pointwise":' ||
    fail "no penalties in JSON"
exit $failed
