"""What every recurrent layer is: its configuration, and the network that runs it."""

from __future__ import annotations

import copy
import os
import threading
from abc import ABC
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from .. import _core
from . import checks, parameters, runtime, variants
from .checks import AnyArray
from .kinds import Kind

if TYPE_CHECKING:
    from typing_extensions import Self

# The attributes of all our classes, without those of their kind's choices; a subclass may have added others.
_OWN = frozenset(
    {
        "_batch_first",
        "_depth",
        "_dropout",
        "_dtype",
        "_isa",
        "_layout",
        "_network",
        "_parameters",
        "_recurrent_dropout",
        "_variant",
        "_zoneout",
    }
)

# For writers of any model; calls read _network once and need none. One for all, because a fork has to take
# it: else the child could find it locked for ever by a thread that it does not have, and new weights half
# swapped in. One thread can take it twice, because a signal's handler may fork or update in the midst.
writing = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=writing.acquire, after_in_parent=writing.release, after_in_child=writing.release
    )


_DIRECTIONS = ("forward", "reverse")


class _Network(Protocol):
    """Network32 or Network64 of the core: all weights, packed; never changed once made."""

    @property
    def isa(self) -> str: ...
    def infer(
        self,
        x: AnyArray,
        h0: AnyArray | None,
        c0: AnyArray | None,
        batch_first: bool,
        y: AnyArray | None = None,
        h_n: AnyArray | None = None,
        c_n: AnyArray | None = None,
        lengths: AnyArray | None = None,
        reset: AnyArray | None = None,
        threads: int = 0,
        cut_h: AnyArray | None = None,
        cut_c: AnyArray | None = None,
        return_c: bool = False,
        /,
    ) -> Any: ...  # noqa: ANN401 - three arrays, or four with return_c
    def forward(
        self,
        x: AnyArray,
        h0: AnyArray | None,
        c0: AnyArray | None,
        batch_first: bool,
        lengths: AnyArray | None = None,
        reset: AnyArray | None = None,
        recompute: bool = False,
        masks: AnyArray | None = None,
        mask_scale: float = 0.0,
        /,
        *,
        cut_h: AnyArray | None = None,
        cut_c: AnyArray | None = None,
        return_c: bool = False,
        renewed: AnyArray | None = None,
    ) -> Any: ...  # noqa: ANN401 - arrays and a tape, and with return_c one more
    def backward(
        self,
        tape: Any,  # noqa: ANN401 - Tape32 or Tape64, each of its own network
        dy: AnyArray | None,
        dh_n: AnyArray | None,
        dc_n: AnyArray | None,
        /,
        *,
        dc: AnyArray | None = None,
        wants_cut: bool = False,
    ) -> Any: ...  # noqa: ANN401 - arrays, and with wants_cut two more


