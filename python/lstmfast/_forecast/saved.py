"""A forecaster as a file: safetensors, of the form that layers have, with the class Forecaster.

Tensors are the layer's and the head's weights, the linear autoregression's, and the units and widths; what is
left is the configuration. Among that is a digest of it all: a file that was changed, by a hand or by a disk,
would forecast on with other numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._base import checks
from .._files import format
from .baselines import LAST, LINEAR, SEASON, Baselines
from .intervals import LEVELS
from .learned import Learned
from .linear import Form, Linear
from .network import Network, Shape, Units
from .scaling import Scaling

__all__ = ["digest", "load", "to_bytes"]

CLASS = "Forecaster"
_LAYER, _HEAD = "layer.", "head."
_WHOLE = ("horizon", "hidden_size", "num_layers", "context", "order", "form_period", "period")
_DIGEST = "sha256"
_LARGEST = 2**31


def to_bytes(learned: Learned) -> bytes:
    """Make the file of a forecaster; see `Forecaster.save`."""
    network = learned.network
    baselines = network.baselines
    form = baselines.linear.form
    config = {
        "horizon": network.horizon,
        "cell": network.shape.cell,
        "hidden_size": network.shape.hidden_size,
        "num_layers": network.shape.num_layers,
        "context": network.context,
        "names": list(learned.names),
        "step": learned.step,
        "log": learned.scaling.log.tolist(),
        "order": form.order,
        "form_period": form.period,
        "differenced": form.differenced,
        "together": form.together,
        "period": baselines.period,
        "anchor": baselines.anchor,
        "returns": list(baselines.returns),
    }
    found = {
        **{_LAYER + name: array for name, array in network.layer.parameters.items()},
        **{_HEAD + name: array for name, array in network.head.parameters.items()},
        **_numbers(learned),
    }
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in found.items()}
    return format.to_bytes(CLASS, {**config, _DIGEST: digest(config, tensors)}, tensors)


def digest(config: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return SHA-256 of the configuration, but for the digest in it, and of all tensors."""
    rest = {name: value for name, value in config.items() if name != _DIGEST}
    made = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(tensors):
        made.update(f"{name} {tensors[name].dtype.name} {tensors[name].shape}".encode())
        made.update(np.ascontiguousarray(tensors[name]).data)
    return made.hexdigest()


def _numbers(learned: Learned) -> dict[str, NDArray[np.float64]]:
    network, linear = learned.network, learned.network.baselines.linear
    return {
        "mean": learned.scaling.mean,
        "deviation": learned.scaling.deviation,
        "linear.constant": linear.constant,
        "linear.weights": linear.weights,
        "inputs": network.units.inputs,
        "targets": network.units.targets,
        "widths": learned.widths,
    }


def load(path: str | os.PathLike[str]) -> Learned:
    """Read the file; see `Forecaster.load`."""
    text = checks.path(path)
    module = format.safetensors_module()
    with open(text, "rb"):  # so that a file that cannot be opened is the usual OSError
        pass
    try:
        with module.safe_open(text, framework="numpy") as file:
            config = _config(file.metadata())
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
            if config[_DIGEST] != digest(config, tensors):
                raise ValueError(
                    f"{_DIGEST}: expected {config[_DIGEST]}, with which it was written; it has been changed"
                )
            return _made(config, tensors)
    except module.SafetensorError as error:
        raise ValueError(f"{text}: expected a whole model file of lstmfast forecast: {error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{text}: expected a model file of lstmfast forecast: {error}") from error


def _config(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the configuration, its values checked as far as sizes are made of them."""
    if not metadata or format.ENTRY not in metadata:
        raise ValueError(f"no metadata {format.ENTRY!r}")
    description = json.loads(metadata[format.ENTRY])
    if not isinstance(description, dict) or description.get("class") != CLASS:
        what = description.get("class") if isinstance(description, dict) else description
        raise ValueError(f"class: expected {CLASS!r}, got {checks.shown(what)}")
    if description.get("format") != format.FORMAT:
        raise ValueError(f"format: expected {format.FORMAT}, got {checks.shown(description.get('format'))}")
    config = description["config"]
    if not isinstance(config, dict):
        raise ValueError(f"config: expected an object, got {checks.shown(config)}")
    for name in _WHOLE:
        checks.integer(config[name], name, 0 if "period" in name else 1, _LARGEST)
    columns = len(config["names"])
    for name, kind in (("names", str), ("log", bool), ("returns", bool)):
        value = config[name]
        if (
            not isinstance(value, list)
            or len(value) != columns
            or not all(isinstance(v, kind) for v in value)
        ):
            raise ValueError(f"{name}: expected {columns} of {kind.__name__}, got {checks.shown(value)}")
    for name in ("differenced", "together"):
        checks.flag(config[name], name)
    checks.choice(config["cell"], "cell", ("lstm", "gru"))
    checks.choice(config["anchor"], "anchor", (LAST, LINEAR, SEASON))
    if not isinstance(config["step"], str) or (config["anchor"] == SEASON and not config["period"]):
        raise ValueError("step, anchor: expected a string, and a period where the season is the anchor")
    return config


def _made(config: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Learned:
    """Make the model, having compared every tensor's shape with what the configuration says."""
    C, H = len(config["names"]), config["horizon"]
    form = Form(config["order"], config["form_period"], config["differenced"], config["together"])
    F = tensors["inputs"].size
    expected: dict[str, tuple[int, ...]] = {
        "mean": (C,),
        "deviation": (C,),
        "linear.constant": (C,),
        "linear.weights": (tensors["linear.weights"].shape[0], C, C),
        "inputs": (F,),
        "targets": (H, C),
        "widths": (len(LEVELS), H, C),
    }
    for name, axes in expected.items():
        tensor = tensors[name]
        if tensor.dtype != np.float64 or tensor.shape != axes or not np.isfinite(tensor).all():
            raise ValueError(f"{name}: expected finite float64 {axes}, got {tensor.dtype} {tensor.shape}")
    if form.order > len(tensors["linear.weights"]) or len(form.lags) != len(tensors["linear.weights"]):
        raise ValueError(
            f"linear.weights: expected those of order {form.order}, got {len(tensors['linear.weights'])}"
        )
    # Before a layer is made of sizes that no tensor bears out.
    gates = 4 if config["cell"] == "lstm" else 3
    found, wanted = tensors[_LAYER + "weight_ih_l0"].shape, (gates * config["hidden_size"], F)
    if found != wanted or len(tensors) != 4 * config["num_layers"] + 2 + len(expected) or H * C > 2**24:
        raise ValueError(
            f"{_LAYER}: expected {config['num_layers']} layers, the first of {wanted}, got {len(tensors)}"
            f" tensors in all and {found}"
        )

    linear = Linear(form, tensors["linear.constant"], tensors["linear.weights"])
    baselines = Baselines(linear, config["period"], config["anchor"], tuple(config["returns"]))
    units = Units(tensors["inputs"], tensors["targets"])
    if baselines.inputs != F:
        raise ValueError(f"inputs: expected {baselines.inputs}, as the configuration has them, got {F}")
    shape = Shape(config["cell"], config["hidden_size"], config["num_layers"])
    network = Network(shape, baselines, H, config["context"], units)
    network.layer.load_state_dict(_named(tensors, _LAYER))
    network.head.load_state_dict(_named(tensors, _HEAD))
    scaling = Scaling(np.array(config["log"]), tensors["mean"], tensors["deviation"])
    return Learned(tuple(config["names"]), config["step"], scaling, network, tensors["widths"])


def _named(tensors: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
