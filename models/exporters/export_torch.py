"""Exports the networks of torch_networks.py by PyTorch's two exporters.

    export_torch.py OUT [--all]

OUT/torchscript and OUT/dynamo get a case for each network and opset, some with dynamic axes; with --all, every opset
that the exporter knows, each with fixed and with dynamic axes.
"""

import io
import logging
import os
import sys
import tempfile
import warnings

import onnx
import torch
from case import SEED, Matrix
from torch_networks import NETWORKS, inputs_of

# Opset: kinds of axes. The shipped choice changes what differs most between versions.
TORCHSCRIPT = {9: ["fixed"], 13: ["dynamic"], 17: ["fixed"], 20: ["dynamic"]}
TORCHSCRIPT_ALL = {opset: ["fixed", "dynamic"] for opset in range(9, 21)}
DYNAMO = {18: ["fixed"], 23: ["dynamic"], 28: ["fixed"]}
DYNAMO_ALL = {opset: ["fixed", "dynamic"] for opset in range(18, 29)}


def moving_axes(given):
    """Axes by input that may have other sizes."""
    return {"x": {given["x"].dim() - 1: "time"}}


def by_torchscript(network, given, opset, axes):
    file = io.BytesIO()
    torch.onnx.export(
        network, tuple(given.values()), file, opset_version=opset, dynamo=False, input_names=list(given),
        dynamic_axes=moving_axes(given) if axes == "dynamic" else None,
    )
    return onnx.load_from_string(file.getvalue())


def by_dynamo(network, given, opset, axes):
    shapes = None
    if axes == "dynamic":
        moving = moving_axes(given)
        shapes = tuple(
            {axis: torch.export.Dim(label, min=8, max=4096) for axis, label in moving.get(key, {}).items()}
            for key in given
        )
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        torch.onnx.export(
            network, tuple(given.values()), path, opset_version=opset, dynamo=True, input_names=list(given),
            dynamic_shapes=shapes, external_data=False, verbose=False,
        )
        model = onnx.load(path)
    made = {entry.domain: entry.version for entry in model.opset_import}[""]
    if made != opset:
        raise ValueError(f"asked for opset {opset}, it gave {made}")
    return model


def export(network_name, exporter, opset, axes):
    torch.manual_seed(SEED)
    network = NETWORKS[network_name]().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):  # as after training
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    given = inputs_of(network_name)
    model = exporter(network, given, opset, axes)
    with torch.no_grad():
        outputs = network(*given.values())
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return model, [value.numpy() for value in given.values()], [value.numpy() for value in outputs]


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        sys.exit(__doc__)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    everything = "--all" in arguments
    for title, exporter, opsets in (
        ("torchscript", by_torchscript, TORCHSCRIPT_ALL if everything else TORCHSCRIPT),
        ("dynamo", by_dynamo, DYNAMO_ALL if everything else DYNAMO),
    ):
        matrix = Matrix(arguments[0], title)
        for name in NETWORKS:
            for opset, kinds in opsets.items():
                for axes in kinds:
                    matrix.add(f"{name}_{opset}_{axes}", lambda: export(name, exporter, opset, axes))
        matrix.close()


if __name__ == "__main__":
    main(sys.argv[1:])
