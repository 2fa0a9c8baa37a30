"""int8 on every ISA, compared with the NumPy model."""

from __future__ import annotations

from typing import Any

from ..helpers import ISAS, assert_same_bits, make
from .helpers import Int8Model, plain_nan


def on_every_isa(model: Any, calibration: Any = None) -> dict[str, Any]:
    """The int8 form of a model on each ISA."""
    made = {}
    for isa in ISAS:
        kind = model._cell()
        same = make(
            kind,
            model.input_size,
            model.hidden_size,
            num_layers=model.num_layers,
            bias=model.bias,
            batch_first=model.batch_first,
            bidirectional=model.bidirectional,
            proj_size=model.proj_size,
            isa=isa,
        )
        same.load_state_dict(model.state_dict())
        made[isa] = same.quantize("int8", calibration)
        assert made[isa].isa == isa
    return made


class Compared:
    """A model's int8 form on each ISA, and the NumPy model."""

    def __init__(self, model: Any, calibration: Any = None) -> None:
        self.made, self.exact = on_every_isa(model, calibration), Int8Model(model, calibration)

    def check(self, *arguments: Any, **named: Any) -> Any:
        """Compare one call, and return its results."""
        expected = self.exact(*arguments, **named)
        for isa, q in self.made.items():
            assert_same_bits(plain_nan(q(*arguments, **named)), plain_nan(expected), f"{isa}: ")
        return expected


def check(model: Any, *arguments: Any, calibration: Any = None, **named: Any) -> Any:
    """Compare one call on every ISA with the NumPy model, and return its results."""
    return Compared(model, calibration).check(*arguments, **named)
