"""A model's first weights: drawn as `init` says, by the seed alone, and an LSTM's forget gate."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import re
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import Array, assert_same_bits, gates_of, make
from .helpers import layouts

INITS = ("uniform", "orthogonal", "xavier")
LSTMS: list[dict[str, Any]] = [*layouts(), {"num_layers": 2, "bidirectional": True, "proj_size": 3}]


def gates(array: Array, kind: str) -> list[Array]:
    return np.split(array, gates_of(kind))


# How they are drawn.


@pytest.mark.parametrize("layout", layouts())
def test_uniform_is_what_pytorch_does_and_the_default(kind: str, dtype: str, layout: dict[str, Any]) -> None:
    model = make(kind, 3, 5, dtype=dtype, seed=7, **layout)
    generator = np.random.default_rng(7)
    bound = 1 / math.sqrt(5)
    for name, array in model.parameters.items():
        assert_same_bits(array, generator.uniform(-bound, bound, array.shape).astype(dtype), name)
    assert_same_bits(dict(make(kind, 3, 5, dtype=dtype, seed=7, init="uniform", **layout).parameters),
                     dict(model.parameters))  # fmt: skip


@pytest.mark.parametrize("layout", layouts())
def test_xavier_is_uniform_by_what_a_gate_reads_and_gives(
    kind: str, dtype: str, layout: dict[str, Any]
) -> None:
    model = make(kind, 3, 5, dtype=dtype, seed=7, init="xavier", **layout)
    generator = np.random.default_rng(7)
    for name, array in model.parameters.items():
        if name.startswith("bias"):
            assert not array.any()
            continue
        bound = math.sqrt(6 / (array.shape[1] + 5))
        assert_same_bits(array, generator.uniform(-bound, bound, array.shape).astype(dtype), name)


@pytest.mark.parametrize("layout", layouts())
def test_orthogonal_is_a_square_matrix_for_each_gate(kind: str, dtype: str, layout: dict[str, Any]) -> None:
    model = make(kind, 3, 5, dtype=dtype, seed=7, init="orthogonal", **layout)
    tiny = 1e-6 if dtype == "float32" else 1e-14
    for name, array in model.parameters.items():
        if name.startswith("bias"):
            assert not array.any()
        elif name.startswith("weight_hh"):
            found = gates(array, kind)
            for one in found:
                assert np.abs(one.T @ one - np.eye(5)).max() < tiny, name
            assert len({one.tobytes() for one in found}) == gates_of(kind)
        else:
            bound = math.sqrt(6 / (array.shape[1] + 5))
            assert 0.5 * bound < np.abs(array).max() < bound, name


@pytest.mark.parametrize("init", ["orthogonal", "xavier"])
def test_a_projection(init: str) -> None:
    lstm = lstmfast.LSTM(3, 8, 2, bidirectional=True, proj_size=5, dtype="float64", seed=1, init=init)
    for name, array in lstm.parameters.items():
        if name.startswith("weight_hr"):
            bound = math.sqrt(6 / (5 + 8))
            assert 0.5 * bound < np.abs(array).max() < bound, name
        elif name.startswith("weight_hh"):
            for one in np.split(array, 4):
                narrow = np.abs(one.T @ one - np.eye(5)).max() < 1e-14
                assert narrow == (init == "orthogonal"), name


def test_xavier_of_a_projection_is_by_what_that_reads_and_gives() -> None:
    lstm = lstmfast.LSTM(3, 8, proj_size=5, dtype="float64", seed=1, init="xavier")
    generator = np.random.default_rng(1)
    for name, (rows, columns), gives in (
        ("weight_ih_l0", (32, 3), 8), ("weight_hh_l0", (32, 5), 8), ("weight_hr_l0", (5, 8), 5),
    ):  # fmt: skip
        bound = math.sqrt(6 / (columns + gives))
        assert_same_bits(lstm.parameters[name], generator.uniform(-bound, bound, (rows, columns)), name)


def test_orthogonal_matrices_are_all_alike_probable() -> None:
    """Not what LAPACK makes of random numbers, in which a number of the diagonal has always the same sign."""
    drawn = [lstmfast.RNN(1, 2, seed=seed, init="orthogonal", dtype="float64") for seed in range(400)]
    matrices = np.array([rnn.parameters["weight_hh_l0"] for rnn in drawn])
    # 400 throws of a coin: within 4 standard deviations, 40.
    for k in range(2):
        assert 160 < np.count_nonzero(matrices[:, k, k] > 0) < 240
    assert 160 < np.count_nonzero(np.linalg.det(matrices) > 0) < 240
    # Of a direction in the plane, the mean of the square of one coordinate is 1/2, with a deviation of 0.35.
    assert abs(np.mean(matrices[:, 0, 0] ** 2) - 0.5) < 4 * 0.36 / 20


@pytest.mark.parametrize("init", INITS)
def test_a_seed_is_one_model(kind: str, init: str) -> None:
    def drawn(seed: Any, dtype: str = "float64") -> dict[str, Array]:
        return dict(make(kind, 3, 5, num_layers=2, dtype=dtype, seed=seed, init=init).parameters)

    wide = drawn(3)
    assert_same_bits(drawn(3), wide)
    assert_same_bits(drawn(np.random.default_rng(3)), wide)
    assert_same_bits(drawn(3, "float32"), {name: array.astype("f4") for name, array in wide.items()})
    assert not np.array_equal(drawn(4)["weight_hh_l0"], wide["weight_hh_l0"])
    assert not np.array_equal(wide["weight_hh_l0"], wide["weight_hh_l1"])
    generator = np.random.default_rng(3)
    first, second = drawn(generator), drawn(generator)
    assert_same_bits(first, wide)
    assert not np.array_equal(first["weight_hh_l0"], second["weight_hh_l0"])


# The forget gate.


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("layout", [layout for layout in LSTMS if layout.get("bias", True)])
@pytest.mark.parametrize("value", [1.0, 0, -2, np.float32(0.5), np.int64(3)])
def test_the_forget_gates_biases_and_nothing_else(layout: dict[str, Any], init: str, value: Any) -> None:
    plain = lstmfast.LSTM(3, 5, **layout, seed=1, init=init)
    lstm = lstmfast.LSTM(3, 5, **layout, seed=1, init=init, forget_bias=value)
    for name, array in lstm.parameters.items():
        expected = plain.parameters[name].copy()
        if name.startswith("bias"):
            expected[5:10] = value if name.startswith("bias_ih") else 0
        assert_same_bits(array, expected, name)


def test_it_is_the_forget_gate_that_has_them() -> None:
    """With no other weights, c' is sigmoid(the bias) times c."""
    lstm = lstmfast.LSTM(2, 3, dtype="float64", seed=0, init="xavier", forget_bias=1.5)
    lstm.update({name: np.zeros_like(lstm.parameters[name]) for name in ("weight_ih_l0", "weight_hh_l0")})
    c = np.array([[[1.0, -2.0, 3.0]]])
    _, (_, c_n) = lstm(np.ones((1, 1, 2)), (np.zeros_like(c), c))
    assert np.allclose(c_n, c / (1 + math.exp(-1.5)), rtol=1e-14)


