"""Writes the conformance cases of the installed onnx package, one folder each, for `tapline test`.

    make_cases.py FOLDER [OPERATOR...]

FOLDER/node/NAME holds the node cases, which the package computes here and now, FOLDER/SET/NAME the models that it ships
(simple, pytorch-converted, pytorch-operator, light). Each has model.onnx and test_data_set_K/{input,output}_J.pb. With
OPERATORs, only node cases made for one of these are written. What the package has no data for (its real networks, to be
downloaded) is left out.
"""

import os
import shutil
import sys
import warnings

import numpy as np
import onnx
import onnx.backend.test
from onnx import numpy_helper
from onnx.backend.test.case import model as model_cases
from onnx.backend.test.case import node as node_cases
from onnx.backend.test.loader import load_model_tests

SHIPPED = ("simple", "pytorch-converted", "pytorch-operator")


def to_proto(value, info):
    """The message that stands for a value of the graph in a .pb file."""
    if hasattr(value, "SerializeToString"):
        return value
    kind = info.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list(value, info.name)
    if kind == "optional_type":
        return numpy_helper.from_optional(value, info.name)
    if kind == "map_type":
        return numpy_helper.from_dict(value, info.name)
    return numpy_helper.from_array(value, info.name)


def write(path, message):
    with open(path, "wb") as file:
        file.write(message.SerializeToString())


def write_case(case, folder):
    os.makedirs(folder)
    write(os.path.join(folder, "model.onnx"), case.model)
    graph = case.model.graph
    for k, (inputs, outputs) in enumerate(case.data_sets):
        data_set = os.path.join(folder, f"test_data_set_{k}")
        os.makedirs(data_set)
        for role, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            # A graph may list initializers behind its inputs, for which there are no values.
            for j, (value, info) in enumerate(zip(values, infos, strict=False)):
                write(os.path.join(data_set, f"{role}_{j}.pb"), to_proto(value, info))


def generated(operators):
    """The node cases, and the models that the package makes for its own tests."""
    for operator in operators or [None]:
        yield from node_cases.collect_testcases(operator)
    if not operators:
        yield from (case for case in model_cases.collect_testcases() if case.model is not None)


def copy_shipped(folder):
    count = 0
    for kind in SHIPPED:
        for case in load_model_tests(kind=kind):
            source = case.model_dir
            if source is None or not os.path.isdir(source):
                continue
            target = os.path.join(folder, kind, os.path.basename(source))
            if not os.path.exists(target):
                shutil.copytree(source, target)
                count += 1
    return count


def ramp(info):
    """The input that the light models' outputs were computed for: k/n for element k of n."""
    shape = [d.dim_value if d.HasField("dim_value") else 1 for d in info.type.tensor_type.shape.dim]
    size = int(np.prod(shape))
    return (np.arange(size).reshape(shape) / size).astype(np.float32)


def write_light(folder):
    """Whole networks with made weights, each a model beside its outputs."""
    source = os.path.join(os.path.dirname(onnx.backend.test.__file__), "data", "light")
    names = sorted(name for name in os.listdir(source) if name.endswith(".onnx"))
    for name in names:
        path = os.path.join(source, name)
        model = onnx.load(path)
        given = {tensor.name for tensor in model.graph.initializer}
        inputs = [info for info in model.graph.input if info.name not in given]
        target = os.path.join(folder, "light", name.removesuffix(".onnx"))
        shutil.rmtree(target, ignore_errors=True)
        data_set = os.path.join(target, "test_data_set_0")
        os.makedirs(data_set)
        shutil.copy(path, os.path.join(target, "model.onnx"))
        for j, info in enumerate(inputs):
            write(os.path.join(data_set, f"input_{j}.pb"), numpy_helper.from_array(ramp(info), info.name))
        for j in range(len(model.graph.output)):
            shutil.copy(f"{path.removesuffix('.onnx')}_output_{j}.pb", os.path.join(data_set, f"output_{j}.pb"))
    return len(names)


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    folder, operators = arguments[0], arguments[1:]
    # The package's generators warn about their own arithmetic (division by zero and the like).
    warnings.simplefilter("ignore")
    count = 0
    for case in generated(operators):
        target = os.path.join(folder, case.kind, case.name)
        shutil.rmtree(target, ignore_errors=True)
        write_case(case, target)
        count += 1
    if not operators:
        count += copy_shipped(folder) + write_light(folder)
    print(f"{count} cases of onnx {onnx.__version__} in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
