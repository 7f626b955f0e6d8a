"""Writes the table of README.md: what each exporter made of each network, and what it refused.

    table.py FOLDER

FOLDER holds EXPORTER/NETWORK_OPSET_AXES cases and EXPORTER/refused.txt; its README.md is changed between two marks.
"""

import os
import sys

TITLES = {
    "torchscript": "PyTorch, TorchScript",
    "dynamo": "PyTorch, dynamo",
    "tf2onnx_tf_keras": "tf2onnx from tf_keras",
    "tf2onnx_keras3": "tf2onnx from Keras 3",
    "keras_tensorflow": "Keras 3 on TensorFlow",
    "keras_torch": "Keras 3 on PyTorch",
    "keras_jax": "Keras 3 on JAX",
    "skl2onnx": "skl2onnx",
}
BEGIN, END = "<!-- made by table.py -->", "<!-- end -->"


def split(case):
    """Network, opset ("default": the exporter's own) and kind of axes."""
    network, opset, axes = case.rsplit("_", 2)
    return network, opset, axes


def label(opset, axes):
    return f"{opset}{'d' if axes == 'dynamic' else ''}"


def order(opset_label):
    digits = opset_label.rstrip("d")
    return (int(digits) if digits.isdigit() else 0, opset_label)


def refused_of(folder):
    path = os.path.join(folder, "refused.txt")
    if not os.path.exists(path):
        return
    with open(path) as file:
        for line in file:
            case, why = line.rstrip("\n").split(": ", 1)
            yield case, why


def table(root):
    total = 0
    yield "| exporter | network: opsets (d: with dynamic axes) |"
    yield "|---|---|"
    for exporter, title in TITLES.items():
        folder = os.path.join(root, exporter)
        networks = {}
        for case in sorted(os.listdir(folder)):
            if case != "refused.txt":
                network, opset, axes = split(case)
                networks.setdefault(network, []).append(label(opset, axes).replace("default", "own"))
                total += 1
        cells = (f"{name}: {', '.join(sorted(labels, key=order))}" for name, labels in networks.items())
        yield f"| {title} | {'; '.join(cells)} |"
    yield ""
    yield f"{total} cases. What was refused, and why:"
    yield ""
    yield "| exporter | network and opset | reason |"
    yield "|---|---|---|"
    for exporter, title in TITLES.items():
        reasons = {}
        for case, why in refused_of(os.path.join(root, exporter)):
            network, opset, axes = split(case)
            name = f"{network} {label(opset, axes).replace('default', 'own')}"
            reasons.setdefault(why.replace("|", "/"), []).append(name)
        for why, names in reasons.items():
            yield f"| {title} | {', '.join(names)} | {why} |"


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    path = os.path.join(arguments[0], "README.md")
    with open(path) as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w") as file:
        file.write(before + BEGIN + "\n\n" + "\n".join(table(arguments[0])) + "\n\n" + END + after)


if __name__ == "__main__":
    main(sys.argv[1:])
