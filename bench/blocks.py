"""The models that compare.py measures with: one causal SeparableConv1D + relu in every form that engines are given it
in, and a network of free length. All forms of a block have the same weights, so their outputs must agree.

Form     who writes it so                          input          nodes
conv3d   PyTorch                                   (N, C, T)      Conv, Conv, Relu
conv4d   tf2onnx, of Keras' layer                  (N, T, C)      Conv, Conv, Relu between Transposes
custom   tapline fuse                              (N, T, C)      tapline::SeparableConv1D
keras1d  TensorFlow's converter, of Keras' layer   (N, T, C)      for LiteRT
keras2d  the same, of Keras' Conv2D twin           (N, 1, T, C)   for LiteRT
"""
import contextlib
import os
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Block:
    name: str
    batch: int
    channels: int
    length: int
    kernel: int
    dilation: int
    stride: int
    filters: int
    multiplier: int

    @property
    def depth(self):
        return self.channels * self.multiplier

    @property
    def flops(self):
        steps = self.batch * -(-self.length // self.stride)
        return 2.0 * steps * self.depth * (self.kernel + self.filters)

    @property
    def pad(self):
        return self.dilation * (self.kernel - 1)

    @property
    def title(self):
        parts = [f'N{self.batch}'] * (self.batch > 1) + [f'C{self.channels} T{self.length} K{self.kernel}']
        parts += [f'd{self.dilation}'] * (self.dilation > 1) + [f's{self.stride}'] * (self.stride > 1)
        parts += [f'D{self.multiplier}'] * (self.multiplier > 1)
        parts += [f'F{self.filters}'] * (self.filters != self.channels)
        return f'{self.name} ({" ".join(parts)})'


BLOCKS = [
    Block('kws-dscnn', 1, 64, 49, 3, 1, 1, 64, 1),
    Block('matchbox', 1, 64, 128, 17, 1, 1, 64, 1),
    Block('quartz256', 1, 256, 800, 33, 1, 1, 256, 1),
    Block('quartz512', 1, 512, 800, 63, 1, 1, 512, 1),
    Block('tcn128-d8', 1, 128, 4000, 3, 8, 1, 128, 1),
    Block('ecg32-s2', 1, 32, 5000, 15, 1, 2, 64, 1),
    Block('batch32', 32, 64, 256, 9, 1, 1, 128, 1),
    Block('dm2', 1, 64, 1000, 9, 1, 1, 128, 2),
]


def weights(block):
    """depthwise (C*D, 1, K), pointwise (F, C*D, 1), bias (F)"""
    random = np.random.default_rng(0)
    return ((random.standard_normal((block.depth, 1, block.kernel)) / block.kernel).astype('f'),
            (random.standard_normal((block.filters, block.depth, 1)) / np.sqrt(block.depth)).astype('f'),
            random.standard_normal(block.filters).astype('f'))


def block_input(block, form):
    x = np.random.default_rng(1).standard_normal((block.batch, block.channels, block.length)).astype('f')
    if form != 'conv3d':
        x = x.transpose(0, 2, 1)
    return np.ascontiguousarray(x[:, None] if form == 'keras2d' else x)


def channels_first(block, form, y):
    """The output of any form, flat, as (N, F, T')."""
    if form == 'conv3d':
        return y.reshape(block.batch, block.filters, -1)
    return y.reshape(block.batch, -1, block.filters).transpose(0, 2, 1)


def _onnx_model(nodes, input_shape, output_rank, constants, custom=False):
    graph = helper.make_graph(nodes, 'bench', [helper.make_tensor_value_info('x', TensorProto.FLOAT, input_shape)],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, [None] * output_rank)],
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    opsets = [helper.make_opsetid('', 18)] + [helper.make_opsetid('tapline', 1)] * custom
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _onnx_block(block, form):
    node = helper.make_node
    dw, pw, b = weights(block)
    if form == 'conv3d':
        nodes = [node('Conv', ['x', 'dw'], ['h'], group=block.channels, kernel_shape=[block.kernel],
                      pads=[block.pad, 0], dilations=[block.dilation], strides=[block.stride]),
                 node('Conv', ['h', 'pw', 'b'], ['r'], kernel_shape=[1]), node('Relu', ['r'], ['y'])]
        return _onnx_model(nodes, [block.batch, block.channels, block.length], 3, {'dw': dw, 'pw': pw, 'b': b})
    shape = [block.batch, block.length, block.channels]
    if form == 'custom':
        nodes = [node('SeparableConv1D', ['x', 'dw', 'pw', 'b'], ['y'], domain='tapline', padding='causal',
                      strides=block.stride, dilation_rate=block.dilation, depth_multiplier=block.multiplier,
                      activation='relu')]
        return _onnx_model(nodes, shape, 3, {'dw': dw, 'pw': pw, 'b': b}, custom=True)
    nodes = [node('Unsqueeze', ['x', 'one'], ['x4']), node('Transpose', ['x4'], ['t'], perm=[0, 3, 1, 2]),
             node('Conv', ['t', 'dw'], ['h'], group=block.channels, kernel_shape=[1, block.kernel],
                  pads=[0, block.pad, 0, 0], dilations=[1, block.dilation], strides=[1, block.stride]),
             node('Conv', ['h', 'pw', 'b'], ['r'], kernel_shape=[1, 1]), node('Squeeze', ['r', 'two'], ['s']),
             node('Relu', ['s'], ['a']), node('Transpose', ['a'], ['y'], perm=[0, 2, 1])]
    return _onnx_model(nodes, shape, 3, {'dw': dw[:, :, None], 'pw': pw[..., None], 'b': b, 'one': np.array([1]),
                                         'two': np.array([2])})