# What they are no part of.


def test_they_are_not_kept(kind: str) -> None:
    options = {"forget_bias": 1.0} if kind == "lstm" else {}
    model = make(kind, 3, 5, init="orthogonal", **options)
    assert repr(model) == repr(make(kind, 3, 5))
    assert not hasattr(model, "init")
    assert "init" not in model._config()
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same_bits(dict(other.parameters), dict(model.parameters))
    torch_like = make(kind, 3, 5, init="uniform")
    torch_like.load_state_dict(model.state_dict())
    assert_same_bits(dict(torch_like.parameters), dict(model.parameters))


# What cannot be.


def raises(error: type[Exception], message: str) -> Any:
    return pytest.raises(error, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        ("Uniform", ValueError, "'Uniform' (str)"),
        ("kaiming", ValueError, "'kaiming' (str)"),
        (None, TypeError, "None"),
        (1, TypeError, "1 (int)"),
        (np.zeros(3), TypeError, "an array of shape (3,) and dtype float64"),
    ],
)
def test_an_init_that_there_is_not(kind: str, value: Any, error: type[Exception], got: str) -> None:
    with raises(error, f"init: expected 'uniform' or 'orthogonal' or 'xavier', got {got}"):
        make(kind, 3, 5, init=value)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("1", TypeError, "expected None or a finite number, got '1' (str)"),
        (True, TypeError, "expected None or a finite number, got True"),
        (1j, TypeError, "expected None or a finite number, got 1j (complex)"),
        ([1.0], TypeError, "expected None or a finite number, got a list of length 1"),
        (np.ones(5), TypeError, "expected None or a finite number, got an array of shape (5,)"),
        (math.nan, ValueError, "expected None or a finite number in float32, got nan (float)"),
        (-math.inf, ValueError, "expected None or a finite number in float32, got -inf (float)"),
        (1e39, ValueError, "expected None or a finite number in float32, got 1e+39 (float)"),
        (10**400, ValueError, "expected None or a finite number in float32, got an integer of 1329 bits"),
    ],
)
def test_a_forget_bias_that_is_no_number(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape('forget_bias: ' + message)}"):
        lstmfast.LSTM(3, 5, forget_bias=value)


