"""Writes data/: what tf_keras 2 and Keras 3 do with configurations of SeparableConv1D.

    pip install tensorflow-cpu==2.21.0 tf-keras==2.21.0 keras==3.15.1 onnx
    python make_expected.py

cases/NAME/         a layer: config.json, weights.npz, input and output, penalties.txt (input channels, then penalties)
distributions.json  what initializers give: moments, bounds and quantiles
projections.json    what constraints make of an array
configs.json        configurations that Keras takes or refuses; `says` is a word that our message must have
"""
import json
import os
import pathlib
import shutil

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import numpy as np  # noqa: E402
import onnx.numpy_helper  # noqa: E402
import tf_keras  # noqa: E402

DATA = pathlib.Path(__file__).parent / "data"
KERAS = {2: tf_keras, 3: keras}


def write(name, value):
    text = ",\n".join(json.dumps(item) for item in value)
    (DATA / name).write_text("[\n" + text + "\n]\n")


def layer_of(version, **arguments):
    return KERAS[version].layers.SeparableConv1D(**{"filters": 4, "kernel_size": 3, **arguments})


# ---- Whole layers

def cases():
    for version, module in KERAS.items():
        r, c, i, layers = module.regularizers, module.constraints, module.initializers, module.layers
        yield version, "default", {}
        yield version, "hard_sigmoid", dict(activation="hard_sigmoid", padding="same", depthwise_regularizer=r.L2(0.03))
        yield version, "strided_softmax", dict(activation="softmax", strides=2, padding="SAME", depth_multiplier=2,
                                               activity_regularizer=r.L1(0.02), bias_initializer="random_normal")
        yield version, "leaky", dict(activation=layers.LeakyReLU(0.15), dilation_rate=2, use_bias=False,
                                     depthwise_regularizer=r.L1L2(0.01, 0.02), pointwise_regularizer="l1")
        yield version, "elu_float64", dict(activation=layers.ELU(0.5, dtype="float64"), dtype="float64", name="my_layer",
                                           bias_initializer=i.Constant(0.25), bias_regularizer=r.L1L2(0.5, 0.25),
                                           depthwise_constraint=c.MinMaxNorm(0.5, 1.5, 0.9, axis=[0, 1]),
                                           pointwise_constraint=c.MaxNorm(2, axis=1), bias_constraint="NonNeg")
        yield version, "mixed_tanh", dict(activation="tanh", dtype="mixed_float16", padding="same",
                                          pointwise_regularizer=r.L2(0.1), activity_regularizer=r.L1L2(0.01, 0.02))
        yield version, "frozen", dict(activation=layers.ReLU(6), trainable=False, depthwise_regularizer="l2",
                                      activity_regularizer="l2",
                                      pointwise_initializer=i.VarianceScaling(2.0, "fan_out", "uniform", seed=7))
    yield 2, "causal", dict(activation="swish", padding="causal", dilation_rate=3, kernel_size=[4],
                            pointwise_regularizer="l1_l2", bias_regularizer="l2", input_shape=(12, 3))
    # Without strides: with them, Keras 3.15 on TensorFlow gives other values than for channels_last.
    yield 3, "first_gelu", dict(activation="gelu", data_format="channels_first", padding="same")
    yield 3, "bfloat16", dict(activation="mish", dtype="bfloat16", padding="same")
    yield 3, "log_softmax", dict(activation="log_softmax", bias_regularizer="l1l2", filters=1, kernel_size=1)


def write_tensor(path, array, name):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(onnx.numpy_helper.from_array(array, name).SerializeToString())


def penalties(layer, version, y):
    for part in ("depthwise", "pointwise", "bias", "activity"):
        regularizer = getattr(layer, part + "_regularizer", None)
        if regularizer is None:
            continue
        if part == "activity":
            value = float(regularizer(y)) / y.shape[0]
        elif version == 3 and not layer.trainable or part == "bias" and not layer.use_bias:
            continue
        else:
            value = float(regularizer({"depthwise": layer.depthwise_kernel, "pointwise": layer.pointwise_kernel,
                                       "bias": layer.bias}[part]))
        yield part, value


