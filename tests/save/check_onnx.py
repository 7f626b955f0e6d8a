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

try:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
except ImportError:
    onnxruntime = None

FLOAT = onnx.TensorProto.FLOAT


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


def check_values(folder, model):
    """1: right in ONNX Runtime; 0: a type that it has no Conv for."""
    if onnxruntime is None:
        return 0
    loaded = onnx.load(model)
    if any(i.type.tensor_type.elem_type not in (FLOAT, onnx.TensorProto.BOOL) for i in loaded.graph.input):
        return 0
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for case in glob.glob(os.path.join(folder, "test_data_set_*")):
        read = lambda kind, k: numpy_helper.to_array(onnx.load_tensor(os.path.join(case, f"{kind}_{k}.pb")))
        outputs = session.run(None, {i.name: read("input", k) for k, i in enumerate(session.get_inputs())})
        for k, output in enumerate(outputs):
            np.testing.assert_allclose(output, read("output", k), rtol=1e-3, atol=1e-5, err_msg=folder)
    return 1


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
            assert all(i.domain != "tapline" for i in new.opset_import), folder
            right += check_values(folder, first)
        for folder in sorted(fused):
            model = os.path.join(folder, "model.onnx")
            new = convert(tapline, "fuse", model, first)
            onnx.checker.check_model(new)
            check_kept(onnx.load(model), new)
            assert [i.version for i in new.opset_import if i.domain == "tapline"] == [1], folder
            onnx.checker.check_model(convert(tapline, "lower", first, second), full_check=True)
            right += check_values(folder, second)
    print(f"{len(lowered)} lowered, {len(fused)} fused, {right} of them right in ONNX Runtime")
    assert lowered and fused


main(*sys.argv[1:])
