"""Makes the models of data/, each a folder in the layout of the ONNX backend tests: what lower and fuse must not lose.

Expected outputs come from onnx.reference, to which SeparableConv1D is added here in plain numpy. Needs onnx and numpy.
usage: make_models.py FOLDER
"""

import os
import sys

import numpy as np
import onnx
import onnx.inliner
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

rng = np.random.default_rng(20)
FLOAT = TensorProto.FLOAT
C, K, F, L = 3, 3, 4, 7


class SeparableConv1D(OpRun):
    """channels_last, stride 1, linear or relu: as the models here use it."""

    op_domain = "tapline"

    def _run(self, x, depthwise, pointwise, bias=None, padding="valid", activation="linear", dilation_rate=1, **_):
        kernel = depthwise.shape[2]
        reach = dilation_rate * (kernel - 1)
        left = {"valid": 0, "same": reach // 2, "causal": reach}[padding]
        right = {"valid": 0, "same": reach - reach // 2, "causal": 0}[padding]
        x = np.pad(x.astype(np.float64), ((0, 0), (left, right), (0, 0)))
        length = x.shape[1] - reach
        h = sum(x[:, k * dilation_rate : k * dilation_rate + length] * depthwise[:, 0, k] for k in range(kernel))
        y = h @ pointwise[:, :, 0].T.astype(np.float64)
        if bias is not None:
            y = y + bias
        return (np.maximum(y, 0) if activation == "relu" else y).astype(np.float32),


class Evaluator(ReferenceEvaluator):
    """Knows the operator inside subgraphs and functions too."""

    def _load_impl(self, node, *arguments):
        return SeparableConv1D if node.domain == "tapline" else super()._load_impl(node, *arguments)


def weights(prefix=""):
    arrays = {"depthwise": (C, 1, K), "pointwise": (F, C, 1), "bias": (F,)}
    return [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), prefix + n) for n, s in arrays.items()]


def separable(x, y, prefix="", name="sep", **attributes):
    inputs = [x] + [prefix + n for n in ("depthwise", "pointwise", "bias")]
    attributes.setdefault("padding", "causal")
    return helper.make_node("SeparableConv1D", inputs, [y], name=name, domain="tapline", **attributes)


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


X, Y = value("x", ["N", L, C]), value("y", ["N", L, F])


def model(graph, functions=(), opset=17, ir=9, imports=None):
    imports = imports or [("", opset), ("tapline", 1)]
    made = helper.make_model(graph, functions=functions, opset_imports=[helper.make_opsetid(*i) for i in imports])
    made.ir_version = ir
    made.producer_name = "make_models"
    return made


def write(folder, name, made, inputs, **save):
    path = os.path.join(folder, name)
    os.makedirs(os.path.join(path, "test_data_set_0"), exist_ok=True)
    flat = onnx.ModelProto()
    flat.CopyFrom(made)
    if name == "uncalled_circle":  # which onnx refuses
        del flat.functions[:]
    outputs = Evaluator(onnx.inliner.inline_local_functions(flat)).run(None, inputs)
    onnx.save(made, os.path.join(path, "model.onnx"), **save)
    for kind, arrays in (("input", inputs.values()), ("output", outputs)):
        for k, array in enumerate(arrays):
            tensor = numpy_helper.from_array(np.asarray(array))
            onnx.save_tensor(tensor, os.path.join(path, "test_data_set_0", f"{kind}_{k}.pb"))


def data(shape=(2, L, C)):
    return rng.standard_normal(shape).astype(np.float32)