def compute(version, layer, x):
    """What the layer gives; in 16 bits, without TensorFlow's roundings between its steps."""
    if layer.compute_dtype in ("float32", "float64"):
        return np.asarray(layer(x))
    wide = KERAS[version].layers.SeparableConv1D.from_config({**layer.get_config(), "dtype": "float32"})
    wide.build(x.shape)
    wide.set_weights([np.asarray(w).astype(layer.compute_dtype).astype("float32") for w in layer.get_weights()])
    return np.asarray(wide(x.astype("float32"))).astype(x.dtype)


def make_cases():
    random = np.random.default_rng(1)
    for version, name, arguments in cases():
        folder = DATA / "cases" / f"{name}_{version}"
        folder.mkdir(parents=True)
        layer = layer_of(version, **arguments)
        first = layer.data_format == "channels_first"
        x = random.normal(size=(2, 3, 12) if first else (2, 12, 3)).astype(layer.compute_dtype)
        layer.build(x.shape)
        if layer.use_bias:
            layer.bias.assign(random.normal(size=4 if name != "log_softmax" else 1) * 0.3)
        y = compute(version, layer, x)
        found = list(penalties(layer, version, layer(x)))
        losses = sum(float(loss) for loss in layer.losses)
        assert abs(losses - sum(value for _, value in found)) <= 2e-3 * abs(losses) + 1e-6, (name, losses, found)
        config = layer.get_config() if version == 2 or name != "default" else KERAS[version].layers.serialize(layer)
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        weights = [np.asarray(w) for w in layer.get_weights()]
        weights = [w.astype("float32") if layer.dtype == "bfloat16" else w for w in weights]
        if name == "default":
            np.savez_compressed(folder / "weights.npz", **dict(zip(("a/depthwise_kernel:0", "a/pointwise_kernel:0",
                                                                   "a/bias:0"), weights)))
        else:
            np.savez(folder / "weights.npz", *weights)
        write_tensor(folder / "test_data_set_0" / "input_0.pb", x, "X")
        write_tensor(folder / "test_data_set_0" / "output_0.pb", y, "Y")
        lines = ["channels 3"] + [f"{part} {value:.7g}" for part, value in found]
        (folder / "penalties.txt").write_text("\n".join(lines) + "\n")


# ---- Initializers

def initializers(i, version, rank):
    yield i.RandomNormal(0.5, 0.2)
    yield i.RandomNormal()
    yield i.RandomUniform(-0.3, 0.9)
    yield i.RandomUniform()
    yield i.TruncatedNormal(-0.5, 0.2)
    yield i.TruncatedNormal()
    for name in ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"):
        yield getattr(i, name)()
    for mode in ("fan_in", "fan_out", "fan_avg"):
        for distribution in ("uniform", "normal", "untruncated_normal"):
            yield i.VarianceScaling(0.7, mode, distribution)
    if version == 3 and rank == 3:
        yield i.VarianceScaling(1.5, "fan_in", "uniform", input_axes=[0, -2], output_axes=[-1])
    yield i.Zeros()
    yield i.Ones()
    yield i.Constant(-0.75)


def orthogonals(i):
    yield i.Orthogonal()
    yield i.Orthogonal(-1.5)


SHAPES = {"depthwise": (5, 40, 100), "pointwise": (1, 160, 125), "bias": (20000,)}
ORTHOGONAL_SHAPES = {"depthwise": (4, 10, 60), "pointwise": (1, 64, 50)}
QUANTILES = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999]


def describe(version, initializer, part, shape):
    values = np.asarray(initializer(shape), dtype=np.float64)
    found = dict(keras=version, part=part, shape=shape, initializer=KERAS[version].initializers.serialize(initializer),
                 mean=float(values.mean()), variance=float(values.var()), minimum=float(values.min()),
                 maximum=float(values.max()))
    found["quantiles"] = [[q, round(float(np.quantile(values, q)), 9)] for q in QUANTILES]
    return found


