"""`LSTM` and `RNN`: PyTorch's modules, whose work on the CPU is the core's."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from . import _autograd, _graph, _paths, _run
from ._weights import CELLS, Packed, Spec

# Where a module keeps what is not PyTorch's: in its __dict__, neither copied nor pickled.
_OURS = "_lstmfast"


class _Frozen(NamedTuple):
    """Weights promised not to change: the network of them, and what shows that some were changed."""

    network: Any
    marks: tuple[tuple[int, int], ...]  # of each weight, address and version
    held: list[Tensor]  # so that no other weight can get such an address


class _Own:
    """What one of our modules keeps besides PyTorch's attributes."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.frozen: _Frozen | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Own:
        """Begin anew: parametrized modules copy all that they have."""
        return _Own(Packed(self.packed.spec))


class _Prepared(NamedTuple):
    """A call that the core takes: all of it that is a tensor, and how to run it."""

    call: _run.Call
    weights: list[Tensor]
    x: Tensor
    h0: Tensor | None
    c0: Tensor | None
    packing: PackedSequence | None


class _Recurrent:
    """What our LSTM and RNN have in common. In their bases it stands before PyTorch's class."""

    # PyTorch's, as far as they are used here.
    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int
    training: bool
    _flat_weights_names: list[str]
    _parameters: dict[str, Any]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run all steps: arguments, results and errors are those of PyTorch's class."""
        if torch.compiler.is_compiling() or _paths.dispatch_modes():
            return _graph.forward(self, input, hx)
        prepared = self._prepare(input, hx)
        if isinstance(prepared, str):
            if isinstance(input, torch.fx.Proxy):  # a leaf of symbolic traces, as PyTorch's own is
                path = input.tracer.path_of_module(self)
                return input.tracer.create_proxy("call_module", path, (input, hx), {})
            return super().forward(input, hx)  # type: ignore[misc]
        return self._finish(prepared, self._run_core(prepared))

    # Ways.

    def _pytorch_forward(self, input: Any, hx: Any) -> Any:
        return super().forward(input, hx)  # type: ignore[misc]

    def _prepare(self, input: Any, hx: Any) -> _Prepared | str:
        """Return the call as the core takes it, or why PyTorch's own path has to."""
        if reason := _paths.refusal_of_mode():
            return reason
        own = self._own()
        weights = self._weights()
        if own.frozen is not None:
            self._check_frozen(weights)
        elif reason := _paths.refusal_of_weights(weights, own.packed.shapes):
            return reason
        dtype = weights[0].dtype
        packing = input if isinstance(input, PackedSequence) else None
        x = input.data if packing is not None else input
        if reason := _paths.refusal_of_input(x, self.input_size, dtype):
            return reason
        batch_sizes = None
        layout = _run.TIME_MAJOR
        if packing is not None:
            if x.dim() != 2:
                return f"the packed data has the shape {tuple(x.shape)}"
            if reason := _paths.refusal_of_packing(packing):
                return reason
            batch_sizes = packing.batch_sizes
        elif x.dim() == 2:
            layout = _run.UNBATCHED
        elif self.batch_first:
            layout = _run.BATCH_FIRST
        call = _run.call_of(own.packed.spec, x, batch_sizes, torch.get_num_threads(), layout)
        if hx is None:
            return _Prepared(call, weights, x, None, None, packing)
        if packing is not None:
            try:
                hx = self.permute_hidden(hx, packing.sorted_indices)  # type: ignore[attr-defined]
            except Exception:  # whatever is wrong with it, PyTorch's own path says it
                return "the initial state cannot be sorted as the packed sequence is"
        states = self._states(hx, call, dtype)
        if isinstance(states, str):
            return states
        return _Prepared(call, weights, x, *states, packing)

    def _states(self, hx: Any, call: _run.Call, dtype: torch.dtype) -> tuple[Tensor, Tensor | None] | str:
        spec = call.spec
        lead = (spec.depth,) if call.layout == _run.UNBATCHED else (spec.depth, call.rows)
        h_shape = (*lead, spec.state_size)
        if not spec.has_memory:
            return _paths.refusal_of_state(hx, "h_0", h_shape, dtype) or (hx, None)
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            return "the initial state is no pair of h_0 and c_0"
        return (
            _paths.refusal_of_state(hx[0], "h_0", h_shape, dtype)
            or _paths.refusal_of_state(hx[1], "c_0", (*lead, spec.hidden_size), dtype)
            or (hx[0], hx[1])
        )

    def _run_core(self, prepared: _Prepared) -> tuple[Tensor, ...]:
        call, weights, x, h0, c0, _ = prepared
        own = self._own()
        frozen = own.frozen
        network = own.packed.network(weights, call.threads) if frozen is None else frozen.network
        places = (x.shape[0],) if x.dim() == 2 else (call.steps, call.rows)
        dropout = self._draw_dropout(places, x.dtype)
        on_graph = () if not torch.is_grad_enabled() else (x, h0, c0) if frozen else (x, h0, c0, *weights)
        if any(tensor is not None and tensor.requires_grad for tensor in on_graph):
            if frozen is not None:  # on the graph they are constants
                weights = [weight.detach() for weight in weights]
            found: tuple[Tensor, ...] = _autograd.Recurrent.apply(network, call, dropout, x, h0, c0, *weights)
            return found
        if dropout.masks is not None:
            return _run.forward(network, call, x, h0, c0, dropout)[0]
        return _run.infer(network, call, x, h0, c0)

    def _draw_dropout(self, places: tuple[int, ...], dtype: torch.dtype) -> _run.Dropout:
        """Draw what PyTorch would, for outputs of so many steps and rows, or rows of a packed sequence."""
        if not self.training or self.dropout == 0 or self.num_layers == 1:
            return _run.KEEP_ALL
        features = (2 if self.bidirectional else 1) * (self.proj_size or self.hidden_size)
        return _run.draw_dropout(self.dropout, self.num_layers - 1, (*places, features), dtype)

    def _finish(self, prepared: _Prepared, results: tuple[Tensor, ...]) -> Any:
        y, *states = results
        hidden = tuple(states) if prepared.call.spec.has_memory else states[0]
        packing = prepared.packing
        if packing is None:
            return y, hidden
        output = PackedSequence(y, packing.batch_sizes, packing.sorted_indices, packing.unsorted_indices)
        return output, self.permute_hidden(hidden, packing.unsorted_indices)  # type: ignore[attr-defined]

    # Weights.

    def _spec(self) -> Spec:
        return Spec(
            CELLS[self.mode],
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self.bidirectional,
            self.bias,
            self.proj_size,
        )

    def _own(self) -> _Own:
        own: _Own | None = self.__dict__.get(_OURS)
        if own is None:
            own = self.__dict__.setdefault(_OURS, _Own(Packed(self._spec())))
        return own

    def _weights(self) -> list[Any]:
        parameters, names = self._parameters, self._flat_weights_names
        try:
            return [parameters[name] for name in names]
        except KeyError:  # computed: torch.nn.utils.parametrize and its like
            return [getattr(self, name) for name in names]

    # Freezing.

    @property
    def frozen(self) -> bool:
        """Whether `freeze` holds."""
        own: _Own | None = self.__dict__.get(_OURS)
        return own is not None and own.frozen is not None

    def freeze(self) -> Any:  # Self, which a mixin cannot say
        """Promise that the weights stay as they are: calls then skip the pass that looks for changes.

        For inference. On a graph, frozen weights are constants: no gradient goes to them, while those of the
        input and of the states are as before. A copy or a pickle of a frozen module is not frozen.

        Returns
        -------
        LSTM or RNN
            The module itself.

        Raises
        ------
        RuntimeError
            If the core cannot run these weights, by their dtype or device, or they are computed at each call
            (torch.nn.utils.parametrize): the message says why. Later, from calls, if a weight was changed,
            replaced or moved meanwhile. (A change that PyTorch does not count, such as `p.data.mul_()`, is
            not seen: calls go on with the weights as they were, until `unfreeze`.)
        """
        own, weights = self._own(), self._weights()
        if reason := _paths.refusal_of_weights(weights, own.packed.shapes):
            raise RuntimeError(f"freeze: the core cannot run this module: {reason}")
        computed = [name for name in self._flat_weights_names if name not in self._parameters]
        if computed:
            raise RuntimeError(
                f"freeze: expected weights that stay, got {computed[0]}, computed at each call"
            )
        network = own.packed.network(weights, torch.get_num_threads())
        own.frozen = _Frozen(network, _marks(weights), [weight.detach() for weight in weights])
        return self

    def unfreeze(self) -> Any:  # Self, which a mixin cannot say
        """Take the promise of `freeze` back: the next call looks whether the weights have changed.

        Returns
        -------
        LSTM or RNN
            The module itself.
        """
        self._own().frozen = None
        return self

    def _check_frozen(self, weights: list[Any]) -> None:
        frozen = self._own().frozen
        if frozen is not None and _marks(weights) != frozen.marks:
            raise RuntimeError(
                "a weight of this module was changed, replaced or moved after freeze(); call unfreeze(),"
                " and freeze() again if it is to stay as it is now"
            )

    def _forget(self) -> None:
        self.__dict__.pop(_OURS, None)

    # Copies, pickles and TorchScript.

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        state.pop(_OURS, None)
        return state

    def __prepare_scriptable__(self) -> Any:
        """Give torch.jit.script a module of PyTorch's own with the same parameters."""
        if type(self) not in PLAIN:
            return self
        base = PLAIN[type(self)]
        plain = base.__new__(base)
        plain.__dict__.update(self.__dict__)
        plain.__dict__.pop(_OURS, None)
        return plain