def everything():
    """Text, types, dead nodes and unused constants around the operator."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["x2"], name="double", doc_string="twice"),
        helper.make_node("Neg", ["x2"], ["nobody"], name="dead"),
        separable("x2", "h", activation="relu"),
        helper.make_node("Neg", ["h"], ["sep/depthwise"], name="sep/pointwise"),
        helper.make_node("Identity", ["sep/depthwise"], ["y"]),
    ]
    constants = weights() + [numpy_helper.from_array(np.float32(2), "two"), numpy_helper.from_array(np.float32(5), "five")]
    graph = helper.make_graph(nodes, "a graph", [X], [Y], constants, doc_string="of everything",
                              value_info=[value("x2", ["N", L, C]), value("h", ["N", L, F])])
    made = model(graph)
    made.doc_string = "a model"
    helper.set_model_props(made, {"key": "value", "other": "text"})
    return made


def branches():
    """The operator in both branches of an If, one inside another If; one kernel from around."""
    inner_then = helper.make_graph([separable("x", "deep", "a_")], "inner_then", [], [value("deep", ["N", L, F])])
    inner_else = helper.make_graph([separable("x", "flat", "b_", padding="same")], "inner_else", [],
                                   [value("flat", ["N", L, F])], weights("b_"))
    then = helper.make_graph(
        [helper.make_node("If", ["q"], ["t"], then_branch=inner_then, else_branch=inner_else, name="inner")], "then", [],
        [value("t", ["N", L, F])])
    other = helper.make_graph([separable("x", "sep", "a_"), helper.make_node("Neg", ["sep"], ["e"])], "else", [],
                              [value("e", ["N", L, F])])
    graph = helper.make_graph([helper.make_node("If", ["p"], ["y"], then_branch=then, else_branch=other, name="outer")],
                              "branches", [value("p", [], TensorProto.BOOL), value("q", [], TensorProto.BOOL), X], [Y],
                              weights("a_"))
    return model(graph)


def in_function():
    """A function that holds the operator, called twice, and one that does not."""
    layer = helper.make_function(
        "mine", "Layer", ["x", "depthwise", "pointwise", "bias"], ["y"],
        [separable("x", "h", padding="same"), helper.make_node("Relu", ["h"], ["y"])],
        [helper.make_opsetid("", 17), helper.make_opsetid("tapline", 1)])
    twice = helper.make_function("mine", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])],
                                 [helper.make_opsetid("", 17)])
    names = ["depthwise", "pointwise", "bias"]
    nodes = [helper.make_node("Layer", ["x", *names], ["a"], domain="mine", name="one"),
             helper.make_node("Layer", ["x", *names], ["b"], domain="mine"),
             helper.make_node("Add", ["a", "b"], ["c"]),
             helper.make_node("Twice", ["c"], ["y"], domain="mine")]
    graph = helper.make_graph(nodes, "in_function", [X], [Y], weights())
    return model(graph, [layer, twice], imports=[("", 17), ("tapline", 1), ("mine", 1)])


def beside_function():
    """The operator between calls of a function: these stay calls."""
    twice = helper.make_function("mine", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])],
                                 [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("Twice", ["x"], ["a"], domain="mine"), separable("a", "b"),
             helper.make_node("Twice", ["b"], ["y"], domain="mine")]
    graph = helper.make_graph(nodes, "beside_function", [X], [Y], weights())
    return model(graph, [twice], imports=[("", 17), ("tapline", 1), ("mine", 1)])


def alone():
    """No import of the standard's operators."""
    return model(helper.make_graph([separable("x", "y", activation="relu")], "alone", [X], [Y], weights()),
                 imports=[("tapline", 1)])


