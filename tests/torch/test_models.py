"""`from_torch` and `to_torch`: PyTorch's modules as our models, and back."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import lstmfast

torch = pytest.importorskip("torch")

KINDS = ("LSTM", "GRU", "RNN")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "dropout": 0.25},
    {"num_layers": 3, "bidirectional": True, "batch_first": True},
    {"bias": False},
]
CASES = [(kind, options) for kind, options in product(KINDS, OPTIONS)]
CASES += [
    ("LSTM", {"proj_size": 3, "bidirectional": True}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
]


def kinds(kind: str) -> tuple[Any, Any]:
    return getattr(torch.nn, kind), getattr(lstmfast, kind)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize(("kind", "options"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_module_becomes_a_model_and_the_same_module_again(
    kind: str, options: dict[str, Any], dtype: str
) -> None:
    theirs_kind, ours_kind = kinds(kind)
    theirs = theirs_kind(4, 7, **options, dtype=getattr(torch, dtype)).eval()
    ours = ours_kind.from_torch(theirs)
    assert type(ours) is ours_kind
    expected = ours_kind(4, 7, **options, dtype=dtype)
    assert repr(ours) == repr(expected)
    expected.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((5, 3, 4)).astype(dtype)
    y = ours(x)[0]
    assert np.array_equal(y, expected(x)[0])
    np.testing.assert_allclose(
        y, theirs(torch.from_numpy(x))[0].detach(), atol=1e-5 if dtype == "float32" else 1e-12
    )
    back = ours.to_torch()
    assert type(back) is theirs_kind
    assert repr(back) == repr(theirs)
    assert back.training
    assert list(back.state_dict()) == list(theirs.state_dict())
    for name, weight in theirs.state_dict().items():
        assert torch.equal(back.state_dict()[name], weight)
    assert all(p.requires_grad and p.is_leaf for p in back.parameters())


def test_weights_are_copies() -> None:
    theirs = torch.nn.LSTM(3, 4)
    ours = lstmfast.LSTM.from_torch(theirs)
    before = ours.state_dict()
    with torch.no_grad():
        theirs.weight_hh_l0.zero_()
    back = ours.to_torch()
    with torch.no_grad():
        back.weight_ih_l0.zero_()
    for name, weight in before.items():
        assert np.array_equal(ours.parameters[name], weight)


def test_no_random_number_is_drawn_and_defaults_play_no_part() -> None:
    ours = lstmfast.LSTM(3, 4, dropout=0.5, seed=0)  # one layer: PyTorch would warn
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            back = ours.to_torch()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)
    assert back.weight_ih_l0.dtype == torch.float32
    assert back.weight_ih_l0.device.type == "cpu"


def test_weights_that_are_computed_and_modules_of_subclasses() -> None:
    class Theirs(torch.nn.LSTM):  # type: ignore[misc,name-defined]
        pass

    class Ours(lstmfast.LSTM):
        pass

    theirs = Theirs(3, 4)
    torch.nn.utils.parametrizations.weight_norm(theirs, "weight_hh_l0")
    ours = Ours.from_torch(theirs, isa="scalar")
    assert type(ours) is Ours
    assert ours.isa == "scalar"
    assert np.array_equal(ours.parameters["weight_hh_l0"], theirs.weight_hh_l0.detach())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wrong",
    [None, "path", {}, lambda: torch.nn.GRUCell(3, 4), lambda: torch.nn.Linear(3, 4), lambda: torch.zeros(3)],
)
def test_what_is_no_such_module(kind: str, wrong: Any) -> None:
    given = wrong() if callable(wrong) else wrong
    with pytest.raises(TypeError, match=rf"^module: expected a torch\.nn\.{kind}, got "):
        kinds(kind)[1].from_torch(given)


def test_one_kind_is_not_the_other() -> None:
    with pytest.raises(TypeError, match=r"^module: expected a torch\.nn\.RNN, got an object of type LSTM$"):
        lstmfast.RNN.from_torch(torch.nn.LSTM(3, 4))
    with pytest.raises(TypeError, match=r"^module: expected a torch\.nn\.LSTM, got an object of type RNN$"):
        lstmfast.LSTM.from_torch(torch.nn.RNN(3, 4))
    with pytest.raises(TypeError, match=r"^module: expected a torch\.nn\.RNN, got an object of type GRU$"):
        lstmfast.RNN.from_torch(torch.nn.GRU(3, 4))


def test_weights_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"^module: .* got weight_ih_l0 of torch.bfloat16; module.float\(\)"):
        lstmfast.LSTM.from_torch(torch.nn.LSTM(3, 4, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match=r"^module: .* got weight_ih_l0 on the device meta$"):
        lstmfast.LSTM.from_torch(torch.nn.LSTM(3, 4, device="meta"))
    mixed = torch.nn.LSTM(3, 4)
    mixed.bias_hh_l0 = torch.nn.Parameter(mixed.bias_hh_l0.double())
    with pytest.raises(ValueError, match=r"^module: .* one dtype, got torch.float32 and torch.float64$"):
        lstmfast.LSTM.from_torch(mixed)


@pytest.mark.parametrize("wrong", [None, [1.0]])
def test_weights_that_are_no_tensors(wrong: Any) -> None:
    module = torch.nn.LSTM(3, 4)
    del module.weight_hh_l0
    module.weight_hh_l0 = wrong
    with pytest.raises(ValueError, match=r"^module: expected a tensor weight_hh_l0, got "):
        lstmfast.LSTM.from_torch(module)


def test_weights_of_a_wrong_shape() -> None:
    module = torch.nn.LSTM(3, 4)
    module.weight_hh_l0 = torch.nn.Parameter(torch.zeros(16, 5))
    with pytest.raises(
        ValueError, match=r"^module: expected weight_hh_l0 of shape \(16, 4\) .* got \(16, 5\)$"
    ):
        lstmfast.LSTM.from_torch(module)
