#!/usr/bin/env bash
# Runs every exporter of the matrix, each in a virtual environment of its own, and writes the table.
#
#     export.sh OUT [--all]
#
# Needs Python 3.11 and about 10 GB of disk for the environments, which it makes in build/exporters of the project.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1
all=${2:-}

# with ENVIRONMENT SCRIPT [argument...]: in the environment of requirements-ENVIRONMENT.txt
with() {
    local environment
    environment=$here/../../build/exporters/$1
    if ! [[ -d $environment ]]; then
        python3.11 -m venv "$environment"
        "$environment/bin/pip" install -q -r "$here/requirements-$1.txt"
    fi
    "$environment/bin/python" "$here/$2" "${@:3}" ${all:+"$all"}
}

mkdir -p "$out"
with torch export_torch.py "$out"
with torch export_sklearn.py "$out"
KERAS_BACKEND=torch with torch export_keras.py "$out" own
KERAS_BACKEND=jax with torch export_keras.py "$out" own
KERAS_BACKEND=tensorflow with tensorflow export_keras.py "$out" own
KERAS_BACKEND=tensorflow with tensorflow export_keras.py "$out" keras3
with tensorflow export_keras.py "$out" tf_keras
if [[ -f $out/README.md ]]; then
    python3 "$here/table.py" "$out"
fi