def pair(**how):
    """A depthwise convolution with a bias, padded and chopped, and a pointwise one: to be fused."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[0, 2, 1], name="to"),
        helper.make_node("Conv", ["xt", "depthwise", "inner"], ["d"], group=C, pads=[K - 1, 0], name="d"),
        helper.make_node("Conv", ["d", "pointwise", "bias"], ["p"], name="p"),
        helper.make_node("Transpose", ["p"], ["y"], perm=[0, 2, 1], name="back"),
    ]
    constants = weights() + [numpy_helper.from_array(rng.standard_normal(C).astype(np.float32), "inner")]
    inputs = [X]
    if how.get("ir", 9) < 4:
        inputs += [value(c.name, c.dims) for c in constants]
    graph = helper.make_graph(nodes, "pair", inputs, [Y], constants,
                              value_info=[value("d", ["N", C, L]), value("p", ["N", F, L])])
    return model(graph, imports=[("", 9 if how.get("ir", 9) < 4 else 17)], **how)


def behind_constants():
    """Kernels that Constant nodes make, one through a Transpose that something else needs too."""
    depthwise, pointwise, bias = (numpy_helper.to_array(w) for w in weights())
    nodes = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(depthwise.transpose(1, 2, 0).copy())),
        helper.make_node("Transpose", ["k"], ["depthwise"], perm=[2, 0, 1]),
        helper.make_node("Constant", [], ["pointwise"], value=numpy_helper.from_array(pointwise)),
        helper.make_node("Constant", [], ["bias"], value=numpy_helper.from_array(bias)),
        helper.make_node("ReduceSum", ["k"], ["sum"], keepdims=0),
        helper.make_node("Transpose", ["x"], ["xt"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["xt", "depthwise"], ["d"], group=C, pads=[K - 1, 0]),
        helper.make_node("Conv", ["d", "pointwise", "bias"], ["p"]),
        helper.make_node("Add", ["p", "sum"], ["q"]),
        helper.make_node("Transpose", ["q"], ["y"], perm=[0, 2, 1]),
    ]
    return model(helper.make_graph(nodes, "behind_constants", [X], [Y]), imports=[("", 17)])


def pair_in_loop():
    """A pair in the body of a Loop, with kernels from around."""
    nodes = [
        helper.make_node("Transpose", ["state"], ["xt"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["xt", "depthwise"], ["d"], group=C, pads=[1, 1]),
        helper.make_node("Conv", ["d", "square"], ["p"]),
        helper.make_node("Transpose", ["p"], ["next"], perm=[0, 2, 1]),
        helper.make_node("Identity", ["go"], ["still"]),
    ]
    body = helper.make_graph(nodes, "body", [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL),
                                             value("state", ["N", L, C])],
                             [value("still", [], TensorProto.BOOL), value("next", ["N", L, C])])
    square = numpy_helper.from_array(rng.standard_normal((C, C, 1)).astype(np.float32), "square")
    count, yes = numpy_helper.from_array(np.int64(2), "count"), numpy_helper.from_array(np.array(True), "yes")
    graph = helper.make_graph([helper.make_node("Loop", ["count", "yes", "x"], ["y"], body=body)], "pair_in_loop", [X],
                              [value("y", ["N", L, C])], [weights()[0], square, count, yes])
    return model(graph, imports=[("", 17)])


def pair_in_function():
    """A pair in a function."""
    layer = helper.make_function(
        "mine", "Pair", ["x", "depthwise", "pointwise"], ["y"],
        [helper.make_node("Conv", ["x", "depthwise"], ["d"], group=C, pads=[K - 1, 0]),
         helper.make_node("Conv", ["d", "pointwise"], ["y"])], [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("Pair", ["x", "depthwise", "pointwise"], ["y"], domain="mine")]
    graph = helper.make_graph(nodes, "pair_in_function", [value("x", ["N", C, L])], [value("y", ["N", F, L])],
                              weights()[:2])
    return model(graph, [layer], imports=[("", 17), ("mine", 1)])


def indices(name, numbers):
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


BOTH = [helper.make_opsetid("", 17), helper.make_opsetid("tapline", 1)]
MINE = [("", 17), ("tapline", 1), ("mine", 1)]
NAMES = ["depthwise", "pointwise", "bias"]


def call(function, inputs, outputs, **attributes):
    return helper.make_node(function, inputs, outputs, domain="mine", **attributes)


def layer_function(name="Layer", imports=BOTH, **attributes):
    nodes = [separable("x", "h", **attributes), helper.make_node("Relu", ["h"], ["y"], name="act")]
    return helper.make_function("mine", name, ["x", *NAMES], ["y"], nodes, imports)


def nested_functions():
    """A function in functions, two of one name, called from a graph, from a branch, and from each other."""
    layer, other = layer_function(padding="same"), layer_function(padding="causal")
    other.overload = "causal"
    causal = call("Layer", ["x", *NAMES], ["a"])
    causal.overload = "causal"
    sum_of = helper.make_function(
        "mine", "Sum", ["x", *NAMES], ["y"],
        [causal, call("Layer", ["x", *NAMES], ["b"]), helper.make_node("Add", ["a", "b"], ["y"])],
        [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)], doc_string="calls both")
    then = helper.make_graph([call("Sum", ["x", *NAMES], ["t"])], "then", [], [value("t", ["N", L, F])])
    other_way = helper.make_graph([call("Layer", ["x", *NAMES], ["e"])], "else", [], [value("e", ["N", L, F])])
    nodes = [helper.make_node("If", ["p"], ["i"], then_branch=then, else_branch=other_way),
             call("Sum", ["x", *NAMES], ["s"]), helper.make_node("Add", ["i", "s"], ["y"])]
    graph = helper.make_graph(nodes, "nested_functions", [value("p", [], TensorProto.BOOL), X], [Y], weights())
    return model(graph, [layer, other, sum_of], imports=MINE, ir=10)


def branch_in_function():
    """The operator in both branches of an If in a function, one with a kernel of the branch's own, and in a dead node."""
    then = helper.make_graph([separable("x", "t")], "then", [], [value("t", ["N", L, F])])
    own = helper.make_node("SeparableConv1D", ["x", "own", "pointwise", "bias"], ["e"], name="own", domain="tapline",
                           padding="same")
    kernel = numpy_helper.from_array(rng.standard_normal((C, 1, K)).astype(np.float32), "own")
    other = helper.make_graph([own, separable("x", "nobody")], "else", [], [value("e", ["N", L, F])], [kernel])
    function = helper.make_function(
        "mine", "Either", ["p", "x", *NAMES], ["y"],
        [helper.make_node("If", ["p"], ["y"], then_branch=then, else_branch=other),
         separable("x", "no_one", name="dead")], BOTH)
    nodes = [call("Either", ["p", "x", *NAMES], ["a"]), helper.make_node("Not", ["p"], ["q"]),
             call("Either", ["q", "x", *NAMES], ["b"]), helper.make_node("Sub", ["a", "b"], ["y"])]
    graph = helper.make_graph(nodes, "branch_in_function", [value("p", [], TensorProto.BOOL), X], [Y], weights())
    return model(graph, [function], imports=MINE)


