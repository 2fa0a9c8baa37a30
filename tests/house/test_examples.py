"""The examples run as they stand, and what they print is what they promise."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import wave
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from lstmfast import datasets
from lstmfast._demo.series import HELD_OUT
from lstmfast._demo.train import train

from ..helpers import ROOT

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: str, given: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run an example; `given` is a file for its standard input."""
    with open(given or os.devnull, "rb") as stdin:
        return run_with(stdin, name, *arguments)


def run_with(stdin: BinaryIO, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_there_is_no_example_that_is_not_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "accelerate_model.py",
        "classify_sequences.py",  # sklearn/test_readme.py
        "quantize.py",
        "run_trained.py",
        "step_by_step.py",
        "stream_audio.py",
        "train.py",
        "train_distributed.py",  # torch/test_distributed.py
        "train_onnx.py",
        "truncated.py",
    }


def test_train() -> None:
    done = run("train.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("right about 100% of 64 new sequences\n")


def test_train_onnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    done = run("train_onnx.py", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "in forecaster.onnx: LSTM(1, 32)"
    assert lines[4] == "the file has the trained weights: True"
    assert float(lines[5].rsplit(maxsplit=1)[1]) < 1e-5
    before, after = map(float, re.findall(r"\d\.\d{3}", lines[6]))
    assert after < 0.1 * before
    model = onnx.load(tmp_path / "forecaster.onnx")
    assert [node.op_type for node in model.graph.node] == ["LSTM", "Squeeze", "MatMul", "Add"]


def test_truncated() -> None:
    done = run("truncated.py")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    losses = [float(line.rsplit(maxsplit=1)[1]) for line in lines[:-1]]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4
    ours, naive = map(float, re.findall(r"\d+\.\d", lines[-1]))
    assert lines[-1].startswith("error in 1949 to 2008: ")
    _, numbers = datasets.sunspots()
    assert naive == pytest.approx(np.sqrt(np.mean(np.diff(numbers)[-60:] ** 2)), abs=0.06)
    assert ours < 0.7 * naive


def test_step_by_step() -> None:
    done = run("step_by_step.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the same bits as all steps at once: True\nand the same state: True\n"


def test_stream_audio(tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLES / "stream_audio.py"))
    samples, beeps = example["sound"](4, np.random.default_rng(3))
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((32767 * samples).astype("<i2").tobytes() + b"\0\0")  # no whole frame
    done = run("stream_audio.py", given=tmp_path / "sound.wav")
    assert done.returncode == 0
    said = np.array([float(line.split()[2]) for line in done.stdout.splitlines()])
    assert said.shape == beeps.shape
    assert 0.1 < beeps.mean() < 0.9
    assert np.mean((said > 0.5) == beeps) > 0.95
    assert done.stderr.startswith("400 frames; the LSTM took ")


def test_stream_audio_with_other_input(tmp_path: Path) -> None:
    path = tmp_path / "other.wav"
    path.write_bytes(b"")
    assert "expected a WAV file on standard input" in run("stream_audio.py", given=path).stderr
    path.write_bytes(b"no sound at all, but text")
    assert "expected a WAV file on standard input" in run("stream_audio.py", given=path).stderr
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
    done = run("stream_audio.py", given=path)
    assert done.returncode == 1
    assert done.stderr == "expected one channel, 2 bytes a sample and 16000 Hz, got (2, 2, 44100)\n"


def test_run_trained(tmp_path: Path) -> None:
    _, numbers = datasets.sunspots()
    model = train(numbers[:-HELD_OUT], epochs=5, hidden=8, seed=0)
    model.save(tmp_path)
    done = run("run_trained.py", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    said = float(done.stdout.rsplit(maxsplit=1)[1])
    assert done.stdout.startswith("2008: 2.9 sunspots; forecast of 2009: ")
    assert said == pytest.approx(model.next_years(numbers)[-1], abs=0.06)  # printed to one digit


def test_run_trained_without_weights(tmp_path: Path) -> None:
    done = run("run_trained.py", str(tmp_path))
    assert done.returncode == 1
    assert "run `lstmfast demo` first" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("torch")
def test_accelerate_model() -> None:
    done = run("accelerate_model.py", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("lstm: LSTM(64, 128, ")
    assert lines[0].endswith(": accelerated")
    assert lines[1].startswith("a call goes to lstmfast: ")
    outputs, gradients = (float(said) for said in re.findall(r"\d\.\de[-+]\d\d", "".join(lines[2:4])))
    assert max(outputs, gradients) < 1e-6
    assert lines[4].startswith("after freeze, lstmfast: ")
    assert " frozen: " in lines[4]
    assert lines[6].endswith(", up to 1 thread(s):")
    found = re.findall(r"PyTorch (\S+), accelerated (\S+): (\S+) times as fast$", done.stdout, re.M)
    assert len(found) == 2
    for before, after, ratio in found:
        assert float(ratio) == pytest.approx(float(before) / float(after), rel=0.1)


def test_quantize(tmp_path: Path) -> None:
    done = run("quantize.py", str(tmp_path / "picture.png"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    names = re.findall(r"^second +QuantizedLSTM of (\w+)$", done.stdout, re.M)
    assert names == ["float16", "bfloat16", "int8", "int8"]
    errors = [float(said) for said in re.findall(r"^error of y +max (\S+),", done.stdout, re.M)]
    assert errors[0] < errors[1] < errors[2] < 0.01
    sizes = re.findall(r"^file of .*: (\S+) bytes$", done.stdout, re.M)
    large, small = (int(said.replace(",", "")) for said in sizes)
    assert large > 3.8 * small
    assert done.stdout.endswith("the same bits from the file: True\n")
