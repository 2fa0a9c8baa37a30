"""The dense head: its formula, its weights and their safety, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast.training import Dense, LogitGradient

from ..helpers import assert_same_bits, random


def test_outputs_are_those_of_the_formula() -> None:
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    W, b = np.array([[0.5, 1.0], [2.0, -1.0], [0.0, 0.25]]), np.array([0.1, 0.2, 0.3])
    z = x @ W.T + b
    expected = {
        "identity": z,
        "sigmoid": 1 / (1 + np.exp(-z)),
        "softmax": np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    }
    for activation, p in expected.items():
        head = Dense(2, 3, activation, dtype="float64")
        head.load_state_dict({"weight": W, "bias": b})
        np.testing.assert_allclose(head(x), p, rtol=1e-14)
        np.testing.assert_array_equal(head.forward(x)[0], head(x))
        np.testing.assert_allclose(head(x[0]), p[0], rtol=1e-14)
        np.testing.assert_allclose(head(x.reshape(1, 2, 1, 2)), p.reshape(1, 2, 1, 3), rtol=1e-14)
        head = Dense(2, 3, activation, bias=False, dtype="float64")
        head.load_state_dict({"weight": W})
        np.testing.assert_allclose(head(np.zeros(2)), {"identity": 0, "sigmoid": 0.5}.get(activation, 1 / 3))


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "softmax"])
def test_extreme_inputs_saturate_without_a_warning(activation: str) -> None:
    head = Dense(1, 2, activation, bias=False)
    head.update({"weight": [[1], [-1]]})
    expected = {"identity": [[1e30, -1e30]], "sigmoid": [[1, 0]], "softmax": [[1, 0]]}
    np.testing.assert_array_equal(head([[1e30]]), np.array(expected[activation], np.float32))


def test_seed_and_initial_values() -> None:
    first, again, other = Dense(25, 40, seed=7), Dense(25, 40, seed=7), Dense(25, 40, seed=8)
    assert list(first.parameters) == ["weight", "bias"]
    assert first.parameters["weight"].shape == (40, 25)
    assert first.parameters["bias"].shape == (40,)
    np.testing.assert_array_equal(first.parameters["weight"], again.parameters["weight"])
    assert np.any(first.parameters["weight"] != other.parameters["weight"])
    double = Dense(25, 40, seed=7, dtype="float64")
    np.testing.assert_array_equal(first.parameters["weight"], double.parameters["weight"].astype(np.float32))
    for w in double.parameters.values():  # uniform from -1/sqrt(25) to 1/sqrt(25), as nn.Linear
        assert np.abs(w).max() <= 0.2
        assert np.abs(w).max() > 0.17
        assert abs(w.mean()) < 0.06
    assert np.any(Dense(5, 5).parameters["weight"] != Dense(5, 5).parameters["weight"])


def test_rows_have_their_bits_whatever_the_batch_and_the_threads(threads: None) -> None:
    head = Dense(37, 9, seed=0)
    x, dz = random((500, 37)), random((500, 9), seed=1)
    together, tape = head.forward(x)
    grads = head.backward(tape, dz)
    lstmfast.set_num_threads(2)
    assert_same_bits(head(x[20:33]), together[20:33])
    assert_same_bits(np.stack([head(row) for row in x]), together)
    assert_same_bits(head(np.asfortranarray(x.reshape(5, 100, 37))), together.reshape(5, 100, 9))
    again = head.backward(head.forward(x)[1], dz)
    assert_same_bits(again.x, grads.x)
    assert_same_bits(again.parameters, grads.parameters)


def test_parameters_cannot_be_written_to() -> None:
    head = Dense(2, 1, seed=0)
    for one in (head, copy.copy(head), copy.deepcopy(head), pickle.loads(pickle.dumps(head))):
        with pytest.raises(TypeError):
            one.parameters["weight"] = np.zeros((1, 2))  # type: ignore[index]
        with pytest.raises(ValueError, match="read-only"):
            one.parameters["weight"][0, 0] = 0
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            one.parameters["weight"].flags.writeable = True


def test_weights_that_go_in_and_out_are_copies() -> None:
    head = Dense(2, 1, seed=0)
    weight = np.ones((1, 2), np.float32)
    head.update({"weight": weight})
    weight[...] = 5
    state = head.state_dict()
    state["weight"][...] = 6
    np.testing.assert_array_equal(head.parameters["weight"], [[1, 1]])
    bias = head.parameters["bias"]
    head.update({})
    np.testing.assert_array_equal(head.parameters["bias"], bias)


def test_copies_and_pickles_compute_the_same_and_are_apart() -> None:
    x = np.arange(6.0).reshape(3, 2)
    ways: list[Callable[[Dense], Dense]] = [copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))]
    for one_of in ways:
        head = Dense(2, 3, "softmax", dtype="float64", seed=0)
        other = one_of(head)
        p = head(x)
        np.testing.assert_array_equal(other(x), p)
        assert repr(other) == repr(head) == "Dense(2, 3, 'softmax', bias=True, dtype='float64')"
        other.update({"bias": [1, 2, 3]})
        np.testing.assert_array_equal(head(x), p)
        assert np.any(other(x) != p)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            {"weight": np.ones((1, 2)), "bias": np.ones((1, 1))},
            ValueError,
            r"\['bias'\]: expected shape \(1,\), got \(1, 1\)",
        ),
        (
            {"weight": np.ones((2, 1)), "bias": np.ones(1)},
            ValueError,
            r"\['weight'\]: expected shape \(1, 2\), got \(2, 1\)",
        ),
        ({"weight": np.ones((1, 2)), "bias": np.ones(1), "b": 0}, ValueError, "unexpected b"),
        (
            {"weight": np.ones((1, 2)), "bias": [None]},
            TypeError,
            r"\['bias'\]: expected an array of real numbers",
        ),
        ([("weight", 0)], TypeError, "expected a mapping from names to arrays"),
    ],
)
def test_bad_weights_are_refused_and_change_nothing(
    values: Any, error: type[Exception], message: str
) -> None:
    head = Dense(2, 1, seed=0)
    before = head.state_dict()
    with pytest.raises(error, match=f"parameters.*{message}"):
        head.update(values)
    with pytest.raises(error, match=f"state_dict.*{message}"):
        head.load_state_dict(values)
    with pytest.raises(ValueError, match="state_dict: missing bias; expected the names weight, bias"):
        head.load_state_dict({"weight": np.ones((1, 2))})
    for name, w in before.items():
        np.testing.assert_array_equal(head.parameters[name], w)


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "message"),
    [
        ((0, 1), {}, ValueError, "in_features: expected an integer >= 1, got 0"),
        ((1, -3), {}, ValueError, "out_features: expected an integer >= 1, got -3"),
        ((1.5, 1), {}, TypeError, "in_features: expected an integer >= 1, got 1.5"),
        ((1, True), {}, TypeError, "out_features: expected an integer >= 1"),
        ((2**40, 2**40), {}, ValueError, "in_features, out_features: expected parameters that fit"),
        (
            (1, 1, "tanh"),
            {},
            ValueError,
            "activation: expected 'identity' or 'sigmoid' or 'softmax', got 'tanh'",
        ),
        ((1, 1, None), {}, TypeError, "activation: expected"),
        ((1, 1), {"bias": 1}, TypeError, "bias: expected True or False"),
        ((1, 1), {"dtype": "float16"}, ValueError, "dtype: expected 'float32' or 'float64'"),
        ((1, 1), {"seed": -1}, ValueError, "seed: expected"),
    ],
)
def test_bad_heads_are_refused(args: Any, kwargs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Dense(*args, **kwargs)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            np.ones((4, 3)),
            ValueError,
            r"x: expected shape \[..., 2\] \(the last is in_features\), got \(4, 3\)",
        ),
        (1.0, ValueError, r"x: expected shape \[..., 2\] \(the last is in_features\), got \(\)"),
        (np.ones(2, complex), TypeError, "x: expected an array of real numbers"),
        (["a", "b"], TypeError, "x: expected an array of real numbers"),
        (None, TypeError, "x: expected an array of real numbers"),
    ],
)
def test_bad_inputs_of_the_head_are_refused(x: Any, error: type[Exception], message: str) -> None:
    head = Dense(2, 1)
    with pytest.raises(error, match=message):
        head(x)
    with pytest.raises(error, match=message):
        head.forward(x)


def test_bad_tapes_and_gradients_of_the_head_are_refused() -> None:
    head, other = Dense(2, 3, "sigmoid", seed=0), Dense(2, 3, "sigmoid", seed=0)
    p, tape = head.forward(np.ones((4, 2)))
    with pytest.raises(TypeError, match="tape: expected a DenseTape of this head's forward, got an array"):
        head.backward(p, p)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tape: expected one of this head's own forward"):
        other.backward(tape, p)
    with pytest.raises(ValueError, match=r"dp: expected shape \(4, 3\) \(that of p\), got \(4, 1\)"):
        head.backward(tape, p[:, :1])
    with pytest.raises(ValueError, match=r"dp.array: expected shape \(4, 3\) \(that of p\), got \(3,\)"):
        head.backward(tape, LogitGradient(p[0]))
    with pytest.raises(TypeError, match="dp: expected an array of real numbers"):
        head.backward(tape, None)  # type: ignore[arg-type]
