"""Smaller weights for whole models."""

from __future__ import annotations

from typing import Any, TypeVar

import torch

from .._base.kinds import BY_CELL, class_named
from . import _accelerate, _calibration, _classes, _freezing
from ._modules import Recurrent
from ._ours import Ours
from ._own import own_of, set_quantized
from ._quantized import Quantized
from ._reading import weights_of

M = TypeVar("M", bound=torch.nn.Module)


def quantize(model: M, kind: str, calibration: Any = None) -> M:
    """Give every LSTM, GRU and RNN in a model smaller weights, for inference, in place.

    Modules are accelerated first, if they are not; cells of single steps are, too, and keep their weights.
    Results are those of `lstmfast.LSTM.quantize`'s layer with the same weights, bit for bit; of a module of
    float64 they are widened. `restore` undoes it.

    A module's own weights stay as they are, for `state_dict`, `restore` and copies, and are not read by
    calls: they must not change, which calls notice as those of frozen modules do. On a graph, smaller weights
    are constants. Copies and pickles are quantised, too.

    Parameters
    ----------
    model
        Any module; it may itself be an LSTM, a GRU or an RNN.
    kind
        "float16" or "bfloat16": half the bytes of float32, arithmetic in float32. "int8": a quarter of them,
        products of whole numbers; inputs and states are rounded to 8 bits, too, at each step.
    calibration
        For "int8" alone, an iterable of inputs of the model (each a tuple or list of arguments, a dict of
        keywords, or the one argument), on which it is run, in eval mode, to find how large each input of each
        module gets: it is then rounded in proportion to its own range. None: in proportion to the largest.

    Returns
    -------
    model
        The same object.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or a weight is not finite in float32. Nothing is changed then.
    RuntimeError
        If the core cannot run the weights of a module, or they are computed at each call: the message says
        which and why. Later, from calls: if a weight was changed, or an input or state wants a gradient, or
        the module is in training mode with dropout, or the call is none that the core takes.
    """
    _accelerate.check_module(model, "quantize")
    smaller = {name for each in BY_CELL.values() for name in each.smaller}
    _calibration.check_kind(kind, tuple(sorted(smaller, key=_ORDER.index)), calibration)
    before = {id(module) for module in model.modules() if isinstance(module, Ours)}
    _accelerate.accelerate(model)
    modules = {name: module for name, module in model.named_modules() if isinstance(module, Recurrent)}
    try:
        for name, module in modules.items():
            _check_weights(name, module)
        ranges = {} if calibration is None else _calibration.largest_inputs(model, modules, calibration)
        made = {name: _made(name, module, kind, ranges.get(name)) for name, module in modules.items()}
    except BaseException:
        for module in model.modules():
            if isinstance(module, Ours) and id(module) not in before:
                _classes.give_back(module)
        raise
    for name, module in modules.items():
        set_quantized(module, made[name])
    return model


_ORDER = ("float16", "bfloat16", "int8")  # as messages list them


def _check_weights(name: str, module: Any) -> None:
    try:
        _freezing.lasting_weights_of(module, "quantize")
    except RuntimeError as error:
        raise RuntimeError(f"{name or 'the model itself'}: {error}") from None


def _made(name: str, module: Any, kind: str, largest: Any) -> Quantized:
    of_module = BY_CELL[own_of(module).packed.spec.cell]
    try:
        plain = class_named(of_module.name).from_torch(module)
        layer = plain.quantize(kind, None if largest is None else largest[None])
    except ValueError as error:
        raise ValueError(f"{name or 'the model itself'}: {error}") from None
    return Quantized(layer, weights_of(module))
