"""silero-vad, a voice activity detector: where in a minute of audio somebody speaks, by its ONNX models.

The package brings its models. Two of them: one takes a frame of 32 ms a call, for audio that arrives as time
goes by; the other takes 512 frames a call, for files. In each the LSTM (128 units) is given to lstmfast.
Sessions have one thread, as the package makes them. Its default model is of TorchScript, which is compiled:
lstmfast leaves it as it is.

The audio is synthetic: pulses of a voice through two or three resonances, in syllables and pauses, with some
noise.
"""

import functools
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import silero_vad
import torch
from _table import options, profiled_share, row

import lstmfast.onnx
import lstmfast.torch

RATE = 16_000
warnings.filterwarnings("ignore", "This model support only 16000")
folder = Path(silero_vad.__file__).parent / "data"


def speech(seconds: int, rng: np.random.Generator) -> np.ndarray:
    """Sound that the models take for speech: [samples], between -1 and 1."""
    n = seconds * RATE
    time = np.arange(n) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.4 * time)
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0)
    spectrum, hertz = np.fft.rfft(pulses), np.fft.rfftfreq(n, 1 / RATE)
    vowels = [
        np.fft.irfft(spectrum * sum(1 / (1 + ((hertz - formant) / 80) ** 2) for formant in formants), n)
        for formants in ((700, 1100, 2500), (300, 2300, 3000), (500, 900, 2400))
    ]
    which = (time * 5).astype(int) % len(vowels)  # five syllables a second
    voice = np.choose(which, vowels) * np.abs(np.sin(np.pi * 5 * time)) * ((time % 4) < 2.5)
    return (0.3 * voice / np.abs(voice).max() + 0.001 * rng.standard_normal(n)).astype(np.float32)


def profiled(path: Path) -> onnxruntime.InferenceSession:
    """A session as the package makes it, that writes down what takes how long."""
    wanted = onnxruntime.SessionOptions()
    wanted.intra_op_num_threads = wanted.inter_op_num_threads = 1
    wanted.enable_profiling = True
    return onnxruntime.InferenceSession(path, wanted, providers=["CPUExecutionProvider"])


chosen = options(__doc__, threads=1)
audio = speech(60, np.random.default_rng(0))
found = []
for name, file, how, sound in (
    ("silero-vad, a frame a call", "silero_vad.onnx", {"onnx": True}, torch.from_numpy(audio)),
    ("silero-vad, 512 frames a call", "silero_vad_16k_sequence.onnx", {"sequence": True}, audio),
):
    before, after, watched = (silero_vad.load_silero_vad(**how) for _ in range(3))
    after.session = lstmfast.onnx.session(folder / file, threads=1)  # the one line
    watched.session = profiled(folder / file)
    share_of = functools.partial(watched.audio_forward, sound, RATE)
    row(
        name,
        "a minute of audio",
        lambda model=before, sound=sound: model.audio_forward(sound, RATE),
        lambda model=after, sound=sound: model.audio_forward(sound, RATE),
        chosen,
        tolerance=1e-5,
        share=profiled_share(watched.session, share_of),
    )
    if how == {"onnx": True}:
        found += [silero_vad.get_speech_timestamps(sound, model) for model in (before, after)]

if found[0] != found[1] or not found[0]:
    sys.exit(f"speech was found by one at {found[0]}, by the other at {found[1]}")
print(f"both found {len(found[0])} pieces of speech, at the same samples")
(first, *_) = lstmfast.torch.report(silero_vad.load_silero_vad())
print(f"of the TorchScript model: {first.reason}")