def _marks(weights: list[Any]) -> tuple[tuple[int, int], ...]:
    try:
        return tuple([(weight.data_ptr(), weight._version) for weight in weights])
    except RuntimeError:
        # Made in inference mode: they have no version, nor can they change where PyTorch counts.
        return tuple((w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights)


class LSTM(_Recurrent, torch.nn.LSTM):  # type: ignore[misc]
    """`torch.nn.LSTM` whose work on the CPU, in float32 and float64, is done by lstmfast.

    Constructor, parameters, `state_dict`, initial values under a seed, arguments and results of calls,
    dropout under a seed, gradients and errors are those of `torch.nn.LSTM`. What the core does not do (other
    devices and dtypes, autocast, torch.func, TorchScript) goes along PyTorch's own path;
    `lstmfast.torch.explain(module, x)` says which way a call goes, and why.

    Notes
    -----
    Gradients of gradients are a RuntimeError. Results do not depend on the number of threads, which is the
    lower of `torch.get_num_threads()` and `lstmfast.get_num_threads()`; nor on the batch a row is in.

    Weights are packed when a call finds them changed, which it sees by one pass over them, whoever has
    written to them and however; `freeze()` saves that pass.
    """


class RNN(_Recurrent, torch.nn.RNN):  # type: ignore[misc]
    """`torch.nn.RNN` whose work on the CPU, in float32 and float64, is done by lstmfast.

    See `LSTM`: all that is said there holds for `torch.nn.RNN` and both of its nonlinearities.
    """


# Our classes, and PyTorch's that they are.
PLAIN: dict[type, Any] = {LSTM: torch.nn.LSTM, RNN: torch.nn.RNN}

for _class in PLAIN:
    _class.__module__ = "lstmfast.torch"  # where users and pickles find them
