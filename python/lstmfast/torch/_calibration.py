"""What ranges the inputs of a model's modules have, found by running it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from .._base import checks
from . import _cuts
from ._arrays import AnyArray
from ._own import Frozen, marks_of, own_of
from ._reading import weights_of


class _Recorder:
    """A network that remembers how large each of its inputs gets."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.largest: AnyArray | None = None  # [I]

    def infer(self, x: AnyArray, *others: Any) -> Any:
        """Run forward, as Network32 and Network64 do."""
        lengths = others[6]
        seen = x
        if lengths is not None and x.ndim == 3:  # what is past a row's end is no matter
            seen = x[np.arange(x.shape[0])[:, np.newaxis] < lengths]
        if seen.size:
            largest = np.abs(seen).max(axis=tuple(range(seen.ndim - 1)))
            self.largest = largest if self.largest is None else np.maximum(self.largest, largest)
        return self._network.infer(x, *others)


def largest_inputs(model: torch.nn.Module, modules: dict[str, Any], inputs: Any) -> dict[str, AnyArray]:
    """Run a model on each of many inputs, as it is in eval mode, and see what comes to its modules.

    Parameters
    ----------
    modules
        Ours, by name, whose weights the core takes.
    inputs
        An iterable of what the model is called with: a tuple or list of arguments, a dict of keywords, or the
        one argument.

    Returns
    -------
    dict
        For each module, each input's largest magnitude, [I].

    Raises
    ------
    TypeError
        If inputs are no iterable, or one tensor, which is one input.
    ValueError
        If nothing comes to one of the modules.
    """
    if isinstance(inputs, (torch.Tensor, PackedSequence, str, dict)) or not isinstance(inputs, Iterable):
        raise TypeError(
            f"calibration: expected an iterable of the model's inputs, such as [x], got {_cuts.shown(inputs)}"
        )
    before = {name: own_of(module).frozen for name, module in modules.items()}
    training = [(module, module.training) for module in model.modules()]
    recorders = {}
    try:
        for name, module in modules.items():
            own, weights = own_of(module), weights_of(module)
            recorders[name] = _Recorder(own.packed.network(weights, torch.get_num_threads()))
            own.frozen = Frozen(recorders[name], marks_of(weights), weights)
        model.eval()
        with torch.no_grad():
            for one in inputs:
                _call(model, one)
    finally:
        for name, module in modules.items():
            own_of(module).frozen = before[name]
        for module, flag in training:
            module.training = flag
    found = {}
    for name, recorder in recorders.items():
        if recorder.largest is None:
            raise ValueError(
                f"calibration: expected inputs that come to each LSTM, GRU and RNN of the model, got none for"
                f" {name or 'the model itself'}"
            )
        found[name] = recorder.largest
    return found


def _call(model: torch.nn.Module, one: Any) -> None:
    if isinstance(one, dict):
        model(**one)
    elif isinstance(one, (tuple, list)) and not isinstance(one, PackedSequence):
        model(*one)
    else:
        model(one)


def check_kind(kind: Any, kinds: tuple[str, ...], calibration: Any) -> None:
    """Check what weights are to become, and that only whole numbers are calibrated, as the plain API does."""
    checks.choice(kind, "kind", kinds)
    if calibration is not None and kind != "int8":
        raise ValueError(
            f"calibration: expected None for {kind}, which does not round x, got {_cuts.shown(calibration)}"
        )
