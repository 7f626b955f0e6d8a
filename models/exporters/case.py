"""What the export scripts share: how a case is written, and what is noted of an export that was refused."""

import os
import re
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

SEED = 20


def check_result(model, inputs, outputs):
    """Some exporters write a graph that computes something else, such as an unrolled loop of one round. ONNX Runtime
    tells, where it runs the graph."""
    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        results = session.run(None, dict(zip(names, inputs, strict=True)))
    except Exception:  # what it lacks is no fault of the exporter's
        return
    for expected, result in zip(outputs, results, strict=True):
        same = np.array_equal if expected.dtype == object else lambda a, b: np.allclose(a, b, 1e-2, 1e-2)
        if expected.shape != result.shape or not same(result, expected):
            shapes = f"shapes, {list(result.shape)} for {list(expected.shape)}"
            other = "values" if expected.shape == result.shape else shapes
            raise ValueError(f"what it wrote computes something else: other {other}")


def write_case(folder, model, inputs, outputs):
    """A folder in the layout of ONNX's backend tests; inputs and outputs are lists in the graph's order. What the
    standard's checker does not take, or what does not compute the outputs, counts as refused."""
    # Where on the exporting machine each node's source lies is no part of a model.
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nodes:
            node.ClearField("doc_string")
            del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    check_result(model, inputs, outputs)
    data_set = os.path.join(folder, "test_data_set_0")
    os.makedirs(data_set)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for role, values, infos in (("input", inputs, model.graph.input), ("output", outputs, model.graph.output)):
        assert len(values) == len(infos), f"{len(values)} {role}s for {[info.name for info in infos]}"
        for k, (value, info) in enumerate(zip(values, infos, strict=True)):
            with open(os.path.join(data_set, f"{role}_{k}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(np.ascontiguousarray(value), info.name).SerializeToString())


def reason(error):
    """The first line of an exporter's complaint that says something, without its values' names and paths."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    text = re.sub(r"'%.*?because", "because", text, flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines() if re.search("[a-z]{3}", line)]
    lines = [line for line in lines if not line.startswith("Exception encountered when calling")]
    text = lines[0] if lines else type(error).__name__
    text = re.sub(r"\s*\[Caused by.*", "", text)
    return text if len(text) <= 160 else text[:157].rstrip() + "..."


class Matrix:
    """Collects what one exporter made and refused: OUT/EXPORTER/CASE and OUT/EXPORTER/refused.txt."""

    def __init__(self, out, exporter):
        self.folder = os.path.join(out, exporter)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.made, self.refused = 0, []

    def add(self, name, export):
        """Makes one case; `export` returns model, inputs and outputs."""
        try:
            write_case(os.path.join(self.folder, name), *export())
            self.made += 1
        except Exception as error:  # an exporter may raise anything
            self.refused.append(f"{name}: {reason(error)}")

    def close(self):
        if self.refused:
            with open(os.path.join(self.folder, "refused.txt"), "w") as file:
                file.write("\n".join(self.refused) + "\n")
        print(f"{self.folder}: {self.made} made, {len(self.refused)} refused")
