"""What the Python API promises of forward: dropout, tapes and gradients."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits, everything, has_memory, make, parts, random, random_state, random_x
from .helpers import recorded

# Dropout and recomputing: how they are asked for.


def test_a_call_drops_nothing(kind: str) -> None:
    x = random((6, 4, 3))
    with_dropout = make(kind, 3, 5, num_layers=3, dropout=0.5)
    assert_same_bits(with_dropout(x), make(kind, 3, 5, num_layers=3)(x))
    assert (with_dropout.forward(x)[0] != with_dropout(x)[0]).any()


def test_nothing_is_drawn_where_nothing_is_dropped(kind: str) -> None:
    x = random((6, 4, 3))
    for options in ({"num_layers": 1, "dropout": 0.5}, {"num_layers": 3}):
        model = make(kind, 3, 5, **options)
        generator = np.random.default_rng(3)
        before = generator.bit_generator.state
        assert_same_bits(model.forward(x, seed=generator)[:2], model(x))
        assert generator.bit_generator.state == before


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_masks_are_those_of_one_draw(kind: str, p: float, bits: Any) -> None:
    for batch_first in (False, True):
        options: dict[str, Any] = {"num_layers": 3, "bidirectional": True, "batch_first": batch_first}
        model = make(kind, 3, 5, dropout=p, **options)
        recorder = recorded(model)
        x = random_x(model, 7, 3)
        ours, theirs = (np.random.Generator(bits(8)) for _ in range(2))
        for _ in range(2):  # the second call goes on where the first one ended
            model.forward(x, seed=ours)
            _, _, _, masks, scale = recorder.seen
            expected = theirs.random((2, 7, 3, 10), dtype=np.float32).astype("float64") >= p
            assert masks.flags.c_contiguous
            np.testing.assert_array_equal(masks, expected)
            assert scale == (0.0 if p == 1 else 1 / (1 - p))
    lstm = make("lstm", 3, 5, num_layers=2, proj_size=2, dropout=p)
    recorder = recorded(lstm)
    lstm.forward(random((7, 3)), seed=np.random.Generator(bits(8)))
    expected = np.random.Generator(bits(8)).random((1, 7, 1, 2), dtype=np.float32).astype("float64") >= p
    np.testing.assert_array_equal(recorder.seen[3], expected)


def test_seeds_of_dropout(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2, dropout=0.5)
    x = random((6, 4, 3))

    def run(seed: Any) -> Any:
        return model.forward(x, seed=seed)[0]

    assert_same_bits(run(7), run(np.int32(7)))
    assert_same_bits(run(7), run(np.random.default_rng(7)))
    assert (run(7) != run(8)).any()
    assert (run(None) != run(None)).any()
    generator = np.random.default_rng(7)
    assert (run(generator) != run(generator)).any()


def test_backward_goes_through_what_was_dropped(kind: str) -> None:
    """A tape knows its masks: others that are drawn between are no matter."""
    model = make(kind, 3, 5, num_layers=2, dropout=0.5)
    x = random((6, 4, 3))
    tapes = [model.forward(x, seed=seed)[2] for seed in (1, 2)]
    gradients = [model.backward(tape, np.ones((6, 4, 5))) for tape in tapes]
    assert (gradients[0].x != gradients[1].x).any()
    assert_same_bits(model.backward(tapes[0], np.ones((6, 4, 5))).x, gradients[0].x)


def test_recompute_gives_the_same_bits_and_a_smaller_tape(kind: str, dtype: str, isa: str) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dropout": 0.5}
    model = make(kind, 3, 40, dtype=dtype, isa=isa, **options)
    x, state = random_x(model, 30, 4), random_state(model, 4)
    dy, dstate = random((30, 4, 80), dtype, seed=5), random_state(model, 4, seed=6)
    results = []
    for recompute in (False, True, np.True_):
        y, end, tape = model.forward(x, state, recompute=recompute, seed=1)
        for _ in range(2):  # a tape may be used again
            grads = model.backward(tape, dy, dstate)
            results.append([tape.nbytes, y, *parts(end), grads.x, *parts(grads.state), grads.parameters])
    for other in results[1:]:
        assert_same_bits(other[1:], results[0][1:])
    if has_memory(kind):  # an RNN keeps no gates at all
        assert results[2][0] < 0.6 * results[0][0]
    assert results[2][0] <= results[0][0]


# Tapes and gradients.


def test_forward_gives_what_a_call_gives(kind: str, dtype: str, isa: str) -> None:
    model = make(kind, 3, 5, dtype=dtype, isa=isa, num_layers=2, bidirectional=True)
    x, state = random_x(model, 6, 4), random_state(model, 4)
    assert_same_bits(model.forward(x, state)[:2], model(x, state))


@pytest.mark.parametrize("shape", [(6, 4, 3), (6, 3)])
def test_y_of_forward_is_read_only(kind: str, shape: tuple[int, ...]) -> None:
    model = make(kind, 3, 5)
    y, _, _ = model.forward(random(shape))
    with pytest.raises(ValueError, match="read-only"):
        y[...] = 0
    model(random(shape))[0][...] = 0


def test_a_tape_may_be_used_again(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa, num_layers=2)
    y, end, tape = model.forward(random_x(model, 6, 4), random_state(model, 4))

    def gradients(dy: Any, dstate: Any) -> list[Any]:
        grads = model.backward(tape, dy, dstate)
        return [grads.x, *parts(grads.state), *grads.parameters.values()]

    first = gradients(y, end)
    other = gradients(np.ones_like(y), None)
    assert_same_bits(gradients(y, end), first)
    assert_same_bits(gradients(np.ones_like(y), None), other)
    assert (other[0] != first[0]).any()


def test_a_tape_outlives_everything_else(kind: str) -> None:
    model = make(kind, 3, 5)
    expected = everything(model, random_x(model, 6, 4), dy=np.ones((6, 4, 5), "float32"))
    tape = model.forward(random_x(model, 6, 4).copy())[2]  # x and y are the tape's alone now
    for _ in range(20):
        np.full((6, 4, 5), 1e9, "float32")  # would fill memory that was given back
    assert_same_bits(model.backward(tape, np.ones((6, 4, 5))).x, expected["dx"])


def test_a_tape_of_a_copied_model_is_as_good(kind: str) -> None:
    model = make(kind, 3, 5)
    y, _, tape = model.forward(random_x(model, 6, 4))
    assert_same_bits(copy.copy(model).backward(tape, y).x, model.backward(tape, y).x)


def test_tape_describes_itself() -> None:
    model = lstmfast.LSTM(3, 5)
    short, long = (model.forward(random_x(model, T, 4))[2] for T in (6, 60))
    assert isinstance(short, lstmfast.Tape)
    assert 6 * 4 * 5 * 4 <= short.nbytes < long.nbytes
    assert repr(short) == f"<Tape of LSTM(3, 5), y (6, 4, 5), {short.nbytes} bytes>"


def test_gradients_are_frozen(kind: str) -> None:
    model = make(kind, 3, 5)
    y, _, tape = model.forward(random_x(model, 6, 4))
    grads = model.backward(tape, y)
    assert isinstance(grads, lstmfast.Gradients)
    assert type(grads.parameters) is dict
    with pytest.raises(AttributeError):
        grads.x = y  # type: ignore[misc]


def test_a_step_along_the_gradient_lowers_the_loss(kind: str, isa: str) -> None:
    """The whole way that training goes: forward, backward, update."""
    model = make(kind, 3, 8, isa=isa, dtype="float64", num_layers=2)
    x, target = random_x(model, 6, 4), random((6, 4, 8), "float64", seed=5, scale=0.3)
    losses = []
    for _ in range(20):
        y, _, tape = model.forward(x)
        losses.append(float(((y - target) ** 2).mean()))
        grads = model.backward(tape, 2 * (y - target) / y.size)
        model.update({name: model.parameters[name] - 0.1 * d for name, d in grads.parameters.items()})
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))
    assert losses[-1] < 0.95 * losses[0]