def lengths_and_slopes():
    """Calls that disagree in what does not matter: the length, and an attribute of another operator."""
    slope = helper.make_node("LeakyRelu", ["h"], ["y"])
    slope.attribute.append(helper.make_attribute_ref("alpha", onnx.AttributeProto.FLOAT, ref_attr_name="slope"))
    function = helper.make_function("mine", "Layer", ["x", *NAMES], ["y"], [separable("x", "h", padding="same"), slope],
                                    BOTH, attributes=["slope"])
    front = [indices("from", [0]), indices("to", [4]), indices("one", [1])]
    nodes = [call("Layer", ["x", *NAMES], ["a"], slope=0.5), helper.make_node("Slice", ["x", "from", "to", "one"], ["part"]),
             call("Layer", ["part", *NAMES], ["b"], slope=0.25), helper.make_node("Concat", ["a", "b"], ["y"], axis=1)]
    graph = helper.make_graph(nodes, "lengths_and_slopes", [X], [value("y", ["N", L + 4, F])], weights() + front)
    return model(graph, [function], imports=MINE)


def function_alone():
    """A function, and a model, without the standard's operators."""
    function = helper.make_function("mine", "Layer", ["x", *NAMES], ["y"], [separable("x", "y", activation="relu")],
                                    [helper.make_opsetid("tapline", 1)])
    graph = helper.make_graph([call("Layer", ["x", *NAMES], ["y"])], "function_alone", [X], [Y], weights())
    return model(graph, [function], imports=[("tapline", 1), ("mine", 1)])


