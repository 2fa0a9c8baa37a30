"""PyTorch and lstmfast on the same weights: outputs, states and every gradient, and state_dict both ways."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ...core_helpers import assert_close, ours
from ...helpers import DTYPES, KINDS, assert_same_bits, everything, make, random, random_call

torch = pytest.importorskip("torch")

from ...torch_helpers import BOUNDS, from_torch, torch_model  # noqa: E402

CONFIGURATIONS = list(itertools.product((1, 2, 3), (False, True), (False, True), (False, True)))


@pytest.mark.parametrize(("num_layers", "bidirectional", "bias", "batch_first"), CONFIGURATIONS)
def test_every_result(
    kind: str, dtype: str, num_layers: int, bidirectional: bool, bias: bool, batch_first: bool
) -> None:
    options = {
        "num_layers": num_layers,
        "bidirectional": bidirectional,
        "bias": bias,
        "batch_first": batch_first,
    }
    model = make(kind, 6, 11, dtype=dtype, **options)
    for B, with_state in ((3, True), (3, False), (None, True), (None, False)):
        arguments = random_call(model, 8, B, with_state=with_state)
        results = everything(model, *arguments)
        expected = from_torch(model, *arguments)
        what = f"{model}, B={B}, {'a' if with_state else 'no'} state"
        assert_close(ours(results), expected, what, *BOUNDS[dtype])
        assert_close({"y": results["called"]}, {"y": expected["y"]}, what, *BOUNDS[dtype])


@pytest.mark.parametrize(
    ("T", "B", "I", "H"), [(1, 1, 1, 1), (40, 1, 20, 130), (12, 49, 65, 33), (200, 2, 8, 24)]
)
def test_other_sizes(kind: str, dtype: str, isa: str, T: int, B: int, I: int, H: int) -> None:
    model = make(kind, I, H, dtype=dtype, isa=isa)
    arguments = random_call(model, T, B)
    expected = from_torch(model, *arguments)
    assert_close(ours(everything(model, *arguments)), expected, str(model), *BOUNDS[dtype])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("num_layers", "bidirectional", "bias", "batch_first"), CONFIGURATIONS[::3])
def test_state_dict_goes_both_ways(
    kind: str, dtype: str, num_layers: int, bidirectional: bool, bias: bool, batch_first: bool
) -> None:
    options = {
        "num_layers": num_layers,
        "bidirectional": bidirectional,
        "bias": bias,
        "batch_first": batch_first,
    }
    model = make(kind, 6, 11, dtype=dtype, seed=1, **options)
    theirs = torch_model(model)  # load_state_dict is strict: names and shapes are PyTorch's
    weights = theirs.state_dict()
    assert list(weights) == list(model.state_dict())
    assert_same_bits({name: tensor.numpy() for name, tensor in weights.items()}, model.state_dict())
    other = make(kind, 6, 11, dtype=dtype, seed=2, **options)
    other.load_state_dict(weights)  # as it comes, a mapping of tensors
    assert_same_bits(other.state_dict(), model.state_dict())
    x = random_call(model, 4, 2)[0]
    assert_same_bits(other(x), model(x))


def test_torch_weights_of_another_shape_are_refused() -> None:
    model = make("lstm", 6, 11)
    before = model.state_dict()
    for wrong in (torch.nn.LSTM(6, 12), torch.nn.LSTM(5, 11), torch.nn.LSTM(6, 11, 2), torch.nn.RNN(6, 11)):
        with pytest.raises(ValueError, match=r"weight_|bias_"):
            model.load_state_dict(wrong.state_dict())
    assert_same_bits(model.state_dict(), before)


def test_training_goes_the_same_way(kind: str) -> None:
    """Twenty steps of gradient descent from the same weights end at the same weights."""
    rate = 0.01
    model = make(kind, 4, 9, dtype="float64", num_layers=2)
    theirs = torch_model(model)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=rate)
    x, target = random((6, 3, 4), "float64", 1), random((6, 3, 9), "float64", 2)
    for _ in range(20):
        y, _, tape = model.forward(x)
        grads = model.backward(tape, y - target)
        changed = {name: model.parameters[name] - rate * d for name, d in grads.parameters.items()}
        model.update(changed)
        optimizer.zero_grad()
        their_y, _ = theirs(torch.from_numpy(x))
        (0.5 * (their_y - torch.from_numpy(target)) ** 2).sum().backward()
        optimizer.step()
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(model.parameters[name], value.numpy(), rtol=1e-9, atol=1e-10)
