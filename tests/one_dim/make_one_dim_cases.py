"""Writes cases of operators along one axis for `tapline test`: many more than the standard's own suite has.

    make_one_dim_cases.py FOLDER

Inputs are random from fixed seeds. Expected outputs are those of references.py; where ONNX Runtime has the operator, it
must agree with them. Properties (a convolution of a sum is the sum of convolutions, and the like) are graphs that
compute one thing in two ways; the outputs are the difference, which must be zero.
"""

import shutil
import sys
from itertools import product

import numpy as np
import references
from properties import properties
from writer import BFLOAT, DOUBLE, FLOAT, HALF, Writer, random


def as_type(values, dtype):
    return [value.astype(dtype) for value in values]


def choose(values, k):
    return values[k % len(values)]


# ---- Convolutions


def conv(writer):
    shapes = ((3, 4, 1), (19, 19, 19), (4, 8, 4), (6, 4, 2), (20, 33, 1))  # channels, filters, groups
    kernels = ((1, 1, 1), (3, 1, 1), (3, 2, 1), (5, 1, 3), (2, 3, 2), (4, 2, 3))  # length, stride, dilation
    paddings = ("VALID", (0, 0), (2, 1), (0, 4), (5, 0), "SAME_UPPER", "SAME_LOWER")
    types = (FLOAT, FLOAT, DOUBLE, FLOAT, HALF, FLOAT, BFLOAT)
    for seed, ((channels, filters, group), (taps, stride, dilation), padding) in enumerate(product(shapes, kernels,
                                                                                                paddings)):
        dtype = choose(types, seed // 5)
        x = random(seed, 2, channels, 17 + seed * 7 % 83, dtype=dtype)
        w = random(seed + 1, filters, channels // group, taps, dtype=dtype)
        b = random(seed + 2, filters, dtype=dtype) if seed % 4 else None
        named = isinstance(padding, str)
        pads = padding
        if named:
            pads = (0, 0) if padding == "VALID" else references.same_pads(
                x.shape[2], dilation * (taps - 1) + 1, stride, padding == "SAME_UPPER")
        y = references.conv(x, w, b, stride, dilation, pads, group)
        attributes = {"auto_pad": padding} if named else {"pads": padding}
        ort = None
        if dilation > 1 and str(padding).startswith("SAME"):
            ort = "ONNX Runtime has no dilations with SAME"
        writer.node("Conv", [x, w, b], as_type([y], dtype), 22 if dtype == BFLOAT else choose((6, 9, 11, 17, 22), seed),
                    constants=(1, 2) if seed % 2 else (), ort=ort,
                    strides=[stride], dilations=[dilation], group=group, **attributes)


def conv_transpose(writer):
    shapes = ((3, 2, 1), (4, 1, 4), (6, 2, 2))  # channels, filters of a group, groups
    kernels = ((1, 1, 1), (3, 1, 2), (4, 2, 1), (3, 3, 2), (2, 5, 1))
    for seed, ((channels, filters, group), (taps, stride, dilation), padding) in enumerate(product(
            shapes, kernels, ((0, 0), (1, 2), "output_shape", "SAME_UPPER", "SAME_LOWER"))):
        dtype = choose((FLOAT, FLOAT, FLOAT, DOUBLE, HALF), seed // 3)
        x = random(seed, 2, channels, 7 + seed % 9, dtype=dtype)
        w = random(seed + 1, channels, filters, taps, dtype=dtype)
        b = random(seed + 2, filters * group, dtype=dtype) if seed % 3 else None
        extra = seed % min(stride, 3)
        attributes = {"strides": [stride], "dilations": [dilation], "group": group, "output_padding": [extra]}
        whole = stride * (x.shape[2] - 1) + dilation * (taps - 1) + 1 + extra
        if isinstance(padding, tuple):
            pads = padding
            if whole <= sum(pads):
                continue
            attributes["pads"] = pads
        else:
            wanted = whole - 3 if padding == "output_shape" else stride * x.shape[2]
            total = whole - wanted
            if total < 0:  # what the standard has no rule for
                continue
            less, more = total // 2, total - total // 2
            pads = (less, more) if padding == "SAME_UPPER" else (more, less)
            if padding == "output_shape":
                attributes["output_shape"] = [wanted]
                if seed % 2:
                    attributes["auto_pad"], pads = "SAME_UPPER", (less, more)
            else:
                attributes["auto_pad"] = padding
        y = references.conv_transpose(x, w, b, stride, dilation, pads, group, extra)
        writer.node("ConvTranspose", [x, w, b], as_type([y], dtype), choose((6, 9, 11, 17, 22), seed),
                    constants=(1, 2) if seed % 2 else (), **attributes)


def causal_conv(writer):
    for seed, (taps, length, activation) in enumerate(product((1, 2, 4, 7), (1, 5, 24), ("none", "silu", "swish"))):
        dtype = choose((FLOAT, FLOAT, DOUBLE, HALF, BFLOAT), seed)
        x, w = random(seed, 2, 5, length, dtype=dtype), random(seed + 1, 5, 1, taps, dtype=dtype)
        b = random(seed + 2, 5, dtype=dtype) if seed % 4 else None
        past = random(seed + 3, 2, 5, taps - 1, dtype=dtype) if seed % 3 else None
        writer.node("CausalConvWithState", [x, w, b, past],
                    as_type(references.causal_conv(x, w, b, past, activation), dtype), 27 + seed % 2,
                    constants=(1, 2) if seed % 2 else (), ort="ONNX Runtime has no such operator",
                    activation=activation)


# ---- Pools


def pools(writer):
    kernels = ((1, 1, 1), (3, 2, 1), (2, 3, 1), (3, 1, 2), (4, 3, 2))  # length, stride, dilation
    paddings = ((0, 0), (1, 0), (0, 2), (2, 1), "SAME_UPPER", "SAME_LOWER")
    for seed, (kind, (kernel, stride, dilation), padding, ceil_mode) in enumerate(product(
            ("Max", "Average", "Lp"), kernels, paddings, (0, 1))):
        named = isinstance(padding, str)
        if not named and max(padding) >= kernel or named and ceil_mode:
            continue
        dtype = choose((FLOAT, FLOAT, FLOAT, DOUBLE, HALF), seed // 2)
        x = random(seed, 2, 3, 14 + seed * 5 % 59, dtype=dtype)
        pads = references.same_pads(x.shape[2], dilation * (kernel - 1) + 1, stride,
                                    padding == "SAME_UPPER") if named else padding
        attributes = {"kernel_shape": [kernel], "strides": [stride]}
        attributes |= {"auto_pad": padding} if named else {"pads": padding}
        opset = choose((9, 10, 12, 22), seed) if kind == "Max" else choose((7, 10, 11, 19, 22), seed)
        if ceil_mode or dilation > 1:
            opset = choose({"Max": (10, 12, 22), "Average": (19, 22), "Lp": (18, 22)}[kind], seed)
            attributes |= {"ceil_mode": ceil_mode, "dilations": [dilation]}
        options = {}
        if kind == "Average":
            options["count_include_pad"] = attributes["count_include_pad"] = seed // 3 % 2
        if kind == "Lp":
            options["p"] = attributes["p"] = 1 + seed // 2 % 3
        y = references.pool(kind, x, kernel, stride, dilation, pads, ceil_mode, **options)
        expected = [y[0].astype(dtype), *y[1:seed % 3]]
        ort = None
        if named and (dilation > 1 or kernel < stride):
            ort = "ONNX Runtime takes SAME for the kernel without dilations, and not for strides beyond it"
        writer.node(f"{kind}Pool", [x], expected, opset, ort=ort, **attributes)


# ---- Pad and Resize


def pad(writer):
    longer = ((0, 0), (0, 0), (13, 29))  # than the axis
    paddings = (((0, 0), (0, 0), (2, 3)), ((1, 0), (0, 1), (0, 4)), ((0, 0), (0, 0), (-2, 3)),
                ((0, 0), (1, 1), (1, -3)), ((0, 0), (-1, 0), (-1, -2)), longer)
    for seed, (mode, pads, form) in enumerate(product(("constant", "reflect", "edge", "wrap"), paddings,
                                                      ("attributes", "inputs", "axes"))):
        if form == "attributes" and mode == "wrap":
            continue
        types = (FLOAT, DOUBLE, np.int32, HALF, np.uint8, np.int64, bool)
        dtype = FLOAT if form == "attributes" else choose(types, seed)
        x = (10 * random(seed, 3, 4, 9 + seed % 5)).astype(dtype)
        value = np.array(choose((3, 0, 1), seed), dtype) if mode == "constant" and seed % 4 else None
        axes = [axis for axis, pair in enumerate(pads) if pair != (0, 0)] if form == "axes" else range(3)
        flat = [pads[axis][side] for side in (0, 1) for axis in axes]
        attributes = {} if mode == "constant" and seed % 2 else {"mode": mode}
        inputs = [x]
        if form == "attributes":
            opset = choose((6, 8, 10), seed)
            attributes |= {"pads": flat} | ({} if value is None else {"value": float(value)})
        else:
            inputs += [np.array(flat), value]
            opset = choose((19, 23, 25), seed) if mode == "wrap" else choose((18, 21), seed)
            if form == "axes":
                kind = choose((np.int32, np.int64), seed // 2)
                inputs.append(np.array([axis - 3 * (seed % 2) for axis in axes], kind))
            elif mode != "wrap":
                opset = choose((11, 13, 24), seed)
        y = references.pad(x, pads, mode, 0 if value is None else value)
        ort = None
        if len(inputs) > 3 and inputs[3].dtype == np.int32:
            ort = "ONNX Runtime takes axes of int64 only"
        elif mode == "reflect" and pads == longer:
            ort = "ONNX Runtime reflects once only"
        writer.node("Pad", inputs, [y], opset, ort=ort, constants=(1, 2, 3) if seed % 3 else (), **attributes)


def resize(writer):
    transforms = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric",
                  "tf_crop_and_resize")
    modes = [("nearest", {"nearest": nearest}) for nearest in references.NEAREST]
    modes += [("linear", {}), ("linear", {"exclude_outside": 1}), ("linear", {"antialias": 1, "exclude_outside": 1}),
              ("cubic", {}), ("cubic", {"a": -0.5, "exclude_outside": 1})]
    for seed, ((mode, options), transform, scale) in enumerate(product(modes, transforms, (0.57, 2.31))):
        if options.get("antialias") and transform == "tf_crop_and_resize":
            continue
        x = random(seed, 3, 11 + seed % 6) if mode == "cubic" else random(seed, 2, 3, 11 + seed % 6)
        length = x.shape[-1]
        begin, end = (0.25, 0.85) if transform == "tf_crop_and_resize" else (0, 1)
        resized = int(length * scale)
        by_size = seed % 3 == 0
        if by_size:
            scale = resized / length
        else:
            scale = float(FLOAT(scale))
        opset = choose((19, 23), seed)
        if transform != "half_pixel_symmetric" and "antialias" not in options:
            opset = choose((11, 13, 18, 19, 23), seed // 2)
        named = opset >= 18 and seed % 2 == 1
        outer = 0 if named else x.ndim - 1
        roi = np.array([0] * outer + [begin] + [1] * outer + [end], FLOAT)
        sizes = np.array([*x.shape[:outer], resized])
        scales = np.array([1] * outer + [scale], FLOAT)
        attributes = {"mode": mode, "coordinate_transformation_mode": transform}
        attributes |= {{"nearest": "nearest_mode", "a": "cubic_coeff_a"}.get(key, key): value
                       for key, value in options.items()}
        if named:
            attributes["axes"] = [choose((-1, x.ndim - 1), seed // 2)]
        if transform == "tf_crop_and_resize":
            options = options | {"roi": (begin, end), "extrapolation": 0.5}
            attributes["extrapolation_value"] = 0.5
        y = references.resize(x.astype(DOUBLE), scale, resized, mode, transform, **options)
        inputs = [x, roi if transform == "tf_crop_and_resize" or opset < 13 else None]
        inputs += [np.zeros(0, FLOAT) if opset < 13 else None, sizes] if by_size else [scales]
        ort = None
        if mode == "linear" and options.get("exclude_outside") and not options.get("antialias"):
            ort = "ONNX Runtime excludes the outside from cubic only"
        elif transform in ("align_corners", "tf_crop_and_resize") and not by_size:
            ort = "ONNX Runtime has the resized length rounded"
        writer.node("Resize", inputs, as_type([y], FLOAT), opset, constants=(1, 2, 3) if seed % 4 else (), ort=ort,
                    **attributes)
    for mode, scale in product(("nearest", "linear"), (2, 3)):  # as it was first: asymmetric, and nearest is the floor
        x = random(scale, 2, 3, 7)
        y = references.resize(x.astype(DOUBLE), scale, 7 * scale, mode, "asymmetric", "floor")
        writer.node("Resize", [x, np.array([1, 1, scale], FLOAT)], as_type([y], FLOAT), 10, constants=(1,), mode=mode)


# ---- Recurrent networks and STFT


def recurrent(writer):
    variants = ("plain", "bias", "lengths", "states", "activations", "clip", "gates", "all")
    for seed, (kind, direction, layout, variant) in enumerate(product(
            references.GATES, ("forward", "reverse", "bidirectional"), (0, 1), variants)):
        if variant == "gates" and kind == "RNN":
            continue
        dtype = choose((FLOAT, FLOAT, FLOAT, FLOAT, DOUBLE, FLOAT, HALF), seed)
        directions = 2 if direction == "bidirectional" else 1
        time, batch, width, size = 5 + seed % 4, 3, 4, choose((3, 8, 17), seed // 2)
        rows = references.GATES[kind] * size
        x = random(seed, time, batch, width, dtype=dtype)
        w = random(seed + 1, directions, rows, width, dtype=dtype)
        r = random(seed + 2, directions, rows, size, dtype=dtype)
        everything = variant == "all"
        names = ("b", "lengths", "h0", "c0", "p")
        values = dict.fromkeys(names)
        if variant != "plain":
            values["b"] = random(seed + 3, directions, 2 * rows, dtype=dtype)
        if variant == "lengths" or everything:
            values["lengths"] = np.array([time - 2, time, 1], np.int32)
        if variant == "states" or everything:
            values["h0"] = random(seed + 4, directions, batch, size, dtype=dtype)
        options, attributes = {}, {}
        if variant == "activations":
            per = ("Softsign", "Relu", "Elu")[:len(references.DEFAULTS[kind])]
            options["activations"] = list(per if directions == 1 else per + references.DEFAULTS[kind])
        if variant == "clip" or everything:
            options["clip"] = 0.5
        if kind == "GRU" and (variant == "gates" or everything):
            options["linear_before_reset"] = 1
        if kind == "LSTM" and (variant == "states" or everything):
            values["c0"] = random(seed + 5, directions, batch, size, dtype=dtype)
        if kind == "LSTM" and (variant in ("clip", "lengths") or everything):
            values["p"] = random(seed + 6, directions, 3 * size, dtype=dtype)
        if kind == "LSTM" and variant == "gates":
            options["input_forget"] = 1
        expected = as_type(references.recurrent(kind, x, w, r, direction=direction, **values, **options), dtype)
        if layout:
            attributes["layout"] = 1
            x = x.swapaxes(0, 1)
            expected = [expected[0].transpose(2, 0, 1, 3), *(y.swapaxes(0, 1) for y in expected[1:])]
            values |= {key: values[key].swapaxes(0, 1) for key in ("h0", "c0") if values[key] is not None}
        inputs = [x, w, r, *(values[key] for key in (names if kind == "LSTM" else names[:3]))]
        ort = None
        if layout:
            ort = "ONNX Runtime has no layout 1"
        elif kind == "LSTM" and "clip" in options:
            ort = "ONNX Runtime does not clip the cell before its activation"
        elif kind != "RNN" and dtype == DOUBLE:
            ort = "ONNX Runtime has no kernel, and says so only when it runs"
        writer.node(kind, [None if v is None else np.ascontiguousarray(v) for v in inputs],
                    [np.ascontiguousarray(y) for y in expected], choose((14, 22), seed) if layout else choose(
                        (7, 11, 14, 22), seed // 2), constants=(1, 2, 3) if seed % 3 else (), ort=ort,
                    direction=direction, hidden_size=size, **options, **attributes)


def stft(writer):
    for seed, (size, hop, parts, windowed) in enumerate(product((1, 8, 15, 17, 30, 64), (1, 7, 20), (1, 2), (0, 1))):
        dtype = choose((FLOAT, FLOAT, DOUBLE), seed)
        signal = random(seed, 2, 64 + seed, parts, dtype=dtype)
        window = random(seed + 1, size, dtype=dtype) if windowed else None
        onesided = int(parts == 1 and seed % 4 < 3)
        y = references.stft(signal, hop, np.ones(size) if window is None else window, onesided)
        length = None if windowed and seed % 8 > 3 else np.array(size, choose((np.int64, np.int32), seed // 3))
        step = np.array(hop, np.int64 if length is None else length.dtype)
        writer.node("STFT", [signal, step, window, length], as_type([y], dtype), choose((17, 20, 25), seed),
                    constants=(1, 2, 3) if seed % 3 else (1, 3), onesided=onesided)


def main():
    writer = Writer(sys.argv[1])
    shutil.rmtree(writer.folder, ignore_errors=True)
    for cases in (conv, conv_transpose, causal_conv, pools, pad, resize, recurrent, stft, properties):
        cases(writer)
    print(f"{sum(writer.counts.values())} cases, {writer.answered} of them answered by ONNX Runtime too:",
          ", ".join(f"{name} {count}" for name, count in writer.counts.items()))
    print(*writer.errors, sep="\n", file=sys.stderr)
    return 1 if writer.errors else 0


if __name__ == "__main__":
    sys.exit(main())
