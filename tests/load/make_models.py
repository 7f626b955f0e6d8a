#!/usr/bin/env python3
"""Makes the files in data/, with the onnx package, and what numpy says they hold.

tensors.onnx    for each element type an initializer TYPE.typed (its typed field), TYPE.raw (raw_data) and TYPE.bytes
                (uint8: the elements as they lie in memory), and the strings
sparse.onnx     sparse initializers in both index formats, with their dense forms as DENSE.bytes
functions.onnx  nested model-local functions with attribute references, defaults, overloads and absent arguments
functions.txt   the operators that onnx.inliner makes of it, one a line
bodies.onnx     If in If, and Scan, with values captured from outside
values/*.pb     a tensor, sequences, optionals and a map, as test data has them
"""

import pathlib

import ml_dtypes
import numpy as np
import onnx
import onnx.inliner
from onnx import TensorProto, helper, numpy_helper

DATA = pathlib.Path(__file__).parent / "data"
SHAPE = (3, 5)  # an odd number of elements: packed types have bits to spare
COUNT = 15

TYPES = {
    "float": np.float32,
    "double": np.float64,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
    "complex64": np.complex64,
    "complex128": np.complex128,
    "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "float8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "float8e8m0": ml_dtypes.float8_e8m0fnu,
    "uint4": ml_dtypes.uint4,
    "int4": ml_dtypes.int4,
    "float4e2m1": ml_dtypes.float4_e2m1fn,
    "uint2": ml_dtypes.uint2,
    "int2": ml_dtypes.int2,
    "float6e2m3": ml_dtypes.float6_e2m3fn,
    "float6e3m2": ml_dtypes.float6_e3m2fn,
}
PACKED = {"uint4": 4, "int4": 4, "float4e2m1": 4, "uint2": 2, "int2": 2}