def channels_disagree():
    """Calls that disagree in what Conv's group is; a function beside it, and one that calls it."""
    twice = helper.make_function("mine", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], BOTH[:1])
    outer = helper.make_function("mine", "Outer", ["x", *NAMES], ["y"], [call("Layer", ["x", *NAMES], ["y"])],
                                 [helper.make_opsetid("mine", 1)])
    narrow = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n)
              for n, s in (("n_depthwise", (1, 1, K)), ("n_pointwise", (F, 1, 1)))]
    one = [indices("from", [0]), indices("to", [1]), indices("last", [2])]
    nodes = [call("Outer", ["x", *NAMES], ["a"]), helper.make_node("Slice", ["x", "from", "to", "last"], ["part"]),
             call("Layer", ["part", "n_depthwise", "n_pointwise", "bias"], ["b"]),
             call("Twice", ["b"], ["c"]), helper.make_node("Add", ["a", "c"], ["y"])]
    graph = helper.make_graph(nodes, "channels_disagree", [X], [Y], weights() + narrow + one)
    return model(graph, [layer_function(), twice, outer], imports=MINE)


def padding_of_the_call():
    """The operator's own attribute comes from the call."""
    function = layer_function()
    function.attribute.append("how")
    (padding,) = (a for a in function.node[0].attribute if a.name == "padding")
    padding.CopyFrom(helper.make_attribute_ref("padding", onnx.AttributeProto.STRING, ref_attr_name="how"))
    nodes = [call("Layer", ["x", *NAMES], ["a"], how="same"), call("Layer", ["x", *NAMES], ["b"], how="causal"),
             helper.make_node("Add", ["a", "b"], ["y"])]
    graph = helper.make_graph(nodes, "padding_of_the_call", [X], [Y], weights())
    return model(graph, [function], imports=MINE)


def normalized_pair(name, inputs, own):
    """A function with a pair and a BatchNormalization; `own` are constants of its own."""
    nodes = [helper.make_node("Constant", [], [w.name], value=w) for w in own]
    nodes += [helper.make_node("Conv", ["x", "depthwise"], ["d"], group=C, pads=[K - 1, 0], name="d"),
              helper.make_node("Conv", ["d", "pointwise"], ["p"], name="p"),
              helper.make_node("BatchNormalization", ["p", "scale", "shift", "mean", "var"], ["n"], name="n"),
              helper.make_node("Relu", ["n"], ["y"], name="r")]
    return helper.make_function("mine", name, inputs, ["y"], nodes, [helper.make_opsetid("", 17)])


def norm(prefix=""):
    arrays = {"scale": 1 + rng.random(F), "shift": rng.standard_normal(F), "mean": rng.standard_normal(F),
              "var": 0.5 + rng.random(F)}
    return [numpy_helper.from_array(a.astype(np.float32), prefix + n) for n, a in arrays.items()]


def pair_with_constants():
    """Pairs whose kernels are constants of their function: what is folded into them is, too. Called twice, and nested."""
    own = weights()[:2] + norm()
    inner = normalized_pair("Pair", ["x"], own)
    outer = helper.make_function("mine", "Outer", ["x"], ["y"],
                                 [call("Pair", ["x"], ["h"]), helper.make_node("Neg", ["h"], ["y"])],
                                 [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)])
    nodes = [call("Pair", ["x"], ["a"]), call("Outer", ["x"], ["b"]), call("Outer", ["x"], ["c"]),
             helper.make_node("Sum", ["a", "b", "c"], ["y"])]
    graph = helper.make_graph(nodes, "pair_with_constants", [value("x", ["N", C, L])], [value("y", ["N", F, L])])
    return model(graph, [inner, outer], imports=[("", 17), ("mine", 1)])


