"""A model's weights: drawn, packed, replaced. Calls are the subject of `Inference` and `Recurrent`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from .._base import checks
from .._base.checks import Array
from .._base.layer import writing
from .._base.parameters import checked, expected, read_only
from .._files.saved import Saved
from . import initial, torch_modules

if TYPE_CHECKING:
    from typing_extensions import Self


class Model(Saved):
    """Weights. New ones make a new compiled network, which is then swapped in."""

    _parameters: Mapping[str, Array]

    def _initialise(self, seed: object, init: object = "uniform", forget_bias: object = None) -> None:
        """Draw the weights."""
        generator = checks.seed_generator(seed)
        self._install(initial.drawn(self._layout, self._dtype, generator, init, forget_bias))

    def _install(self, parameters: Mapping[str, Array]) -> None:
        """Pack `parameters`, which are checked and nobody else's, and only then swap them in."""
        arrays = {name: read_only(array) for name, array in parameters.items()}
        network = self._network_of(arrays)
        # In this order: whoever has read the new network and then reads the weights finds no old ones.
        self._parameters = MappingProxyType(arrays)
        self._network = network

    def _network_of(self, arrays: Mapping[str, Array]) -> Any:  # noqa: ANN401 - Network32 or Network64
        """Pack the weights."""
        make = _core.Network32 if self._dtype is checks.FLOAT32 else _core.Network64
        layout = self._layout
        return make(
            self._cell(),
            layout.input_size,
            layout.hidden_size,
            layout.num_layers,
            layout.bidirectional,
            layout.bias,
            list(arrays.values()),  # type: ignore[arg-type]
            self._isa,
            layout.proj_size,
            variant=self._variant_for_core(),
            reverse=layout.reverse,
            zoneout=self._zoneout,
        )

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
        new = checked(values, argument, self._layout, self._dtype, partial=partial)
        if new:
            with writing:  # two updates at once must not lose one of them
                self._install({**self._parameters, **new})

    @classmethod
    def from_torch(cls, module: Any, *, isa: str | None = None) -> Self:  # noqa: ANN401
        """Make a model of a PyTorch module: its configuration, and copies of its weights.

        Parameters
        ----------
        module
            A `torch.nn.LSTM` for an `LSTM`, and so on for a `GRU` and an `RNN`, on any device. Weights that
            hooks compute before each call (pruning, the old weight_norm) are those of its last call.
        isa
            As for the class.

        Returns
        -------
        LSTM, GRU or RNN
            In float32 or float64, as the module is. Of a subclass, made by its constructor with the arguments
            of these by name.

        Raises
        ------
        TypeError
            If it is no such module, or PyTorch has no such kind.
        ValueError
            If its weights are of another dtype or have no numbers (on the device "meta").
        """
        config, weights = torch_modules.read(module, cls._KIND)
        model = cls(**config, isa=isa)  # type: ignore[call-arg]
        model.load_state_dict(weights)
        return model

    def to_torch(self) -> Any:  # noqa: ANN401 - torch.nn.LSTM or its like
        """Make a PyTorch module of this model: its configuration, and copies of its weights.

        Returns
        -------
        torch.nn.LSTM, torch.nn.GRU or torch.nn.RNN
            On the CPU, in this model's dtype, in training mode as a new module is. No random
            number is drawn.

        Raises
        ------
        ImportError
            If PyTorch is not installed: `pip install 'lstmfast[torch]'`.
        TypeError
            If PyTorch has no such kind, or none with these options.
        """
        if self._options():
            raise TypeError(
                f"to_torch: expected a layer that PyTorch has, got one with {', '.join(self._options())}"
            )
        return torch_modules.make(self._KIND, self._config(), self._parameters)

    def _stored(
        self, names: Collection[Any], argument: str
    ) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        shapes = expected(names, argument, self._layout)
        return {name: (shape, self._dtype) for name, (shape, _) in shapes.items()}

    def _restore(self, arrays: Mapping[str, Any], argument: str) -> None:
        self._install(checked(arrays, argument, self._layout, self._dtype, partial=False))

    def _without_dropout(self) -> Self:
        """Return this model if nothing of it is drawn, else a copy that takes what is expected.

        Tapes of one are the other's.
        """
        if self._dropout == self._zoneout == self._recurrent_dropout == 0:
            return self
        other = self.__copy__()
        other._dropout = other._zoneout = other._recurrent_dropout = 0.0  # the network keeps its zoneout
        return other
