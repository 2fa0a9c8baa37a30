"""Hear beeps in noise as the sound comes in: 10 ms frames from standard input, a probability for each out.

python examples/stream_audio.py --make | python examples/stream_audio.py
python examples/stream_audio.py < recording.wav

The input is a WAV file (or a pipe that one comes through) of 16-bit samples, one channel, 16 kHz. With --make
one is written to standard output: noise with some beeps in it. The detector is trained first, which takes a
few seconds.
"""

import argparse
import sys
import time
import wave

import numpy as np

import lstmfast
from lstmfast import training

RATE = 16_000  # samples a second
FRAME = RATE // 100  # samples in 10 ms
BANDS = 16


def features(samples: np.ndarray) -> np.ndarray:
    """Loudness of frames in 16 bands from 0 to 8 kHz: samples [..., FRAME] to float32 [..., BANDS]."""
    power = np.abs(np.fft.rfft(samples * np.hanning(FRAME))) ** 2
    bands = power[..., 1:].reshape(*power.shape[:-1], BANDS, -1).mean(-1)
    return (0.2 * np.log(bands + 1e-6)).astype(np.float32)


def sound(seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise with beeps of 0.1 to 0.4 s: samples in whole frames, and which frames have a beep."""
    frames = round(100 * seconds)
    samples = 0.05 * rng.standard_normal(frames * FRAME)
    beeps = np.zeros(frames, dtype=bool)
    start = int(rng.integers(20, 60))
    while (length := int(rng.integers(10, 40))) + start < frames:
        pitch = rng.uniform(500, 3000)
        part = slice(start * FRAME, (start + length) * FRAME)
        samples[part] += 0.05 * np.sin(2 * np.pi * pitch / RATE * np.arange(length * FRAME))
        beeps[start : start + length] = True
        start += length + int(rng.integers(30, 120))
    return np.clip(samples, -1, 1), beeps


def train() -> tuple[lstmfast.LSTM, training.Dense]:
    """Train a detector on sounds as `sound` makes them."""
    rng = np.random.default_rng(0)
    lstm = lstmfast.LSTM(BANDS, 24, seed=0)
    head = training.Dense(24, 1, activation="sigmoid", seed=1)
    adam = training.Adam(lstm, head, learning_rate=1e-2)
    for _ in range(150):
        sounds, beeps = zip(*(sound(4, rng) for _ in range(16)), strict=True)
        x = features(np.stack(sounds, axis=1).reshape(-1, FRAME, 16).swapaxes(1, 2))  # [T, 16, BANDS]
        y, _, lstm_tape = lstm.forward(x)
        _, head_tape = head.forward(y)
        _, dp = training.cross_entropy(head_tape, np.stack(beeps, axis=1)[..., np.newaxis])
        head_grads = head.backward(head_tape, dp)
        lstm_grads = lstm.backward(lstm_tape, head_grads.x, wants_x=False)
        gradients, _ = training.clip_global_norm(lstm_grads.parameters, head_grads.parameters, max_norm=1.0)
        adam.step(*gradients)
    return lstm, head


def make(seconds: float, seed: int) -> None:
    """Write a sound to standard output."""
    samples, _ = sound(seconds, np.random.default_rng(seed))
    with wave.open(sys.stdout.buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((32767 * samples).astype("<i2").tobytes())


def listen(file: wave.Wave_read) -> None:
    """Print what the model says of each frame of a WAV file."""
    form = file.getnchannels(), file.getsampwidth(), file.getframerate()
    if form != (1, 2, RATE):
        sys.exit(f"expected one channel, 2 bytes a sample and {RATE} Hz, got {form}")
    lstm, head = train()
    stream = lstm.stream()
    y = np.empty(lstm.hidden_size, np.float32)
    frames = spent = 0
    while len(data := file.readframes(FRAME)) == 2 * FRAME:  # what is left in the end is no whole frame
        x = features(np.frombuffer(data, "<i2") / 32768)
        begin = time.perf_counter_ns()
        stream.step(x, out=y)  # no memory is taken, and the state stays in the stream
        spent += time.perf_counter_ns() - begin
        p = float(head(y)[0])
        print(f"{frames / 100:7.2f} s  {p:4.2f}  {'#' * round(20 * p)}".rstrip(), flush=True)
        frames += 1
    if frames:
        print(f"{frames} frames; the LSTM took {spent / frames / 1000:.1f} us of each 10 ms", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--make", action="store_true", help="write a sound to standard output instead")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long that is (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of that sound (default: 1)")
    options = parser.parse_args()
    if options.make:
        make(options.seconds, options.seed)
    else:
        try:
            with wave.open(sys.stdin.buffer, "rb") as file:
                listen(file)
        except (wave.Error, EOFError) as error:
            sys.exit(f"expected a WAV file on standard input: {error or 'it is empty'}")
