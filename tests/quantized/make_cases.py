"""Writes cases/: networks quantized by onnxruntime.quantization in the QDQ form, some in the QOperator form, too, with
ONNX Runtime's results, which are bytes: the last DequantizeLinear is left out, so that a difference is one of
quantization steps. And the same networks quantized dynamically, whose results are floats."""
import copy
import os
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
MODELS = os.path.join(HERE, "..", "..", "models")


class Builder:
    """Nodes one behind the other, with random weights."""

    def __init__(self, seed, shape):
        self.rng = np.random.default_rng(seed)
        self.shape = shape
        self.nodes, self.weights = [], []
        self.count = 0

    def weight(self, value):
        name = "w%d" % len(self.weights)
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def normal(self, *shape):
        depth = int(np.prod(shape[1:])) if len(shape) > 1 else 4
        return self.weight((self.rng.standard_normal(shape) * 1.5 / np.sqrt(depth)).astype(np.float32))

    def add(self, op, *inputs, **attributes):
        self.count += 1
        name = "v%d" % self.count
        self.nodes.append(helper.make_node(op, list(inputs), [name], op + str(self.count), **attributes))
        return name

    def conv(self, x, filters, channels, kernel, relu=True, **attributes):
        shape = (filters, channels // attributes.get("group", 1), *kernel)
        y = self.add("Conv", x, self.normal(*shape), self.normal(filters), kernel_shape=list(kernel), **attributes)
        return self.add("Relu", y) if relu else y

    def model(self, y):
        graph = helper.make_graph(self.nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT,
                                                                                       self.shape)],
                                  [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], self.weights)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def keyword_network():
    """Depthwise and pointwise convolutions over time, mean, dense."""
    b = Builder(1, [2, 10, 33])
    y = b.conv("x", 16, 10, [5], pads=[2, 2], strides=[2])
    for _ in range(2):
        y = b.conv(y, 16, 16, [3], pads=[1, 1], group=16)
        y = b.conv(y, 16, 16, [1])
    y = b.add("Flatten", b.add("GlobalAveragePool", y))
    return b.model(b.add("Gemm", y, b.normal(7, 16), b.normal(7), transB=1))


def residual_network():
    """Dilated causal convolutions with residuals, bounds, functions, and both products."""
    b = Builder(2, [1, 6, 40])
    y = b.conv("x", 12, 6, [1], relu=False)
    for dilation in (1, 2, 4):
        z = b.conv(y, 12, 12, [3], pads=[2 * dilation, 0], dilations=[dilation])
        z = b.add("Clip", b.conv(z, 12, 12, [1], relu=False), b.weight(np.float32(-1)), b.weight(np.float32(2)))
        y = b.add("Add", y, z)
    gate = b.add("Sigmoid", b.conv(y, 12, 12, [1], relu=False))
    y = b.add("Mul", y, gate)
    y = b.add("Concat", y, b.add("HardSwish", y), axis=1)
    y = b.add("MaxPool", y, kernel_shape=[2], strides=[2])
    y = b.add("Transpose", y, perm=[0, 2, 1])
    y = b.add("Add", b.add("MatMul", y, b.normal(24, 8)), b.normal(8))
    return b.model(b.add("MatMul", y, b.add("Transpose", y, perm=[0, 2, 1])))


