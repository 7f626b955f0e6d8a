"""Properties of operators along one axis: graphs that compute one thing in two ways, a and b."""

from itertools import product

import numpy as np
import references
from writer import random

NO_OPERATOR = "ONNX Runtime has no such operator"
NOT_EXACT = "ONNX Runtime's results depend on the batch"
NO_LAYOUT = "ONNX Runtime has no layout 1"
# Constants of the graphs below.
NUMBERS = {f"n{k}": np.array([k]) for k in range(8)}


def rows(name, count, axis=0):
    """Nodes that cut `name` into name_0, name_1... along an axis."""
    return "".join(f"{name}_{k} = Slice({name}, n{k}, n{k + 1}, n{axis}) " for k in range(count))


def single_runs(writer, name, call, values, batched, count=3, axis=0, result=None, **options):
    """A batch gives what its rows give one by one, bit for bit. `call` has {x} for each input in `batched`."""
    result = axis if result is None else result
    whole = {key: key for key in batched}
    text = "".join(rows(key, count, axis) for key in batched)
    text += "a = " + call.format(**whole) + " "
    for k in range(count):
        text += f"y_{k} = " + call.format(**{key: f"{key}_{k}" for key in batched}) + " "
    text += f"b = Concat<axis = {result}>(" + ", ".join(f"y_{k}" for k in range(count)) + ") "
    writer.equal(f"{name}_single_runs", text, NUMBERS | values, exact=True, **options)


