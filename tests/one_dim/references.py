"""What operators compute along one axis, as the standard's text defines it: plain loops in double precision.

Strides, dilations and kernel lengths are single numbers, pads are (begin, end), recurrent values have layout 0.
"""

import math

import numpy as np

# ---- Convolutions


def same_pads(length, extent, stride, upper):
    """The pads of auto_pad SAME_UPPER or SAME_LOWER for a kernel that spans `extent` elements."""
    total = max(0, (-(-length // stride) - 1) * stride + extent - length)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def conv(x, w, b=None, stride=1, dilation=1, pads=(0, 0), group=1):
    x = np.pad(x.astype(float), ((0, 0), (0, 0), pads))
    filters, channels, taps = w.shape
    length = (x.shape[2] - dilation * (taps - 1) - 1) // stride + 1
    y = np.zeros((x.shape[0], filters, length))
    for m in range(filters):
        first = m // (filters // group) * channels
        for c in range(channels):
            for k in range(taps):
                y[:, m] += x[:, first + c, k * dilation:][:, :(length - 1) * stride + 1:stride] * float(w[m, c, k])
    return y if b is None else y + b.astype(float)[:, None]


def conv_transpose(x, w, b=None, stride=1, dilation=1, pads=(0, 0), group=1, output_padding=0):
    batch, channels, length = x.shape
    _, filters, taps = w.shape
    y = np.zeros((batch, filters * group, stride * (length - 1) + dilation * (taps - 1) + 1 + output_padding))
    for c in range(channels):
        first = c // (channels // group) * filters
        for t in range(length):
            for k in range(taps):
                y[:, first:first + filters, t * stride + k * dilation] += np.outer(x[:, c, t], w[c, :, k].astype(float))
    y = y[:, :, pads[0]:y.shape[2] - pads[1]]
    return y if b is None else y + b.astype(float)[:, None]


def causal_conv(x, w, b=None, past=None, activation="none"):
    """The output and the state after it."""
    batch, channels, length = x.shape
    taps = w.shape[2]
    past = np.zeros((batch, channels, taps - 1)) if past is None else past.astype(float)
    line = np.concatenate([past, x.astype(float)], axis=2)
    y = np.zeros(x.shape)
    for t in range(length):
        for k in range(taps):
            y[:, :, t] += line[:, :, t + k] * w[:, 0, k]
    y = y if b is None else y + b.astype(float)[:, None]
    return y if activation == "none" else y / (1 + np.exp(-y)), line[:, :, length:]


# ---- Pools


def pool(kind, x, kernel, stride=1, dilation=1, pads=(0, 0), ceil_mode=0, count_include_pad=0, p=2):
    """The pooled values; of Max also the indices."""
    batch, channels, length = x.shape
    steps = (length + sum(pads) - dilation * (kernel - 1) - 1) / stride
    count = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
    if (count - 1) * stride >= length + pads[0]:  # it would start in the pad behind
        count -= 1
    y, indices = np.zeros((batch, channels, count)), np.zeros((batch, channels, count), np.int64)
    for n in range(batch):
        for c in range(channels):
            for t in range(count):
                places = [t * stride - pads[0] + k * dilation for k in range(kernel)]
                inside = [place for place in places if 0 <= place < length]
                values = [float(x[n, c, place]) for place in inside]
                if kind == "Max":
                    y[n, c, t] = max(values)
                    indices[n, c, t] = (n * channels + c) * length + inside[values.index(max(values))]
                elif kind == "Average":
                    padded = [place for place in places if place < length + pads[1]]
                    y[n, c, t] = sum(values) / len(padded if count_include_pad else inside)
                else:
                    y[n, c, t] = sum(abs(value) ** p for value in values) ** (1 / p)
    return [y, indices] if kind == "Max" else [y]


# ---- Pad and Resize


def pad_places(length, begin, end, mode):
    """Where each element of the padded axis comes from; None is the constant. Negative pads have cut before."""
    places = []
    for place in range(-begin, length + end):
        if mode == "constant":
            places.append(place if 0 <= place < length else None)
        elif mode == "edge":
            places.append(min(max(place, 0), length - 1))
        elif mode == "wrap":
            places.append(place % length)
        else:
            while not 0 <= place < length:
                place = -place if place < 0 else 2 * (length - 1) - place
            places.append(place)
    return places


def pad(x, pads, mode, value=0):
    """`pads`: one pair for each axis."""
    for axis, (begin, end) in enumerate(pads):
        x = x.take(range(max(0, -begin), x.shape[axis] + min(0, end)), axis)
        slices = [np.full_like(x.take(0, axis), value) if place is None else x.take(place, axis)
                  for place in pad_places(x.shape[axis], max(0, begin), max(0, end), mode)]
        x = np.stack(slices, axis)
    return x


def resize_origin(mode, place, length, resized, scale, roi):
    """Where an element comes from. The standard's suite has the resized length as scale * length, not rounded."""
    whole = scale * length
    if mode == "align_corners":
        return place * (length - 1) / (whole - 1) if resized > 1 else 0
    if mode == "asymmetric":
        return place / scale
    if mode == "tf_crop_and_resize":
        if resized == 1:
            return 0.5 * (roi[0] + roi[1]) * (length - 1)
        return roi[0] * (length - 1) + place * (roi[1] - roi[0]) * (length - 1) / (whole - 1)
    if mode == "pytorch_half_pixel" and resized == 1:
        return 0
    offset = length / 2 * (1 - resized / whole) if mode == "half_pixel_symmetric" else 0
    return offset + (place + 0.5) / scale - 0.5


NEAREST = {"floor": math.floor, "ceil": math.ceil, "round_prefer_floor": lambda x: math.ceil(x - 0.5),
           "round_prefer_ceil": lambda x: math.floor(x + 0.5)}


def hat(x):
    return max(0.0, 1 - abs(x))


def keys(x, a):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1
    return a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resize(x, scale, resized, mode="nearest", transform="half_pixel", nearest="round_prefer_floor", a=-0.75,
           exclude_outside=0, antialias=0, roi=(0, 1), extrapolation=0.0):
    """Along the last axis."""
    length = x.shape[-1]
    y = np.zeros((*x.shape[:-1], resized))
    stretch = max(1, 1 / scale) if antialias else 1
    for t in range(resized):
        origin = resize_origin(transform, t, length, resized, scale, roi)
        if transform == "tf_crop_and_resize" and not 0 <= origin <= length - 1:
            y[..., t] = extrapolation
            continue
        if mode == "nearest":
            y[..., t] = x[..., min(max(NEAREST[nearest](origin), 0), length - 1)]
            continue
        reach = math.ceil((1 if mode == "linear" else 2) * stretch)
        weights = {}
        for place in range(math.floor(origin) - reach, math.floor(origin) + reach + 2):
            distance = (place - origin) / stretch
            weights[place] = hat(distance) if mode == "linear" else keys(distance, a)
        if exclude_outside:
            weights = {place: weight for place, weight in weights.items() if 0 <= place < length}
        for place, weight in weights.items():
            y[..., t] += weight / sum(weights.values()) * x[..., min(max(place, 0), length - 1)]
    return y


# ---- Recurrent networks

ACTIVATIONS = {"Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Tanh": np.tanh, "Relu": lambda x: np.maximum(x, 0),
               "HardSigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1), "Softsign": lambda x: x / (1 + np.abs(x)),
               "Elu": lambda x: np.where(x < 0, np.expm1(x), x)}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}


def step(kind, x, h, c, w, r, wb, rb, p, functions, linear_before_reset, input_forget):
    """One step of one sequence: the new hidden and cell state."""
    if kind == "RNN":
        return functions[0](w @ x + r @ h + wb + rb), c
    size = h.size
    gate = [slice(k * size, (k + 1) * size) for k in range(GATES[kind])]
    if kind == "GRU":
        update = functions[0](w[gate[0]] @ x + r[gate[0]] @ h + wb[gate[0]] + rb[gate[0]])
        reset = functions[0](w[gate[1]] @ x + r[gate[1]] @ h + wb[gate[1]] + rb[gate[1]])
        if linear_before_reset:
            hidden = w[gate[2]] @ x + wb[gate[2]] + reset * (r[gate[2]] @ h + rb[gate[2]])
        else:
            hidden = w[gate[2]] @ x + wb[gate[2]] + r[gate[2]] @ (reset * h) + rb[gate[2]]
        return (1 - update) * functions[1](hidden) + update * h, c
    i, o, f, g = (w[part] @ x + r[part] @ h + wb[part] + rb[part] for part in gate)
    i = functions[0](i + p[gate[0]] * c)
    f = 1 - i if input_forget else functions[0](f + p[gate[2]] * c)
    c = f * c + i * functions[1](g)
    return functions[0](o + p[gate[1]] * c) * functions[2](c), c


def recurrent(kind, x, w, r, b=None, lengths=None, h0=None, c0=None, p=None, direction="forward", activations=None,
              clip=None, linear_before_reset=0, input_forget=0):
    """Y, Y_h and of LSTM Y_c."""
    time, batch, _ = x.shape
    directions, rows, _ = w.shape
    size = r.shape[2]
    per = len(DEFAULTS[kind])
    names = activations or DEFAULTS[kind] * directions
    bound = np.inf if clip is None else clip
    b = np.zeros((directions, 2 * rows)) if b is None else b.astype(float)
    p = np.zeros((directions, 3 * size)) if p is None else p.astype(float)
    y = np.zeros((time, directions, batch, size))
    last, cells = np.zeros((directions, batch, size)), np.zeros((directions, batch, size))
    for d in range(directions):
        functions = [lambda v, f=ACTIVATIONS[name]: f(np.clip(v, -bound, bound)) for name in names[d * per:][:per]]
        backward = d == 1 or direction == "reverse"
        for n in range(batch):
            h = np.zeros(size) if h0 is None else h0[d, n].astype(float)
            c = np.zeros(size) if c0 is None else c0[d, n].astype(float)
            length = time if lengths is None else lengths[n]
            for t in reversed(range(length)) if backward else range(length):
                h, c = step(kind, x[t, n].astype(float), h, c, w[d].astype(float), r[d].astype(float), b[d, :rows],
                            b[d, rows:], p[d], functions, linear_before_reset, input_forget)
                y[t, d, n] = h
            last[d, n], cells[d, n] = h, c
    return [y, last, cells] if kind == "LSTM" else [y, last]


# ---- STFT


def stft(signal, hop, window, onesided):
    """`signal` is batch x time x 1 (real) or 2 (complex)."""
    size = len(window)
    line = signal[:, :, 0] + (1j * signal[:, :, 1] if signal.shape[2] == 2 else 0)
    frames = (line.shape[1] - size) // hop + 1
    bins = size // 2 + 1 if onesided else size
    y = np.zeros((line.shape[0], frames, bins, 2))
    for frame in range(frames):
        for k in range(bins):
            turns = np.exp(-2j * np.pi * k * np.arange(size) / size)
            value = (line[:, frame * hop:frame * hop + size] * window * turns).sum(1)
            y[:, frame, k, 0], y[:, frame, k, 1] = value.real, value.imag
    return y