def _keras_block(block, form):
    import tensorflow
    import tf_keras
    layers = tf_keras.layers
    dw, pw, b = weights(block)
    dw = dw.reshape(block.channels, block.multiplier, block.kernel).transpose(2, 0, 1)  # (K, C, D)
    pw = pw.transpose(2, 1, 0)  # (1, C*D, F)
    if form == 'keras1d':
        x = tf_keras.Input((block.length, block.channels), batch_size=block.batch)
        layer = layers.SeparableConv1D(block.filters, block.kernel, padding='causal', strides=block.stride,
                                       dilation_rate=block.dilation, depth_multiplier=block.multiplier,
                                       activation='relu')
        y = layer(x)
        layer.set_weights([dw, pw, b])
    else:
        x = tf_keras.Input((1, block.length, block.channels), batch_size=block.batch)
        depthwise = layers.DepthwiseConv2D((1, block.kernel), strides=(block.stride, block.stride),
                                           dilation_rate=(1, block.dilation), depth_multiplier=block.multiplier,
                                           use_bias=False)
        pointwise = layers.Conv2D(block.filters, 1, activation='relu')
        y = pointwise(depthwise(layers.ZeroPadding2D(((0, 0), (block.pad, 0)))(x)))
        depthwise.set_weights([dw[None]])
        pointwise.set_weights([pw[None], b])
    return tensorflow.lite.TFLiteConverter.from_keras_model(tf_keras.Model(x, y)).convert()


@contextlib.contextmanager
def _quiet():
    """TensorFlow talks on the file descriptors themselves."""
    saved = [os.dup(1), os.dup(2)]
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        for target, source in enumerate(saved, 1):
            os.dup2(source, target)
            os.close(source)


def write_block(block, form, folder):
    """The path of the model, written if it is not there yet."""
    path = folder / f'{block.name}.{form}.{"tflite" if form.startswith("keras") else "onnx"}'
    if not path.exists():
        if form.startswith('keras'):
            with _quiet():
                data = _keras_block(block, form)
            path.write_bytes(data)
        else:
            onnx.save(_onnx_block(block, form), path)
    return path


def write_free_length(folder):
    """Four separable convolutions over 8 channels, for inputs (1, 1, T) of any T."""
    path = folder / 'free_length.onnx'
    random = np.random.default_rng(0)
    nodes, constants, value, channels = [], {}, 'x', 1
    for i in range(4):
        constants[f'dw{i}'] = (random.standard_normal((channels, 1, 9)) / 9).astype('f')
        constants[f'pw{i}'] = (random.standard_normal((8, channels, 1)) / channels).astype('f')
        out = 'y' if i == 3 else f'v{i}'
        nodes += [helper.make_node('Conv', [value, f'dw{i}'], [f'h{i}'], group=channels, pads=[8 << i, 0],
                                   dilations=[1 << i]),
                  helper.make_node('Conv', [f'h{i}', f'pw{i}'], [f'r{i}']), helper.make_node('Relu', [f'r{i}'], [out])]
        value, channels = out, 8
    onnx.save(_onnx_model(nodes, [1, 1, 'T'], 3, constants), path)
    return path
