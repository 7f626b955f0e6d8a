"""SeparableConv1D inside ONNX Runtime: golden cases, types, shape inference, wrong use, sessions side by side.

    python test_custom_op.py LIBRARY GOLDEN...

GOLDEN are folders of cases (model.onnx, test_data_set_*/{input,output}_*.pb). Needs onnxruntime (1.17 or newer), onnx
and numpy. Prints each check that fails; the last line counts.
"""

import glob
import os
import sys
import threading

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

LIBRARY = sys.argv[1]
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def options(**settings):
    result = ort.SessionOptions()
    result.log_severity_level = 4  # what is refused here is refused on purpose
    for name, value in settings.items():
        setattr(result, name, value)
    result.register_custom_ops_library(LIBRARY)
    return result


def session(model, **settings):
    data = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    return ort.InferenceSession(data, options(**settings), providers=["CPUExecutionProvider"])


def read(path):
    with open(path, "rb") as file:
        return numpy_helper.to_array(onnx.load_tensor_from_string(file.read()))


def cases():
    for folder in sys.argv[2:]:
        for model in sorted(glob.glob(os.path.join(folder, "*", "model.onnx"))):
            yield os.path.dirname(model)


def model_of(x_type=TensorProto.FLOAT, x_shape=("N", "L", 3), weights=None, inputs=None, version=1, **attributes):
    """One node: X (N, L, 3), D = 1, K = 3, F = 4, unless told otherwise. weights None: initializers of X's type."""
    kind = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.FLOAT16: np.float16}
    random = np.random.default_rng(1)
    arrays = {"depthwise": (3, 1, 3), "pointwise": (4, 3, 1), "bias": (4,)}
    arrays.update(weights or {})
    initializers = [
        numpy_helper.from_array(random.standard_normal(shape).astype(kind.get(x_type, np.float32)), name)
        for name, shape in arrays.items()
    ]
    node = helper.make_node("SeparableConv1D", inputs or ["X", "depthwise", "pointwise", "bias"], ["Y"],
                            name="the layer", domain="tapline", **attributes)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("X", x_type, x_shape)],
                              [helper.make_tensor_value_info("Y", x_type, None)], initializers)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("tapline", version)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def reference(x, depthwise, pointwise, bias):
    """channels_last, valid, strides 1, in double; D by the shapes."""
    x, depthwise, pointwise, bias = (a.astype(np.float64) for a in (x, depthwise, pointwise, bias))
    taps = depthwise.shape[2]
    multiplier = depthwise.shape[0] // x.shape[2]
    length = x.shape[1] - taps + 1
    wide = np.repeat(x, multiplier, axis=2)
    middle = sum(wide[:, k:k + length] * depthwise[:, 0, k] for k in range(taps))
    return middle @ pointwise[:, :, 0].T + bias


def arrays_of(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


@check
def golden_cases():
    count = 0
    for case in cases():
        inputs = sorted(glob.glob(os.path.join(case, "test_data_set_0", "input_*.pb")))
        wanted = read(os.path.join(case, "test_data_set_0", "output_0.pb"))
        one = session(os.path.join(case, "model.onnx"))
        feeds = {i.name: read(path) for i, path in zip(one.get_inputs(), inputs)}
        got = one.run(None, feeds)[0]
        assert got.dtype == wanted.dtype and got.shape == wanted.shape, f"{case}: {got.shape}, not {wanted.shape}"
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5, err_msg=case)
        count += 1
    assert count > 0, "no golden cases"
    print(f"{count} golden cases")


@check
def types():
    random = np.random.default_rng(2)
    for kind, dtype, tolerance in ((TensorProto.FLOAT, np.float32, 1e-5), (TensorProto.DOUBLE, np.float64, 1e-13),
                                   (TensorProto.FLOAT16, np.float16, 2e-3)):
        model = model_of(x_type=kind)
        x = random.standard_normal((2, 50, 3)).astype(dtype)
        got = session(model).run(None, {"X": x})[0]
        assert got.dtype == dtype
        wanted = reference(x, *(arrays_of(model)[n] for n in ("depthwise", "pointwise", "bias")))
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=tolerance, atol=tolerance)


@check
def computed_weights():
    model = model_of()
    arrays = arrays_of(model)
    for tensor in list(model.graph.initializer):
        model.graph.initializer.remove(tensor)
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, None))
    x = np.random.default_rng(3).standard_normal((2, 50, 3)).astype(np.float32)
    got = session(model).run(None, {"X": x, **arrays})[0]
    np.testing.assert_allclose(got, reference(x, *(arrays[n] for n in ("depthwise", "pointwise", "bias"))), rtol=1e-4,
                               atol=1e-5)


@check
def no_bias():
    model = model_of(inputs=["X", "depthwise", "pointwise"], use_bias=0)
    arrays = arrays_of(model)
    x = np.ones((1, 5, 3), np.float32)
    got = session(model).run(None, {"X": x})[0]
    np.testing.assert_allclose(got, reference(x, arrays["depthwise"], arrays["pointwise"], np.zeros(4)), rtol=1e-4,
                               atol=1e-5)


@check
def empty_inputs():
    assert session(model_of()).run(None, {"X": np.zeros((0, 9, 3), np.float32)})[0].shape == (0, 7, 4)
    for padding in ("same", "causal"):
        one = session(model_of(padding=padding))
        assert one.run(None, {"X": np.zeros((2, 0, 3), np.float32)})[0].shape == (2, 0, 4)