class Layer(ABC):
    """Configuration, and a network that is never changed but replaced."""

    _KIND: ClassVar[Kind]
    _NAME: ClassVar[str]  # the class's in files; a subclass of a user's has it, too
    # What the configuration has besides; each is kept in an attribute with _ before its name.
    _MORE: ClassVar[tuple[str, ...]] = ()

    _dtype: np.dtype[Any]
    _layout: parameters.Layout
    _batch_first: bool
    _depth: int  # L*D
    _dropout: float
    _isa: str
    _network: _Network
    _parameters: Mapping[str, AnyArray]
    _recurrent_dropout: float
    _variant: variants.Variant
    _zoneout: float

    # Configuration.

    def _configure(self, config: Mapping[str, Any], isa: object) -> None:
        """Check and set everything but the weights."""
        hidden_size = checks.integer(config["hidden_size"], "hidden_size", 1)
        dtype = checks.float_dtype(config["dtype"], self._KIND.dtypes)
        for name, values in self._KIND.choices.items():
            setattr(self, f"_{name}", checks.choice(config[name], name, values))
        self._variant = variant = self._read_variant(config, dtype)
        gates = self._KIND.gates - (1 if variant.coupled else 0)
        layout = parameters.Layout(
            gates=gates,
            input_size=checks.integer(config["input_size"], "input_size", 1),
            hidden_size=hidden_size,
            num_layers=checks.integer(config["num_layers"], "num_layers", 1),
            bidirectional=checks.flag(config["bidirectional"], "bidirectional"),
            bias=checks.flag(config["bias"], "bias"),
            proj_size=checks.projection(config.get("proj_size", 0), hidden_size),  # few kinds have one
            peepholes=gates - 1 if variant.peephole else 0,  # all but the candidate
            norms=self._KIND.normalises,
            reverse=checks.choice(config.get("direction", "forward"), "direction", _DIRECTIONS) == "reverse",
        )
        if layout.reverse and layout.bidirectional:
            raise ValueError("direction: expected 'forward', for bidirectional=True has both, got 'reverse'")
        self._batch_first = checks.flag(config["batch_first"], "batch_first")
        self._dropout = checks.probability(config["dropout"], "dropout")
        self._zoneout = checks.probability(config.get("zoneout", 0.0), "zoneout")
        self._recurrent_dropout = checks.probability(
            config.get("recurrent_dropout", 0.0), "recurrent_dropout"
        )
        self._dtype = dtype
        layout.check_size(dtype)
        self._layout = layout
        self._depth = layout.num_layers * layout.directions
        self._isa = runtime.isa() if isa is None else checks.choice(isa, "isa", tuple(_core.available_isas()))

    def _read_variant(self, config: Mapping[str, Any], dtype: np.dtype[Any]) -> variants.Variant:
        return variants.read(config, self._KIND.activations, dtype)

    def _cell(self) -> str:
        """Name the cell for the core."""
        if self._is_variant:
            return self._KIND.variant_cell(self._variant.coupled, self._variant.reset_after)
        return self._KIND.cell({name: getattr(self, f"_{name}") for name in self._KIND.choices}).name

    @property
    def _is_variant(self) -> bool:
        """Whether the core's cell is not the kind's plain one.

        An RNN's takes its derivative from h, which zoneout mixes with what was before: it then keeps sums.
        """
        return not self._variant.plain or (self._zoneout > 0 and self._KIND.kept_gates == 0)

    def _variant_for_core(self) -> tuple[Any, ...] | None:
        return self._variant.for_core() if self._is_variant else None

    @classmethod
    def _config_names(cls) -> tuple[str, ...]:
        return ("input_size", "hidden_size", *cls._KIND.defaults, *cls._MORE)

    def _config(self) -> dict[str, Any]:
        """Return what makes a model like this one: the constructor's arguments, as JSON can hold them.

        What makes a variant of its cell is there where it is not as usual, and so is new to no file of a
        plain one.
        """
        config = {name: getattr(self, name) for name in self._config_names()}
        config["dtype"] = self._dtype.name
        return {**config, **self._options()}

    def _options(self) -> dict[str, Any]:
        options = self._variant.config()
        if self._layout.reverse:
            options["direction"] = self.direction
        if self._zoneout:
            options["zoneout"] = self._zoneout
        if self._recurrent_dropout:
            options["recurrent_dropout"] = self._recurrent_dropout
        return options

    @property
    def input_size(self) -> int:
        """I, numbers per time step of x."""
        return self._layout.input_size

    @property
    def hidden_size(self) -> int:
        """H, units of each layer and direction."""
        return self._layout.hidden_size

    @property
    def num_layers(self) -> int:
        """L, layers; each takes the output of the one before it."""
        return self._layout.num_layers

    @property
    def bias(self) -> bool:
        """Whether there are biases."""
        return self._layout.bias

    @property
    def batch_first(self) -> bool:
        """Whether x and y are [B, T, ...] rather than [T, B, ...]. States are not affected."""
        return self._batch_first

    @property
    def dropout(self) -> float:
        """Probability that `forward` drops an output of a layer before the next layer reads it."""
        return self._dropout

    @property
    def zoneout(self) -> float:
        """Probability that a number of h stays as it was at a step."""
        return self._zoneout

    @property
    def recurrent_dropout(self) -> float:
        """Probability that `forward` drops a weight of `weight_hh`, for all its steps."""
        return self._recurrent_dropout

    @property
    def bidirectional(self) -> bool:
        """Whether every layer also runs from the last step to the first (D = 2)."""
        return self._layout.bidirectional

    @property
    def direction(self) -> str:
        """Which way every layer runs, "forward" or, from the last step to the first, "reverse"."""
        return _DIRECTIONS[self._layout.reverse]

    @property
    def proj_size(self) -> int:
        """P, to which an LSTM projects h; 0 without a projection, as in every RNN."""
        return self._layout.proj_size

    @property
    def peephole(self) -> bool:
        """Whether an LSTM's gates see c, through weights of their own (`weight_ch`)."""
        return self._variant.peephole

    @property
    def coupled(self) -> bool:
        """Whether an LSTM's f is 1 - i; it has then the gates i, g, o."""
        return self._variant.coupled

    @property
    def reset_after(self) -> bool:
        """Whether a GRU's r multiplies what W_hn makes of h, and not h itself."""
        return self._variant.reset_after

    @property
    def clip(self) -> float | None:
        """What the arguments of all gates are kept within; None: nothing."""
        return self._variant.clip

    @property
    def activations(self) -> tuple[str | tuple[str | float, ...], ...]:
        """What is applied, in ONNX's names: to the gates, to the candidate and to c, as the kind has them."""
        return tuple(activation.shown() for activation in self._variant.activations)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64, of weights, states and results; inputs are converted to it."""
        return self._dtype

    @property
    def isa(self) -> str:
        """The instruction set that this object runs on."""
        return self._network.isa

    # Copies.

    def _added(self) -> dict[str, Any]:
        """Return what a subclass has added."""
        own = _OWN.union(f"_{name}" for name in (*self._MORE, *self._KIND.choices))
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __copy__(self) -> Self:
        """Copy; the weights can be shared, for they are replaced and never changed."""
        other = type(self).__new__(type(self))
        with writing:  # or another thread's update might come between network and parameters
            other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy, with copies of what a subclass has added."""
        other = self.__copy__()
        memo[id(self)] = other  # first, because what was added may refer to this very model
        for name, value in self._added().items():
            other.__dict__[name] = copy.deepcopy(value, memo)
        return other

    def _arguments(self) -> str:
        """Say how the constructor would be called for a layer like this one, but for seed and isa."""
        config = self._config()
        named = [
            f"{name}={config[name]!r}"
            for name, default in self._KIND.defaults.items()
            if config[name] != default
        ] + [f"{name}={value!r}" for name, value in self._options().items()]
        return ", ".join([str(self.input_size), str(self.hidden_size), *named])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._arguments()})"
