"""Models as exporters make them, beside what their framework computes.

`python -m tests.onnx.exported FAMILY FOLDER` writes those of a family: NAME.onnx, and NAME.npz with inputs,
results and weights. In a process of its own, because frameworks are large, and read what they are to do when
they are imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

T, B, I, H = 6, 3, 4, 5
CLASSES = 2  # what a dense layer makes of each step

# What PyTorch's layers are made with.
TORCH_FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deep": {"num_layers": 2, "bidirectional": True, "bias": False},
    "rows": {"batch_first": True, "bidirectional": True},
    "states": {"num_layers": 2},  # and states are the model's inputs and outputs
}
TORCH_KINDS = ("LSTM", "GRU", "RNN")
FREE_KINDS = ("LSTM", "GRU")
KERAS_KINDS = ("LSTM", "BidirectionalLSTM", "GRU", "SimpleRNN")


def draw(seed: int, *shape: int) -> Any:
    """Normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def write(folder: Path, name: str, inputs: list[Any], results: list[Any], weights: dict[str, Any]) -> None:
    """Write what belongs to the model of this name. weights: by PyTorch's names."""
    arrays: dict[str, Any] = {f"input_{n}": np.asarray(array) for n, array in enumerate(inputs)}
    arrays |= {f"result_{n}": np.asarray(array) for n, array in enumerate(results)}
    arrays |= {f"weight:{key}": np.asarray(array) for key, array in weights.items()}
    np.savez(folder / f"{name}.npz", **arrays)


# PyTorch.


def torch_model(kind: str, form: str) -> tuple[Any, tuple[Any, ...]]:
    """A module of a recurrent and a dense layer, and what it is called with."""
    torch = importlib.import_module("torch")
    torch.manual_seed(0)
    options = TORCH_FORMS[form]
    with_states = form == "states"

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = getattr(torch.nn, kind)(I, H, **options)
            self.dense = torch.nn.Linear(H * (2 if "bidirectional" in options else 1), CLASSES)

        def forward(self, x: Any, *states: Any) -> Any:
            before = states if len(states) > 1 else states[0] if states else None
            y, after = self.recurrent(x, before)
            ends = after if isinstance(after, tuple) else (after,)
            return (self.dense(y), *ends) if with_states else self.dense(y)

    x = torch.from_numpy(draw(0, *((B, T, I) if "batch_first" in options else (T, B, I))))
    count = (2 if kind == "LSTM" else 1) if with_states else 0
    states = tuple(torch.from_numpy(draw(n + 1, options["num_layers"], B, H)) for n in range(count))
    return Module().eval(), (x, *states)


def from_torch(folder: Path, name: str, kind: str, form: str, *, dynamo: bool, free: bool) -> None:
    """Export a module of PyTorch's. free: with any number of steps and rows."""
    torch = importlib.import_module("torch")
    module, arguments = torch_model(kind, form)
    how: dict[str, Any] = {"verbose": False} if dynamo else {}
    names = ["x", "h", "c"][: len(arguments)]
    batch = 0 if form == "rows" else 1
    if free and dynamo:
        auto = torch.export.Dim.AUTO
        how["dynamic_shapes"] = ({0: auto, 1: auto},)
    elif free:
        axes = {"h": {1: "rows"}, "c": {1: "rows"}, "x": {batch: "rows", 1 - batch: "steps"}}
        how["dynamic_axes"] = {key: axes[key] for key in names}
    torch.onnx.export(module, arguments, folder / f"{name}.onnx", input_names=names, dynamo=dynamo, **how)
    with torch.no_grad():
        found = module(*arguments)
    results = [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]
    weights = {key: each.detach().numpy() for key, each in module.recurrent.named_parameters()}
    write(folder, name, [each.numpy() for each in arguments], results, weights)


def torch_script(folder: Path) -> None:
    """All forms, by the exporter that traces."""
    for kind in TORCH_KINDS:
        for form in TORCH_FORMS:
            from_torch(folder, f"{kind} {form}", kind, form, dynamo=False, free=True)


def torch_dynamo(folder: Path) -> None:
    """All forms, by torch.export's exporter, of fixed sizes; and two whose sizes are said to be free."""
    importlib.import_module("onnxscript")
    for kind in TORCH_KINDS:
        for form in TORCH_FORMS:
            from_torch(folder, f"{kind} {form}", kind, form, dynamo=True, free=False)
    for kind in FREE_KINDS:
        from_torch(folder, f"{kind} free", kind, "plain", dynamo=True, free=True)


# Keras.


def keras_layer(keras: Any, kind: str) -> Any:
    """A layer of Keras's that returns all steps."""
    if kind == "BidirectionalLSTM":
        return keras.layers.Bidirectional(keras.layers.LSTM(H, return_sequences=True))
    return getattr(keras.layers, kind)(H, return_sequences=True)