@check
def shape_inference():
    for attributes, x_shape, wanted in (
            ({"padding": "same"}, ("N", "L", 3), ["N", "L", 4]),
            ({"padding": "causal"}, ("N", "L", 3), ["N", "L", 4]),
            ({"padding": "causal", "strides": 2}, ("N", 9, 3), ["N", 5, 4]),
            ({"padding": "valid"}, (2, 9, 3), [2, 7, 4]),
            ({"padding": "valid", "data_format": "channels_first"}, (2, 3, 9), [2, 4, 7])):
        got = session(model_of(x_shape=x_shape, **attributes)).get_outputs()[0]
        assert got.shape == wanted, f"{attributes}: {got.shape}, not {wanted}"
        assert got.type == "tensor(float)", got.type
    # Unknown: whatever is said of it, it must not be a number.
    got = session(model_of(padding="same", strides=2)).get_outputs()[0]
    assert not got.shape or not isinstance(got.shape[1], int), got.shape


def refused(words, model, feeds=None):
    """Loading fails, or, with feeds, running does; the message holds the words."""
    try:
        one = session(model)
    except Exception as error:  # ONNX Runtime has a class for each code
        assert feeds is None, f"refused too early: {error}"
        message = str(error)
    else:
        assert feeds is not None, f"not refused: {words}"
        try:
            one.run(None, feeds)
        except Exception as error:
            message = str(error)
        else:
            raise AssertionError(f"not refused in the run: {words}")
        one.run(None, {"X": np.zeros((1, 9, 3), np.float32)})  # the session stays usable
    for word in words:
        assert word in message, f"'{word}' is not in '{message}'"


@check
def wrong_use():
    refused(["'strides' is 2", "'dilation_rate' is 2"], model_of(strides=2, dilation_rate=2))
    refused(["'strides' is 0", "at least 1"], model_of(strides=0))
    refused(["'strides'", "an int"], model_of(strides=2.0))
    refused(["'strides'", "an int"], model_of(strides=[2]))
    refused(["'padding'", "a string"], model_of(padding=1))
    refused(["'activation_alpha'", "a float"], model_of(activation="elu", activation_alpha=1))
    refused(["'padding' is 'full'"], model_of(padding="full"))
    refused(["'padding' is"], model_of(padding="x" * 500))
    refused(["'data_format' is 'NCW'"], model_of(data_format="NCW"))
    refused(["'activation' is 'relu7'"], model_of(activation="relu7"))
    refused(["'activation_alpha'", "elu"], model_of(activation="relu", activation_alpha=0.5))
    refused(["'use_bias' is 0"], model_of(use_bias=0))
    refused(["'filters' is 5"], model_of(filters=5))
    refused(["'kernel_size' is 5"], model_of(kernel_size=5))
    refused(["'bias' has 3"], model_of(weights={"bias": (3,)}))
    refused(["'pointwise_kernel'"], model_of(weights={"pointwise": (4, 5, 1)}))
    refused(["'depthwise_kernel' has rank 2"], model_of(weights={"depthwise": (3, 3)}))
    refused(["'X' has rank 2"], model_of(x_shape=(9, 3)))
    refused(["X has 5 channels"], model_of(x_shape=(1, 9, 5)))
    refused(["length 2", "at least 3"], model_of(x_shape=(1, 2, 3)))
    refused([], model_of(x_type=TensorProto.INT32))
    refused([], model_of(inputs=["X", "depthwise"]))
    refused(["the layer", "length 2", "at least 3"], model_of(), {"X": np.zeros((1, 2, 3), np.float32)})
    refused(["X has 5 channels"], model_of(x_shape=("N", "L", "C")), {"X": np.zeros((1, 9, 5), np.float32)})


@check
def registered_twice():
    twice = options()
    twice.register_custom_ops_library(LIBRARY)
    model = model_of().SerializeToString()
    one = ort.InferenceSession(model, twice, providers=["CPUExecutionProvider"])
    two = ort.InferenceSession(model, twice, providers=["CPUExecutionProvider"])
    x = {"X": np.ones((1, 9, 3), np.float32)}
    np.testing.assert_array_equal(one.run(None, x)[0], two.run(None, x)[0])


@check
def threads_agree():
    model = model_of(weights={"depthwise": (3, 1, 3), "pointwise": (4, 3, 1)}, padding="same", activation="tanh")
    x = {"X": np.random.default_rng(4).standard_normal((3, 5000, 3)).astype(np.float32)}
    results = [session(model, intra_op_num_threads=n).run(None, x)[0] for n in (1, 2, 4)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@check
def sessions_side_by_side():
    model = model_of(padding="causal", activation="swish")
    sessions = [session(model), session(model)]
    x = {"X": np.random.default_rng(5).standard_normal((2, 3000, 3)).astype(np.float32)}
    wanted = sessions[0].run(None, x)[0]
    wrong = []

    def work(one):
        for _ in range(40):
            if not np.array_equal(one.run(None, x)[0], wanted):
                wrong.append(one)

    workers = [threading.Thread(target=work, args=(one,)) for one in sessions * 2]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong, "results differ between sessions"


def main():
    failed = 0
    print("onnxruntime", ort.__version__)
    for one in CHECKS:
        try:
            one()
        except Exception as error:  # a failed check must not hide the next
            failed += 1
            print(f"FAILED {one.__name__}: {str(error)[:1500]}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
