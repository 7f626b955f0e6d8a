"""Looks at what lower and fuse write with the standard's checker and, where it is installed, ONNX Runtime.

usage: check_onnx.py TAPLINE MODELS DATA
"""

import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.inliner import inline_local_functions
from onnx.reference import ReferenceEvaluator

try:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
except ImportError:
    onnxruntime = None

FLOAT = onnx.TensorProto.FLOAT

# Functions that have to be written out where they are called, because the calls disagree.
OPENED = {
    "channels_disagree": {"Layer", "Outer"},
    "padding_of_the_call": {"Layer"},
    "dead_and_uncalled": {"Unused"},
    "split_pair": {"Depthwise", "Pointwise"},
}


def convert(tapline, command, model, out):
    subprocess.run([tapline, command, model, "-q", "-o", out], check=True)
    return onnx.load(out)


def check_kept(old, new):
    """What neither command may touch."""
    for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
        assert getattr(old, field) == getattr(new, field), field
    assert list(old.metadata_props) == list(new.metadata_props)
    assert old.graph.name == new.graph.name and old.graph.doc_string == new.graph.doc_string
    assert list(old.graph.output) == list(new.graph.output)
    if old.ir_version >= 4:
        assert list(old.graph.input) == list(new.graph.input)
    olds = {n.SerializeToString() for n in old.graph.node}
    names = {name for n in new.graph.node for name in n.output} | {i.name for i in new.graph.initializer}
    for node in new.graph.node:
        if node.name in {n.name for n in old.graph.node if n.op_type == node.op_type and n.name and n.op_type != "If"}:
            assert node.SerializeToString() in olds or node.op_type in ("Loop", "Scan", "SeparableConv1D"), node
    for info in new.graph.value_info:
        assert info.name in names and info in old.graph.value_info, info.name
    for info in old.graph.value_info:
        assert info.name not in names or info in new.graph.value_info, info.name
    used = {name for n in new.graph.node for name in n.input} | {o.name for o in new.graph.output}
    before = {name for n in old.graph.node for name in n.input}
    inner = any(a.HasField("g") for n in old.graph.node for a in n.attribute)
    for tensor in new.graph.initializer:
        assert tensor.name in used or tensor.name not in before or inner, f"{tensor.name} is left over"


def check_functions_kept(folder, old, new):
    """Functions stay where they are; in those that change, all else stays as it is."""
    olds = [f for f in old.functions if f.name not in OPENED.get(os.path.basename(folder), ())]
    assert [(f.domain, f.name, f.overload) for f in olds] == [(f.domain, f.name, f.overload) for f in new.functions]
    for before, after in zip(olds, new.functions):
        for field in ("input", "output", "attribute", "attribute_proto", "doc_string", "metadata_props"):
            assert getattr(before, field) == getattr(after, field), field
        kept = {n.SerializeToString() for n in before.node} & {n.SerializeToString() for n in after.node}
        calls = [n.SerializeToString() for n in before.node if n.domain == "mine"]
        assert all(c in kept for c in calls), f"{before.name} lost a call"
        if not {"Conv", "SeparableConv1D", "If"} & {n.op_type for n in before.node}:
            assert before == after, before.name


def check_values(folder, model):
    """1: right in ONNX Runtime; 0: a type that it has no Conv for."""
    if onnxruntime is None:
        return 0
    loaded = onnx.load(model)
    if any(f.overload for f in loaded.functions):
        return check_by_reference(folder, loaded)
    if any(i.type.tensor_type.elem_type not in (FLOAT, onnx.TensorProto.BOOL) for i in loaded.graph.input):
        return 0
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for case in glob.glob(os.path.join(folder, "test_data_set_*")):
        outputs = session.run(None, {i.name: read_case(case, "input", k) for k, i in enumerate(session.get_inputs())})
        for k, output in enumerate(outputs):
            np.testing.assert_allclose(output, read_case(case, "output", k), rtol=1e-3, atol=1e-5, err_msg=folder)
    return 1


def read_case(case, kind, k):
    return numpy_helper.to_array(onnx.load_tensor(os.path.join(case, f"{kind}_{k}.pb")))


def check_by_reference(folder, model):
    """ONNX Runtime 1.32 takes any function of the name where a function calls one with an overload."""
    case = os.path.join(folder, "test_data_set_0")
    inputs = {i.name: read_case(case, "input", k) for k, i in enumerate(model.graph.input)}
    outputs = ReferenceEvaluator(inline_local_functions(model)).run(None, inputs)
    for k, output in enumerate(outputs):
        np.testing.assert_allclose(output, read_case(case, "output", k), rtol=1e-3, atol=1e-5, err_msg=folder)
    return 0


def main(tapline, models, data):
    right = 0
    lowered = glob.glob(os.path.join(data, "lower", "*")) + glob.glob(os.path.join(models, "separable_conv1d/custom/*"))
    fused = glob.glob(os.path.join(data, "fuse", "*")) + glob.glob(os.path.join(models, "separable_conv1d/exported/*"))
    fused += [os.path.dirname(m) for m in glob.glob(os.path.join(models, "*", "model.onnx"))]
    with tempfile.TemporaryDirectory() as work:
        first, second = os.path.join(work, "first.onnx"), os.path.join(work, "second.onnx")
        for folder in sorted(lowered):
            model = os.path.join(folder, "model.onnx")
            new = convert(tapline, "lower", model, first)
            onnx.checker.check_model(new, full_check=True)
            check_kept(onnx.load(model), new)
            check_functions_kept(folder, onnx.load(model), new)
            for imports in [new.opset_import, *(f.opset_import for f in new.functions)]:
                assert all(i.domain != "tapline" for i in imports), folder
            right += check_values(folder, first)
        for folder in sorted(fused):
            model = os.path.join(folder, "model.onnx")
            new = convert(tapline, "fuse", model, first)
            onnx.checker.check_model(new)
            check_kept(onnx.load(model), new)
            check_functions_kept(folder, onnx.load(model), new)
            for holder, nodes in [(new, new.graph.node), *((f, f.node) for f in new.functions)]:
                versions = [i.version for i in holder.opset_import if i.domain == "tapline"]
                holds = any(b"SeparableConv1D" in n.SerializeToString() for n in nodes)
                assert versions == [1] * holds, folder
            onnx.checker.check_model(convert(tapline, "lower", first, second), full_check=True)
            right += check_values(folder, second)
    print(f"{len(lowered)} lowered, {len(fused)} fused, {right} of them right in ONNX Runtime")
    assert lowered and fused


main(*sys.argv[1:])
