"""Real signals for the models: synthesised speech, a tone scale, something like an EEG, drawn text, and what models are
fed of them: windows, mel spectrograms, images. Every function is deterministic."""

import functools
import io
import subprocess
import wave

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SENTENCE = "The quick brown fox jumps over the lazy dog. Seven small networks listen to every word of it."


def resample(samples, old, new):
    """By linear interpolation: the models need not like it, they only need to be fed the same."""
    times = np.arange(int(len(samples) * new / old)) * (old / new)
    return np.interp(times, np.arange(len(samples)), samples).astype(np.float32)


@functools.cache
def speech(rate=16000, seconds=10.0):
    """A sentence, said again and again until the seconds are full; float32 in [-1, 1]."""
    said = subprocess.run(["espeak-ng", "--stdout", "-s", "150", SENTENCE], check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(said)) as file:
        own_rate = file.getframerate()
        # The header of a stream promises more frames than there are.
        samples = np.frombuffer(file.readframes(1 << 24), np.int16).astype(np.float32) / 32768
    return np.resize(resample(samples, own_rate, rate), int(rate * seconds))


@functools.cache
def tones(rate, seconds):
    """A scale of C major from middle C, each note with three overtones and a decay, in the 16 bits of a recording: without
    any floor of noise, logarithms of powers are those of rounding errors."""
    steps = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    t = np.arange(int(rate * seconds)) / rate
    note = np.minimum((t / seconds * len(steps)).astype(int), len(steps) - 1)
    frequency = 261.63 * 2 ** (steps[note] / 12)
    age = t - note * seconds / len(steps)
    sound = sum(np.sin(2 * np.pi * frequency * k * t) / k**2 for k in range(1, 5)) * np.exp(-3 * age)
    return (np.round(0.3 * 32767 * sound) / 32768).astype(np.float32)


@functools.cache
def eeg(samples, rate=250):
    """Pink noise with bursts at 13 Hz, in units of its own deviation."""
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, samples)
    t = np.arange(samples) / rate
    burst = np.sin(2 * np.pi * 13 * t) * np.maximum(0, np.sin(2 * np.pi * 0.2 * t)) ** 8
    return (noise / noise.std() + 1.5 * burst).astype(np.float32)


def spectrogram(samples, window, hop, bins):
    """Powers [frames, bins] of Hann windows."""
    starts = np.arange(0, len(samples) - window + 1, hop)
    frames = samples[starts[:, None] + np.arange(window)] * np.hanning(window)
    return np.abs(np.fft.rfft(frames, 2 * (bins - 1))) ** 2


def log_mel(samples, rate, window, hop, mels):
    """Logarithms of triangular mel bands: [frames, mels]."""
    bins = 1 << (window - 1).bit_length()
    power = spectrogram(samples, window, hop, bins // 2 + 1)
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    frequency = np.linspace(0, rate / 2, power.shape[1])[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0, np.minimum(rising, falling))
    return np.log(power @ bands + 1e-6).astype(np.float32)


def text_image(text, width, height, lines=1):
    """Black text on white with a little noise, as uint8 [height, width, 3]."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    pitch = height // lines
    for k in range(lines):
        draw.text((6, k * pitch + pitch // 8), text, "black", font=ImageFont.load_default(size=pitch * 0.6))
    noise = np.random.default_rng(2).integers(0, 24, (height, width, 3))
    return np.maximum(np.asarray(image).astype(int) - noise, 0).astype(np.uint8)


def planes(image, mean=0.5, deviation=0.5):
    """An image as networks take it: float32 [1, 3, height, width]."""
    scaled = (image.astype(np.float32) / 255 - np.float32(mean)) / np.float32(deviation)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
