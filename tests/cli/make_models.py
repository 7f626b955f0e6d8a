#!/usr/bin/env python3
"""Writes the small models and cases of this folder, with the onnx package. Only needed to change them."""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

here = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))


def save(path, graph, ir_version=8, domains=()):
    opsets = [h.make_opsetid("", 17)] + [h.make_opsetid(d, 1) for d in domains]
    model = h.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="")
    path = os.path.join(here, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


def save_tensor(path, array, name, bfloat16=False):
    path = os.path.join(here, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if bfloat16:
        bits = (np.asarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)
        tensor = h.make_tensor(name, T.BFLOAT16, bits.shape, bits.tobytes(), raw=True)
    else:
        tensor = numpy_helper.from_array(array, name)
    with open(path, "wb") as file:
        file.write(tensor.SerializeToString(deterministic=True))


def value(name, kind=T.FLOAT, shape=("N", 3)):
    return h.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def add_graph():
    """z = x + y + bias; bias is an initializer and an input too, as IR version 3 wants it."""
    return h.make_graph(
        [h.make_node("Add", ["x", "y"], ["s"], "first"), h.make_node("Add", ["s", "bias"], ["z"], "second")],
        "add", [value("x"), value("bias", shape=(3,)), value("y")], [value("z")],
        [constant("bias", np.array([1, 2, 3], np.float32))])


def models():
    save("models/add.onnx", add_graph(), ir_version=3)
    save("models/bfloat16.onnx", h.make_graph(
        [h.make_node("Identity", ["x"], ["y"], "same")], "g", [value("x", T.BFLOAT16)], [value("y", T.BFLOAT16)]))
    save_tensor("models/bfloat16.pb", [[1, 2, 3], [4, 5, 6]], "x", bfloat16=True)
    save("models/unknown.onnx", h.make_graph(
        [h.make_node("Nonsense", ["x"], ["y"], "odd")], "g", [value("x")], [value("y")]))
    save("models/separable.onnx", h.make_graph(
        [h.make_node("SeparableConv1D", ["x", "d", "p", "b"], ["y"], "sep", domain="tapline", padding="causal",
                     activation="relu")],
        "g", [value("x", shape=("N", "T", 2))], [value("y", shape=("N", "T", 3))],
        [constant("d", np.arange(6, dtype=np.float32).reshape(2, 1, 3)),
         constant("p", np.arange(6, dtype=np.float32).reshape(3, 2, 1)),
         constant("b", np.arange(3, dtype=np.float32))]), domains=["tapline"])
    save("models/identity_int64.onnx", h.make_graph(
        [h.make_node("Identity", ["x"], ["y"], "same")], "g", [value("x", T.INT64, ("N",))],
        [value("y", T.INT64, ("N",))]))
    save("models/any_rank.onnx", h.make_graph(
        [h.make_node("Identity", ["x"], ["y"], "same")], "g", [h.make_tensor_value_info("x", T.FLOAT, None)],
        [h.make_tensor_value_info("y", T.FLOAT, None)]))
    save("models/valid.onnx", h.make_graph(
        [h.make_node("Conv", ["x", "w"], ["y"], "conv")], "g", [value("x", shape=("N", 1, "T"))],
        [value("y", shape=("N", 1, "U"))], [constant("w", np.ones((1, 1, 5), np.float32))]))
    sequence = h.make_tensor_sequence_value_info("y", T.FLOAT, None)
    save("models/sequence.onnx", h.make_graph(
        [h.make_node("SequenceConstruct", ["x", "x"], ["y"], "pack")], "g", [value("x")], [sequence]), ir_version=8)
    save("models/sequence_at.onnx", h.make_graph(
        [h.make_node("SequenceAt", ["y", "at"], ["z"], "take")], "g", [sequence],
        [h.make_tensor_value_info("z", T.FLOAT, None)], [constant("at", np.array(1))]))
    with open(os.path.join(here, "models/broken.onnx"), "wb") as file:
        file.write(b"\x0a\xff\xff\xff\xff\x0fnot a model")


def add_case(folder, set_name, change=lambda z: z):
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    y = np.array([[0.5, 0.25, 0.125], [1, 1, 1]], np.float32)
    z = change(x + y + np.array([1, 2, 3], np.float32))
    save(f"{folder}/model.onnx", add_graph(), ir_version=3)
    save_tensor(f"{folder}/{set_name}/input_0.pb", x, "x")
    save_tensor(f"{folder}/{set_name}/input_1.pb", y, "y")
    save_tensor(f"{folder}/{set_name}/output_0.pb", z, "z")


def bump(z):
    z = z.copy()
    z[1, 2] += 0.5
    return z


def reference_values():
    """What the nodes of cases/good/add give, once right, once wrong from the second node on, once not of this model."""
    save_tensor("values/right/0.pb", np.array([[1.5, 2.25, 3.125], [5, 6, 7]], np.float32), "s")
    save_tensor("values/right/1.pb", np.array([[2.5, 4.25, 6.125], [6, 8, 10]], np.float32), "z")
    save_tensor("values/wrong/0.pb", np.array([[1.5, 2.25, 3.125], [5, 6, 7]], np.float32), "s")
    save_tensor("values/wrong/1.pb", np.array([[2.5, 4.25, 6], [6, 8, 10]], np.float32), "z")
    save_tensor("values/other/0.pb", np.zeros(1, np.float32), "elsewhere")


def cases():
    add_case("cases/good/add", "test_data_set_0")
    add_case("cases/good/add", "test_data_set_1", lambda z: z * np.float32(1.0005))
    add_case("cases/bad/value", "test_data_set_2")
    add_case("cases/bad/value", "test_data_set_10", bump)
    add_case("cases/bad/shape", "test_data_set_0", lambda z: z.reshape(3, 2))
    add_case("cases/bad/type", "test_data_set_0", lambda z: z.astype(np.float64))
    add_case("cases/bad/too_many_outputs", "test_data_set_0")
    save_tensor("cases/bad/too_many_outputs/test_data_set_0/output_1.pb", np.zeros(1, np.float32), "w")
    add_case("cases/bad/missing_input", "test_data_set_0")
    os.remove(os.path.join(here, "cases/bad/missing_input/test_data_set_0/input_1.pb"))
    add_case("cases/bad/gap", "test_data_set_0")
    gap = os.path.join(here, "cases/bad/gap/test_data_set_0")
    os.rename(gap + "/input_1.pb", gap + "/input_2.pb")
    save("cases/bad/no_data/model.onnx", add_graph(), ir_version=3)
    save("cases/lacking/operator/model.onnx", h.make_graph(
        [h.make_node("Nonsense", ["x"], ["y"], "odd")], "g", [value("x")], [value("y")]))
    integers = h.make_graph([h.make_node("Identity", ["x"], ["y"], "same")], "g", [value("x", T.INT64, ("N",))],
                            [value("y", T.INT64, ("N",))])
    save("cases/bad/integer/model.onnx", integers)
    save_tensor("cases/bad/integer/test_data_set_0/input_0.pb", np.array([2**40, 7]), "x")
    save_tensor("cases/bad/integer/test_data_set_0/output_0.pb", np.array([2**40 + 1, 7]), "y")


models()
cases()
reference_values()
