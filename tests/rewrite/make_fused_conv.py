"""Writes fused_conv/: com.microsoft's FusedConv in its forms, with ONNX Runtime's results."""
import os
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fused_conv")


def main():
    rng = np.random.default_rng(1)
    shapes = {"w1": (6, 4, 3, 3), "b1": (6,), "w2": (6, 1, 1, 3), "w3": (4, 3, 3, 1), "b3": (4,)}
    weights = [numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
               for name, shape in shapes.items()]
    nodes = [
        helper.make_node("FusedConv", ["x", "w1", "b1", "z"], ["y1"], domain="com.microsoft", pads=[1, 1, 1, 1],
                         activation="LeakyRelu", activation_params=[0.25]),
        helper.make_node("FusedConv", ["y1", "w2"], ["y2"], domain="com.microsoft", group=6, strides=[1, 2],
                         activation="Clip", activation_params=[-1.0, 2.0]),
        helper.make_node("FusedConv", ["y2", "w3", "b3"], ["y3"], domain="com.microsoft", group=2,
                         activation="HardSigmoid", activation_params=[0.3, 0.4]),
        helper.make_node("FusedConv", ["y2", "w3", "b3"], ["y4"], domain="com.microsoft", group=2, activation="Tanh"),
    ]
    given = {"x": (2, 4, 6, 7), "z": (2, 6, 6, 7)}
    graph = helper.make_graph(
        nodes, "fused_conv", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                              for name, shape in given.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y1", "y3", "y4")], weights)
    model = helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    folder = os.path.join(HERE, "test_data_set_0")
    os.makedirs(folder, exist_ok=True)
    onnx.save(model, os.path.join(HERE, "model.onnx"))
    feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in given.items()}
    session = onnxruntime.InferenceSession(os.path.join(HERE, "model.onnx"), providers=["CPUExecutionProvider"])
    tensors = [("input_%d" % k, feeds[name], name) for k, name in enumerate(feeds)]
    tensors += [("output_%d" % k, value, name)
                for k, (name, value) in enumerate(zip(("y1", "y3", "y4"), session.run(None, feeds)))]
    for file, value, name in tensors:
        with open(os.path.join(folder, file + ".pb"), "wb") as out:
            out.write(numpy_helper.from_array(value, name).SerializeToString())


if __name__ == "__main__":
    main()