def elements(dtype):
    """Values that use the whole width of a type."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return np.arange(COUNT) % 3 == 0
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        wide = [info.min, info.max, info.min + 1, info.max - 1, 0, 1]
        return np.array((wide * 3)[:COUNT], dtype=dtype)
    if dtype in (np.dtype(ml_dtypes.uint4), np.dtype(ml_dtypes.uint2)):
        return (np.arange(COUNT) % (16 if dtype == ml_dtypes.uint4 else 4)).astype(dtype)
    if dtype in (np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.int2)):
        half = 8 if dtype == ml_dtypes.int4 else 2
        return (np.arange(COUNT) % (2 * half) - half).astype(dtype)
    if dtype.kind == "c":
        return (np.linspace(-3, 3, COUNT) + 1j * np.linspace(1e-3, 1e3, COUNT)).astype(dtype)
    if dtype == ml_dtypes.float8_e8m0fnu:
        return (2.0 ** np.arange(-7, 8)).astype(dtype)
    return np.linspace(-5.5, 6.25, COUNT).astype(np.float32).astype(dtype)


def memory(name, values):
    """The elements as Tapline keeps them: little-endian, packed types lowest bits first."""
    if name not in PACKED:
        return values.tobytes()
    bits = PACKED[name]
    out = bytearray(-(-COUNT * bits // 8))
    for k, code in enumerate(values.view(np.uint8)):
        out[k * bits // 8] |= (int(code) & ((1 << bits) - 1)) << (k * bits % 8)
    return bytes(out)


def as_bytes(name, data):
    return helper.make_tensor(f"{name}.bytes", TensorProto.UINT8, [len(data)], data, raw=True)


def model_of(graph, **arguments):
    arguments.setdefault("opset_imports", [helper.make_opsetid("", 22)])
    model = helper.make_model(graph, producer_name="", **arguments)
    return model


def identity_graph(name, initializers, sparse=()):
    node = helper.make_node("Identity", ["x"], ["y"])
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    return helper.make_graph([node], name, info[:1], info[1:], initializers, sparse_initializer=list(sparse))


def tensors():
    initializers = []
    for name, dtype in TYPES.items():
        values = elements(dtype).reshape(SHAPE)
        number = getattr(TensorProto, name.upper())
        assert np.dtype(helper.tensor_dtype_to_np_dtype(number)) == np.dtype(dtype), name
        flat = values.flatten()
        initializers.append(helper.make_tensor(f"{name}.typed", number, SHAPE, flat))
        assert not initializers[-1].HasField("raw_data"), name
        raw = numpy_helper.from_array(values, f"{name}.raw")
        assert raw.HasField("raw_data") and raw.data_type == number, name
        for tensor in (initializers[-1], raw):
            assert numpy_helper.to_array(tensor).tobytes() == values.tobytes(), tensor.name
        initializers += [raw, as_bytes(name, memory(name, flat))]
    strings = [b"", b"plain", b"with \0 inside", "größer".encode()]
    initializers.append(helper.make_tensor("strings", TensorProto.STRING, [2, 2], strings))
    initializers.append(helper.make_tensor("empty", TensorProto.FLOAT, [0, 7], []))
    initializers.append(helper.make_tensor("scalar", TensorProto.FLOAT, [], [2.5]))
    return model_of(identity_graph("tensors", initializers), ir_version=14)


def sparse():
    dense = np.zeros((3, 4), np.float32)
    dense[0, 1], dense[1, 3], dense[2, 0] = 1.5, -2, 3
    where = np.argwhere(dense)
    flat = np.flatnonzero(dense)

    def make(name, indices):
        values = numpy_helper.from_array(dense[dense != 0], name)
        return helper.make_sparse_tensor(values, numpy_helper.from_array(indices.astype(np.int64), "i"), dense.shape)

    sparse_initializers = [make("pairs", where), make("flat", flat)]
    names = [as_bytes("pairs", dense.tobytes()), as_bytes("flat", dense.tobytes())]
    return model_of(identity_graph("sparse", names, sparse_initializers), ir_version=8)


def reference(node, name, to, kind):
    attribute = node.attribute.add()
    attribute.name, attribute.ref_attr_name, attribute.type = name, to, kind
    return node


def functions():
    imports = [helper.make_opsetid("", 22), helper.make_opsetid("local", 1)]
    leaky = reference(
        helper.make_node("LeakyRelu", ["x"], ["t"], name="leaky"), "alpha", "slope", onnx.AttributeProto.FLOAT
    )
    scale = helper.make_node("Mul", ["t", "factor"], ["y"])
    inner = helper.make_function(
        "local", "Inner", ["x", "factor"], ["y"], [leaky, scale], imports,
        attribute_protos=[helper.make_attribute("slope", 0.25)],
    )
    call = reference(
        helper.make_node("Inner", ["x", "f"], ["a"], domain="local", name="first"),
        "slope", "alpha", onnx.AttributeProto.FLOAT,
    )
    again = helper.make_node("Inner", ["a", "f"], ["t"], domain="local", name="second")
    clip = helper.make_node("Clip", ["t", "", "most"], ["y"])
    outer = helper.make_function(
        "local", "Outer", ["x", "f", "most"], ["y", "t"], [call, again, clip], imports, attributes=["alpha"]
    )
    other = helper.make_function(
        "local", "Outer", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])], imports, overload="negative"
    )
    nodes = [
        helper.make_node("Outer", ["x", "w"], ["p"], domain="local", name="A", alpha=0.5),
        helper.make_node("Outer", ["p", "w", "six"], ["q", "q2"], domain="local", name="B"),
        helper.make_node("Outer", ["q"], ["n"], domain="local", name="C", overload="negative"),
        helper.make_node("Add", ["n", "q2"], ["y"]),
    ]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N"]) for n in "xy"]
    constants = [
        numpy_helper.from_array(np.float32([2]), "w"),
        numpy_helper.from_array(np.float32(6), "six"),
    ]
    graph = helper.make_graph(nodes, "functions", info[:1], info[1:], constants)
    model = model_of(graph, opset_imports=imports, functions=[inner, outer, other], ir_version=10)
    onnx.checker.check_model(model)
    return model


def inlined(model):
    return "".join(f"{node.op_type}\n" for node in onnx.inliner.inline_local_functions(model).graph.node)


def bodies():
    def branch(name, nodes, output):
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])

    deepest = [helper.make_node("Add", ["x", "w"], ["d"])]
    plain = [helper.make_node("Neg", ["x"], ["e"])]
    inner_if = helper.make_node(
        "If", ["flag"], ["i"], then_branch=branch("deep", deepest, "d"), else_branch=branch("flat", plain, "e")
    )
    shift = helper.make_node("Sub", ["x", "w"], ["s"])
    outer_if = helper.make_node(
        "If", ["flag"], ["r"], then_branch=branch("then", [inner_if], "i"), else_branch=branch("else", [shift], "s")
    )
    step = helper.make_graph(
        [helper.make_node("Add", ["state", "item"], ["sum"]), helper.make_node("Mul", ["sum", "w"], ["out"])],
        "step",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("state", "item")],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("sum", "out")],
    )
    scan = helper.make_node("Scan", ["zero", "r"], ["last", "y"], body=step, num_scan_inputs=1)
    graph = helper.make_graph(
        [outer_if, scan],
        "bodies",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T"]),
            helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T"])],
        [numpy_helper.from_array(np.float32(2), "w"), numpy_helper.from_array(np.float32(0), "zero")],
    )
    model = model_of(graph, ir_version=8)
    onnx.checker.check_model(model)
    return model


def values():
    one = np.arange(6, dtype=np.float32).reshape(2, 3)
    two = np.array([7, -8], np.int64)
    yield "tensor", numpy_helper.from_array(one, "one")
    yield "sequence", numpy_helper.from_list([one, one + 1], "list")
    yield "sequence_of_sequences", numpy_helper.from_list([[one], [one, one]], "lists")
    yield "empty_sequence", helper.make_sequence("none", onnx.SequenceProto.TENSOR, [])
    yield "optional", numpy_helper.from_optional(one, "maybe")
    yield "empty_optional", numpy_helper.from_optional(None, "nothing")
    yield "optional_sequence", numpy_helper.from_optional([two], "maybe_list")
    yield "map", numpy_helper.from_dict({3: one, -4: one + 1}, "table")


def main():
    (DATA / "values").mkdir(parents=True, exist_ok=True)
    model = functions()
    (DATA / "functions.txt").write_text(inlined(model))
    onnx.save(model, DATA / "functions.onnx")
    onnx.save(tensors(), DATA / "tensors.onnx")
    onnx.save(sparse(), DATA / "sparse.onnx")
    onnx.save(bodies(), DATA / "bodies.onnx")
    for name, value in values():
        (DATA / "values" / f"{name}.pb").write_bytes(value.SerializeToString())


if __name__ == "__main__":
    main()