def make_distributions():
    result = []
    for version, module in KERAS.items():
        module.utils.set_random_seed(version)
        for part, shape in SHAPES.items():
            result += [describe(version, one, part, shape)
                       for one in initializers(module.initializers, version, len(shape))]
        for part, shape in ORTHOGONAL_SHAPES.items():
            for one in orthogonals(module.initializers):
                found = describe(version, one, part, shape)
                matrix = np.asarray(one(shape)).reshape(-1, shape[-1])
                product = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
                found["orthogonal"] = float(np.diag(product).mean())
                assert np.allclose(product, np.eye(len(product)) * found["orthogonal"], atol=1e-4)
                result.append(found)
    write("distributions.json", result)


# ---- Constraints

def make_projections():
    result = []
    random = np.random.default_rng(2)
    for version, module in KERAS.items():
        c = module.constraints
        for shape in ((2, 3, 2), (1, 4, 3), (5,)):
            axes = [0, -1, None] + ([[0, 1], [-1, 0], [0, 1, 2], 1] if len(shape) == 3 else [[0]])
            constraints = [c.NonNeg()]
            for axis in axes:
                constraints += [c.MaxNorm(0.8, axis=axis), c.UnitNorm(axis=axis),
                                c.MinMaxNorm(0.6, 0.9, 0.7, axis=axis)]
            constraints += [c.MaxNorm(), c.UnitNorm(), c.MinMaxNorm(), c.MaxNorm(-1), c.MinMaxNorm(2, 1)]
            for constraint in constraints:
                values = random.normal(size=shape).astype("float32")
                expected = np.asarray(constraint(values))
                result.append(dict(keras=version, constraint=c.serialize(constraint), shape=shape,
                                   values=[float(f"{v:.9g}") for v in values.ravel()],
                                   expected=[float(f"{v:.9g}") for v in expected.ravel()]))
    write("projections.json", result)


# ---- What is taken and what is refused: (versions, arguments, a word of our message where it is refused)

