"""Single steps for those who trace: torch.compile, torch.export, make_fx, dispatch modes.

They see PyTorch's own step: its loop is theirs to unroll, and its products theirs to fuse.
"""

from __future__ import annotations

from typing import Any

import torch

from . import _freezing
from ._cell_reading import weights_of
from ._own import is_frozen, own_of


class Constants:
    """What PyTorch's forward reads of a module, with weights to which no gradient goes."""

    def __init__(self, module: Any, weights: list[Any]) -> None:
        self._module = module
        self.hidden_size = module.hidden_size
        self.nonlinearity = getattr(module, "nonlinearity", None)
        constants = [weight.detach() for weight in weights]
        self.weight_ih, self.weight_hh, *biases = constants
        self.bias_ih: Any = biases[0] if biases else None
        self.bias_hh: Any = biases[1] if biases else None

    def forward(self, input: Any, hx: Any) -> Any:
        """Run PyTorch's own step."""
        for theirs in (torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell):
            if isinstance(self._module, theirs):
                return theirs.forward(self, input, hx)
        raise AssertionError(type(self._module))


def constants(module: Any) -> Constants | None:
    """Return a frozen module's weights as constants; None of one that is not."""
    if not is_frozen(module):
        return None
    weights = weights_of(module)
    if not torch.compiler.is_compiling():
        _freezing.check(own_of(module), weights)
    return Constants(module, weights)
