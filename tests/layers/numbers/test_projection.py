"""LSTMs whose h is projected: the reference's and PyTorch's results, and the same bits every time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import lstmfast

from ...core_helpers import assert_close, from_reference, ours
from ...helpers import ISAS, assert_same_bits, everything, make, random_call, random_state, random_x
from ...pieces import Shape
from ...torch_helpers import BOUNDS, from_torch, torch_model

I, H = 5, 18
SIZES = (1, 2, 7, 16, H - 1)  # around and between the widths of vectors
CONFIGURATIONS = list(itertools.product((1, 2, 3), (False, True), (False, True)))
every_configuration = pytest.mark.parametrize(("num_layers", "bidirectional", "bias"), CONFIGURATIONS)

# Every way of sharing a call's rows, directions and panels of the cell and of the projection.
PROJECTED = {
    "rows": Shape(T=40, B=25, I=10, H=60, proj_size=17),
    "rows, two layers, two directions": Shape(T=8, B=31, I=6, H=24, proj_size=23, layers=2, directions=2),
    "directions": Shape(T=200, B=1, I=40, H=100, proj_size=30, directions=2),
    "panels": Shape(T=60, B=2, I=30, H=250, proj_size=70),
    "fewer panels of the projection than threads": Shape(T=40, B=1, I=30, H=2000, proj_size=1),
    "directions and panels": Shape(T=6, B=1, I=100, H=253, proj_size=131, layers=2, directions=2),
    "several chunks": Shape(T=300, B=3, I=5, H=64, proj_size=33),
}
every_shape = pytest.mark.parametrize("shape", PROJECTED.values(), ids=PROJECTED.keys())


@pytest.fixture(autouse=True)
def _one_thread(threads: None) -> None:
    lstmfast.set_num_threads(1)


def lstms(num_layers: int, bidirectional: bool, bias: bool, **options: Any) -> list[Any]:
    """One for each size of a projection; every other one is batch first."""
    options |= {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
    return [make("lstm", I, H, proj_size=P, batch_first=n % 2 == 1, **options) for n, P in enumerate(SIZES)]


@every_configuration
def test_reference(isa: str, num_layers: int, bidirectional: bool, bias: bool) -> None:
    for model in lstms(num_layers, bidirectional, bias, dtype="float64", isa=isa):
        for B, with_state in ((4, True), (4, False), (None, True), (1, True)):
            arguments = random_call(model, 7, B, with_state=with_state)
            results = everything(model, *arguments)
            assert_close(ours(results), from_reference(model, *arguments), str(model))
            for name in [name for name in results if name.startswith("called")]:
                forward = results["y" if name == "called" else name.removeprefix("called ")]
                assert_same_bits(results[name], forward, name)


@every_shape
def test_reference_of_large_calls(shape: Shape) -> None:
    model = shape.model("float64")
    arguments = random_call(model, shape.T, shape.B)
    assert_close(ours(everything(model, *arguments)), from_reference(model, *arguments), str(model))


def test_sizes(dtype: str, isa: str) -> None:
    """Each projection of each small model, whose vectors and panels are full or not."""
    for hidden_size in (2, 3, 8, 9, 16, 17, 33):
        for P in range(1, hidden_size):
            model = make("lstm", 3, hidden_size, proj_size=P, dtype=dtype, isa=isa)
            arguments = random_call(model, 3, 2)
            truth = from_reference(model, *arguments)
            assert_close(ours(everything(model, *arguments)), truth, str(model), *BOUNDS[dtype])


@every_configuration
@pytest.mark.usefixtures("torch")
def test_pytorch(dtype: str, num_layers: int, bidirectional: bool, bias: bool) -> None:
    for model in lstms(num_layers, bidirectional, bias, dtype=dtype):
        for B, with_state in ((4, True), (4, False), (None, True)):
            arguments = random_call(model, 8, B, with_state=with_state)
            expected = from_torch(model, *arguments)
            assert_close(ours(everything(model, *arguments)), expected, str(model), *BOUNDS[dtype])


@every_configuration
@pytest.mark.usefixtures("torch")
def test_state_dict_goes_both_ways(dtype: str, num_layers: int, bidirectional: bool, bias: bool) -> None:
    for model, other in zip(
        lstms(num_layers, bidirectional, bias, dtype=dtype, seed=1),
        lstms(num_layers, bidirectional, bias, dtype=dtype, seed=2),
        strict=True,
    ):
        weights = torch_model(model).state_dict()  # which had ours loaded: names and shapes are PyTorch's
        assert list(weights) == list(model.state_dict())
        other.load_state_dict(weights)
        assert_same_bits(other.state_dict(), model.state_dict())
        x = random_x(model, 4, 2)
        assert_same_bits(other(x), model(x))


def test_a_projection_that_changes_nothing(dtype: str, isa: str) -> None:
    """The first P of H units, where the others are cut off from everything: an LSTM of P units."""
    P = 7
    small = make("lstm", I, P, dtype=dtype, isa=isa)
    weights = {}
    for name, array in small.state_dict().items():
        gates = np.zeros((4, H, *array.shape[1:]), dtype)
        gates[:, :P] = array.reshape(4, P, *array.shape[1:])
        weights[name] = gates.reshape(4 * H, *array.shape[1:])
    weights["weight_hr_l0"] = np.eye(P, H)
    large = make("lstm", I, H, proj_size=P, dtype=dtype, isa=isa)
    large.load_state_dict(weights)
    x = random_x(small, 6, 3)
    y, (h, c) = large(x)
    expected_y, (expected_h, expected_c) = small(x)
    assert_same_bits((y, h, c[:, :, :P]), (expected_y, expected_h, expected_c))
    assert not c[:, :, P:].any()


# The same bits.


@every_shape
def test_threads(dtype: str, isa: str, shape: Shape) -> None:
    model = shape.model(dtype, isa)
    arguments = random_call(model, shape.T, shape.B)
    one = everything(model, *arguments)
    for threads in (2, 3, 5):
        lstmfast.set_num_threads(threads)
        for _ in range(2):  # a short call is shared only if one came just before
            assert_same_bits(everything(model, *arguments), one, f"{threads} threads: ")


@every_shape
def test_isas(dtype: str, shape: Shape) -> None:
    arguments = random_call(shape.model(dtype), shape.T, shape.B)
    results = [everything(shape.model(dtype, isa), *arguments) for isa in ISAS]
    for isa, result in zip(ISAS[1:], results[1:], strict=True):
        assert_same_bits(result, results[0], f"{isa} and {ISAS[0]}: ")


def test_out(dtype: str) -> None:
    model = make("lstm", I, H, num_layers=2, bidirectional=True, proj_size=7, dtype=dtype)
    x, state = random_x(model, 6, 4), random_state(model, 4)
    expected_y, expected_state = model(x, state)
    out = (np.full_like(expected_y, np.nan), state)  # the new state replaces the old
    assert model(x, state, out=out) is out
    assert_same_bits(out, (expected_y, expected_state))
