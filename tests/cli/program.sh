#!/bin/sh
# Runs the program the way people and scripts do: sh program.sh path/to/tapline
#
# Every call is checked for its exit code, for exactly one line on standard error that starts with "error: " where it
# failed and none where it did not, and for what it printed.
set -u
tapline=$1
here=$(cd "$(dirname "$0")" && pwd)
models=$here/models
cases=$here/cases
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
[ -x "$tapline" ] || { echo "no program $tapline"; exit 1; }
# Refused memory is a failure like any other under sanitizers too, which then write a line of their own.
ASAN_OPTIONS=allocator_may_return_null=1:${ASAN_OPTIONS-}
export ASAN_OPTIONS
failures=0
checks=0

complain() {
    failures=$((failures + 1))
    echo "FAILED: $1"
    echo "  call: tapline $call"
    sed 's/^/  out: /' out | head -20
    sed 's/^/  err: /' err | head -20
}

# expect CODE argument...
expect() {
    code=$1
    shift
    call=$*
    checks=$((checks + 1))
    "$tapline" "$@" >out 2>err </dev/null
    got=$?
    errors=$(grep -c '^error: ' err)
    lines=$(grep -vc 'WARNING: AddressSanitizer failed to allocate' err)
    if [ $got -ne "$code" ]; then
        complain "exit code $got instead of $code"
    elif [ "$code" -eq 0 ] && [ "$errors" -ne 0 ]; then
        complain "an error line, but exit code 0"
    elif [ "$code" -ne 0 ] && { [ "$errors" -ne 1 ] || [ "$lines" -ne 1 ]; }; then
        complain "$errors error lines, $lines lines on standard error"
    fi
}

# said TEXT / printed TEXT: the last call's standard error or output holds it.
said() {
    checks=$((checks + 1))
    grep -qF -- "$1" err || complain "standard error lacks: $1"
}
printed() {
    checks=$((checks + 1))
    grep -qF -- "$1" out || complain "standard output lacks: $1"
}
silent() {
    checks=$((checks + 1))
    [ -s out ] && complain "printed something"
    [ -s err ] && complain "said something"
}
last_line() {
    checks=$((checks + 1))
    [ "$(tail -n 1 "$2")" = "$1" ] || complain "the last line of $2 is not: $1"
}
# value FILE TEXT: a JSON file, white space removed, holds it.
value() {
    checks=$((checks + 1))
    tr -d ' \t\n' <"$1" | grep -qF -- "$2" || complain "$1 lacks $2"
}
file() {
    checks=$((checks + 1))
    [ -f "$1" ] || complain "no file $1"
}
no_file() {
    checks=$((checks + 1))
    [ ! -e "$1" ] || complain "there is a file $1"
}

