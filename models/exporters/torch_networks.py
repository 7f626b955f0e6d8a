"""The networks of the matrix in PyTorch: small, of the kinds that work on signals over time. All take float
[batch, CHANNELS, time] but for those that say otherwise."""

import torch
from torch import nn
from torch.nn import functional

CHANNELS, WIDTH, TIME = 4, 8, 48


class DenseConvolutions(nn.Module):
    """Strides, dilations, groups, both kinds of padding, batch normalisation, pooling."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(CHANNELS, WIDTH, 5, padding=2),
            nn.BatchNorm1d(WIDTH),
            nn.ReLU(),
            nn.Conv1d(WIDTH, WIDTH, 3, stride=2, groups=2, padding=1, bias=False),
            nn.BatchNorm1d(WIDTH),
            nn.Hardswish(),
            nn.MaxPool1d(2),
            nn.Conv1d(WIDTH, WIDTH, 3, dilation=2, padding="same"),
            nn.LeakyReLU(0.1),
        )
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x):
        return torch.softmax(self.head(self.body(x).mean(-1)), -1)


class SeparableConvolutions(nn.Module):
    """Depthwise and pointwise, as MobileNet and QuartzNet have them."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv1d(CHANNELS, 2 * CHANNELS, 7, groups=CHANNELS, padding=3, bias=False)
        self.pointwise = nn.Conv1d(2 * CHANNELS, WIDTH, 1, bias=False)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.second = nn.Conv1d(WIDTH, WIDTH, 5, groups=WIDTH, dilation=2, padding=4)
        self.mix = nn.Conv1d(WIDTH, WIDTH, 1)

    def forward(self, x):
        x = functional.relu6(self.norm(self.pointwise(self.depthwise(x))))
        return x + functional.silu(self.mix(self.second(x)))


class TcnChomp(nn.Module):
    """Temporal convolutional network that pads on both sides and cuts the tail off."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList()
        for k in range(3):
            channels = CHANNELS if k == 0 else WIDTH
            self.layers.append(nn.Conv1d(channels, WIDTH, 3, padding=2 * 2**k, dilation=2**k))
        self.down = nn.Conv1d(CHANNELS, WIDTH, 1)

    def forward(self, x):
        y = x
        for layer in self.layers:
            y = torch.relu(layer(y)[:, :, : -layer.padding[0]])
        return torch.relu(y + self.down(x))


class WaveNet(nn.Module):
    """Gates of tanh and sigmoid, residuals, and skips that add up."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(CHANNELS, WIDTH, 1)
        self.gates = nn.ModuleList(nn.Conv1d(WIDTH, 2 * WIDTH, 2, dilation=2**k) for k in range(3))
        self.outs = nn.ModuleList(nn.Conv1d(WIDTH, 2 * WIDTH, 1) for _ in range(3))
        self.last = nn.Conv1d(WIDTH, CHANNELS, 1)

    def forward(self, x):
        x, skips = self.first(x), 0
        for gate, out in zip(self.gates, self.outs, strict=True):
            filtered, gated = gate(functional.pad(x, (gate.dilation[0], 0))).chunk(2, 1)
            residual, skip = out(torch.tanh(filtered) * torch.sigmoid(gated)).split(WIDTH, 1)
            x, skips = x + residual, skips + skip
        return self.last(functional.elu(skips))


class ConvTasNet(nn.Module):
    """Learned filter bank, masks by depthwise blocks with global norms, transposed filter bank; [batch, 1, time]."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv1d(1, WIDTH, 8, stride=4, bias=False)
        self.norm = nn.GroupNorm(1, WIDTH)
        self.expand = nn.Conv1d(WIDTH, 2 * WIDTH, 1)
        self.prelu = nn.PReLU()
        self.inner_norm = nn.GroupNorm(1, 2 * WIDTH)
        self.depthwise = nn.Conv1d(2 * WIDTH, 2 * WIDTH, 3, padding=2, dilation=2, groups=2 * WIDTH)
        self.mask = nn.Conv1d(2 * WIDTH, 2 * WIDTH, 1)
        self.decoder = nn.ConvTranspose1d(WIDTH, 1, 8, stride=4, bias=False)

    def forward(self, x):
        code = torch.relu(self.encoder(x))
        y = self.inner_norm(self.prelu(self.expand(self.norm(code))))
        masks = torch.sigmoid(self.mask(self.depthwise(y))).view(x.shape[0], 2, WIDTH, -1)
        return torch.cat([self.decoder(code * masks[:, k]) for k in range(2)], 1)


class ConvNext(nn.Module):
    """ConvNeXt in one dimension: a wide depthwise filter, layer norm over channels, GELU, scaled residual."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(CHANNELS, WIDTH, 4, stride=4)
        self.depthwise = nn.Conv1d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.scale = nn.Parameter(torch.full((WIDTH,), 0.5))

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x).transpose(1, 2))
        y = self.scale * self.down(functional.gelu(self.up(y)))
        return x + y.transpose(1, 2)


