"""Every bad argument that forward alone takes, or backward, gets an error and changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..helpers import assert_same_bits, make
from .helpers import NOT_NUMBERS, Case, every_wrong_seed, raises

# What forward alone takes.


@pytest.mark.parametrize(
    ("value", "got"), [(0, "0 (int)"), (1, "1 (int)"), ("gates", "'gates' (str)"), (None, "None")]
)
def test_recompute(case: Case, value: Any, got: str) -> None:
    with raises(TypeError, f"recompute: expected True or False, got {got}"):
        case.model.forward(case.x, recompute=value)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@every_wrong_seed
def test_seed_of_dropout(kind: str, dropout: float, value: Any, error: type[Exception], got: str) -> None:
    """Also where nothing would be drawn of it: what is wrong is not to show later."""
    model = make(kind, 3, 5, num_layers=2, dropout=dropout)
    expected = f"seed: expected None, an integer >= 0 or a numpy.random.Generator, got {got}"
    with raises(error, expected):
        model.forward(np.zeros((4, 2, 3)), seed=value)


def test_a_call_that_is_refused_draws_nothing(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2, dropout=0.5)
    generator = np.random.default_rng(1)
    before = generator.bit_generator.state
    x = np.zeros((4, 2, 3))
    wrong: list[dict[str, Any]] = [
        {"x": x[..., :2]},
        {"x": x, "state": 3},
        {"x": x, "lengths": [4, 5]},
        {"x": x, "reset": np.ones((2, 4), bool)},
        {"x": x, "recompute": 1},
    ]
    for arguments in wrong:
        with pytest.raises((TypeError, ValueError)):
            model.forward(**arguments, seed=generator)
    assert generator.bit_generator.state == before
    model.forward(x, seed=generator)
    assert generator.bit_generator.state != before


def test_masks_larger_than_this_machines_memory(kind: str) -> None:
    for num_layers, shape in ((2, (2**30, 2**20, 3)), (33, (2**56, 1, 1))):
        model = make(kind, shape[2], 5, num_layers=num_layers, dropout=0.5)
        with pytest.raises(MemoryError):
            model.forward(np.broadcast_to(np.float32(0), shape), seed=1)


@pytest.mark.parametrize("name", ["recompute", "seed"])
def test_a_call_takes_nothing_that_is_forwards(case: Case, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        case.model(case.x, **{name: None})


# backward.


@pytest.mark.parametrize("value", [None, 0, "tape", (1, 2), object()])
def test_tape_that_is_none(case: Case, value: Any) -> None:
    with raises(TypeError, "tape: expected a Tape from forward, got "):
        case.model.backward(value, case.dy)
    with raises(TypeError, "tape: expected a Tape from forward, got "):
        case.model.backward(case.tape._core, case.dy)


def test_tape_of_another_model(case: Case) -> None:
    for other in (
        make(case.kind, 3, 5, num_layers=2),
        make(case.kind, 3, 6),
        make("lstm", 1, 1, dtype="float64"),
    ):
        tape = other.forward(np.zeros((4, 2, other.input_size)))[2]
        with raises(
            ValueError, f"tape: expected one of this model, {case.model!r}, got one of another, {other!r}"
        ):
            case.model.backward(tape, case.dy)


TRAINING: list[dict[str, Any]] = [
    {"lengths": [4, 1]},
    {"reset": np.eye(4, 2, -1, bool)},
    {"recompute": True},
    {"lengths": [3, 0], "reset": np.eye(4, 2, -1, bool), "recompute": True, "seed": 3},
]


@pytest.mark.parametrize("options", TRAINING)
def test_tape_of_another_model_or_of_earlier_weights_with_more_to_it(
    kind: str, options: dict[str, Any]
) -> None:
    case, other = Case(kind, dropout=0.5), make(kind, 3, 5, num_layers=2)
    tape = case.model.forward(case.x, case.state, **options)[2]
    expected = case.model.backward(tape, case.dy, case.dstate).x
    with raises(
        ValueError, f"tape: expected one of this model, {other!r}, got one of another, {case.model!r}"
    ):
        other.backward(tape, case.dy)
    with raises(ValueError, "dy: expected shape (4, 2, 5) [T, B, D*H], got (3, 2, 5)"):
        case.model.backward(tape, case.dy[:3])
    assert_same_bits(case.model.backward(tape, case.dy, case.dstate).x, expected)
    case.model.update({"weight_ih_l0": case.weights["weight_ih_l0"]})
    with raises(ValueError, "tape: the weights have changed since forward made it"):
        case.model.backward(tape, case.dy)


@pytest.mark.parametrize("way", ["update", "load_state_dict"])
def test_tape_of_earlier_weights(kind: str, way: str) -> None:
    case = Case(kind)
    getattr(case.model, way)(case.model.state_dict())
    with raises(ValueError, "tape: the weights have changed since forward made it"):
        case.model.backward(case.tape, case.dy)


@pytest.mark.parametrize("shape", [(), (4, 2), (4, 2, 4), (2, 4, 5), (4, 5), (1, 4, 2, 5), (5, 2, 5)])
def test_shape_of_dy(case: Case, shape: tuple[int, ...]) -> None:
    with raises(ValueError, f"dy: expected shape (4, 2, 5) [T, B, D*H], got {shape}"):
        case.model.backward(case.tape, np.zeros(shape, "float32"))


def test_shape_of_dy_in_other_layouts(kind: str) -> None:
    case = Case(kind, batch_first=True)
    with raises(ValueError, "dy: expected shape (2, 4, 5) [B, T, D*H], got (4, 2, 5)"):
        case.model.backward(case.tape, np.zeros((4, 2, 5)))
    tape = case.model.forward(np.zeros((4, 3)))[2]
    with raises(ValueError, "dy: expected shape (4, 5) [T, D*H], got (1, 4, 5)"):
        case.model.backward(tape, np.zeros((1, 4, 5)))
    case.check()


def test_shape_of_dy_of_a_projected_lstm() -> None:
    case = Case("lstm", proj_size=3)
    with raises(ValueError, "dy: expected shape (4, 2, 3) [T, B, D*P], got (4, 2, 5)"):
        case.model.backward(case.tape, np.zeros((4, 2, 5)))
    tape = case.model.forward(case.x[:, 0])[2]
    with raises(ValueError, "dy: expected shape (4, 3) [T, D*P], got (4, 5)"):
        case.model.backward(tape, np.zeros((4, 5)))
    case.check()
    case = Case("lstm", proj_size=3, batch_first=True)
    with raises(ValueError, "dy: expected shape (2, 4, 3) [B, T, D*P], got (4, 2, 3)"):
        case.model.backward(case.tape, np.zeros((4, 2, 3)))
    case.check()


@pytest.mark.parametrize(("value", "got"), [entry for entry in NOT_NUMBERS if entry[0] is not None])
def test_dy_that_is_no_array_of_numbers(case: Case, value: Any, got: str) -> None:
    with pytest.raises(TypeError) as caught:
        case.model.backward(case.tape, value)
    assert str(caught.value).startswith("dy: expected an array of real numbers, got ")
    assert got in str(caught.value)