def arguments():
    both = (2, 3)
    for name in ("filters", "kernel_size", "strides", "dilation_rate"):
        yield both, {name: 0}, name
        yield both, {name: -1}, name
    yield both, dict(kernel_size=[3, 3]), "kernel_size"
    yield both, dict(kernel_size=[]), "kernel_size"
    yield both, dict(kernel_size=2.5), "kernel_size"
    yield both, dict(strides=[2, 2]), "strides"
    yield both, dict(strides=[2]), None
    yield (3,), dict(depth_multiplier=0), "depth_multiplier"
    yield (3,), dict(depth_multiplier=-2), "depth_multiplier"
    yield both, dict(depth_multiplier=3), None
    yield (2,), dict(strides=2, dilation_rate=2), "strides"
    yield (2,), dict(groups=3), "groups"
    yield (2,), dict(groups=2), None
    yield (3,), dict(groups=2), "groups"
    yield both, dict(padding="full"), "padding"
    yield (2,), dict(padding="Causal"), None
    yield (3,), dict(padding="causal"), "padding"
    yield both, dict(padding="Same"), None
    yield both, dict(data_format="channels_middle"), "data_format"
    yield both, dict(data_format=None), None
    yield (3,), dict(data_format="CHANNELS_FIRST"), None
    yield (3,), dict(name="a/b"), "name"
    yield (2,), dict(name="a/b"), None
    yield (3,), dict(trainable=1), "trainable"
    yield (3,), dict(dtype="nonsense"), "dtype"
    yield (2,), dict(dtype="int32"), "dtype"
    yield (3,), dict(surprise=1), "surprise"
    yield (3,), dict(kernel_size=20), "length"
    for name in ("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "exponential", "gelu", "hard_sigmoid", "mish",
                 "sigmoid", "softmax", "log_softmax", "softplus", "softsign", "silu", "tanh", "swish"):
        yield both, dict(activation=name), None
    yield both, dict(activation=None), None
    yield both, dict(activation="hard_sigmoid_v3"), "activation"
    yield both, dict(activation="gelu_tanh"), "activation"
    yield both, dict(activation="nonsense"), "activation"
    for name in ("zeros", "Zeros", "zero", "one", "normal", "uniform", "orthogonal", "he_normal", "LecunUniform"):
        yield both, dict(pointwise_initializer=name), None
    yield (2,), dict(pointwise_initializer="GlorotUniformV2"), None
    yield (3,), dict(pointwise_initializer="GlorotUniformV2"), "pointwise_initializer"
    yield (3,), dict(pointwise_initializer="OrthogonalInitializer"), None
    yield (2,), dict(pointwise_initializer="OrthogonalInitializer"), "pointwise_initializer"
    yield both, dict(pointwise_initializer="nonsense"), "pointwise_initializer"
    yield both, dict(pointwise_initializer=1.5), "pointwise_initializer"
    yield both, dict(pointwise_initializer=None, bias_initializer=None), None
    for part in ("depthwise", "pointwise", "bias"):
        yield both, {part + "_initializer": "identity"}, part + "_initializer"
    yield both, dict(bias_initializer="orthogonal"), "bias_initializer"

    def named(name, **config):
        return {"class_name": name, "config": config}
    scaling = ("scale", 0), ("scale", -1), ("mode", "fan"), ("distribution", "gamma")
    for key, value in scaling:
        yield both, dict(depthwise_initializer=named("VarianceScaling", **{key: value})), key
    yield both, dict(depthwise_initializer=named("VarianceScaling", distribution="NORMAL")), None
    yield (3,), dict(depthwise_initializer=named("RandomNormal", seed="x")), "seed"
    yield (3,), dict(depthwise_initializer=named("RandomNormal", seed=1.5)), "seed"
    yield both, dict(depthwise_initializer=named("RandomNormal", seed=5, mean=1)), None
    yield both, dict(depthwise_initializer=named("random_uniform", minval=1, maxval=0)), None
    for name in ("l1", "l2", "L1L2", "orthogonal_regularizer", "OrthogonalRegularizer"):
        yield both, dict(pointwise_regularizer=name), None
    yield (2,), dict(bias_regularizer="l1_l2"), None
    yield (3,), dict(bias_regularizer="l1_l2"), "bias_regularizer"
    yield (3,), dict(bias_regularizer="l1l2"), None
    yield (3,), dict(activity_regularizer="nonsense"), "activity_regularizer"
    yield both, dict(depthwise_regularizer=named("L1", l1="x")), "l1"
    yield (3,), dict(depthwise_regularizer=named("L2", l2=-1)), "l2"
    yield (2,), dict(depthwise_regularizer=named("L2", l2=-1)), None
    yield (2,), dict(depthwise_regularizer=named("L2", l=0.5)), None
    yield both, dict(depthwise_regularizer=named("OrthogonalRegularizer", mode="diagonal")), "mode"
    for name in ("max_norm", "MaxNorm", "non_neg", "unit_norm", "min_max_norm", "Constraint"):
        yield both, dict(pointwise_constraint=name), None
    yield (2,), dict(bias_constraint="maxnorm"), None
    yield (3,), dict(bias_constraint="maxnorm"), "bias_constraint"
    yield both, dict(bias_constraint="nonsense"), "bias_constraint"
    yield (3,), dict(depthwise_constraint="radial_constraint"), "depthwise_constraint"


def is_refused(version, given):
    try:
        layer = KERAS[version].layers.SeparableConv1D(**{"filters": 4, "kernel_size": 3, **given})
        layer.build((None, 3, 10) if layer.data_format == "channels_first" else (None, 10, 3))
        return False
    except ValueError:
        return True


def make_configs():
    result = []
    for versions, given, says in arguments():
        for version in versions:
            assert is_refused(version, json.loads(json.dumps(given))) == (says is not None), (version, given)
            result.append(dict(keras=version, config={"filters": 4, "kernel_size": 3, **given}, says=says))
    write("configs.json", result)


shutil.rmtree(DATA, ignore_errors=True)
DATA.mkdir()
make_configs()
make_projections()
make_distributions()
make_cases()
