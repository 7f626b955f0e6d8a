"""Writes cases for operators that ONNX Runtime defines, or that onnx has few cases of, for `tapline test`.

    make_ort_cases.py FOLDER

Inputs are random from fixed seeds; expected outputs are what ONNX Runtime (CPU, no optimizations) computes. What it
refuses is an error here: the cases are chosen so that it knows them all.
"""

import itertools
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import onnxruntime
from make_cases import write_case
from onnx import MapProto, SequenceProto, TensorProto, helper, numpy_helper

ML, MICROSOFT = "ai.onnx.ml", "com.microsoft"
FLOAT = np.float32


class Writer:
    def __init__(self, folder):
        self.folder = folder
        self.names = {}

    def case(self, op, inputs, outputs, domain=MICROSOFT, version=1, standard=17, constants=(), types=None, **attributes):
        """One node; inputs are arrays (None: absent), `constants` the positions of those that are initializers. `types`
        are those of inputs and outputs where they are no tensors: then inputs are dictionaries."""
        self.names[op] = self.names.get(op, -1) + 1
        name = f"{op}_{version}_{self.names[op]}"
        rng_inputs = {f"x{k}": x for k, x in enumerate(inputs) if x is not None}
        node = helper.make_node(op, [f"x{k}" if x is not None else "" for k, x in enumerate(inputs)],
                                [f"y{k}" for k in range(outputs)], name="node", domain=domain, **attributes)
        if types:
            self.maps(name, node, inputs, *types)
            return
        given = {key: x for k, (key, x) in enumerate((f"x{k}", x) for k, x in enumerate(inputs))
                 if x is not None and k not in constants}
        graph = helper.make_graph(
            [node], name,
            [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
             for key, x in given.items()],
            [helper.make_empty_tensor_value_info(f"y{k}") for k in range(outputs)],
            [numpy_helper.from_array(x, key) for key, x in rng_inputs.items() if key not in given])
        imports = {"": standard} | ({domain: version} if domain else {})
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid(d, v) for d, v in imports.items()],
                                  ir_version=8)
        results = self.run(model, given)
        case = SimpleNamespace(model=model, data_sets=[(list(given.values()), results)])
        write_case(case, os.path.join(self.folder, name))

    @staticmethod
    def run(model, given):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, given)

    def maps(self, name, node, inputs, input_type, output_type):
        """A node from or to maps, which are dictionaries to Python."""
        graph = helper.make_graph([node], name, [helper.make_value_info("x0", input_type)],
                                  [helper.make_value_info("y0", output_type)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, 1)], ir_version=8)
        given = {"x0": inputs[0]}
        results = [sequence_message(result) if isinstance(result, list) else result
                   for result in self.run(model, given)]
        inputs = [map_message(x) if isinstance(x, dict) else x for x in inputs]
        write_case(SimpleNamespace(model=model, data_sets=[(inputs, results)]), os.path.join(self.folder, name))


def map_message(dictionary):
    message = MapProto(values=numpy_helper.from_list([np.array(x, FLOAT) for x in dictionary.values()]))
    if isinstance(next(iter(dictionary)), str):
        message.key_type = TensorProto.STRING
        message.string_keys.extend(key.encode() for key in dictionary)
    else:
        message.key_type = TensorProto.INT64
        message.keys.extend(dictionary)
    return message


def sequence_message(dictionaries):
    return SequenceProto(elem_type=SequenceProto.MAP, map_values=[map_message(x) for x in dictionaries])


def random(seed, *shape, low=-1.0, high=1.0, dtype=FLOAT):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


# ---- Trees


