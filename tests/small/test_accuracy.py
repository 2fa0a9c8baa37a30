"""How far smaller weights are off over 500 steps, from the reference in float64; PyTorch's int8 is no nearer.

Bounds are for weights drawn as PyTorch draws them, uniform in +-1/sqrt(H), and then made as large as trained
ones are: all matrices times a factor, and forget gates mostly open, by a bias of 1 more. x is uniform in
[-1, 1]. Errors grow with the sums of what is rounded: a larger factor, or more inputs, need wider bounds.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from ..core_helpers import reference_of
from ..helpers import Array, make, random
from .helpers import trained

T, B, H = 500, 4, 128
BOUNDS = {"float16": 1e-3, "bfloat16": 1e-2, "int8": 5e-3}
# Measured, at most: float16 3e-4, bfloat16 2.4e-3, int8 3.8e-3.
WEIGHTS = [(1, 1.5), (16, 1.5), (128, 1.0)]  # input_size and factor


def enlarged(input_size: int, factor: float, seed: int, hidden_size: int = H) -> Any:
    """An LSTM with PyTorch's initial weights, made larger."""
    model = make("lstm", input_size, hidden_size, seed=seed)
    weights = {name: factor * w if w.ndim == 2 else w for name, w in model.state_dict().items()}
    weights["bias_ih_l0"][hidden_size : 2 * hidden_size] += 1
    model.load_state_dict(weights)
    return model


def uniform(shape: tuple[int, ...], seed: int) -> Array:
    """Numbers in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def truth(model: Any, x: Array) -> Array:
    """y of the reference in float64."""
    y: Array = reference_of(model).forward(x.astype(np.float64), None, None)[0]
    return y


@pytest.mark.parametrize(("input_size", "factor"), WEIGHTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_error_over_many_steps(input_size: int, factor: float, seed: int) -> None:
    model = enlarged(input_size, factor, seed)
    x = uniform((T, B, input_size), seed)
    expected = truth(model, x)
    assert np.abs(expected).max() > 0.2
    errors = {}
    for weight_dtype, bound in BOUNDS.items():
        y, _ = model.quantize(weight_dtype)(x)
        errors[weight_dtype] = float(np.abs(y - expected).max())
        assert errors[weight_dtype] <= bound, weight_dtype
    # None is exact, and more bits are better.
    assert 0 < errors["float16"] < errors["bfloat16"]
    assert errors["float16"] < errors["int8"]


def test_error_of_calibrated_weights() -> None:
    """As good where all features are of one size, and much better where they are not."""
    model = enlarged(16, 1.5, 0)
    x = uniform((T, B, 16), 0)
    assert np.abs(model.quantize("int8", x)(x)[0] - truth(model, x)).max() <= BOUNDS["int8"]
    sizes = np.exp(np.linspace(-6, 6, 16)).astype(np.float32)
    model.update({"weight_ih_l0": model.parameters["weight_ih_l0"] / sizes})
    x = x * sizes
    expected = truth(model, x)
    assert np.abs(model.quantize("int8", x)(x)[0] - expected).max() <= BOUNDS["int8"]
    assert np.abs(model.quantize("int8")(x)[0] - expected).max() > 2 * BOUNDS["int8"]


def test_errors_do_not_grow_with_time() -> None:
    """The last 100 of 2000 steps are no further off than the first that are."""
    model = enlarged(16, 1.5, 3)
    x = uniform((2000, B, 16), 3)
    expected = truth(model, x)
    for weight_dtype in BOUNDS:
        off = np.abs(model.quantize(weight_dtype)(x)[0] - expected).max(axis=(1, 2))
        assert off[-100:].max() < 2 * off[50:550].max(), weight_dtype


def test_a_state_goes_on_in_other_weights() -> None:
    """From float32 to int8 in the midst of a sequence, and back."""
    model = enlarged(16, 1.5, 4)
    x = uniform((300, B, 16), 4)
    q = model.quantize("int8")
    first, state = model(x[:100])
    second, state = q(x[100:200], state)
    third, _ = model(x[200:], state)
    y = np.concatenate([first, second, third])
    assert np.abs(y - truth(model, x)).max() <= BOUNDS["int8"]


# PyTorch.


def from_pytorch(model: Any, x: Array) -> Array:
    """y of PyTorch's own int8: quantize_dynamic of the LSTM with the same weights."""
    import torch

    from ..torch_helpers import torch_model

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it will move elsewhere
        theirs = torch.ao.quantization.quantize_dynamic(
            torch.nn.Sequential(torch_model(model)), {torch.nn.LSTM}, dtype=torch.qint8
        )[0]
        y: Array = theirs(torch.from_numpy(x))[0].detach().numpy()
    return y