class UNet(nn.Module):
    """Down by strides and pools, up by a transposed convolution and by interpolation, joined by skips."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(CHANNELS, WIDTH, 3, padding=1)
        self.down = nn.Conv1d(WIDTH, 2 * WIDTH, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose1d(2 * WIDTH, WIDTH, 4, stride=2, padding=1)
        self.join = nn.Conv1d(2 * WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv1d(2 * WIDTH, CHANNELS, 1)

    def forward(self, x):
        first = torch.relu(self.first(x))
        up = torch.relu(self.up(functional.max_pool1d(torch.relu(self.down(first)), 3, 1, 1)))
        joined = torch.relu(self.join(torch.cat([first, up], 1)))
        rough = functional.interpolate(functional.avg_pool1d(joined, 2), scale_factor=2, mode="linear")
        return self.last(torch.cat([joined, rough], 1))


class Recurrent(nn.Module):
    """A recurrent layer or two, and a linear one on the last of its outputs."""

    def __init__(self, kind, layers=1, bidirectional=False):
        super().__init__()
        self.body = kind(CHANNELS, WIDTH, layers, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(WIDTH * (2 if bidirectional else 1), 3)

    def forward(self, x):
        sequence, _ = self.body(x.transpose(1, 2))
        return sequence, self.head(sequence[:, -1])


class LstmStep(nn.Module):
    """An LSTM with its states as inputs and outputs, for streams."""

    def __init__(self):
        super().__init__()
        self.body = nn.LSTM(CHANNELS, WIDTH, 2)

    def forward(self, x, h, c):
        sequence, (h, c) = self.body(x.permute(2, 0, 1), (h, c))
        return sequence, h, c


class SelfAttention(nn.Module):
    """A transformer's encoder layer, its attention by the function that exporters know, with a causal mask."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv1d(CHANNELS, WIDTH, 1)
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.feed = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x):
        x = self.embed(x).transpose(1, 2)
        batch, time = x.shape[0], x.shape[1]
        q, k, v = self.project(self.norms[0](x)).view(batch, time, 3, 2, WIDTH // 2).permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, time, WIDTH))
        return x + self.feed(self.norms[1](x))


class MultiHead(nn.Module):
    """PyTorch's own attention module."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv1d(CHANNELS, WIDTH, 1)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, x):
        x = self.embed(x).transpose(1, 2)
        return self.attention(x, x, x)


class MelFrontEnd(nn.Module):
    """Logarithms of mel bands by a short-time Fourier transform, normalised, and a convolution; [batch, time]."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        centres = torch.linspace(0, 32, 12)
        bands = torch.relu(1 - (torch.arange(33)[:, None] - centres[None, 1:-1]).abs() / 3)
        self.register_buffer("bands", bands)
        self.conv = nn.Conv1d(10, WIDTH, 3, padding=1)

    def forward(self, x):
        spectrum = torch.stft(x, 64, 16, window=self.window, center=True, return_complex=False, onesided=True)
        power = spectrum.pow(2).sum(-1)
        mel = torch.log(torch.matmul(power.transpose(1, 2), self.bands) + 1e-5).transpose(1, 2)
        mel = (mel - mel.mean(-1, keepdim=True)) / (mel.std(-1, keepdim=True) + 1e-3)
        return torch.relu(self.conv(mel))


NETWORKS = {
    "dense": DenseConvolutions,
    "separable": SeparableConvolutions,
    "tcn_chomp": TcnChomp,
    "wavenet": WaveNet,
    "convtasnet": ConvTasNet,
    "convnext": ConvNext,
    "unet": UNet,
    "lstm": lambda: Recurrent(nn.LSTM),
    "lstm_step": LstmStep,
    "gru": lambda: Recurrent(nn.GRU, layers=2),
    "bilstm": lambda: Recurrent(nn.LSTM, bidirectional=True),
    "attention": SelfAttention,
    "multihead": MultiHead,
    "mel_stft": MelFrontEnd,
}


def inputs_of(name):
    """Names and values of a network's inputs; axis 0 is the batch, the last one time, but for states."""
    if name == "convtasnet":
        return {"x": torch.randn(1, 1, 84)}
    if name == "mel_stft":
        return {"x": torch.randn(1, 320)}
    given = {"x": torch.randn(2 if name in ("dense", "gru") else 1, CHANNELS, TIME)}
    if name == "lstm_step":
        given.update(h=torch.randn(2, 1, WIDTH), c=torch.randn(2, 1, WIDTH))
    return given
