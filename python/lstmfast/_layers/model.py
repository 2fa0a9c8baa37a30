"""A model's weights: drawn, packed, replaced. Calls are the subject of `Inference` and `Recurrent`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping
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
        self._packed(parameters)()

    def _packed(self, parameters: Mapping[str, Array]) -> Callable[[], None]:
        """Pack such parameters; return what swaps them in, which cannot fail."""
        arrays = {name: read_only(array) for name, array in parameters.items()}
        network, mapping = self._network_of(arrays), MappingProxyType(arrays)

        def swap() -> None:
            # In this order: whoever has read the new network and then reads the weights finds no old ones.
            self._parameters = mapping
            self._network = network

        return swap

    def _prepared(self, parameters: Mapping[str, ArrayLike]) -> Callable[[], None]:
        """Do all of an `update` that can fail; return the rest of it. For those who hold `writing`."""
        new = checked(parameters, "parameters", self._layout, self._dtype, partial=True)
        return self._packed({**self._parameters, **new})

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
        config, parameters = torch_modules.read(module, cls._KIND)
        return cls._made(config | {"isa": isa}, parameters)

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

    @classmethod
    def from_weights(
        cls,
        arrays: Any,  # noqa: ANN401 - whatever the convention has
        convention: str,
        *,
        prefix: str = "",
        rest: MutableMapping[str, Any] | None = None,
        **options: Any,  # noqa: ANN401 - the constructor's
    ) -> Self:
        """Make a model of weights as another framework has them: `docs/conventions.md` has examples.

        Parameters
        ----------
        arrays
            What that framework's users have in hand: of one layer a mapping from names to arrays (within
            others, where theirs are), an object with attributes of these names, or, of Keras, what
            `get_weights` returns. Of a bidirectional layer a pair of these, the tuple (forward, reverse). Of
            several layers a list of all that. Frameworks whose mappings hold layers and directions by
            themselves have them so here; of files the path, or what is parsed of it.
        convention
            Whose they are, "keras", say.
        prefix
            Arrays are those whose names begin with it, `/` between the parts of names; others are no matter.
        rest
            A dict, which is given what a layer does not keep of theirs: h_0 and c_0, an initial state, [L*D,
            H], and other parts of a file. None: they must not be there, or be 0.
        options
            What arrays do not say: the constructor's arguments by name (batch_first, dropout, dtype,
            activations, ...). dtype: None for float64 where all arrays are, else float32. reset_after, of a
            GRU: what the framework does where the shapes do not tell. nonlinearity, of an RNN: the
            framework's. forget_bias, of TensorFlow's cells: what they were made with, else 1. Of one blob of
            numbers: input_size, hidden_size, num_layers, bias and bidirectional as well.

        Returns
        -------
        LSTM, GRU or RNN
            Of a subclass, made by its constructor with the arguments of these by name.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, an array is missing, unexpected or of another shape, or there is
            what a layer cannot do; the message names the argument or array, what was expected and what came.
        """
        from . import weights  # the table takes longer to read than most of the package

        return cls._made(*weights.read(cls._KIND, arrays, convention, prefix, rest, options))

    def to_weights(
        self,
        convention: str,
        *,
        prefix: str = "",
        rest: Mapping[str, Any] | None = None,
        forget_bias: float | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the convention has
        """Copy the weights into the arrays that another framework has for them: what `from_weights` takes.

        They are the weights alone: activations, clip, dropout, direction and so on are for whoever makes the
        layer there.

        Parameters
        ----------
        convention, prefix, rest
            As for `from_weights`: `rest` is what comes into them besides.
        forget_bias
            Of TensorFlow's cells: what theirs is made with, else 1.

        Returns
        -------
        dict, list or array
            In this model's dtype. Where the framework has one bias for two it is their sum, rounded once.
            Read again, they are a model that computes the same but for such rounding; arrays that were read
            are written to the bit.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, or the framework has nothing for what the weights say: peepholes,
            a projection, coupled gates, a GRU's r before or after the product, its second bias of n.
        """
        from . import weights

        return weights.write(self, convention, prefix, rest, forget_bias)

    @classmethod
    def _made(cls, config: Mapping[str, Any], parameters: Mapping[str, Any]) -> Self:
        """Make a model by its constructor, and give it weights."""
        model = cls(**config)
        model.load_state_dict(parameters)
        return model

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