def conv(writer):
    kinds = ((3, 5, 1, 3, 1), (6, 6, 6, 3, 4), (8, 4, 2, 5, 2), (24, 40, 1, 1, 1), (33, 33, 33, 7, 1))
    for seed, (channels, filters, group, taps, dilation) in enumerate(kinds):
        reach = dilation * (taps - 1)
        values = NUMBERS | {"x": random(seed, 3, channels, 71), "z": random(seed + 1, 3, channels, 71),
                            "front": random(seed + 2, 3, channels, 5), "w": random(seed + 3, filters, channels // group,
                                                                                   taps),
                            "v": random(seed + 4, filters, channels // group, taps),
                            "bias": random(seed + 5, filters), "far": np.array([1000])}
        settings = f"dilations = [{dilation}], group = {group}"
        call, kind = f"Conv<{settings}>", f"Conv_{seed}"
        writer.equal(f"{kind}_shift", f"a = {call}(x, w, bias) longer = Concat<axis = 2>(front, x) "
                     f"y = {call}(longer, w, bias) b = Slice(y, n5, far, n2) ", values)
        writer.equal(f"{kind}_linear_in_x", f"sum = Add(x, z) a = {call}(sum, w) yx = {call}(x, w) yz = {call}(z, w) "
                     "b = Add(yx, yz) ", values)
        writer.equal(f"{kind}_linear_in_w", f"sum = Add(w, v) a = {call}(x, sum) yw = {call}(x, w) yv = {call}(x, v) "
                     "b = Add(yw, yv) ", values)
        causal = f"Conv<{settings}, pads = [{reach}, 0]>"
        writer.equal(f"{kind}_causal", "past = Slice(x, n0, n7, n2) future = Slice(z, n7, far, n2) "
                     f"mixed = Concat<axis = 2>(past, future) ya = {causal}(x, w) yb = {causal}(mixed, w) "
                     "a = Slice(ya, n0, n7, n2) b = Slice(yb, n0, n7, n2) ", values)
        writer.equal(f"{kind}_stride", f"a = Conv<{settings}, strides = [3], pads = [2, 1]>(x, w) "
                     f"y = Conv<{settings}, pads = [2, 1]>(x, w) b = Slice(y, n0, far, n2, n3) ", values)
        single_runs(writer, kind, f"{call}({{x}}, w, bias)", values, ["x"])
        # The transposed convolution is the adjoint: <conv(x), g> = <x, conv_transpose(g)>. The length is one that the
        # strides end on.
        inner = {"u": random(seed, 2, channels, 4 * 9 + reach + 1), "g": random(seed + 6, 2, filters, 10)}
        strided = f"{settings}, strides = [4]"
        writer.equal(f"{kind}_adjoint", f"y = Conv<{strided}>(u, w) yg = Mul(y, g) yp = Mul(yg, part) "
                     f"t = ConvTranspose<{strided}>(g, w) ut = Mul(u, t) up = Mul(ut, part) "
                     "a = ReduceSum(yp) b = ReduceSum(up) ",
                     values | inner | {"part": np.float32([1 / np.sqrt(filters)])})
        transposed = values | {"w": random(seed + 3, channels, filters // group, taps)}
        single_runs(writer, f"ConvTranspose_{seed}", f"ConvTranspose<{strided}>({{x}}, w, bias)", transposed, ["x"])
        writer.equal(f"ConvTranspose_{seed}_linear", f"sum = Add(x, z) a = ConvTranspose<{strided}>(sum, w) "
                     f"yx = ConvTranspose<{strided}>(x, w) yz = ConvTranspose<{strided}>(z, w) b = Add(yx, yz) ",
                     transposed)


def causal_conv(writer):
    values = NUMBERS | {"x": random(1, 3, 6, 40), "w": random(2, 6, 1, 5), "bias": random(3, 6),
                        "past": random(4, 3, 6, 4), "end": np.array([40])}
    options = {"opset": 27, "ort": NO_OPERATOR}
    call = 'CausalConvWithState<activation = "silu">'
    for name, at in (("even", 7), ("short", 2)):  # the second run sees less than the state holds
        halves = f"x0 = Slice(x, n0, n{at}, n2) x1 = Slice(x, n{at}, end, n2) y0, s0 = {call}(x0, w, bias, past) " \
                 f"y1, s1 = {call}(x1, w, bias, s0) y, s = {call}(x, w, bias, past) "
        writer.equal(f"CausalConv_{name}_two_runs", halves + "a = Identity(y) b = Concat<axis = 2>(y0, y1) ", values,
                     **options)
        writer.equal(f"CausalConv_{name}_two_states", halves + "a = Identity(s) b = Identity(s1) ", values, **options)
    writer.equal("CausalConv_is_conv", "a, s = CausalConvWithState(x, w, bias) "
                 "b = Conv<group = 6, pads = [4, 0]>(x, w, bias) ", values, **options)
    single_runs(writer, "CausalConv", f"{call}({{x}}, w, bias, {{past}})", values, ["x", "past"], **options)


def pools(writer):
    values = NUMBERS | {"x": random(1, 3, 4, 50), "z": random(2, 3, 4, 50), "two": np.float32([2]),
                        "five": np.float32([5]), "mean": np.full((4, 1, 5), 0.2, np.float32), "flat": np.array([-1])}
    settings = "kernel_shape = [5], strides = [2], pads = [3, 1], ceil_mode = 1"
    for kind in ("Max", "Average"):
        for dilation in (1, 3):
            call = f"{kind}Pool<{settings}, dilations = [{dilation}]>"
            writer.equal(f"{kind}Pool_{dilation}_shift", f"xs = Add(x, two) a = {call}(xs) y = {call}(x) "
                         "b = Add(y, two) ", values, opset=22)
            writer.equal(f"{kind}Pool_{dilation}_monotone", f"above = Max(x, z) ya = {call}(above) y = {call}(x) "
                         "a = Max(ya, y) b = Identity(ya) ", values, opset=22)
            single_runs(writer, f"{kind}Pool_{dilation}", call + "({x})", values, ["x"], opset=22)
    call = f"LpPool<{settings}, p = 3>"
    single_runs(writer, "LpPool", call + "({x})", values, ["x"], opset=18)
    writer.equal("LpPool_scale", f"xs = Mul(x, two) a = {call}(xs) y = {call}(x) b = Mul(y, two) ", values, opset=18)
    writer.equal("LpPool_is_average", "u = Abs(x) a = LpPool<kernel_shape = [5], pads = [2, 1], p = 1>(x) "
                 "y = AveragePool<kernel_shape = [5], pads = [2, 1], count_include_pad = 1>(u) b = Mul(y, five) ",
                 values)
    writer.equal("AveragePool_is_conv", "b = Conv<pads = [3, 1], strides = [2], group = 4>(x, mean) a = AveragePool<"
                 "kernel_shape = [5], strides = [2], pads = [3, 1], count_include_pad = 1>(x) ", values)
    writer.equal("MaxPool_indices", f"a, i = MaxPool<{settings}>(x) line = Reshape(x, flat) b = Gather(line, i) ",
                 values, exact=True)
    writer.equal("MaxPool_twice", "y = MaxPool<kernel_shape = [3]>(x) a = MaxPool<kernel_shape = [3]>(y) "
                 "b = MaxPool<kernel_shape = [5]>(x) ", values, exact=True)


def pad_and_resize(writer):
    values = NUMBERS | {"x": random(1, 3, 4, 30), "grow": np.array([0, 0, 3, 0, 0, 5]),
                        "cut": np.array([0, 0, -3, 0, 0, -5]), "first": np.array([0, 0, 1, 0, 0, 5]),
                        "then": np.array([0, 0, 2, 0, 0, 0]), "line": np.array([30]),
                        "once": np.float32([1]), "twice": np.float32([2]), "half": np.float32([0.5])}
    for mode in ("constant", "reflect", "edge", "wrap"):
        call = f'Pad<mode = "{mode}">'
        writer.equal(f"Pad_{mode}_crop", f"y = {call}(x, grow) a = {call}(y, cut) b = Identity(x) ", values, 19,
                     exact=True)
        single_runs(writer, f"Pad_{mode}", f"{call}({{x}}, grow)", values, ["x"], opset=19)
        if mode in ("constant", "edge"):
            writer.equal(f"Pad_{mode}_twice", f"a = {call}(x, grow) y = {call}(x, first) b = {call}(y, then) ", values,
                         19, exact=True)
    for mode, transform in product(("nearest", "linear"), ("half_pixel", "pytorch_half_pixel", "asymmetric",
                                                          "align_corners", "half_pixel_symmetric")):
        call = f'Resize<axes = [2], mode = "{mode}", coordinate_transformation_mode = "{transform}">'
        name = f"Resize_{mode}_{transform}"
        writer.equal(f"{name}_by_1", f"a = {call}(x, , once) b = Identity(x) ", values, 19, exact=True)
        writer.equal(f"{name}_to_same", f"a = {call}(x, , , line) b = Identity(x) ", values, 19, exact=True)
        single_runs(writer, name, f"{call}({{x}}, , twice)", values, ["x"], opset=19,
                    ort=NOT_EXACT if mode == "linear" else None)
    floor = ('Resize<axes = [2], mode = "nearest", nearest_mode = "floor", '
             'coordinate_transformation_mode = "asymmetric">')
    writer.equal("Resize_up_and_down", f"y = {floor}(x, , twice) a = {floor}(y, , half) b = Identity(x) ", values, 19,
                 exact=True)


def recurrent(writer):
    time, width, size = 8, 4, 9
    for seed, kind in enumerate(references.GATES):
        gates = references.GATES[kind] * size
        values = NUMBERS | {"x": random(seed, time, 3, width), "w": random(1, 2, gates, width),
                            "r": random(2, 2, gates, size), "bias": random(3, 2, 2 * gates), "h": random(4, 2, 3, size),
                            "c": random(5, 2, 3, size), "short": np.int32([5, 5, 5]), "full": np.int32([8, 8, 8]),
                            "back": np.array([-1]), "least": np.array([-100]), "time": np.array([time])}
        states = ", {h}, {c}" if kind == "LSTM" else ", {h}"
        two = "w0 = Slice(w, n0, n1, n0) w1 = Slice(w, n1, n2, n0) r0 = Slice(r, n0, n1, n0) " \
              "r1 = Slice(r, n1, n2, n0) bias0 = Slice(bias, n0, n1, n0) bias1 = Slice(bias, n1, n2, n0) " \
              "h0 = Slice(h, n0, n1, n0) h1 = Slice(h, n1, n2, n0) c0 = Slice(c, n0, n1, n0) c1 = Slice(c, n1, n2, n0) "

        def call(direction="forward", extra="", kind=kind):
            return f'{kind}<hidden_size = {size}, direction = "{direction}"{extra}>'

        one = "w0, r0, bias0"
        ends = ("ha, ca", "hb, cb") if kind == "LSTM" else ("ha", "hb")
        halves = two + f"x0 = Slice(x, n0, n3, n0) x1 = Slice(x, n3, time, n0) y0, {ends[0]} = {call()}(x0, {one}, " \
            + states.format(h="h0", c="c0") + f") y1, {ends[1]} = {call()}(x1, {one}, " \
            + states.format(h="ha", c="ca") + f") y, yh = {call()}(x, {one}, " + states.format(h="h0", c="c0") + ") "
        writer.equal(f"{kind}_two_runs", halves + "a = Identity(y) b = Concat<axis = 0>(y0, y1) ", values, rank=4)
        writer.equal(f"{kind}_two_states", halves + "a = Identity(yh) b = Identity(hb) ", values)
        turned = "turned = Slice(x, back, least, n0, back) "
        writer.equal(f"{kind}_reverse", two + turned + f"a = {call('reverse')}(x, {one}) y = {call()}(turned, {one}) "
                     "b = Slice(y, back, least, n0, back) ", values, rank=4)
        both = two + f"a, ya = {call('bidirectional')}(x, w, r, bias, " + states.format(h="h", c="c") \
            + f") f, yf = {call()}(x, {one}, " + states.format(h="h0", c="c0") \
            + f") g, yg = {call('reverse')}(x, w1, r1, bias1, " + states.format(h="h1", c="c1") + ") "
        writer.equal(f"{kind}_bidirectional", both + "b = Concat<axis = 1>(f, g) ", values, rank=4)
        for direction in ("forward", "reverse", "bidirectional"):
            weights = "w, r, bias" if direction == "bidirectional" else one
            state = states.format(h="h", c="c") if direction == "bidirectional" else states.format(h="h0", c="c0")
            writer.equal(f"{kind}_{direction}_lengths", two + f"ya, a = {call(direction)}(x, {weights}, short{state}) "
                         f"x0 = Slice(x, n0, n5, n0) yb, b = {call(direction)}(x0, {weights}, {state}) ", values)
            writer.equal(f"{kind}_{direction}_full_lengths", two + f"a = {call(direction)}(x, {weights}, full) "
                         f"b = {call(direction)}(x, {weights}) ", values, rank=4)
            writer.equal(f"{kind}_{direction}_layout", two + "xt = Transpose<perm = [1, 0, 2]>(x) "
                         f"y = {call(direction, ', layout = 1')}(xt, {weights}) b = Transpose<perm = [1, 2, 0, 3]>(y) "
                         f"a = {call(direction)}(x, {weights}) ", values, rank=4, ort=NO_LAYOUT)
        single_runs(writer, kind, f"{call('bidirectional')}({{x}}, w, r, bias)", values, ["x"], axis=1, result=2,
                    rank=4, ort=NOT_EXACT)


def stft(writer):
    for seed, size in enumerate((8, 15, 32)):
        values = NUMBERS | {"x": random(seed, 3, 4 * size, 1), "z": random(seed + 1, 3, 4 * size, 1),
                            "window": random(seed + 2, size), "hop": np.array(size), "step": np.array(3),
                            "size": np.array(size), "bins": np.array([size // 2 + 1]),
                            "frames": np.array([3, 4, size, 1]), "part": np.float32([1 / size])}
        # Of a rectangular window Parseval's theorem: the spectrum's energy is the frame's times the size.
        writer.equal(f"STFT_{size}_energy", "y = STFT<onesided = 0>(x, hop, , size) yy = Mul(y, y) "
                     "total = ReduceSum<keepdims = 0>(yy, axes) a = Mul(total, part) framed = Reshape(x, frames) "
                     "ff = Mul(framed, framed) b = ReduceSum<keepdims = 0>(ff, axes) ",
                     values | {"axes": np.array([2, 3])}, rank=2)
        writer.equal(f"STFT_{size}_linear", "sum = Add(x, z) a = STFT(sum, step, window) yx = STFT(x, step, window) "
                     "yz = STFT(z, step, window) b = Add(yx, yz) ", values, rank=4)
        writer.equal(f"STFT_{size}_onesided", "a = STFT(x, step, window) y = STFT<onesided = 0>(x, step, window) "
                     "b = Slice(y, n0, bins, n2) ", values, rank=4)
        single_runs(writer, f"STFT_{size}", "STFT({x}, step, window)", values, ["x"], rank=4)


def properties(writer):
    for cases in (conv, causal_conv, pools, pad_and_resize, recurrent, stft):
        cases(writer)
