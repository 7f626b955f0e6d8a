"""The networks of the matrix in Keras, for either package (Keras 3, or tf_keras): every function takes the package and
returns a model of float [batch, time, CHANNELS]; time is None where axes are dynamic."""

CHANNELS, WIDTH, TIME = 4, 8, 48


def gelu_by_tanh(keras):
    return keras.layers.Activation(lambda x: keras.activations.gelu(x, approximate=True))


def dense(keras, time):
    layers = keras.layers
    x = given = layers.Input((time, CHANNELS))
    x = layers.Conv1D(WIDTH, 5, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Conv1D(WIDTH, 3, strides=2, padding="valid", activation="selu")(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.Conv1D(WIDTH, 3, dilation_rate=2, padding="same", activation="swish")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(given, layers.Dense(5, activation="softmax")(x))


def separable(keras, time):
    layers = keras.layers
    x = given = layers.Input((time, CHANNELS))
    x = layers.SeparableConv1D(WIDTH, 7, padding="same", depth_multiplier=2, activation="relu")(x)
    y = layers.SeparableConv1D(WIDTH, 3, padding="same", dilation_rate=2)(x)
    return keras.Model(given, layers.Add()([x, y]))


def tcn(keras, time):
    layers = keras.layers
    x = given = layers.Input((time, CHANNELS))
    for k in range(3):
        x = layers.Conv1D(WIDTH, 3, padding="causal", dilation_rate=2**k, activation="relu")(x)
    skip = layers.Conv1D(WIDTH, 1)(given)
    return keras.Model(given, layers.ReLU()(layers.Add()([x, skip])))


def tcn_chomp(keras, time):
    layers = keras.layers
    x = given = layers.Input((time, CHANNELS))
    for k in range(3):
        x = layers.ZeroPadding1D(2 * 2**k)(x)
        x = layers.Conv1D(WIDTH, 3, dilation_rate=2**k, activation="relu")(x)
        x = layers.Cropping1D((0, 2 * 2**k))(x)
    return keras.Model(given, x)


def wavenet(keras, time):
    layers = keras.layers
    given = layers.Input((time, CHANNELS))
    x, skips = layers.Conv1D(WIDTH, 1)(given), []
    for k in range(3):
        filtered = layers.Conv1D(WIDTH, 2, padding="causal", dilation_rate=2**k, activation="tanh")(x)
        gated = layers.Conv1D(WIDTH, 2, padding="causal", dilation_rate=2**k, activation="sigmoid")(x)
        y = layers.Multiply()([filtered, gated])
        skips.append(layers.Conv1D(WIDTH, 1)(y))
        x = layers.Add()([x, layers.Conv1D(WIDTH, 1)(y)])
    return keras.Model(given, layers.Conv1D(CHANNELS, 1)(layers.ELU()(layers.Add()(skips))))


def convtasnet(keras, time):
    layers = keras.layers
    given = layers.Input((time, CHANNELS))
    code = layers.Conv1D(WIDTH, 8, strides=4, use_bias=False, activation="relu")(given)
    y = layers.PReLU(shared_axes=[1])(layers.Conv1D(2 * WIDTH, 1)(code))
    y = layers.LayerNormalization()(y)
    y = layers.DepthwiseConv1D(3, padding="same")(y)
    mask = layers.Conv1D(WIDTH, 1, activation="sigmoid")(y)
    return keras.Model(given, layers.Conv1DTranspose(1, 8, strides=4)(layers.Multiply()([code, mask])))


def convnext(keras, time):
    layers = keras.layers
    given = layers.Input((time, CHANNELS))
    x = layers.Conv1D(WIDTH, 4, strides=4)(given)
    y = layers.LayerNormalization(epsilon=1e-6)(layers.DepthwiseConv1D(7, padding="same")(x))
    y = layers.Dense(WIDTH)(gelu_by_tanh(keras)(layers.Dense(4 * WIDTH)(y)))
    return keras.Model(given, layers.Add()([x, y]))


def unet(keras, time):
    layers = keras.layers
    given = layers.Input((time, CHANNELS))
    first = layers.Conv1D(WIDTH, 3, padding="same", activation="relu")(given)
    down = layers.Conv1D(2 * WIDTH, 4, strides=2, padding="same", activation="relu")(first)
    up = layers.Conv1DTranspose(WIDTH, 4, strides=2, padding="same", activation="relu")(down)
    joined = layers.Conv1D(WIDTH, 3, padding="same")(layers.Concatenate()([first, up]))
    rough = layers.UpSampling1D(2)(layers.AveragePooling1D(2)(joined))
    return keras.Model(given, layers.Add()([joined, rough]))


def recurrent(wrap):
    def build(keras, time):
        given = keras.layers.Input((time, CHANNELS))
        sequence = wrap(keras.layers)(given)
        return keras.Model(given, keras.layers.Dense(3)(sequence))

    return build


def attention(keras, time):
    layers = keras.layers
    given = layers.Input((time, CHANNELS))
    x = layers.Dense(WIDTH)(given)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, WIDTH // 2)(y, y)])
    y = gelu_by_tanh(keras)(layers.Dense(2 * WIDTH)(layers.LayerNormalization()(x)))
    return keras.Model(given, layers.Add()([x, layers.Dense(WIDTH)(y)]))


def gelu(keras, time):
    """The exact one, by the error function."""
    given = keras.layers.Input((time, CHANNELS))
    return keras.Model(given, keras.layers.Dense(WIDTH, activation="gelu")(given))


def mel(keras, time):
    """[batch, samples]; Keras 3 has the layer."""
    layers = keras.layers
    given = layers.Input((320 if time else None,))
    bands = layers.MelSpectrogram(fft_length=64, sequence_stride=16, sequence_length=64, sampling_rate=16000,
                                  num_mel_bins=10)(given)
    return keras.Model(given, layers.Conv1D(WIDTH, 3, padding="same", activation="relu")(layers.Permute((2, 1))(bands)))


NETWORKS = {
    "dense": dense,
    "separable": separable,
    "tcn": tcn,
    "tcn_chomp": tcn_chomp,
    "wavenet": wavenet,
    "convtasnet": convtasnet,
    "convnext": convnext,
    "unet": unet,
    "lstm": recurrent(lambda layers: layers.LSTM(WIDTH)),
    "gru": recurrent(lambda layers: layers.GRU(WIDTH, return_sequences=True)),
    "bilstm": recurrent(lambda layers: layers.Bidirectional(layers.LSTM(WIDTH, return_sequences=True))),
    "attention": attention,
    "gelu": gelu,
    "mel": mel,
}
