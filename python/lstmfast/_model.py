"""What a recurrent model is: its configuration and its weights. Calling it is `_recurrent`'s subject."""

from __future__ import annotations

import copy
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _core, _parameters, _runtime
from ._checks import Array

if TYPE_CHECKING:
    from typing_extensions import Self

# The attributes of this package's classes; a subclass may have added others.
_OWN = frozenset(
    {
        "_batch_first",
        "_depth",
        "_dropout",
        "_dtype",
        "_isa",
        "_layout",
        "_network",
        "_nonlinearity",
        "_parameters",
    }
)

AnyArray: TypeAlias = NDArray[Any]

# For writers of any model; calls read _network once and need none. One for all, because a fork has to take
# it: else the child could find it locked for ever by a thread that it does not have, and new weights half
# swapped in. One thread can take it twice, because a signal's handler may fork or update in the midst.
_writing = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_writing.acquire, after_in_parent=_writing.release, after_in_child=_writing.release
    )


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
        /,
    ) -> tuple[AnyArray, AnyArray, Any]: ...
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
    ) -> tuple[AnyArray, AnyArray, Any, Any]: ...
    def backward(
        self,
        tape: Any,  # noqa: ANN401 - Tape32 or Tape64, each of its own network
        dy: AnyArray | None,
        dh_n: AnyArray | None,
        dc_n: AnyArray | None,
        /,
    ) -> tuple[AnyArray, AnyArray, Any, list[Any]]: ...