def folded_by_the_call():
    """The kernels and what is to be folded into them come from the call, where they are constants."""
    own = weights()[:2] + norm()
    names = [w.name for w in own]
    nodes = [call("Pair", ["x", *names], ["y"], name="it")]
    graph = helper.make_graph(nodes, "folded_by_the_call", [value("x", ["N", C, L])], [value("y", ["N", F, L])], own)
    return model(graph, [normalized_pair("Pair", ["x", *names], [])], imports=[("", 17), ("mine", 1)])


def split_pair():
    """Each convolution in a function of its own, and one function that nothing is done with."""
    depthwise = helper.make_function(
        "mine", "Depthwise", ["x", "w"], ["y"], [helper.make_node("Conv", ["x", "w"], ["y"], group=C, pads=[K - 1, 0])],
        [helper.make_opsetid("", 17)])
    pointwise = helper.make_function("mine", "Pointwise", ["x", "w"], ["y"], [helper.make_node("Conv", ["x", "w"], ["y"])],
                                     [helper.make_opsetid("", 17)])
    twice = helper.make_function("mine", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])],
                                 [helper.make_opsetid("", 17)])
    nodes = [call("Twice", ["x"], ["x2"]), call("Depthwise", ["x2", "depthwise"], ["d"]),
             call("Pointwise", ["d", "pointwise"], ["y"])]
    graph = helper.make_graph(nodes, "split_pair", [value("x", ["N", C, L])], [value("y", ["N", F, L])], weights()[:2])
    return model(graph, [depthwise, pointwise, twice], imports=[("", 17), ("mine", 1)])


def behind_initializers():
    """Kernels behind a Transpose and a Reshape of initializers."""
    depthwise, pointwise = (numpy_helper.to_array(w) for w in weights()[:2])
    constants = [numpy_helper.from_array(depthwise.transpose(1, 2, 0).copy(), "k"),
                 numpy_helper.from_array(pointwise[:, :, 0].copy(), "w"), indices("shape", [F, C, 1])]
    nodes = [helper.make_node("Transpose", ["k"], ["depthwise"], perm=[2, 0, 1]),
             helper.make_node("Reshape", ["w", "shape"], ["pointwise"]),
             helper.make_node("Conv", ["x", "depthwise"], ["d"], group=C, pads=[K - 1, 0]),
             helper.make_node("Conv", ["d", "pointwise"], ["y"])]
    graph = helper.make_graph(nodes, "behind_initializers", [value("x", ["N", C, L])], [value("y", ["N", F, L])], constants)
    return model(graph, imports=[("", 17)])


def uncalled_circle():
    """Functions that nothing calls, which call each other, and one that imports nothing that it needs: no harm."""
    def calling(name, other):
        nodes = [separable("x", "h"), call(other, ["x", *NAMES], ["y"])]
        return helper.make_function("mine", name, ["x", *NAMES], ["y"], nodes, BOTH)

    what = helper.make_node("What", ["x"], ["y"], domain="where")
    lost = helper.make_function("mine", "Lost", ["x", *NAMES], ["y"], [what], [])
    graph = helper.make_graph([separable("x", "y")], "uncalled_circle", [X], [Y], weights())
    return model(graph, [calling("A", "B"), calling("B", "A"), lost], imports=MINE)


def calling_it(name):
    """The same, where one of these functions is called."""
    made = uncalled_circle()
    made.graph.node[0].CopyFrom(call(name, ["x", *NAMES], ["y"]))
    return made


