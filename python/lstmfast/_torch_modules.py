"""PyTorch's modules as our models, and back: configuration and weights, copied once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

from . import _checks, _parameters

_SIZES = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")


def read(module: Any, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401
    """Read a `torch.nn.LSTM` or `RNN`: the arguments that make a model like it, and its weights by name.

    PyTorch is not imported: where it has not been, no object is a module.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(module, getattr(torch.nn, kind)):
        raise TypeError(f"module: expected a torch.nn.{kind}, got {_checks.shown(module)}")
    config = {name: getattr(module, name) for name in _SIZES}
    config["dropout"] = float(config["dropout"])
    if kind == "LSTM":
        config["proj_size"] = module.proj_size
    else:
        config["nonlinearity"] = module.nonlinearity
    layout = _parameters.Layout(
        4 if kind == "LSTM" else 1,
        config["input_size"],
        config["hidden_size"],
        config["num_layers"],
        config["bidirectional"],
        config["bias"],
        config.get("proj_size", 0),
    )
    # By their names, as the module itself finds them: they may be computed (torch.nn.utils.parametrize).
    weights = {name: getattr(module, name).detach() for name, _, _ in layout.shapes()}
    known = {torch.float32: "float32", torch.float64: "float64"}
    for name, weight in weights.items():
        if weight.is_meta:
            raise ValueError(f"module: expected weights with numbers in them, got {name} on the device meta")
        if weight.dtype not in known:
            raise ValueError(
                f"module: expected weights of float32 or float64, got {name} of {weight.dtype};"
                " module.float() makes them float32"
            )
    dtypes = {weight.dtype for weight in weights.values()}
    if len(dtypes) != 1:
        raise ValueError(
            f"module: expected weights of one dtype, got {' and '.join(map(str, sorted(dtypes, key=str)))}"
        )
    config["dtype"] = known[dtypes.pop()]
    return config, {name: weight.cpu() for name, weight in weights.items()}


def make(kind: str, config: Mapping[str, Any], parameters: Mapping[str, _checks.Array]) -> Any:  # noqa: ANN401
    """Make a `torch.nn.LSTM` or `RNN` of a model's configuration, with copies of its weights."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch needs PyTorch: pip install 'lstmfast[torch]'") from error

    arguments = {**config, "dtype": getattr(torch, config["dtype"])}
    with warnings.catch_warnings():
        # Dropout in one layer does nothing, in both; whoever made the model need not be told again.
        warnings.filterwarnings("ignore", "dropout option adds dropout", UserWarning)
        # Without memory nothing is drawn, so PyTorch's generator stays where it is.
        module = getattr(torch.nn, kind)(**arguments, device="meta").to_empty(device="cpu")
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in parameters.items()})
    return module
