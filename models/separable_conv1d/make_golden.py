"""Makes the golden cases beside this file from the real layer, tf_keras.layers.SeparableConv1D.

    python3 -m venv golden && golden/bin/pip install -r requirements.txt
    golden/bin/python make_golden.py [DIR]

custom/    models of one tapline::SeparableConv1D, with what Keras computes
exported/  the same layers as tf2onnx exports them, which recognition must find

Each case is a folder in the layout of ONNX' backend tests, with the layer's configuration in config.json. Seeds are
fixed: a second run writes the same bytes, but for names and order inside the exported models, which tf2onnx changes.
"""

import itertools
import json
import os
import shutil
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # sums in one order, whatever the machine

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
import tf_keras
from onnx import TensorProto, helper, numpy_helper

ACTIVATIONS = {
    "linear": "linear", "relu": "relu", "relu6": tf.nn.relu6, "leaky_relu": tf.nn.leaky_relu, "elu": "elu",
    "selu": "selu", "exponential": "exponential", "gelu": "gelu",
    "gelu_tanh": lambda x: tf_keras.activations.gelu(x, approximate=True), "hard_sigmoid": "hard_sigmoid",
    "mish": "mish", "sigmoid": "sigmoid", "softmax": "softmax", "log_softmax": tf.nn.log_softmax,
    "softplus": "softplus", "softsign": "softsign", "swish": "swish", "tanh": "tanh",
}
# tf2onnx has no operator for these (Erfc), or makes of them what no one operator is.
NOT_EXPORTED = ("gelu", "gelu_tanh")
STEPS = ((1, 1), (1, 1), (2, 1), (1, 2), (3, 1), (1, 4))
SIZES = {"batch": (1, 2, 3), "length": (1, 2, 7, 16, 33), "channels": (1, 3, 8, 13), "kernel_size": (1, 2, 3, 5, 8),
         "depth_multiplier": (1, 1, 2, 3), "filters": (1, 4, 9, 16)}
PADDINGS = ("valid", "same", "causal")


def configurations(seed, formats, activations, rounds):
    """Every activation with every padding, everything else by chance."""
    random = np.random.default_rng(seed)
    for _, padding, activation in itertools.product(range(rounds), PADDINGS, activations):
        config = {name: int(random.choice(values)) for name, values in SIZES.items()}
        config["strides"], config["dilation_rate"] = (int(n) for n in STEPS[random.integers(len(STEPS))])
        config["padding"] = padding
        config["data_format"] = str(random.choice(formats))
        config["use_bias"] = bool(random.integers(2))
        config["activation"] = activation
        if padding == "valid":  # long enough for one output
            config["length"] += config["dilation_rate"] * (config["kernel_size"] - 1)
        yield config


def make_layer(config, random, activation):
    layer = tf_keras.layers.SeparableConv1D(
        config["filters"], config["kernel_size"], strides=config["strides"], padding=config["padding"],
        dilation_rate=config["dilation_rate"], depth_multiplier=config["depth_multiplier"],
        activation=activation, use_bias=config["use_bias"])
    layer.build((None, config["length"], config["channels"]))
    layer.set_weights([random.standard_normal(w.shape).astype(np.float32) / np.float32(np.sqrt(np.prod(w.shape[:2])) if w.ndim > 1 else 1)
                       for w in layer.get_weights()])
    return layer


def write_case(folder, config, model, x, y):
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)
        file.write("\n")
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for name, array in (("input_0", x), ("output_0", y)):
        with open(os.path.join(data, name + ".pb"), "wb") as file:
            file.write(numpy_helper.from_array(np.ascontiguousarray(array)).SerializeToString())


def case_name(number, config):
    form = "cl" if config["data_format"] == "channels_last" else "cf"
    return (f"{number:03d}_{config['padding']}_s{config['strides']}_d{config['dilation_rate']}_"
            f"k{config['kernel_size']}_{config['activation']}_{form}")


def custom_model(config, layer):
    depthwise, pointwise, *bias = layer.get_weights()
    taps, channels, multiplier = depthwise.shape
    weights = {"depthwise_kernel": depthwise.transpose(1, 2, 0).reshape(channels * multiplier, 1, taps),
               "pointwise_kernel": pointwise.transpose(2, 1, 0)}
    if bias:
        weights["bias"] = bias[0]
    names = ("padding", "strides", "dilation_rate", "data_format", "depth_multiplier", "filters", "kernel_size",
             "activation")
    node = helper.make_node("SeparableConv1D", ["X", *weights], ["Y"], domain="tapline",
                            use_bias=int(config["use_bias"]), **{name: config[name] for name in names})
    shape = ["N", "L", channels] if config["data_format"] == "channels_last" else ["N", channels, "L"]
    graph = helper.make_graph([node], "separable_conv1d", [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None] * 3)],
                              [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()])
    return helper.make_model(graph, producer_name="make_golden", ir_version=8,
                             opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("tapline", 1)])


def make_custom(folder):
    formats = ("channels_last", "channels_last", "channels_first")
    for number, config in enumerate(configurations(20260101, formats, ACTIVATIONS, 1)):
        random = np.random.default_rng(number)
        first = config["data_format"] == "channels_first"
        # TensorFlow has channels_first on GPUs only: the same layer on transposed input, then the activation, which
        # Keras lets run over the last axis whatever that is.
        layer = make_layer(config, random, None)
        x = random.standard_normal((config["batch"], config["length"], config["channels"])).astype(np.float32)
        y = layer(x)
        if first:
            x, y = x.transpose(0, 2, 1), tf.transpose(y, (0, 2, 1))
        y = tf_keras.activations.get(ACTIVATIONS[config["activation"]])(y).numpy()
        write_case(os.path.join(folder, case_name(number, config)), config, custom_model(config, layer), x, y)


def make_exported(folder):
    activations = [name for name in ACTIVATIONS if name not in NOT_EXPORTED]
    for number, config in enumerate(configurations(20260202, ("channels_last",), activations, 1)):
        tf_keras.backend.clear_session()
        random = np.random.default_rng(1000 + number)
        layer = make_layer(config, random, ACTIVATIONS[config["activation"]])
        # TensorFlow pads `same` by the length: left open, tf2onnx writes a graph that computes the pads.
        known = int(random.integers(2)) == 1 or (config["padding"] == "same" and config["dilation_rate"] > 1)
        spec = tf.TensorSpec((None, config["length"] if known else None, config["channels"]), tf.float32, name="x")
        opset = int(random.choice((11, 13, 15, 17, 18)))
        config["opset"] = opset
        model, _ = tf2onnx.convert.from_function(tf.function(lambda x, layer=layer: layer(x), input_signature=[spec]),
                                                 input_signature=[spec], opset=opset)
        x = random.standard_normal((config["batch"], config["length"], config["channels"])).astype(np.float32)
        write_case(os.path.join(folder, case_name(number, config)), config, model, x, layer(x).numpy())


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for name, make in (("custom", make_custom), ("exported", make_exported)):
        target = os.path.join(folder, name)
        shutil.rmtree(target, ignore_errors=True)
        make(target)
        print(len(os.listdir(target)), name)


if __name__ == "__main__":
    main()
