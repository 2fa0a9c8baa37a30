"""What the tests of the NumPy reference share: networks, inputs, and its results and PyTorch's by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstmfast.reference import Reference

Array = NDArray[np.floating[Any]]
GATES = {"lstm": 4, "rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "gru_reset_before": 3, "lstm_norm": 4}
CELLS = tuple(cell for cell in GATES if cell != "lstm_norm")  # which has parameters of its own
MEMORY = ("lstm", "lstm_norm")  # with c beside h
H, PROJECTED, INPUT = 4, 3, 2
# Cell and proj_size.
KINDS = tuple((cell, size) for cell in CELLS for size in ((0, PROJECTED) if cell == "lstm" else (0,)))
# Those that PyTorch has.
TORCH_KINDS = tuple((cell, size) for cell, size in KINDS if cell != "gru_reset_before")


def make(
    cell: str,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    dtype: str = "float64",
    seed: int = 0,
    proj_size: int = 0,
) -> Reference:
    """A network of H units with INPUT inputs."""
    rng = np.random.default_rng(seed)
    G, P, D = GATES[cell] * H, proj_size or H, (2 if bidirectional else 1)
    parameters = {}
    for layer in range(num_layers):
        for way in ("", "_reverse")[:D]:
            parameters[f"weight_ih_l{layer}{way}"] = rng.uniform(-0.7, 0.7, (G, D * P if layer else INPUT))
            parameters[f"weight_hh_l{layer}{way}"] = rng.uniform(-0.7, 0.7, (G, P))
            if bias:
                parameters[f"bias_ih_l{layer}{way}"] = rng.uniform(-0.7, 0.7, G)
                parameters[f"bias_hh_l{layer}{way}"] = rng.uniform(-0.7, 0.7, G)
            if proj_size:
                parameters[f"weight_hr_l{layer}{way}"] = rng.uniform(-0.7, 0.7, (P, H))
    return Reference(cell, parameters, num_layers, bidirectional, dtype)


def draw(network: Reference, steps: int, rows: int, seed: int = 1) -> dict[str, Array]:
    """Inputs of forward, and gradients for backward, by their names."""
    rng = np.random.default_rng(seed)
    D, P = network.num_directions, network.output_size
    h, c = ((network.num_layers * D, rows, width) for width in (P, H))
    shapes = {"x": (steps, rows, INPUT), "h0": h, "c0": c, "dy": (steps, rows, D * P), "dh_n": h, "dc_n": c}
    drawn = {name: rng.standard_normal(shape).astype(network.dtype) for name, shape in shapes.items()}
    return drawn if network.cell in MEMORY else {k: v for k, v in drawn.items() if k not in ("c0", "dc_n")}


def run(network: Reference, a: dict[str, Array], **parts: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """Every output of forward, with lengths, reset and masks as given, and of backward, by its name."""
    y, (h_n, c_n), cache = network.forward(a["x"], a["h0"], a.get("c0"), **parts)
    dx, dh0, dc0, dparameters = network.backward(cache, a["dy"], a["dh_n"], a.get("dc_n"))
    outputs, gradients = {"y": y, "h_n": h_n}, {"x": dx, "h0": dh0, **dparameters}
    if network.cell in MEMORY:
        assert c_n is not None
        assert dc0 is not None
        outputs["c_n"], gradients["c0"] = c_n, dc0
    else:
        assert c_n is None
        assert dc0 is None
    return outputs, gradients


def loss_of(network: Reference, a: dict[str, Array], **parts: Any) -> float:
    """A number whose gradients are those of `run`."""
    y, (h_n, c_n), _ = network.forward(a["x"], a["h0"], a.get("c0"), **parts)
    total = np.sum(a["dy"] * y) + np.sum(a["dh_n"] * h_n)
    return float(total if c_n is None else total + np.sum(a["dc_n"] * c_n))


def torch_model(network: Reference) -> Any:
    """PyTorch's module with the same weights."""
    import torch

    options: dict[str, Any] = {"bias": "bias_ih_l0" in network.parameters, "dtype": torch.float64}
    options["bidirectional"] = network.num_directions == 2
    if network.cell == "lstm":
        options["proj_size"] = network.proj_size
    if network.cell.startswith("rnn"):
        options["nonlinearity"] = network.cell.removeprefix("rnn_")
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(network.cell, torch.nn.RNN)
    model = module(network.input_size, network.hidden_size, network.num_layers, **options)
    assert list(model.state_dict()) == list(network.parameters)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in network.parameters.items()})
    return model


def torch_inputs(a: dict[str, Array]) -> dict[str, Any]:
    """What `draw` gave, as tensors of their own that gradients arrive at."""
    import torch

    return {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in a.items()}


def torch_state(t: dict[str, Any]) -> Any:
    """The initial state as PyTorch takes it."""
    return (t["h0"], t["c0"]) if "c0" in t else t["h0"]


def torch_results(
    t: dict[str, Any], y: Any, state: Any, parameters: dict[str, Any]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """What `run` gives, from tensors: inputs, outputs and parameters by PyTorch's names."""
    import torch

    ends = state if isinstance(state, tuple) else (state,)
    outputs = {"y": y} | dict(zip(("h_n", "c_n"), ends, strict=False))
    torch.autograd.backward(list(outputs.values()), [t[f"d{name}"].detach() for name in outputs])
    inputs = {name: t[name] for name in ("x", "h0", "c0") if name in t} | parameters
    return (
        {name: value.detach().numpy() for name, value in outputs.items()},
        {name: value.grad.numpy() for name, value in inputs.items()},
    )


def assert_close(
    actual: tuple[dict[str, Array], dict[str, Array]], expected: tuple[dict[str, Array], dict[str, Array]]
) -> None:
    """The outputs and the gradients of `run` and of `torch_results` have the same names and numbers."""
    for ours, theirs in zip(actual, expected, strict=True):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


def assert_backward_changes_nothing(network: Reference, given: dict[str, Array], **cuts: Any) -> None:
    """Two backward passes of one cache agree, whatever was done to y, and leave what was given as it was."""
    before = {name: value.copy() for name, value in given.items()}
    y, _, cache = network.forward(given["x"], given["h0"], given.get("c0"), **cuts)
    y[...] = np.nan  # y is the caller's own: the cache must not share it
    first = network.backward(cache, given["dy"], given["dh_n"], given.get("dc_n"))
    second = network.backward(cache, given["dy"], given["dh_n"], given.get("dc_n"))
    assert np.all(np.isfinite(first[0]))
    np.testing.assert_array_equal(first[0], second[0])
    for name in network.parameters:
        np.testing.assert_array_equal(first[3][name], second[3][name])
    for name, value in before.items():
        np.testing.assert_array_equal(given[name], value)