def plane_network():
    """As images have it, with grouped and strided convolutions."""
    b = Builder(3, [1, 3, 17, 12])
    y = b.conv("x", 8, 3, [3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    y = b.conv(y, 8, 8, [3, 3], pads=[0, 1, 2, 1], group=8, relu=False)
    y = b.add("LeakyRelu", y, alpha=0.125)
    y = b.conv(y, 12, 8, [3, 1], group=2, dilations=[2, 1])
    return b.model(b.add("Slice", b.add("Reshape", y, b.weight(np.array([1, 12, -1]))), b.weight(np.array([3])),
                         b.weight(np.array([-2])), b.weight(np.array([2]))))


def pool_network():
    """What only the QOperator form has operators of its own for."""
    b = Builder(5, [2, 6, 41])
    y = b.conv("x", 8, 6, [3])
    y = b.add("AveragePool", y, kernel_shape=[3], strides=[2], pads=[1, 1])
    y = b.add("Where", b.weight(np.arange(20) % 3 > 0), y, b.conv(y, 8, 8, [1], relu=False))
    y = b.add("LeakyRelu", b.conv(y, 8, 8, [3], relu=False), alpha=0.125)
    return b.model(b.add("Softmax", y, axis=1))


class Inputs(CalibrationDataReader):
    def __init__(self, arrays, name):
        self.left = [{name: array} for array in arrays]

    def get_next(self):
        return self.left.pop() if self.left else None


def random_samples(model):
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(4)
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(8)]


def drop_last_dequantize(model):
    """Gives out bytes."""
    for output in model.graph.output:
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear" and node.output[0] == output.name:
                zero = next(i for i in model.graph.initializer if i.name == node.input[2])
                output.name = node.input[0]
                output.type.tensor_type.elem_type = zero.data_type
                model.graph.node.remove(node)
                break


def write(name, model, samples, activations, weights, per_channel, form=QuantFormat.QDQ, **options):
    folder = os.path.join(CASES, name)
    os.makedirs(os.path.join(folder, "test_data_set_0"))
    path = os.path.join(folder, "model.onnx")
    given = model.graph.input[0].name
    quantize_static(copy.deepcopy(model), path, Inputs(samples, given), quant_format=form, per_channel=per_channel,
                    activation_type=activations, weight_type=weights, extra_options=options)
    quantized = onnx.load(path)
    drop_last_dequantize(quantized)
    onnx.save(quantized, path)
    write_data(path, samples[0])


def write_dynamic(name, model, sample, weights):
    folder = os.path.join(CASES, name)
    os.makedirs(os.path.join(folder, "test_data_set_0"))
    path = os.path.join(folder, "model.onnx")
    quantize_dynamic(copy.deepcopy(model), path, op_types_to_quantize=["Conv", "MatMul", "Gemm"], weight_type=weights)
    write_data(path, sample)


def write_data(path, sample):
    data = os.path.join(os.path.dirname(path), "test_data_set_0")
    quantized = onnx.load(path)
    given = quantized.graph.input[0].name
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {given: sample}
    tensors = [("input_0", sample, given)]
    tensors += [("output_%d" % k, value, output.name)
                for k, (output, value) in enumerate(zip(quantized.graph.output, session.run(None, feed)))]
    for file, value, label in tensors:
        with open(os.path.join(data, file + ".pb"), "wb") as out:
            out.write(numpy_helper.from_array(value, label).SerializeToString())


def main():
    shutil.rmtree(CASES, ignore_errors=True)
    signed, unsigned = QuantType.QInt8, QuantType.QUInt8
    ways = {"u8s8": (unsigned, signed, False, {}),
            "u8s8_by_channel": (unsigned, signed, True, {}),
            "u8u8": (unsigned, unsigned, False, {}),
            "s8s8_by_channel": (signed, signed, True, {"ActivationSymmetric": True})}
    networks = {"keyword": keyword_network(), "residual": residual_network(), "plane": plane_network()}
    for name, model in networks.items():
        samples = random_samples(model)
        for way, (activations, weights, per_channel, options) in ways.items():
            write("%s_%s" % (name, way), model, samples, activations, weights, per_channel, **options)
        for way, weights in (("dynamic_s8", signed), ("dynamic_u8", unsigned)):
            write_dynamic("%s_%s" % (name, way), model, samples[0], weights)
    for name, model in (networks | {"pool": pool_network()}).items():
        for way in ("u8s8_by_channel", "s8s8_by_channel"):
            activations, weights, per_channel, options = ways[way]
            write("%s_operators_%s" % (name, way), model, random_samples(model), activations, weights, per_channel,
                  QuantFormat.QOperator, ForceQuantizeNoInputCheck=True, **options)
    # A trained network, on recordings.
    folder = os.path.join(MODELS, "japanesevowels_causal")
    model = onnx.load(os.path.join(folder, "model.onnx"))
    last = model.graph.node.pop()
    assert last.op_type == "Softmax"  # whose approximation in ONNX Runtime is another
    model.graph.output[0].name = last.input[0]
    samples = []
    for case in sorted(os.listdir(folder)):
        file = os.path.join(folder, case, "input_0.pb")
        if os.path.exists(file):
            with open(file, "rb") as data:
                samples.append(numpy_helper.to_array(onnx.TensorProto.FromString(data.read())))
    write("japanesevowels", model, samples, unsigned, signed, True)


if __name__ == "__main__":
    main()
