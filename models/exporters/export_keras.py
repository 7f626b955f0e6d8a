"""Exports the networks of keras_networks.py.

    export_keras.py OUT tf_keras | keras3 [--all]   by tf2onnx, to OUT/tf2onnx_tf_keras or OUT/tf2onnx_keras3
    export_keras.py OUT own [--all]                 by Keras 3's own export, to OUT/keras_BACKEND (KERAS_BACKEND=...)

With --all, every opset that the exporter knows, each with fixed and with dynamic axes.
"""

import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import onnx
from case import SEED, Matrix
from keras_networks import CHANNELS, NETWORKS, TIME

# Opset (None: the exporter's own choice): kinds of axes.
TF2ONNX = {9: ["fixed"], 13: ["dynamic"], 18: ["fixed"]}
TF2ONNX_ALL = {opset: ["fixed", "dynamic"] for opset in range(9, 19)}
OWN = {None: ["fixed", "dynamic"]}
OWN_ALL = {None: ["fixed", "dynamic"], **{opset: ["fixed", "dynamic"] for opset in (18, 20, 23)}}


def by_tf2onnx(network, given, opset):
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, *network.inputs[0].shape[1:]), tf.float32, name="x")]
    function = tf.function(lambda x: network(x, training=False), input_signature=signature)
    model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
    return model


def by_keras(network, given, opset):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        options = {} if opset is None else {"opset_version": opset}
        network.export(path, format="onnx", verbose=False, **options)
        return onnx.load(path)


def export(keras, name, exporter, opset, axes):
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    network = NETWORKS[name](keras, None if axes == "dynamic" else TIME)
    random = np.random.default_rng(SEED)
    # As after training: no bias is zero, no variance is one.
    for weight in network.weights:
        if len(weight.shape) == 1:
            values = random.uniform(0.5, 1.5, weight.shape)
            weight.assign(values if "var" in weight.name or "gamma" in weight.name else values - 1)
    given = random.standard_normal((1, 320) if name == "mel" else (1, TIME, CHANNELS)).astype(np.float32)
    result = network(given)
    expected = keras.ops.convert_to_numpy(result) if hasattr(keras, "ops") else result.numpy()
    return exporter(network, given, opset), [given], [expected]


def main(arguments):
    if len(arguments) < 2 or arguments[1] not in ("tf_keras", "keras3", "own"):
        sys.exit(__doc__)
    everything = "--all" in arguments
    if arguments[1] == "tf_keras":
        import tf_keras as keras
    else:
        import keras
    if arguments[1] == "own":
        title, exporter, opsets = f"keras_{keras.backend.backend()}", by_keras, OWN_ALL if everything else OWN
    else:
        title, exporter, opsets = f"tf2onnx_{arguments[1]}", by_tf2onnx, TF2ONNX_ALL if everything else TF2ONNX
    matrix = Matrix(arguments[0], title)
    for name in NETWORKS:
        for opset, kinds in opsets.items():
            for axes in kinds:
                case = f"{name}_{opset or 'default'}_{axes}"
                matrix.add(case, lambda: export(keras, name, exporter, opset, axes))
    matrix.close()


if __name__ == "__main__":
    main(sys.argv[1:])
