"""Model files: the same forecast, and nothing that is another file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._fitting import Settings
from lstmfast._forecast import Forecaster, saved

from .helpers import seasonal

safetensors = pytest.importorskip("safetensors.numpy")


@pytest.fixture(scope="module", params=["lstm", "gru"])
def learned(request: pytest.FixtureRequest) -> Forecaster:
    values = np.stack([seasonal(500), np.exp(seasonal(500, 1) / 5)], axis=1)
    settings = Settings(epochs=3)
    return Forecaster(
        6, request.param, 8, 2, seasons=(24,), settings=settings, names=("a", "b"), step="1 hour"
    ).fit(values)


def test_round_trip(learned: Forecaster, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert learned.learned
    network = learned.learned.network
    weights = np.random.default_rng(0).normal(0, 0.1, network.head.parameters["weight"].shape)
    network.head.update({"weight": weights})  # so that there is something to lose
    learned.save(path)
    again = Forecaster.load(path)
    assert again.learned
    assert (again.learned.names, again.learned.step, again.horizon) == (("a", "b"), "1 hour", 6)
    values = np.abs(np.random.default_rng(0).normal(5, 1, (300, 2)))
    one, other = learned.predict(values), again.predict(values)
    for name in ("mean", "lower", "upper"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_other_files(learned: Forecaster, tmp_path: Path) -> None:
    path = tmp_path / "other"
    with pytest.raises(FileNotFoundError):
        Forecaster.load(path)
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match="expected a whole model file"):
        Forecaster.load(path)
    lstmfast.LSTM(1, 2, seed=0).save(path)
    with pytest.raises(ValueError, match="class: expected 'Forecaster', got 'LSTM'"):
        Forecaster.load(path)
    learned.save(path)
    with pytest.raises(ValueError, match="class"):
        lstmfast.load(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="expected a whole model file"):
        Forecaster.load(path)


def changed(path: Path, tensors: dict[str, Any] | None = None, **config: Any) -> None:
    """Write the file anew with some of it changed; None leaves a tensor out."""
    with __import__("safetensors").safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["lstmfast"])
        all_tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    description["config"].update(config)
    all_tensors.update(tensors or {})
    left = {name: t for name, t in all_tensors.items() if t is not None}
    description["config"]["sha256"] = saved.digest(description["config"], left)  # whoever forges knows how
    path.write_bytes(safetensors.save(left, metadata={"lstmfast": json.dumps(description)}))


def test_a_file_with_any_byte_changed(learned: Forecaster, tmp_path: Path) -> None:
    """All of the header and, of the tensors, bytes here and there: an error, or the same forecast."""
    path = tmp_path / "model.safetensors"
    learned.save(path)
    whole = path.read_bytes()
    values = np.abs(np.random.default_rng(0).normal(5, 1, (100, 2)))
    expected = learned.predict(values).upper
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(0, header, 5), *range(header, len(whole), 997), len(whole) - 1]
    refused = 0
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            loaded = Forecaster.load(path)
        except ValueError as error:
            refused += 1
            assert "expected a" in str(error)  # noqa: PT017 - of many
            assert str(path) in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(loaded.predict(values).upper, expected)
            assert place < header
    assert refused > 0.9 * len(places)


@pytest.mark.parametrize("part", [0, 1, 8, 100, 0.5, 0.99])
def test_a_file_cut_off(part: float, learned: Forecaster, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    learned.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: part if isinstance(part, int) else int(part * len(whole))])
    with pytest.raises(ValueError, match="expected a whole model file"):
        Forecaster.load(path)


def test_an_edited_file(learned: Forecaster, tmp_path: Path) -> None:
    """One name of a column in its metadata, of the same length: sizes agree, and it is no file of ours."""
    path = tmp_path / "model.safetensors"
    learned.save(path)
    path.write_bytes(path.read_bytes().replace(rb"\"names\": [\"a\"", rb"\"names\": [\"c\""))
    with pytest.raises(ValueError, match=r"sha256: expected [0-9a-f]{64}, with which it was written"):
        Forecaster.load(path)


@pytest.mark.parametrize(
    ("tensors", "config"),
    [
        ({"widths": np.zeros((2, 6, 1))}, {}),
        ({"widths": np.full((2, 6, 2), np.nan)}, {}),
        ({"widths": None}, {}),
        ({"head.bias": None}, {}),
        ({"layer.weight_ih_l0": np.zeros((32, 99), np.float32)}, {}),
        ({"linear.constant": np.zeros(2, np.float32)}, {}),
        ({}, {"horizon": 0}),
        ({}, {"horizon": 10**12}),
        ({}, {"hidden_size": 10**6}),
        ({}, {"num_layers": 10**6}),
        ({}, {"context": -1}),
        ({}, {"order": 10**6}),
        ({}, {"order": 1}),
        ({}, {"names": ["a"]}),
        ({}, {"names": "ab"}),
        ({}, {"cell": "rnn"}),
        ({}, {"anchor": "luck"}),
        ({}, {"log": [0, 1]}),
        ({}, {"returns": [True, True, True]}),
        ({}, {"step": None}),
        ({}, {"period": -1}),
    ],
)
def test_files_that_contradict_themselves(
    learned: Forecaster, tmp_path: Path, tensors: dict[str, Any], config: dict[str, Any]
) -> None:
    path = tmp_path / "model.safetensors"
    learned.save(path)
    changed(path)
    Forecaster.load(path)
    changed(path, tensors, **config)
    with pytest.raises(ValueError, match="expected a model file of lstmfast forecast: "):
        Forecaster.load(path)
