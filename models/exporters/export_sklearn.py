"""Exports scikit-learn's multi-layer perceptrons by skl2onnx.

    export_sklearn.py OUT [--all]

OUT/skl2onnx gets a classifier with labels that are integers, one with labels that are strings, a regressor, and one
behind a scaler, for some opsets; with --all for every one. The batch axis is dynamic or fixed.
"""

import sys
import warnings

import numpy as np
from case import SEED, Matrix
from skl2onnx import convert_sklearn, __max_supported_opset__
from skl2onnx.common.data_types import FloatTensorType
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

OPSETS = {9: ["fixed"], 15: ["dynamic"], __max_supported_opset__: ["fixed"]}
OPSETS_ALL = {opset: ["fixed", "dynamic"] for opset in range(9, __max_supported_opset__ + 1)}
FEATURES = 6


def data():
    random = np.random.default_rng(SEED)
    x = random.standard_normal((120, FEATURES)).astype(np.float32)
    return x, x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2])


def trained(name):
    x, y = data()
    options = {"hidden_layer_sizes": (12, 8), "max_iter": 200, "random_state": SEED}
    classes = np.digitize(y, [-0.5, 0.5])
    if name == "classifier":
        return MLPClassifier(**options).fit(x, classes)
    if name == "words":
        return MLPClassifier(activation="tanh", **options).fit(x, np.array(["low", "middle", "high"])[classes])
    if name == "regressor":
        return MLPRegressor(activation="logistic", **options).fit(x, y)
    return make_pipeline(StandardScaler(), MLPRegressor(**options)).fit(x, y)


def export(name, opset, axes):
    network = trained(name)
    given = data()[0][:16]
    kinds = [("x", FloatTensorType([None if axes == "dynamic" else len(given), FEATURES]))]
    classifies = name in ("classifier", "words")
    options = {id(network): {"zipmap": False}} if classifies else None
    model = convert_sklearn(network, initial_types=kinds, target_opset=opset, options=options)
    if not classifies:
        return model, [given], [network.predict(given).astype(np.float32)[:, None]]
    labels = network.predict(given)
    labels = labels.astype(object) if name == "words" else labels.astype(np.int64)
    return model, [given], [labels, network.predict_proba(given).astype(np.float32)]


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        sys.exit(__doc__)
    warnings.simplefilter("ignore")
    matrix = Matrix(arguments[0], "skl2onnx")
    for name in ("classifier", "words", "regressor", "scaled"):
        for opset, kinds in (OPSETS_ALL if "--all" in arguments else OPSETS).items():
            for axes in kinds:
                matrix.add(f"{name}_{opset}_{axes}", lambda: export(name, opset, axes))
    matrix.close()


if __name__ == "__main__":
    main(sys.argv[1:])