def test_a_forget_bias_of_the_dtype() -> None:
    lstm = lstmfast.LSTM(3, 5, forget_bias=1e39, dtype="float64")
    assert lstm.parameters["bias_ih_l0"][5] == 1e39


def test_without_biases_there_is_none_to_set() -> None:
    with raises(ValueError, "forget_bias: expected None where bias is False, got 1.0 (float)"):
        lstmfast.LSTM(3, 5, bias=False, forget_bias=1.0)
    lstmfast.LSTM(3, 5, bias=False, forget_bias=None)


@pytest.mark.parametrize("cls", [lstmfast.GRU, lstmfast.RNN])
def test_only_an_lstm_has_a_forget_gate(cls: Any) -> None:
    with pytest.raises(TypeError, match="forget_bias"):
        cls(3, 5, forget_bias=1.0)


@pytest.mark.parametrize("init", INITS)
def test_sizes_for_which_there_is_no_memory_fail_at_once(init: str) -> None:
    with pytest.raises(MemoryError):
        lstmfast.LSTM(1, 1, 2**48, init=init)


def test_they_go_by_name_alone() -> None:
    by_name = inspect.Parameter.KEYWORD_ONLY
    for cls in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        found = inspect.signature(cls).parameters
        assert found["init"].kind is by_name
        assert (found["init"].default, "forget_bias" in found) == ("uniform", cls is lstmfast.LSTM)
    assert inspect.signature(lstmfast.LSTM).parameters["forget_bias"].kind is by_name


def test_variants_begin_with_what_their_gates_are() -> None:
    coupled = lstmfast.LSTM(3, 5, coupled=True, peephole=True, init="orthogonal", seed=0).parameters
    whh = coupled["weight_hh_l0"].astype(np.float64).reshape(3, 5, 5)
    np.testing.assert_allclose(whh @ whh.transpose(0, 2, 1), np.broadcast_to(np.eye(5), (3, 5, 5)), atol=1e-6)
    assert not coupled["weight_ch_l0"].any()
    with pytest.raises(ValueError, match=r"^forget_bias: expected None where coupled is True and f is 1 - i"):
        lstmfast.LSTM(3, 5, coupled=True, forget_bias=1.0)
