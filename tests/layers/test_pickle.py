"""pickle, copy and deepcopy: the same results, and nothing shared that could be changed."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import ISAS, KINDS, assert_same_bits, everything, make, random_state, random_x

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "dtype": "float64"},
    {"bias": False, "batch_first": True},
    {"num_layers": 2, "dropout": 0.25},
]
PROJECTED = {"num_layers": 2, "dropout": 0.25, "bidirectional": True, "proj_size": 3}


def ways(model: Any) -> dict[str, Any]:
    """Copies of a model, by how they were made."""
    pickled = {f"protocol {n}": pickle.loads(pickle.dumps(model, n)) for n in PROTOCOLS}
    return {"copy": copy.copy(model), "deepcopy": copy.deepcopy(model), **pickled}


@pytest.mark.parametrize(
    ("kind", "options"), [*((kind, options) for kind in KINDS for options in OPTIONS), ("lstm", PROJECTED)]
)
def test_copies_are_equal(kind: str, options: dict[str, Any]) -> None:
    model = make(kind, 3, 5, **options)
    x, state = random_x(model, 6, 4), random_state(model, 4)
    expected = everything(model, x, state, seed=1)
    for way, other in ways(model).items():
        assert type(other) is type(model), way
        assert repr(other) == repr(model), way
        assert other.dtype is model.dtype, way  # or every call would take the slow path
        assert_same_bits(other.state_dict(), model.state_dict(), way)
        assert_same_bits(everything(other, x, state, seed=1), expected, way)


def test_copies_are_independent(kind: str) -> None:
    model = make(kind, 3, 5)
    x = random_x(model, 6, 4)
    before, y = model.state_dict(), model(x)[0]
    ones = {name: np.ones_like(array) for name, array in before.items()}
    for way, other in ways(model).items():
        other.load_state_dict(ones)
        assert_same_bits(model.state_dict(), before, way)
        assert_same_bits(model(x)[0], y, way)
    others = ways(model)
    model.load_state_dict(ones)
    for way, other in others.items():
        assert_same_bits(other.state_dict(), before, way)
        assert_same_bits(other(x)[0], y, way)


def test_copies_have_read_only_parameters(kind: str) -> None:
    for other in ways(make(kind, 3, 5)).values():
        for array in other.parameters.values():
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True


def test_copies_keep_the_isa_and_pickles_do_not(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa)
    for way, other in ways(model).items():
        assert other.isa == (lstmfast.isa() if way.startswith("protocol") else isa), way
        other.update({"weight_ih_l0": model.parameters["weight_ih_l0"]})
        assert other.isa == (lstmfast.isa() if way.startswith("protocol") else isa), way
    assert ISAS[0].encode() not in pickle.dumps(model)


def test_a_pickle_in_another_process(kind: str, isa: str, tmp_path: Path) -> None:
    model = make(kind, 3, 5)
    x = random_x(model, 6, 4)
    (tmp_path / "in").write_bytes(pickle.dumps((model, x)))
    program = (
        "import pickle, sys, pathlib; folder = pathlib.Path(sys.argv[1]);"
        "model, x = pickle.loads((folder / 'in').read_bytes());"
        "(folder / 'out').write_bytes(pickle.dumps((model.isa, model(x)[0])))"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, env=environment_with(LSTMFAST_ISA=isa)
    )
    used, y = pickle.loads((tmp_path / "out").read_bytes())
    assert used == isa
    assert_same_bits(y, make(kind, 3, 5, isa=isa)(x)[0])


def environment_with(**variables: str) -> dict[str, str]:
    """This process's environment with some variables set."""
    import os

    return {**os.environ, **variables}


def test_a_pickle_that_lies_about_its_layers(kind: str) -> None:
    # It must not take the time and the memory for as many names.
    state = make(kind, 3, 5).__getstate__()
    state["config"]["num_layers"] = 10**9
    with pytest.raises(
        ValueError, match=r"^pickle: expected 4000000000 arrays for 1000000000 layers, got 4$"
    ):
        lstmfast.LSTM.__new__(type(make(kind, 3, 5))).__setstate__(state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("config"), "pickle: expected a dict of ['config', 'extra', 'parameters']"),
        (lambda state: state.update(extra=[]), "pickle: expected a dict of "),
        (lambda state: state.update(config=3), "config: expected ["),
        (lambda state: state["config"].pop("bias"), "config: expected ['"),
        (lambda state: state["config"].update(other=1), "config: expected ['"),
    ],
)
def test_a_pickle_that_lacks_something(kind: str, change: Callable[[Any], Any], words: str) -> None:
    """A ValueError that says what, as of a file: not a KeyError with a bare name."""
    model: lstmfast.LSTM = make(kind, 3, 5)
    state = model.__getstate__()
    change(state)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at below
        object.__new__(type(model)).__setstate__(state)
    assert str(caught.value).startswith(words)
    with pytest.raises(ValueError, match=r"^pickle: expected a dict of .*, got '?x'? \(str\)$"):
        object.__new__(type(model)).__setstate__("x")


class Mine(lstmfast.LSTM):
    """A subclass with something of its own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.notes = ["a"]


def test_subclasses_keep_what_they_added() -> None:
    model = Mine(3, 5)
    for way, other in ways(model).items():
        assert type(other) is Mine, way
        assert other.notes == ["a"], way
        assert (other.notes is model.notes) == (way == "copy"), way


def test_deepcopy_of_what_holds_a_model_twice() -> None:
    model = Mine(3, 5)
    model.notes.append(model)  # type: ignore[arg-type]
    first, second = copy.deepcopy([model, model])
    assert first is second
    assert first is not model
    assert first.notes[1] is first  # type: ignore[comparison-overlap]


def test_tapes_cannot_be_copied(kind: str) -> None:
    tape = make(kind, 3, 5).forward(np.zeros((6, 4, 3), "float32"))[2]
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="Tape"):
            way(tape)


def test_a_pickle_that_lies_about_its_projection() -> None:
    state = make("lstm", 3, 5).__getstate__()
    state["config"]["proj_size"] = 2
    with pytest.raises(ValueError, match=r"^pickle: expected the names .*, got missing weight_hr_l0$"):
        lstmfast.LSTM.__new__(lstmfast.LSTM).__setstate__(state)


def test_gradients_can_be_pickled(kind: str) -> None:
    model = make(kind, 3, 5)
    y, _, tape = model.forward(random_x(model, 6, 4))
    grads = model.backward(tape, y)
    again = pickle.loads(pickle.dumps(grads))
    assert_same_bits(again.x, grads.x)
    assert_same_bits(again.state, grads.state)
    assert_same_bits(again.parameters, grads.parameters)