def dead_and_uncalled():
    """The operator where nobody needs it: in a dead node, a dead If and a function that is not called."""
    unused = helper.make_function("mine", "Unused", ["x", "depthwise", "pointwise", "bias"], ["y"],
                                  [separable("x", "y")], [helper.make_opsetid("", 17), helper.make_opsetid("tapline", 1)])
    branch = helper.make_graph([separable("x", "deep")], "branch", [], [value("deep", ["N", L, F])])
    other = helper.make_graph([separable("x", "flat")], "other", [], [value("flat", ["N", L, F])])
    nodes = [separable("x", "nobody"), helper.make_node("If", ["yes"], ["no_one"], then_branch=branch, else_branch=other),
             helper.make_node("Neg", ["x"], ["y"])]
    constants = weights() + [numpy_helper.from_array(np.array(True), "yes")]
    return model(helper.make_graph(nodes, "dead_and_uncalled", [X], [value("y", ["N", L, C])], constants), [unused],
                 imports=[("", 17), ("tapline", 1), ("mine", 1)])


def unknown_channels():
    """Kernels that come as inputs of unknown size: there is no group to write."""
    shapes = {"depthwise": [None, 1, None], "pointwise": [F, None, 1], "bias": [F]}
    inputs = [value("x", ["N", "L", None])] + [value(n, s) for n, s in shapes.items()]
    return model(helper.make_graph([separable("x", "y")], "unknown_channels", inputs, [value("y", ["N", None, F])]))


def main(folder):
    yes, no = np.array(True), np.array(False)
    lower, fuse = os.path.join(folder, "lower"), os.path.join(folder, "fuse")
    write(lower, "everything", everything(), {"x": data()})
    write(lower, "branches_deep", branches(), {"p": yes, "q": yes, "x": data()})
    write(lower, "branches_else", branches(), {"p": no, "q": no, "x": data()})
    write(lower, "in_function", in_function(), {"x": data()})
    write(lower, "beside_function", beside_function(), {"x": data()})
    write(lower, "alone", alone(), {"x": data()})
    write(lower, "dead_and_uncalled", dead_and_uncalled(), {"x": data()})
    kernels = {w.name: numpy_helper.to_array(w) for w in weights()}
    write(os.path.join(folder, "refused"), "unknown_channels", unknown_channels(), {"x": data(), **kernels})
    write(fuse, "pair", pair(), {"x": data()})
    write(fuse, "pair_ir3", pair(ir=3), {"x": data()})
    write(fuse, "external", pair(), {"x": data()}, save_as_external_data=True, location="weights.bin", size_threshold=0)
    write(fuse, "behind_constants", behind_constants(), {"x": data()})
    write(fuse, "pair_in_loop", pair_in_loop(), {"x": data()})
    write(fuse, "pair_in_function", pair_in_function(), {"x": data((2, C, L))})
    write(lower, "nested_functions", nested_functions(), {"p": yes, "x": data()})
    write(lower, "branch_in_function", branch_in_function(), {"p": yes, "x": data()})
    write(lower, "lengths_and_slopes", lengths_and_slopes(), {"x": data()})
    write(lower, "function_alone", function_alone(), {"x": data()})
    write(lower, "channels_disagree", channels_disagree(), {"x": data()})
    write(lower, "padding_of_the_call", padding_of_the_call(), {"x": data()})
    write(os.path.join(folder, "hostile"), "uncalled_circle", uncalled_circle(), {"x": data()})
    write(fuse, "pair_with_constants", pair_with_constants(), {"x": data((2, C, L))})
    write(fuse, "folded_by_the_call", folded_by_the_call(), {"x": data((2, C, L))})
    write(fuse, "split_pair", split_pair(), {"x": data((2, C, L))})
    write(fuse, "behind_initializers", behind_initializers(), {"x": data((2, C, L))})
    for name, made in ("called_circle", calling_it("A")), ("missing_import", calling_it("Lost")):
        os.makedirs(os.path.join(folder, "refused", name), exist_ok=True)
        onnx.save(made, os.path.join(folder, "refused", name, "model.onnx"))


main(sys.argv[1])