def by_torchs_names(layer: Any) -> dict[str, Any]:
    """The weights of an LSTM of Keras's, or of one both ways, whose one bias PyTorch would have as two."""
    parts = [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]
    found: dict[str, Any] = {}
    for part, end in zip(parts, ("", "_reverse"), strict=False):
        kernel, recurrent, bias = (np.asarray(each) for each in part.get_weights())
        found |= {
            f"weight_ih_l0{end}": kernel.T,
            f"weight_hh_l0{end}": recurrent.T,
            f"bias_ih_l0{end}": bias,
            f"bias_hh_l0{end}": np.zeros_like(bias),
        }
    return found


def from_keras(folder: Path, kind: str, steps: int | None) -> None:
    """Export a model of a recurrent and a dense layer."""
    keras = importlib.import_module("keras")
    keras.utils.set_random_seed(0)
    layer = keras_layer(keras, kind)
    model = keras.Sequential([keras.Input((steps, I)), layer, keras.layers.Dense(CLASSES)])
    for number, weight in enumerate(layer.weights):  # biases, too, which it begins as zeros
        weight.assign(0.3 * draw(number + 10, *weight.shape))
    x = draw(0, B, T, I)
    result = model.predict_on_batch(x)
    name = kind if steps else f"{kind} free"
    model.export(str(folder / f"{name}.onnx"), format="onnx", verbose=False)
    write(folder, name, [x], [result], by_torchs_names(layer) if "LSTM" in kind else {})


def keras_tensorflow(folder: Path) -> None:
    """All kinds, on TensorFlow."""
    for kind in KERAS_KINDS:
        for steps in (T, None):
            from_keras(folder, kind, steps)


def keras_torch(folder: Path) -> None:
    """All kinds, on PyTorch, of a fixed number of steps; and one of any number, which `names` leaves out."""
    for kind in KERAS_KINDS:
        from_keras(folder, kind, T)
    from_keras(folder, "LSTM", None)  # one step of it is what comes


# JAX.


def jax_scan(folder: Path) -> None:
    """A scan of an LSTM's cell, and one of an RNN's."""
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    onnx = importlib.import_module("onnx")
    to_onnx = importlib.import_module("jax2onnx").to_onnx
    for kind, gates in (("LSTM", 4), ("RNN", 1)):
        ih, hh, bias = draw(1, I, gates * H), 0.4 * draw(2, H, gates * H), draw(3, gates * H)

        def model(x: Any, kind: str = kind, ih: Any = ih, hh: Any = hh, bias: Any = bias) -> Any:
            def step(state: Any, now: Any) -> Any:
                h, c = state
                z = now @ ih + h @ hh + bias
                if kind == "RNN":
                    h = jnp.tanh(z)
                else:
                    i, f, g, o = jnp.split(z, 4, axis=-1)
                    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                    h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            zeros = jnp.zeros((x.shape[1], H), jnp.float32)
            return jax.lax.scan(step, (zeros, zeros), x)[1]

        x = draw(0, T, B, I)
        onnx.save(to_onnx(model, [(T, B, I)]), str(folder / f"{kind}.onnx"))
        write(folder, kind, [x], [model(x)], {})


FAMILIES: dict[str, tuple[Callable[[Path], None], dict[str, str], tuple[str, ...]]] = {
    # who makes them; variables that are set; packages that are needed
    "torch-script": (torch_script, {}, ("torch",)),
    "torch-dynamo": (torch_dynamo, {}, ("torch", "onnxscript")),
    "keras-tensorflow": (
        keras_tensorflow,
        {"KERAS_BACKEND": "tensorflow"},
        ("keras", "tensorflow", "tf2onnx"),
    ),
    "keras-torch": (keras_torch, {"KERAS_BACKEND": "torch"}, ("keras", "torch", "onnxscript")),
    "jax": (jax_scan, {}, ("jax", "jax2onnx")),
}


def environment(family: str) -> dict[str, str]:
    """What a process that makes the models of a family is to be started with."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    return {**os.environ, **quiet, **FAMILIES[family][1]}


def names(family: str) -> Iterator[str]:
    """What the models of a family are called."""
    if family.startswith("torch"):
        yield from (f"{kind} {form}" for kind in TORCH_KINDS for form in TORCH_FORMS)
        yield from (f"{kind} free" for kind in FREE_KINDS if family == "torch-dynamo")
    elif family == "keras-tensorflow":
        yield from (f"{kind}{free}" for kind in KERAS_KINDS for free in ("", " free"))
    elif family == "keras-torch":
        yield from KERAS_KINDS
    else:
        yield from ("LSTM", "RNN")


if __name__ == "__main__":
    FAMILIES[sys.argv[1]][0](Path(sys.argv[2]))