# Of layers, sizes and weights.
MODELS: dict[str, Any] = {
    "initial, H=32": lambda seed: make("lstm", 8, 32, seed=seed),
    "initial, H=128": lambda seed: make("lstm", 40, 128, seed=seed),
    "initial, two layers": lambda seed: make("lstm", 8, 64, num_layers=2, seed=seed),
    "initial, two directions": lambda seed: make("lstm", 8, 64, bidirectional=True, seed=seed),
    "enlarged, I=1": lambda seed: enlarged(1, 1.5, seed),
    "enlarged, I=16": lambda seed: enlarged(16, 1.5, seed),
    "enlarged, I=128": lambda seed: enlarged(128, 1.5, seed),
    "long tails, H=16": lambda seed: trained("lstm", 4, 16, seed=seed),
    "long tails, H=64": lambda seed: trained("lstm", 16, 64, seed=seed),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("torch")
def test_no_further_off_than_pytorch(name: str) -> None:
    """In the root of the mean of squares, and in the largest error; of four seeds together."""
    squares: dict[str, list[float]] = {"ours": [], "PyTorch's": []}
    largest: dict[str, list[float]] = {"ours": [], "PyTorch's": []}
    for seed in range(4):
        model = MODELS[name](seed)
        for x in (uniform((150, B, model.input_size), seed), random((150, B, model.input_size), seed=seed)):
            expected = truth(model, x)
            for who, y in (("ours", model.quantize("int8")(x)[0]), ("PyTorch's", from_pytorch(model, x))):
                off = np.abs(y - expected)
                squares[who].append(float((off**2).mean()))
                largest[who].append(float(off.max()))
    for errors in (squares, largest):
        assert 0 < np.mean(errors["ours"]) <= np.mean(errors["PyTorch's"]), errors


@pytest.mark.usefixtures("torch")
def test_features_of_different_size_and_pytorch() -> None:
    """Which has one scale for the whole of x."""
    model = enlarged(16, 1.5, 0)
    sizes = np.exp(np.linspace(-4, 4, 16)).astype(np.float32)
    model.update({"weight_ih_l0": model.parameters["weight_ih_l0"] / sizes})
    x = uniform((150, B, 16), 0) * sizes
    expected = truth(model, x)
    ours, calibrated, theirs = (
        float(np.sqrt(np.mean((y - expected) ** 2)))
        for y in (model.quantize("int8")(x)[0], model.quantize("int8", x)(x)[0], from_pytorch(model, x))
    )
    assert calibrated < ours <= theirs
    assert calibrated < theirs / 4


@pytest.mark.usefixtures("torch")
def test_rows_of_different_size_and_pytorch() -> None:
    """A loud sequence costs a quiet one nothing here: each row of the batch has its own scale."""
    model = enlarged(16, 1.5, 1)
    x = uniform((150, B, 16), 1)
    x[:, 0] *= 100
    expected = truth(model, x)
    ours, theirs = (
        np.abs(y - expected)[:, 1:].max() for y in (model.quantize("int8")(x)[0], from_pytorch(model, x))
    )
    assert ours <= BOUNDS["int8"]
    assert ours < theirs / 2
    alone, _ = model.quantize("int8")(x[:, 1:].copy())
    assert (alone == model.quantize("int8")(x)[0][:, 1:]).all()
