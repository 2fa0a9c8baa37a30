"""What goes from a forward pass to its backward pass, and what comes out of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NoReturn

from .._base.arguments import CutState, StateT
from .._base.checks import Array
from .recurrent_dropout import Dropped

if TYPE_CHECKING:
    from .._base.skipping import Skips
    from .._core import Tape32, Tape64


class Tape:
    """What `forward` keeps for `backward`: gates, cell and hidden states of every step.

    With `recompute` the gates are left out. With dropout it has which outputs were kept, so that `backward`
    goes through the very network that `forward` ran.

    It belongs to the model that made it, with the weights that it had then, and it may be used more
    than once. It refers to x and y rather than copying them: neither may be changed before the last
    `backward`.
    """

    __slots__ = (
        "_batched",
        "_core",
        "_core_shape",
        "_cut",
        "_dropped",
        "_more",
        "_network",
        "_owner",
        "_rows",
        "_skips",
        "_y_shape",
    )

    def __init__(
        self,
        core: Tape32 | Tape64,
        owner: object,  # the model, to tell another model from other weights
        network: object,  # its compiled network at the time
        rows: int,  # B
        core_shape: tuple[int, ...],  # y's, as the core has it: three axes
        y_shape: tuple[int, ...],  # y's, as the caller got it
        batched: bool,
        cut: CutState,  # what its pieces began from
        dropped: Dropped | None,  # with which weights it was made, where those are not the model's
        skips: Skips | None = None,  # steps that the core did not see
        more: int = 0,  # bytes that are held because of these
    ) -> None:
        self._core = core
        self._owner = owner
        self._network = network
        self._rows = rows
        self._core_shape = core_shape
        self._y_shape = y_shape
        self._batched = batched
        self._cut = cut
        self._dropped = dropped
        self._skips = skips
        self._more = more

    @property
    def nbytes(self) -> int:
        """Bytes held beyond x and y: gates, c, outputs of inner layers, initial states, dropout masks.

        With a `mask` x and y of the taken steps as well.
        """
        return self._core.nbytes + self._more

    def __repr__(self) -> str:
        return f"<Tape of {self._owner!r}, y {self._y_shape}, {self.nbytes} bytes>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Tape cannot be copied or pickled: it belongs to the model and weights that made it"
        )


@dataclass(frozen=True, eq=False)
class Gradients(Generic[StateT]):
    """Derivatives of a scalar loss, as `backward` returns them, in the layout of the forward call.

    Attributes
    ----------
    x
        dloss/dx, the shape of x. None with ``wants_x=False`` (types say an array, for whoever wants none does
        not read it).
    state
        dloss/d(initial state): the pair (dh_0, dc_0) for an LSTM, dh_0 for an RNN, shaped like the state.
    parameters
        dloss/d(parameter) by name, in the order and with the shapes of the model's `parameters`.
    reset_to
        dloss/d(reset_to), shaped like it, where the forward call had one; else None.
    """

    x: Array
    state: StateT
    parameters: dict[str, Array]
    reset_to: StateT | None = None
