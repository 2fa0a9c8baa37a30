"""Files and pickles of earlier versions load as they were. Those in `old` were made by its make.py."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits

OLD = Path(__file__).parent / "old"
FOLDERS = sorted(path for path in OLD.glob("[0-9]*") if path.is_dir())
MODELS = [(folder, path.stem) for folder in FOLDERS for path in sorted(folder.glob("*.safetensors"))]


def unpickled(folder: Path, name: str) -> Any:
    return pickle.loads((folder / f"{name}.pickle").read_bytes())


def outputs(folder: Path) -> Any:
    return np.load(folder / "outputs.npz")


def test_there_are_some() -> None:
    assert [folder.name for folder in FOLDERS] == ["0.1.0"]
    assert len(MODELS) == 9


@pytest.mark.parametrize(("folder", "name"), MODELS, ids=[f"{folder.name}-{name}" for folder, name in MODELS])
def test_models_give_what_they_gave(folder: Path, name: str) -> None:
    expected = outputs(folder)
    for model in (lstmfast.load(folder / f"{name}.safetensors"), unpickled(folder, name)):
        assert type(model).__module__ == "lstmfast"
        assert_same_bits(model(expected["x"])[0], expected[name])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_streams_go_on_where_they_were(folder: Path) -> None:
    x = outputs(folder)["x"]
    model = unpickled(folder, "lstm")
    twice = model(np.concatenate([x, x]))[0]
    stream, pool = unpickled(folder, "stream"), unpickled(folder, "pool")
    assert_same_bits(stream.run(x), twice[len(x) :])
    stream.restore(unpickled(folder, "snapshot"))
    assert_same_bits(stream.run(x), twice[len(x) :])
    second, first = sorted(pool.ids, reverse=True)  # make.py stepped the second with row 0
    assert_same_bits(pool.step([second, first], x[1]), model(x)[0][1])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_results_are_what_they_were(folder: Path) -> None:
    x = outputs(folder)["x"]
    model = unpickled(folder, "lstm")
    y, _, tape = model.forward(x)
    gradients = unpickled(folder, "gradients")
    assert isinstance(gradients, lstmfast.Gradients)
    again = model.backward(tape, np.ones_like(y))
    assert_same_bits(gradients.x, again.x)
    assert gradients.parameters.keys() == again.parameters.keys()
    flow = unpickled(folder, "flow")
    assert isinstance(flow, lstmfast.GradientFlow)
    flow_again = lstmfast.gradient_flow(model, x, lambda y: (0.0, np.ones_like(y)))
    np.testing.assert_allclose(flow.norm, flow_again.norm, rtol=1e-12)  # NumPy's norms
    comparison = unpickled(folder, "comparison")
    assert isinstance(comparison, lstmfast.Comparison)
    compared = lstmfast.compare(model, model.quantize("int8"), x)
    assert comparison.h_n.max == compared.h_n.max
    assert comparison.h_n.mean == pytest.approx(compared.h_n.mean, rel=1e-12)


@pytest.mark.parametrize("name", ["lstm", "rnn_relu", "lstm_int8", "gradients", "flow", "comparison"])
def test_a_pickle_brings_its_modules_itself(name: str) -> None:
    """In a process that has not imported lstmfast before."""
    path = FOLDERS[0] / f"{name}.pickle"
    program = "import pickle, sys; print(type(pickle.load(open(sys.argv[1], 'rb'))).__module__)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "lstmfast"


PUBLIC = [name for name in lstmfast.__all__ if isinstance(getattr(lstmfast, name), type)]


@pytest.mark.parametrize("name", PUBLIC)
def test_pickles_name_no_module_but_the_package(name: str) -> None:
    """So that a class may move and its pickles still be read, by earlier versions, too."""
    assert getattr(lstmfast, name).__module__ == "lstmfast"
    assert f"lstmfast.{name}" in repr(getattr(lstmfast, name))
