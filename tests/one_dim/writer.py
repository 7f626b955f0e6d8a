"""Builds the models of cases, has ONNX Runtime answer them too, and writes them as `tapline test` reads them."""

import collections
import os
import sys
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import onnxruntime
from onnx import helper, numpy_helper, parser
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "onnx_suite"))
from make_cases import write_case

onnxruntime.set_default_logger_severity(4)

FLOAT, DOUBLE, HALF, BFLOAT = np.float32, np.float64, np.float16, ml_dtypes.bfloat16
ROUNDING = {FLOAT: 1e-5, DOUBLE: 1e-9, HALF: 2e-3, BFLOAT: 1e-2}


def info(name, array, symbolic):
    shape = [f"{name}_{axis}" for axis in range(array.ndim)] if symbolic else array.shape
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)


def near(got, expected):
    tolerance = ROUNDING.get(expected.dtype.type, 0) * max(1, np.abs(expected.astype(DOUBLE)).max(initial=0))
    return got.shape == expected.shape and got.dtype == expected.dtype and np.allclose(
        got.astype(DOUBLE), expected.astype(DOUBLE), 0, tolerance)


class Writer:
    def __init__(self, folder):
        self.folder = folder
        self.counts = collections.Counter()
        self.answered = 0
        self.errors = []

    def node(self, op, inputs, expected, opset, constants=(), ort=None, **attributes):
        """One node. `inputs` are arrays (None: absent), `constants` the positions of those that are initializers,
        `ort` why ONNX Runtime is not asked. Every third case has no sizes in its model."""
        outputs = [f"y{k}" for k in range(len(expected))]
        node = helper.make_node(op, [f"x{k}" if x is not None else "" for k, x in enumerate(inputs)], outputs,
                                name="node", **attributes)
        values = {f"x{k}": x for k, x in enumerate(inputs) if x is not None}
        given = {name: x for name, x in values.items() if int(name[1:]) not in constants}
        symbolic = self.counts[op] % 3 == 2
        graph = helper.make_graph(
            [node], op, [info(name, x, symbolic) for name, x in given.items()],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            [numpy_helper.from_array(x, name) for name, x in values.items() if name not in given])
        self.write(f"{op}_{opset}_{self.counts[op]:03}", graph, given, expected, opset, ort)
        self.counts[op] += 1

    def equal(self, name, text, values, opset=17, ort=None, rank=3, exact=False):
        """A property: the nodes of `text` compute a and b, of that rank, from `values`; both shall be the same."""
        compare = ("same = Equal(a, b) other = Not(same) apart = Cast<to = 7>(other)" if exact else
                   "less = Sub(a, b) apart = Abs(less)")
        text += compare + (" difference = ReduceMax<keepdims = 0>(apart) "
                           "shape_a = Shape(a) shape_b = Shape(b) shapes = Sub(shape_a, shape_b)")
        graph = parser.parse_graph(f"{name} () => () {{{text}}}")
        used = {key: x for key, x in values.items() if any(key in node.input for node in graph.node)}
        given = {key: x for key, x in used.items() if x.dtype != np.int64}
        graph.input.extend(info(key, x, False) for key, x in given.items())
        graph.initializer.extend(numpy_helper.from_array(x, key) for key, x in used.items() if key not in given)
        graph.output.extend(helper.make_empty_tensor_value_info(key) for key in ("shapes", "difference"))
        expected = [np.zeros(rank, np.int64), np.zeros((), np.int64 if exact else FLOAT)]
        self.write(f"property_{name}", graph, given, expected, opset, ort)
        self.counts["properties"] += 1

    def write(self, name, graph, given, expected, opset, ort):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        if ort is None:
            self.ask(name, model, given, expected)
        case = SimpleNamespace(model=model, data_sets=[(list(given.values()), expected)])
        write_case(case, os.path.join(self.folder, name))

    def ask(self, name, model, given, expected):
        """Has ONNX Runtime compute the same, if it has a kernel for the types."""
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            results = session.run(None, given)
        except NotImplemented:
            return
        except Exception as error:
            self.errors.append(f"{name}: {error}")
            return
        self.answered += 1
        for k, (got, wanted) in enumerate(zip(results, expected, strict=True)):
            if not near(got, wanted):
                self.errors.append(f"{name}: ONNX Runtime computes another output {k}")


def random(seed, *shape, dtype=FLOAT):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)