class Model(ABC):
    """Configuration and weights. New weights make a new compiled network, which is then swapped in."""

    _KIND: ClassVar[str]  # the class's name in files
    _GATES: ClassVar[int]
    _HAS_MEMORY: ClassVar[bool]  # whether a state is h and c
    _DEFAULTS: ClassVar[Mapping[str, object]]  # the constructor's, in its order, without seed and isa

    _dtype: np.dtype[Any]
    _layout: _parameters.Layout
    _batch_first: bool
    _depth: int  # L*D
    _dropout: float
    _isa: str
    _network: _Network
    _parameters: Mapping[str, Array]

    @abstractmethod
    def _cell(self) -> str:
        """Name the cell for the core."""

    # Configuration.

    def _configure(self, config: Mapping[str, Any], isa: object) -> None:
        """Check and set everything but the weights."""
        hidden_size = _checks.integer(config["hidden_size"], "hidden_size", 1)
        layout = _parameters.Layout(
            gates=self._GATES,
            input_size=_checks.integer(config["input_size"], "input_size", 1),
            hidden_size=hidden_size,
            num_layers=_checks.integer(config["num_layers"], "num_layers", 1),
            bidirectional=_checks.flag(config["bidirectional"], "bidirectional"),
            bias=_checks.flag(config["bias"], "bias"),
            proj_size=_checks.projection(config.get("proj_size", 0), hidden_size),  # an RNN has none
        )
        self._batch_first = _checks.flag(config["batch_first"], "batch_first")
        self._dropout = _checks.probability(config["dropout"], "dropout")
        self._dtype = _checks.float_dtype(config["dtype"])
        layout.check_size(self._dtype)
        self._layout = layout
        self._depth = layout.num_layers * layout.directions
        self._isa = (
            _runtime.isa() if isa is None else _checks.choice(isa, "isa", tuple(_core.available_isas()))
        )

    def _initialise(self, seed: object) -> None:
        """Draw the weights."""
        generator = _checks.seed_generator(seed)
        self._install(_parameters.initial(self._layout, self._dtype, generator))

    def _install(self, parameters: Mapping[str, Array]) -> None:
        """Pack `parameters`, which are checked and nobody else's, and only then swap them in."""
        arrays = {name: _parameters.read_only(array) for name, array in parameters.items()}
        make = _core.Network32 if self._dtype is _checks.FLOAT32 else _core.Network64
        layout = self._layout
        network = make(
            self._cell(),
            layout.input_size,
            layout.hidden_size,
            layout.num_layers,
            layout.bidirectional,
            layout.bias,
            list(arrays.values()),  # type: ignore[arg-type]
            self._isa,
            layout.proj_size,
        )
        self._network = network
        self._parameters = MappingProxyType(arrays)

    def _config(self) -> dict[str, Any]:
        """Return what makes a model like this one: the constructor's arguments, as JSON can hold them."""
        config = {name: getattr(self, name) for name in ("input_size", "hidden_size", *self._DEFAULTS)}
        config["dtype"] = self._dtype.name
        return config

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
    def bidirectional(self) -> bool:
        """Whether every layer also runs from the last step to the first (D = 2)."""
        return self._layout.bidirectional

    @property
    def proj_size(self) -> int:
        """P, to which an LSTM projects h; 0 without a projection, as in every RNN."""
        return self._layout.proj_size

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64, of weights, states and results; inputs are converted to it."""
        return self._dtype

    @property
    def isa(self) -> str:
        """The instruction set that this object runs on."""
        return self._network.isa

    @property
    def parameters(self) -> Mapping[str, Array]:
        """The weights by name, in PyTorch's names, shapes and order: a read-only mapping of read-only arrays.

        A later `load_state_dict` or `update` makes a new mapping and leaves this one as it is.
        """
        return self._parameters

    def state_dict(self) -> dict[str, Array]:
        """Copy the weights: a dict in PyTorch's names, shapes and order, for the caller to keep or change."""
        return {name: array.copy() for name, array in self._parameters.items()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike]) -> None:
        """Replace all weights.

        Parameters
        ----------
        state_dict
            All names of `parameters` with arrays of their shapes, of any real dtype: NumPy arrays,
            what `torch.nn.LSTM(...).state_dict()` returns, or anything else that NumPy can read.

        Raises
        ------
        TypeError
            If it is no mapping, or a value is no array of real numbers.
        ValueError
            If a name is missing or unexpected, or a shape differs. Then nothing has changed.

        Notes
        -----
        Calls that run in other threads finish with the weights they began with. Tapes made before
        the change can no longer be used.
        """
        self._change(state_dict, "state_dict", partial=False)

    def update(self, parameters: Mapping[str, ArrayLike]) -> None:
        """Replace some weights, as `load_state_dict` does all: names that are missing stay as they are."""
        self._change(parameters, "parameters", partial=True)

    def _change(self, values: object, argument: str, *, partial: bool) -> None:
        new = _parameters.checked(values, argument, self._layout, self._dtype, partial=partial)
        if new:
            with _writing:  # two updates at once must not lose one of them
                self._install({**self._parameters, **new})

    @classmethod
    def from_torch(cls, module: Any, *, isa: str | None = None) -> Self:  # noqa: ANN401
        """Make a model of a PyTorch module: its configuration, and copies of its weights.

        Parameters
        ----------
        module
            A `torch.nn.LSTM` for an `LSTM`, a `torch.nn.RNN` for an `RNN`, on any device. Weights that hooks
            compute before each call (pruning, the old weight_norm) are those of its last call.
        isa
            As for the class.

        Returns
        -------
        LSTM or RNN
            In float32 or float64, as the module is. Of a subclass, made by its constructor with the arguments
            of `LSTM` or `RNN` by name.

        Raises
        ------
        TypeError
            If it is no such module.
        ValueError
            If its weights are of another dtype or have no numbers (on the device "meta").
        """
        from . import _torch_modules

        config, weights = _torch_modules.read(module, cls._KIND)
        model = cls(**config, isa=isa)  # type: ignore[call-arg]
        model.load_state_dict(weights)
        return model

    def to_torch(self) -> Any:  # noqa: ANN401 - torch.nn.LSTM or torch.nn.RNN
        """Make a PyTorch module of this model: its configuration, and copies of its weights.

        Returns
        -------
        torch.nn.LSTM or torch.nn.RNN
            On the CPU, in this model's dtype, in training mode as a new module is. No random
            number is drawn.

        Raises
        ------
        ImportError
            If PyTorch is not installed: `pip install 'lstmfast[torch]'`.
        """
        from . import _torch_modules

        return _torch_modules.make(self._KIND, self._config(), self._parameters)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write configuration and weights to a safetensors file, which `lstmfast.load` reads.

        The file appears at once and whole: a write that fails leaves what was there before.

        Raises
        ------
        ImportError
            If safetensors is not installed: `pip install 'lstmfast[save]'`.
        OSError
            If the file cannot be written.
        """
        from . import _files

        _files.save(self._KIND, self._config(), self._parameters, path)

    # Copies.

    def __getstate__(self) -> dict[str, Any]:
        return {
            "config": self._config(),
            "parameters": dict(self._parameters),
            "extra": {name: value for name, value in self.__dict__.items() if name not in _OWN},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Without the ISA: the machine that unpickles may have others.
        self._configure(state["config"], None)
        self._install(
            _parameters.checked(state["parameters"], "pickle", self._layout, self._dtype, partial=False)
        )
        self.__dict__.update(state["extra"])

    def __copy__(self) -> Self:
        """Copy; the weights can be shared, for they are replaced and never changed."""
        other = type(self).__new__(type(self))
        with _writing:  # or another thread's update might come between network and parameters
            other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy, with copies of what a subclass has added."""
        other = self.__copy__()
        memo[id(self)] = other  # first, because what was added may refer to this very model
        for name, value in self.__dict__.items():
            if name not in _OWN:
                other.__dict__[name] = copy.deepcopy(value, memo)
        return other

    def _without_dropout(self) -> Self:
        """Return this model if it drops nothing, else a copy that does not; tapes of one are the other's."""
        if self._dropout == 0:
            return self
        other = self.__copy__()
        other._dropout = 0.0
        return other

    def __repr__(self) -> str:
        config = self._config()
        named = [
            f"{name}={config[name]!r}" for name, default in self._DEFAULTS.items() if config[name] != default
        ]
        return f"{type(self).__name__}({', '.join([str(self.input_size), str(self.hidden_size), *named])})"
