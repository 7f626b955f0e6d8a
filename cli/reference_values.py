#!/usr/bin/env python3
"""Runs a model by ONNX Runtime and writes every value in it, for `tapline test --bisect`.

usage: reference_values.py CASE OUT

CASE is a folder in the layout of ONNX's backend tests; the first test_data_set_* is run. OUT gets one .pb tensor for
each value that a node of the main graph makes. Needs the packages onnx and onnxruntime.
"""

import pathlib
import sys

import onnx
import onnxruntime
from onnx import numpy_helper


def load_inputs(folder, session):
    inputs = {}
    for k, entry in enumerate(session.get_inputs()):
        inputs[entry.name] = numpy_helper.to_array(onnx.load_tensor(str(folder / f"input_{k}.pb")))
    return inputs


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    case, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    model = onnx.load(str(case / "model.onnx"))
    known = {output.name for output in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
                known.add(name)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    data = sorted(case.glob("test_data_set_*"))[0]
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, load_inputs(data, session))
    out.mkdir(parents=True, exist_ok=True)
    for k, (name, value) in enumerate(zip(names, values)):
        if hasattr(value, "dtype"):
            (out / f"value_{k:05}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())
    print(f"{len(names)} values of {data} in {out}")


main()