def random_trees(seed, trees, targets, ids, low):
    """The lists of nodes and weights of random trees, three levels deep."""
    rng = np.random.default_rng(seed)
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids", "values", "modes",
                                 "missing_value_tracks_true")}
    weights = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
    mixed = seed % 2
    for tree in range(trees):
        for node in range(7):
            leaf = node >= 3
            row = {"treeids": tree, "nodeids": node, "featureids": 0 if leaf else int(rng.integers(4)),
                   "truenodeids": 0 if leaf else 2 * node + 1, "falsenodeids": 0 if leaf else 2 * node + 2,
                   "values": float(rng.integers(-2, 3)),
                   "modes": "LEAF" if leaf else modes[rng.integers(6) if mixed else 0],
                   "missing_value_tracks_true": int(rng.integers(2))}
            for key, value in row.items():
                nodes[key].append(value)
            for target in (ids if leaf else ()):
                for key, value in (("treeids", tree), ("nodeids", node), ("ids", target),
                                   ("weights", float(rng.uniform(low, 1) / trees))):
                    weights[key].append(value)
    return {f"nodes_{key}": value for key, value in nodes.items()}, weights


def tree_cases(writer):
    def table(seed, dtype=FLOAT):
        return np.random.default_rng(seed).integers(-3, 4, (9, 4)).astype(dtype)

    for seed, (aggregate, base, dtype) in enumerate(itertools.product(
            ("SUM", "AVERAGE", "MIN", "MAX"), (None, [0.25, -1.5]), (FLOAT, np.float64))):
        nodes, weights = random_trees(seed, 5, 2, (0, 1), -1)
        attributes = {} if base is None else {"base_values": base}
        writer.case("TreeEnsembleRegressor", [table(seed, dtype)], 1, ML, 1 + seed % 2 * 2, n_targets=2,
                    aggregate_function=aggregate, **nodes, **attributes,
                    **{f"target_{key}": value for key, value in weights.items()})
    for seed, (transform, ids, low, classes) in enumerate(itertools.product(
            ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"), ((0,), (1,), (0, 1), (0, 1, 2)), (0, -1), (2, 3))):
        if len(ids) != classes - (classes == 2):  # of two classes with weights ONNX Runtime gives no label
            continue
        nodes, weights = random_trees(seed, 5, classes, ids, low)
        labels = {"classlabels_int64s": [5, 3, 9][:classes]} if seed % 3 else {
            "classlabels_strings": ["one", "two", "three"][:classes]}
        writer.case("TreeEnsembleClassifier", [table(seed)], 2, ML, 1 + seed % 2 * 2, post_transform=transform,
                    **nodes, **labels, **{f"class_{key}": value for key, value in weights.items()})


# ---- Linear models and features


def feature_cases(writer):
    for seed, dtype in enumerate((FLOAT, np.float64, np.int32, np.int64)):
        x = random(seed, 6, 4, low=-9, high=9).astype(dtype)
        writer.case("Scaler", [x], 1, ML, offset=[1.0, -2.0, 0.5, 0.0], scale=[0.5, 2.0, 1.0, 3.0])
        writer.case("Scaler", [x], 1, ML, offset=[1.0], scale=[0.5])
        for norm in ("MAX", "L1", "L2"):
            writer.case("Normalizer", [np.abs(x)], 1, ML, norm=norm)
        for transform in ("NONE", "SOFTMAX", "LOGISTIC"):
            writer.case("LinearRegressor", [x.astype(FLOAT)], 1, ML, targets=2, post_transform=transform,
                        coefficients=random(seed, 8).tolist(), intercepts=[0.25, -0.5])
            for classes in (2, 3):
                writer.case("LinearClassifier", [x], 2, ML, post_transform=transform,
                            coefficients=random(seed, 4 * classes).tolist(), intercepts=random(seed, classes).tolist(),
                            **({"classlabels_ints": [4, 2, 7][:classes]} if seed % 2 else
                               {"classlabels_strings": ["a", "b", "c"][:classes]}))
        writer.case("LinearClassifier", [x], 2, ML, post_transform="LOGISTIC", classlabels_ints=[0, 1],
                    coefficients=random(seed, 4).tolist(), intercepts=[0.5])
        writer.case("FeatureVectorizer", [x, x[:, :2]], 1, ML, inputdimensions=[4, 2])
        if dtype != np.int32:
            writer.case("OneHotEncoder", [x], 1, ML, cats_int64s=[3, -1, 0, 5, 2])
        if dtype in (FLOAT, np.int64):
            kind, suffix = ("float", "floats") if dtype == FLOAT else ("int64", "int64s")
            x[2, 1] = 3
            writer.case("Imputer", [x], 1, ML, **{f"replaced_value_{kind}": dtype(3).item(),
                                                  f"imputed_value_{suffix}": [dtype(k).item() for k in range(4)]})


def map_cases(writer):
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    for key, attribute, labels in ((TensorProto.INT64, "int64s", [7, -3, 5]),
                                   (TensorProto.STRING, "strings", ["b", "a", "longer"])):
        of_floats = helper.make_map_type_proto(key, tensor)
        for x in (random(1, 4, 3), random(2, 3), random(3, 0, 3)):
            writer.case("ZipMap", [x], 1, ML, types=(tensor, helper.make_sequence_type_proto(of_floats)),
                        **{f"classlabels_{attribute}": labels})
        writer.case("DictVectorizer", [{labels[1]: 0.5, labels[0]: -2.0}], 1, ML, types=(of_floats, tensor),
                    **{("int64" if attribute == "int64s" else "string") + "_vocabulary": labels})


def svm_cases(writer):
    x, vectors = random(80, 6, 4), random(81, 5 * 4).tolist()
    for kernel, one_class in itertools.product(("LINEAR", "POLY", "RBF", "SIGMOID"), (0, 1)):
        writer.case("SVMRegressor", [x], 1, ML, kernel_type=kernel, kernel_params=[0.5, 0.25, 3.0], n_supports=5,
                    one_class=one_class, coefficients=random(82, 5).tolist(), support_vectors=vectors, rho=[0.125])
    writer.case("SVMRegressor", [x], 1, ML, kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0],
                coefficients=random(83, 4).tolist(), rho=[-0.5])
    for seed, (classes, kernel, sure) in enumerate(
            itertools.product((2, 3, 4), ("LINEAR", "POLY", "RBF", "SIGMOID"), (False, True))):
        per_class, pairs = [3, 1, 2, 4][:classes], classes * (classes - 1) // 2
        count = sum(per_class)
        labels = {"classlabels_ints": [7, 3, 5, 1][:classes]} if seed % 3 else {
            "classlabels_strings": ["a", "b", "c", "d"][:classes]}
        sigmoids = {"prob_a": random(seed, pairs, low=-2, high=-1).tolist(),
                    "prob_b": random(seed + 1, pairs).tolist()} if sure else {}
        for transform in ("NONE", "LOGISTIC", "SOFTMAX") if sure or classes > 2 else ("NONE", "LOGISTIC"):
            writer.case("SVMClassifier", [random(seed + 2, 9, 4)], 2, ML, kernel_type=kernel,
                        kernel_params=[0.5, 0.25, 3.0], vectors_per_class=per_class, post_transform=transform,
                        coefficients=random(seed + 3, (classes - 1) * count).tolist(),
                        support_vectors=random(seed + 4, count * 4).tolist(),
                        rho=random(seed + 5, pairs, low=-0.25, high=0.25).tolist(), **labels, **sigmoids)


# ---- com.microsoft


def gelu_cases(writer):
    """Not far from 0, where ONNX Runtime's results are rounding noise."""
    for rows, width in ((3, 5), (7, 64), (1, 700)):
        x, bias = random(rows, 2, rows, width, low=-2, high=4), random(width, width)
        writer.case("Gelu", [x], 1)
        writer.case("QuickGelu", [x], 1)
        writer.case("QuickGelu", [x], 1, alpha=0.5)
        writer.case("BiasGelu", [x, bias], 1)
        writer.case("FastGelu", [x], 1)
        writer.case("FastGelu", [x, bias], 1)


def layer_norm_cases(writer):
    x, gamma, beta, bias = random(1, 2, 5, 48), random(2, 48), random(3, 48), random(4, 48)
    for skip in (random(5, 2, 5, 48), random(6, 1, 5, 48), random(7, 5, 48)):
        for extra in ([], [beta], [beta, bias], [None, bias]):
            writer.case("SkipLayerNormalization", [x, skip, gamma, *extra], 1, epsilon=1e-5)
        writer.case("SkipSimplifiedLayerNormalization", [x, skip, gamma], 1, epsilon=1e-5)
        writer.case("SkipSimplifiedLayerNormalization", [x, skip, gamma, bias], 1)
    writer.case("LayerNormalization", [x, gamma, beta], 3, "", 1, standard=14, axis=-1, epsilon=1e-6)
    writer.case("LayerNormalization", [x, random(8, 5, 48), random(9, 5, 48)], 1, "", 1, standard=14, axis=1)


def matmul_cases(writer):
    for seed, (batch, trans_a, trans_b) in enumerate(itertools.product(((), (3,), (2, 3)), (0, 1), (0, 1))):
        a = random(seed, *batch, *((7, 5) if trans_a else (5, 7)))
        b = random(seed + 50, *batch, *((9, 7) if trans_b else (7, 9)))
        writer.case("FusedMatMul", [a, b], 1, alpha=0.25, transA=trans_a, transB=trans_b)
    a, b = random(70, 5, 2, 3, 7), random(71, 7, 2, 3, 9)
    writer.case("FusedMatMul", [a, b], 1, transBatchA=1, transBatchB=1)
    writer.case("FusedMatMul", [random(72, 7, 2, 3, 5), random(73, 9, 2, 3, 7)], 1, transBatchA=1, transBatchB=1,
                transA=1, transB=1)
    writer.case("FusedMatMul", [random(74, 4, 7, 5), random(75, 7, 9)], 1, transA=1)


def qlinear_cases(writer):
    """Scales that are no fractions of each other: on ties ONNX Runtime's kernels differ among themselves."""
    for seed, (dtype, zero) in enumerate(itertools.product((np.uint8, np.int8), (False, True))):
        info = np.iinfo(dtype)
        rng = np.random.default_rng(seed)

        def tensor(*shape):
            return np.array(rng.integers(info.min, info.max + 1, shape), dtype)

        def quantity(scale):
            point = rng.integers(info.min // 2, info.max // 2) if zero else 0
            return [np.array(scale, FLOAT), np.array(point, dtype)]

        x, x_scale, y_scale = tensor(2, 3, 5, 7), quantity(0.0171), quantity(0.0233)
        for other in ((2, 3, 5, 7), (3, 1, 1), ()):
            b = [tensor(*other), *quantity(0.0097)]
            writer.case("QLinearAdd", [x, *x_scale, *b, *y_scale], 1)
            writer.case("QLinearMul", [x, *x_scale, *b, *y_scale], 1)
            if other:
                condition = rng.integers(0, 2, (2, 3, 1, 7)).astype(bool)
                writer.case("QLinearWhere", [condition, x, *x_scale, *b, *y_scale], 1)
        for axis, opset in itertools.product((-1, 1), (11, 13)):
            for scale in (0.0039, 0.0171):
                writer.case("QLinearSoftmax", [x, *x_scale, *quantity(scale)], 1, axis=axis, opset=opset)
        writer.case("QLinearSigmoid", [x, *x_scale, *quantity(0.0039)], 1)
        writer.case("QLinearLeakyRelu", [x, *x_scale, *y_scale], 1, alpha=0.13)
        if zero:
            for last in (0, 1):
                writer.case("QLinearGlobalAveragePool", [x, *x_scale, *y_scale], 1, channels_last=last)
            for axis in (1, -1):
                writer.case("QLinearConcat", [*y_scale, x, *x_scale, tensor(*x.shape), *quantity(0.031)], 1, axis=axis,
                            constants=(0, 1, 3, 4, 6, 7))


def qgemm_cases(writer):
    """The pairs of types that ONNX Runtime multiplies; to bytes of A's type, or to floats."""
    flags, biases = ((0, 0), (0, 1), (1, 0), (1, 1)), (None, (), (9,), (1, 9), (5, 1), (5, 9))
    types = ((np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8))
    for seed, ((a_type, b_type), (trans_a, trans_b), bias) in enumerate(itertools.product(types, flags, biases)):
        rng = np.random.default_rng(seed)

        def tensor(dtype, *shape):
            info = np.iinfo(dtype)
            return np.array(rng.integers(info.min, info.max + 1, shape), dtype)

        size = (9,) if seed % 2 else ()  # one for each column
        a = [tensor(a_type, *((7, 5) if trans_a else (5, 7))), np.array(0.013, FLOAT), tensor(a_type)]
        b = [tensor(b_type, *((9, 7) if trans_b else (7, 9))), rng.uniform(0.01, 0.03, size).astype(FLOAT),
             tensor(b_type, *size)]
        c = None if bias is None else np.array(rng.integers(-20000, 20000, bias), np.int32)
        scale = np.array(0.153, FLOAT)
        for y in ([], [scale], [scale, tensor(a_type)]):
            writer.case("QGemm", [*a, *b, c, *y], 1, alpha=0.75, transA=trans_a, transB=trans_b,
                        constants=(1, 2, 3, 4, 5, 6) if seed // 2 % 2 else ())


def qpool_cases(writer):
    """Steps that are no fractions of each other, as above."""
    windows = (dict(kernel_shape=[5], strides=[2], pads=[2, 1]), dict(kernel_shape=[4], strides=[3], pads=[1, 2]),
               dict(kernel_shape=[4], strides=[2], auto_pad="SAME_UPPER"), dict(kernel_shape=[2]),
               dict(kernel_shape=[3, 5], strides=[2, 1], pads=[1, 2, 1, 2]), dict(kernel_shape=[2, 3], strides=[3, 2]),
               dict(kernel_shape=[2, 3, 4], strides=[1, 2, 1], pads=[1, 0, 3, 0, 2, 1]))
    for seed, (dtype, window, ceil_mode, count_pads, last) in enumerate(itertools.product(
            (np.uint8, np.int8), windows, (0, 1), (0, 1), (0, 1))):
        info = np.iinfo(dtype)
        rng = np.random.default_rng(seed)
        sizes = (17, 12, 9)[:len(window["kernel_shape"])]
        x = np.array(rng.integers(info.min, info.max + 1, (2, *sizes, 3) if last else (2, 3, *sizes)), dtype)
        writer.case("QLinearAveragePool", [x, np.array(0.0171, FLOAT), np.array(3, dtype), np.array(0.0123457, FLOAT),
                                           np.array(5, dtype)], 1, ceil_mode=ceil_mode, count_include_pad=count_pads,
                    channels_last=last, **window)


def lstm_cases(writer):
    """One sequence each: ONNX Runtime cuts batches among threads, and rounds each piece by its own range."""
    time, size, hidden = 6, 5, 8
    for seed, (direction, dtype, per_gate, constant) in enumerate(itertools.product(
            ("forward", "reverse", "bidirectional"), (np.int8, np.uint8), (False, True), (False, True))):
        directions = 2 if direction == "bidirectional" else 1
        rng = np.random.default_rng(seed)

        def weights(rows):
            info = np.iinfo(dtype)
            shape = (directions, 4 * hidden) if per_gate else (directions,)
            return (rng.integers(info.min, info.max + 1, (directions, rows, 4 * hidden)).astype(dtype),
                    rng.uniform(0.002, 0.01, shape).astype(FLOAT),
                    np.full(shape, 117 if dtype == np.uint8 else 0, dtype))

        w, w_scale, w_zero = weights(size)
        r, r_scale, r_zero = weights(hidden)
        optional = [random(seed, directions, 8 * hidden), None, None, None, None]
        if seed % 3:
            optional = [random(seed, directions, 8 * hidden), np.array([4], np.int32),
                        random(seed + 1, directions, 1, hidden), random(seed + 2, directions, 1, hidden),
                        random(seed + 3, directions, 3 * hidden)]
        writer.case("DynamicQuantizeLSTM", [random(seed, time, 1, size), w, r, *optional, w_scale, w_zero, r_scale,
                                            r_zero], 3, direction=direction, hidden_size=hidden,
                    constants=(*((1, 2) if constant else ()), 8, 9, 10, 11))


def main():
    writer = Writer(sys.argv[1])
    shutil.rmtree(writer.folder, ignore_errors=True)
    for cases in (tree_cases, feature_cases, map_cases, svm_cases, gelu_cases, layer_norm_cases, matmul_cases,
                  qgemm_cases, qlinear_cases, qpool_cases, lstm_cases):
        cases(writer)
    print(sum(count + 1 for count in writer.names.values()), "cases")


if __name__ == "__main__":
    main()