# A float32 .npy file of 1 to 6 as [2,3]. npy NAME DESCR SHAPE DATA-IN-PRINTF-ESCAPES
npy() {
    text="{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
    length=$(printf '\\%03o' ${#text})
    printf "\\223NUMPY\\1\\0$length\\0%s" "$text" >"$1"
    printf "$4" >>"$1"
}
one='\0\0\200\77' two='\0\0\0\100' three='\0\0\100\100' four='\0\0\200\100' five='\0\0\240\100' six='\0\0\300\100'
npy x.npy '<f4' '(2, 3)' "$one$two$three$four$five$six"
npy row.npy '<f4' '(1, 3)' "$one$two$three"
npy wrong_type.npy '<i4' '(2, 3)' "$one$two$three$four$five$six"
npy wrong_shape.npy '<f4' '(2, 2)' "$one$two$three$four"
npy wrong_rank.npy '<f4' '(6,)' "$one$two$three$four$five$six"

# ---- The program as a whole
expect 2; said "no command"
expect 2 frobnicate; said "'frobnicate'"
expect 0 --help; printed "usage: tapline"
expect 0 --version; printed "tapline "
for command in run test inspect bench operators; do
    expect 0 $command --help
    printed "usage: tapline $command"
    printed "--quiet"
    printed "--verbose"
    expect 2 $command --nonsense; said "unknown option --nonsense"
done
for command in run inspect bench; do
    expect 2 $command; said "MODEL is missing"
    expect 2 $command a b; said "one argument too many"
    expect 1 $command nowhere.onnx; said "nowhere.onnx"
    expect 1 $command "$models/broken.onnx"; said "broken.onnx"
    expect 1 $command x.npy; said "x.npy: no ONNX model"
    expect 1 $command "$work"; said "$work"
    expect 1 $command "$models/unknown.onnx"; said "Nonsense"; said "'odd'"
    expect 1 $command "$models/add.onnx" --plugin nowhere.so; said "nowhere.so"
    expect 1 $command "$models/add.onnx" --plugin x.npy; said "x.npy"
    expect 2 $command "$models/add.onnx" --dim; said "--dim needs a value"
    expect 2 $command "$models/add.onnx" --dim N; said "NAME=N"
    expect 2 $command "$models/add.onnx" --dim N=-3; said "NAME=N"
    expect 1 $command "$models/separable.onnx" --no-plugins; said "tapline"
done
expect 2 test; said "DIR... is missing"
expect 0 operators; printed "tapline::SeparableConv1D  1"; printed "operators"
expect 0 operators --no-plugins -q
checks=$((checks + 1)); grep -q SeparableConv1D out && complain "--no-plugins leaves SeparableConv1D"

# Standard output that cannot be written.
checks=$((checks + 1)); call="operators >/dev/full"; : >out
"$tapline" operators >/dev/full 2>err; [ $? -eq 1 ] || complain "a full disk is no failure"
said "standard output cannot be written"

# A closed pipe is a failure, too, but whoever closed it knows: no word.
checks=$((checks + 1)); call="operators | true"
{ sleep 0.1; "$tapline" operators 2>err; echo $? >code; } | true
[ "$(cat code)" = 1 ] && [ ! -s err ] || complain "a closed pipe"

# ---- run
expect 1 run "$models/add.onnx"; said "missing inputs: 'x' float[N,3], 'y' float[N,3]"
expect 1 run "$models/add.onnx" -i x.npy; said "missing input: 'y' float[N,3]"
expect 0 run "$models/add.onnx" -i x.npy -i x.npy; printed "z  float[2,3]"; printed "  3  6  9"; printed "  9  12  15"
expect 0 run "$models/add.onnx" -i y=x.npy -i x.npy; printed "  3  6  9"
expect 0 run "$models/add.onnx" -i y=x.npy --input=x=row.npy; printed "z  float[2,3]"
expect 0 run -q "$models/add.onnx" -i x.npy -i x.npy; silent
expect 0 run "$models/add.onnx" -i "$cases/good/add/test_data_set_0/input_0.pb" -i x.npy --threads 2; printed "  3  6  9"
expect 1 run "$models/add.onnx" -i x.npy -i x.npy -i x.npy; said "only 2 inputs"
expect 1 run "$models/add.onnx" -i bias=x.npy -i x.npy; said "no input 'bias'"
expect 1 run "$models/add.onnx" -i x=x.npy -i x=row.npy; said "'x' is given twice"
expect 1 run "$models/add.onnx" -i x=; said "-i x=: the file's name is missing"
expect 1 run "$models/add.onnx" -i x=x.npy --random 1 --dim N=5; said "--dim N=5: input 'x' from x.npy has 2 there"
expect 0 run "$models/add.onnx" -i x=x.npy --random 1 --dim N=2; printed "z  float[2,3]"
call="run with a wrong TAPLINE_ISA"
TAPLINE_ISA=nonsense "$tapline" run "$models/add.onnx" -i x.npy -i x.npy >out 2>err || complain "exit code $?"
said "warning: TAPLINE_ISA is 'nonsense'"; printed "  3  6  9"
expect 1 run "$models/add.onnx" -i x.npy -i x.npy --disable nobody; said "there is no rewrite 'nobody' to disable"
expect 1 run "$models/add.onnx" -i nowhere.npy; said "nowhere.npy"
expect 1 run "$models/add.onnx" -i nowhere.pb; said "nowhere.pb"
expect 1 run "$models/add.onnx" -i "$models/add.onnx"; said "must end in .npy or .pb"
expect 1 run "$models/add.onnx" -i wrong_type.npy -i x.npy; said "wrong_type.npy"; said "int32[2,3]"; said "float[N,3]"
expect 1 run "$models/add.onnx" -i wrong_shape.npy -i x.npy; said "float[2,2]"
expect 1 run "$models/add.onnx" -i wrong_rank.npy -i x.npy; said "float[6]"
cp x.npy a=b.npy
expect 0 run "$models/add.onnx" -i a=b.npy -i y=a=b.npy; printed "  3  6  9"
head -c 100 "$cases/good/add/test_data_set_0/output_0.pb" | head -c 20 >short.pb
expect 1 run "$models/add.onnx" -i short.pb -i x.npy; said "short.pb"

expect 0 run "$models/add.onnx" --random 1; printed "z  float[1,3]"; cp out first
expect 0 run "$models/add.onnx" --random 1
checks=$((checks + 1)); cmp -s out first || complain "the same seed gives another result"
expect 0 run "$models/add.onnx" --random 2
checks=$((checks + 1)); cmp -s out first && complain "another seed gives the same result"
expect 0 run "$models/add.onnx" --random 1 --dim N=5; printed "z  float[5,3]"
expect 0 run "$models/add.onnx" --random 1 -i x.npy; printed "z  float[2,3]"
expect 0 run "$models/add.onnx" --random 1 --dim N=0; printed "z  float[0,3]"; printed "no elements"
expect 1 run "$models/add.onnx" --random 1 --dim M=5; said "'M'"; said "N"
expect 1 run "$models/add.onnx" --random 1 --dim N=9223372036854775807; said "overflows"
expect 1 run "$models/add.onnx" --random 1 --dim N=700000000000000000; said "no memory"
expect 1 run "$models/any_rank.onnx" --random 1; said "cannot be made up"
expect 0 run "$models/identity_int64.onnx" --random 1 --dim N=4; printed "y  int64[4]"

expect 0 run "$models/add.onnx" -i x.npy -i x.npy -o made/by/run; silent; file made/by/run/output_0.npy
expect 0 run "$models/add.onnx" -i made/by/run/output_0.npy -i x.npy; printed "  5  10  15"
expect 0 run "$models/add.onnx" -i x.npy -i x.npy -o pb --format pb; file pb/output_0.pb
expect 0 run "$models/add.onnx" -i pb/output_0.pb -i x.npy; printed "  5  10  15"
expect 1 run "$models/bfloat16.onnx" --random 1 -o none; said "bfloat16"; said "--format pb"; no_file none
expect 0 run "$models/bfloat16.onnx" -i "$models/bfloat16.pb" -o half --format pb; file half/output_0.pb
expect 0 run "$models/bfloat16.onnx" -i half/output_0.pb; printed "y  bfloat16[2,3]"; printed "  1  2  3"; printed "  4  5  6"
expect 1 run "$models/sequence.onnx" -i x.npy -o none; said "a sequence"; said "--format pb"; no_file none
expect 0 run "$models/sequence.onnx" -i x.npy; printed "y  sequence of 2"; printed "1: float[2,3]"; printed "    4  5  6"
expect 0 run "$models/sequence.onnx" -i x.npy -o list --format pb; file list/output_0.pb
expect 0 run "$models/sequence_at.onnx" -i list/output_0.pb; printed "z  float[2,3]"; printed "  4  5  6"
expect 1 run "$models/sequence_at.onnx" -i x.npy; said "no tensor"
expect 1 run "$models/sequence_at.onnx"; said "'y' sequence of float"
expect 1 run "$models/sequence_at.onnx" --random 1; said "cannot be made up"
expect 0 inspect "$models/sequence_at.onnx"; printed "SequenceAt"
expect 1 run "$models/add.onnx" -i x.npy -i x.npy -o x.npy; said "x.npy"
expect 1 run "$models/add.onnx" -i x.npy -i x.npy -o x.npy/more; said "x.npy"
expect 1 run "$models/add.onnx" -i x.npy -i x.npy -o /proc/nowhere; said "/proc/nowhere"
expect 2 run "$models/add.onnx" -i x.npy -i x.npy --format pb; said "no -o"
expect 2 run "$models/add.onnx" -o d --format txt; said "npy|pb"

expect 0 run "$models/separable.onnx" --random 3 --dim T=4; printed "y  float[1,4,3]"
plugin=$(dirname "$tapline")/plugins/separable_conv1d.so
expect 0 run "$models/separable.onnx" --random 3 --plugin "$plugin"
expect 0 run "$models/separable.onnx" --random 3 --plugin "$plugin" --plugin "$plugin" --no-plugins
expect 0 run "$models/separable.onnx" --random 3 --no-rewrites; printed "y  float[1,1,3]"

# ---- test
expect 0 test "$cases/good"; last_line "1 passed, 0 failed, 0 skipped" out
expect 0 test "$cases/good/add/"; last_line "1 passed, 0 failed, 0 skipped" out
expect 0 test -v "$cases/good" "$cases/good"; printed "passed  $cases/good/add"; last_line "2 passed, 0 failed, 0 skipped" out
expect 1 test --rtol 1e-4 "$cases/good"; printed "test_data_set_1: output 0 'z': 6 of 6 elements differ"
last_line "0 passed, 1 failed, 0 skipped" out
expect 0 test --rtol 1e-4 --atol 1 "$cases/good"
expect 1 test "$cases/bad"; said "8 of 8 cases failed"; last_line "0 passed, 8 failed, 0 skipped" out
printed "$cases/bad/value: test_data_set_10: output 0 'z': 1 of 6 elements differ, the first at [1,2]: expected 10.5, got 10 "
printed "$cases/bad/shape: output 0 'z': expected float[3,2], got float[2,3]"
printed "$cases/bad/type: output 0 'z': expected double[2,3], got float[2,3]"
printed "$cases/bad/integer: output 0 'y': 1 of 2 elements differ, the first at [0]: expected 1099511627777, got 1099511627776"
printed "$cases/bad/too_many_outputs: 2 output files, but the model has 1 output"
printed "$cases/bad/missing_input: input 'y' is missing"
printed "$cases/bad/gap: "; printed "input_1.pb is missing, but input_2.pb is there"
printed "$cases/bad/no_data: there is no test_data_set_*"
expect 0 test "$cases/lacking"; printed "skipped $cases/lacking/operator: "; printed "Nonsense"
last_line "0 passed, 0 failed, 1 skipped" out
expect 1 test "$cases" -q; last_line "1 passed, 8 failed, 1 skipped" out
checks=$((checks + 1)); [ "$(wc -l <out)" -eq 1 ] || complain "-q prints more than the counts"
checks=$((checks + 1)); call="test 2>&1"; "$tapline" test "$cases" >both 2>&1
last_line "1 passed, 8 failed, 1 skipped" both
expect 1 test "$work/made"; said "no model.onnx"
expect 1 test nowhere; said "nowhere"
expect 1 test x.npy; said "x.npy"
expect 2 test "$cases" --rtol -1; said "--rtol"
mkdir -p linked && ln -s "$cases/bad" linked/bad
expect 1 test linked; said "no model.onnx"

printf '# what is known\n\nvalue  rounding differs\nbad/shape reshaped later\n  nothing/here  never existed\nadd never needed\n' >skips.txt
expect 1 test --skips skips.txt "$cases"
printed "skipped $cases/bad/value: rounding differs (skips.txt:3)"
printed "skipped $cases/bad/shape: reshaped later (skips.txt:4)"
printed "unused  skips.txt:5: nothing/here"
printed "failed  $cases/good/add: passes, but is listed: never needed (skips.txt:6)"
printed "failed  $cases/lacking/operator: "
last_line "0 passed, 8 failed, 2 skipped" out
printf 'value\n' >wrong.txt
expect 1 test --skips wrong.txt "$cases"; said "wrong.txt:1: 'value' has no reason"
expect 1 test --skips nowhere.txt "$cases"; said "nowhere.txt"

expect 1 test "$cases" --json results.json --junit results.xml
value results.json '"passed":1,"failed":8,"skipped":1'
value results.json '"status":"passed","reason":null'
checks=$((checks + 1)); [ "$(grep -c '<testcase ' results.xml)" -eq 10 ] || complain "JUnit has not 10 cases"
checks=$((checks + 1)); grep -q 'tests="10" failures="8" errors="0" skipped="1"' results.xml || complain "JUnit counts"
expect 0 test "$cases/good" --json -; value out '{"passed":1,'
expect 1 test "$cases/good" --json /nowhere/x.json; said "/nowhere/x.json"
expect 1 test "$cases/good" --junit /nowhere/x.xml; said "/nowhere/x.xml"

expect 0 test "$cases/good" --bisect "$here/values/right"; printed "all 2 values agree"
expect 1 test "$cases/good" --bisect "$here/values/wrong"
said "node 'second' (Add) is the first to depart (values that agree before it: 1): 'z': 1 of 6 elements differ, the first at [0,2]"
expect 1 test "$cases/good" --bisect "$here/values/other"; said "none of its 1 values is a node's"
expect 1 test "$cases/good" --bisect "$work"; said ".pb"
expect 1 test "$cases/good" --bisect nowhere; said "nowhere"
expect 1 test "$cases" --bisect "$here/values/right"; said "one case, but there are 10"
expect 1 test "$cases/bad/no_data" --bisect "$here/values/right"; said "no test_data_set_*"
expect 1 test "$cases/lacking" --bisect "$here/values/right"; said "Nonsense"

# ---- inspect
expect 0 inspect "$models/separable.onnx"
printed "tapline::SeparableConv1D  sep"; printed "float[N,T,2]"; printed "float[N,T,3]"
printed 'padding="causal"'; printed "15 parameters"; printed "for N=1, T=1"; printed "arena"; printed "rewrites"
# 8 steps of 2 * 6 (depthwise) and 3 * (2 * 2 (pointwise) + 1 (bias) + 1 (relu)).
expect 0 inspect "$models/separable.onnx" --dim N=2 --dim T=4; printed "240 FLOP"; printed "float[2,4,3]"; printed "for N=2, T=4"
expect 1 inspect "$models/separable.onnx" --dim X=2; said "'X'"
expect 0 inspect "$models/separable.onnx" --dim T=1000000000 --json graph.json
printed " along axis 1 of x: "; printed "samples with a halo of 2, in "; printed "the whole would take 11.2 GiB"
value graph.json '"strips":{"input":"x","axis":1,"count":'; value graph.json '"halo":2,'
value graph.json '"whole_arena_bytes":12000016768}'
expect 0 inspect -q "$models/separable.onnx" --json graph.json; silent
value graph.json '"op":"SeparableConv1D","domain":"tapline"'
value graph.json '"shape":["N","T",3]'
value graph.json '"parameters":15'
value graph.json '"flops":30'
value graph.json '"arena_bytes":'
value graph.json '"rewrites":['
expect 0 inspect "$models/separable.onnx" --dim N=2 --dim T=4 --json -; value out '"shape":[2,4,3]'; value out '"flops":240'
expect 0 inspect "$models/any_rank.onnx" --no-rewrites; printed "float[...]"; printed "not planned"
expect 0 inspect "$models/valid.onnx"; printed "not planned"; printed "float[N,1,T]"
expect 0 inspect "$models/valid.onnx" --dim T=9; printed "float[1,1,5]"; printed "50 FLOP"
expect 1 inspect "$models/add.onnx" --json /nowhere/x.json; said "/nowhere/x.json"
expect 1 inspect -q "$models/add.onnx" --svg /nowhere/x.svg; said "/nowhere/x.svg"

# --svg, with a dot that repeats its input, one that fails, and none.
mkdir -p good_dot bad_dot no_dot
printf '#!/bin/sh\nexec cat\n' >good_dot/dot
printf '#!/bin/sh\nexit 3\n' >bad_dot/dot
chmod +x good_dot/dot bad_dot/dot
path=$PATH
PATH=$work/good_dot:$path expect 0 inspect -q "$models/separable.onnx" --svg graph.svg
file graph.svg; value graph.svg 'tapline::SeparableConv1D'; value graph.svg 'in0->n0'; value graph.svg 'n0->out0'
PATH=$work/bad_dot:$path expect 1 inspect -q "$models/separable.onnx" --svg bad.svg; said "exit status 3"; no_file bad.svg
tapline=$(command -v "$tapline")
# The shell looks for the tools of the test in the same path, so here they are called apart.
checks=$((checks + 1)); call="inspect --svg without dot"; : >out
(PATH=$work/no_dot; exec "$tapline" inspect -q "$models/separable.onnx" --svg none.svg) >out 2>err
[ $? -eq 1 ] || complain "no dot is no failure"
said "needs Graphviz"; no_file none.svg

# ---- bench
expect 1 bench "$models/add.onnx"; said "missing inputs"
expect 0 bench "$models/separable.onnx" --random 1 --dim T=50 --seconds 0.05
for word in load "first run" median p99 memory "of peak" bytes SeparableConv1D; do printed "$word"; done
expect 0 bench -q "$models/separable.onnx" --random 1 --seconds 0 --json bench.json --profile trace.json --threads 2; silent
for field in load_us first_run_us run_us min median p99 count peak_bytes threads isa operators name op us flops bytes peak_flops_per_second; do
    value bench.json "\"$field\":"
done
value bench.json '"threads":2'
value bench.json '"count":3'
value trace.json '"traceEvents":[{"name":"sep","cat":"tapline::SeparableConv1D","ph":"X"'
expect 0 bench "$models/add.onnx" -i x.npy -i x.npy --seconds 0 --json -; value out '"run_us":{'
expect 2 bench "$models/add.onnx" --seconds -1; said "--seconds"
expect 1 bench "$models/add.onnx" --random 1 --seconds 0 --profile /nowhere/t.json; said "/nowhere/t.json"

echo "$checks checks, $failures failed"
[ $failures -eq 0 ]
