"""The compiled core, as the Python layers see it.

Sizes in shapes: T time steps, B batch rows, I input size, H hidden size, L layers, D directions, and P,
the width of h: proj_size, or H where that is 0.

The core takes arrays of its own dtype only and never converts: the Python layers check and convert
first, so their messages name the user's argument. What the core still checks is what could crash it.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

__version__: str

_Call = TypeVar("_Call", bound=Callable[..., Any])
_Activation = tuple[str, float, float]
_Variant = tuple[_Activation, _Activation, _Activation, float, bool]

def available_isas() -> list[str]:
    """ISAs that were compiled in and that this CPU and OS support, fastest first; "scalar" is last."""

def caches() -> dict[str, int]:
    """Bytes of "L1d", "L2" and "L3" that a core has or shares, those that there are; empty where unknown."""

def heuristics(isa: str) -> dict[str, int]:
    """From how many bytes of float32 weights on the core asks for panels ahead of use ("ask_from").

    And merges several steps' input products: "merge_few_from" with up to 8 rows, "merge_from" with more.
    """

def get_num_threads() -> int: ...
def set_num_threads(n: int, /) -> None:
    """n >= 1, else ValueError."""

def ignore_crowding(ignore: bool, /) -> None:
    """For tests that count threads: use as many where other processes want the same CPUs as elsewhere."""

def peak_gflops(isa: str, dtype: str, seconds: float = 0.05) -> float:
    """Fused multiply-adds (two operations each) that one thread reaches with `isa`, in 1e9/s."""

def load_gbps(isa: str, nbytes: int, seconds: float = 0.05) -> float:
    """Bytes that one thread loads with `isa` from an array of `nbytes`, read again and again, in 1e9/s."""

def sigmoid(x: NDArray[Any], isa: str) -> NDArray[Any]:
    """The kernels' own sigmoid over a one-dimensional contiguous float32 or float64 array."""

def tanh(x: NDArray[Any], isa: str) -> NDArray[Any]:
    """The kernels' own tanh, likewise."""

_Numbers = NDArray[np.float32] | NDArray[np.float64]

def dense_forward(x: _Numbers, weight: _Numbers, bias: _Numbers | None, isa: str, /) -> NDArray[Any]:
    """z [N, K] = x W^T + b of x [N, I], W [K, I] and b [K], all of one dtype."""

def dense_backward(
    x: _Numbers, weight: _Numbers, dz: _Numbers, isa: str, /
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of x [N, I], W [K, I] and b [K] from that of z, [N, K]."""

def largest(x: _Numbers, /) -> float:
    """The largest magnitude of a C-ordered array; infinity where a number is not finite."""

def sum_of_squares(x: _Numbers, unit: float, /) -> float:
    """Sum of (x / unit)^2 in float64, in an order that is always the same; unit: finite and above 0."""

def adam(
    weight: _Numbers,
    gradient: _Numbers,
    mean: _Numbers,
    square: _Numbers,
    beta1: float,
    beta2: float,
    rate: float,
    root_correction: float,
    eps: float,
    /,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """New weights, means and means of squares of C-ordered arrays of one shape; None unless they are finite.

    The step that `training.Adam` takes: rate is the learning rate over 1 - beta1^t, root_correction the root
    of 1 - beta2^t.
    """

def fingerprint(isa: str, addresses: Sequence[int], sizes: Sequence[int], threads: int = 0) -> bytes:
    """Read pieces of memory (bytes from each address on) once, and return what changes when they do.

    Equal for equal contents, whatever the ISA and the threads. The memory must be there: nothing is checked.
    """

def array32_over(
    address: int, shape: Sequence[int], strides: Sequence[int], owner: object
) -> NDArray[np.float32]:
    """An array over memory that `owner` keeps alive, strides in elements. Nothing of both is checked."""

def array64_over(
    address: int, shape: Sequence[int], strides: Sequence[int], owner: object
) -> NDArray[np.float64]: ...
def bools_over(
    address: int, shape: Sequence[int], strides: Sequence[int], owner: object
) -> NDArray[np.bool_]: ...
def lend_threads(parallel: int, thread_number: int, team_size: int, in_parallel: int) -> None:
    """Hand over an OpenMP runtime by the addresses of four of its functions (`lstmfast/threads.h`).

    Calls with `threads` use its threads from then on, in place of the core's own.
    """

def give_back_memory() -> None:
    """To the system, what JAX's calls have packed, and what is free in the allocator, where it can."""

def idle_bytes() -> int:
    """How much memory the core has that nobody uses now, kept for later calls."""

def kept_array32(count: int, /) -> NDArray[np.float32]:
    """An uninitialised array, aligned to 64 bytes; its memory is kept for later calls when it is freed."""

def kept_array64(count: int, /) -> NDArray[np.float64]: ...
def fast_call(general: _Call, /) -> _Call:
    """Wrap a model's `__call__`: usual arguments are answered without entering Python.

    Usual: x and the state are C-ordered, aligned arrays of the network's dtype and right shape, in full
    (three axes), or the state is None; nothing by keyword but `out`. `self` has the attributes `_network` and
    `_batch_first`. Everything else is passed on to `general`, whose results are the same.
    """

def fast_step(general: _Call, /) -> _Call:
    """Likewise of a stream's `step`: `self` is a StreamParts whose `_core` is a Stream32 or Stream64."""

def fast_run(general: _Call, /) -> _Call:
    """Likewise of a stream's `run`."""

def fast_pool_step(general: _Call, /) -> _Call:
    """Likewise of a pool's `step`: `_core` is a StreamPool32 or StreamPool64."""

def cell_infer(network: Network32 | Network64, threads: int, rows: int, /, *addresses: int) -> None:
    """Run one step of one layer, on dense memory that is there: but for 0, nothing of it is checked.

    addresses: x [rows, I], h and c [rows, H] (0: zeros), the new h and c; 0 for what a cell has not. threads
    as in Network32.infer.
    """

def cell_forward(network: Network32 | Network64, threads: int, rows: int, /, *addresses: int) -> None:
    """Likewise, and two more: h once more, and [tape_size], aligned to 64 bytes, for what backward needs."""

def cell_backward(network: Network32 | Network64, threads: int, rows: int, /, *addresses: int) -> None:
    """Go back through it, but not to the weights.

    addresses: x, h and the tape, as forward had and filled them; the gradients of the new h and c (0: zeros);
    then where those of x (0: not wanted), h and c go.
    """

@final
class Tape32:
    """What a forward pass keeps for its backward pass. Opaque."""

    def __init__(
        self,
        network: Network32,  # as in its forward, which filled `memory`, as are all others
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        memory: NDArray[np.float32],
        batch_first: bool,
        lengths: NDArray[np.int64] | None = None,
        reset: NDArray[np.bool_] | None = None,
        recompute: bool = False,
        masks: NDArray[np.bool_] | None = None,
        mask_scale: float = 0.0,
        cut_rows: int = 0,  # of cut_h and cut_c: B, 1, or 0 for none
    ) -> None:
        """Make a tape again, of which the caller has kept the memory."""

    @property
    def nbytes(self) -> int:
        """Bytes held beyond x and y: what the forward pass kept, and dropout masks."""

@final
class Network32:
    """All layers and directions of one float32 network, packed for one ISA. Immutable.

    Any number of threads may call one object at once; the GIL is released while it works.
    """

    def __init__(
        self,
        # "lstm", "rnn_tanh", "rnn_relu", "gru"; "lstm_variant", "lstm_coupled", "rnn_variant",
        # "gru_variant", "gru_reset_before"
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        bias: bool,
        # Layer by layer, forward direction before reverse:
        # weight_ih, weight_hh[, bias_ih, bias_hh][, weight_ch][, weight_hr].
        parameters: Sequence[NDArray[np.float32]],
        isa: str,
        proj_size: int = 0,  # of an LSTM; 0 is no projection, and no weight_hr
        threads: int = 0,  # for packing, as in infer
        # Of variants, f, g and h as ONNX names them, each with alpha and beta; the clip, 0 for none; whether
        # there are peepholes, weight_ch.
        variant: _Variant | None = None,
        reverse: bool = False,  # of one direction, whether it runs from the last step to the first
        zoneout: float = 0.0,  # probability that a number of h stays as it was at a step
    ) -> None: ...
    @property
    def isa(self) -> str: ...
    def infer(
        self,
        # [T, B, I], or [B, T, I] with batch_first; any strides, last axis dense. Or packed, [N, I] in C
        # order beside lengths, the longest first: y and all gradients of x's kind are packed, too.
        x: NDArray[np.float32],
        h0: NDArray[np.float32] | None,  # [L*D, B, P], C order; None is zero
        c0: NDArray[np.float32] | None,  # [L*D, B, H], likewise; None for an RNN
        batch_first: bool,
        y: NDArray[np.float32]
        | None = None,  # C order, for the results; None: new ones. Overlaps are not checked
        h_n: NDArray[np.float32] | None = None,
        c_n: NDArray[np.float32] | None = None,
        lengths: NDArray[np.int64] | None = None,  # [B], 0 to T; None is T for all
        reset: NDArray[np.bool_] | None = None,  # [T, B] whatever batch_first, C order; None is nowhere
        # The most that this call may use, of a runtime's that were lent; 0: of the core's own, as many as
        # set_num_threads says.
        threads: int = 0,
        # What pieces begin from at a cut, [L*D, B, P] and [L*D, B, H], or with one row for all; None is zero.
        cut_h: NDArray[np.float32] | None = None,
        cut_c: NDArray[np.float32] | None = None,
        return_c: bool = False,
    ) -> tuple[Any, ...]:
        """y [T, B, D*P] (or [B, T, D*P]), h_n [L*D, B, P], c_n [L*D, B, H] (None for an RNN).

        With return_c also the last layer's c, [T, B, D*H] (or [B, T, D*H]).
        """

    def forward(
        self,
        x: NDArray[np.float32],
        h0: NDArray[np.float32] | None,
        c0: NDArray[np.float32] | None,
        batch_first: bool,
        lengths: NDArray[np.int64] | None = None,
        reset: NDArray[np.bool_] | None = None,
        recompute: bool = False,  # the tape has no gates: backward makes them again
        # [L-1, T, B, D*P] whatever batch_first, C order: outputs of all layers but the last are multiplied
        # by mask_scale where True, and are 0 where False.
        masks: NDArray[np.bool_] | None = None,
        mask_scale: float = 0.0,
        y: NDArray[np.float32] | None = None,  # C order, for the results, as in infer
        h_n: NDArray[np.float32] | None = None,
        c_n: NDArray[np.float32] | None = None,
        # [tape_size], aligned to 64 bytes, for what the tape keeps; None is the tape's own.
        memory: NDArray[np.float32] | None = None,
        threads: int = 0,
        cut_h: NDArray[np.float32] | None = None,
        cut_c: NDArray[np.float32] | None = None,
        return_c: bool = False,
        # [L*D, T, B, P], of zoneout: whether numbers of h take their new values; None: what is expected.
        renewed: NDArray[np.bool_] | None = None,
    ) -> tuple[Any, ...]:
        """As infer, with the tape. It refers to x, y and masks: they must stay as they are."""

    def backward(
        self,
        tape: Tape32,  # from this very object's forward, else ValueError; may be used more than once
        dy: NDArray[np.float32] | None,  # y's shape, C order; None is zero
        dh_n: NDArray[np.float32] | None,  # [L*D, B, P], C order; None is zero
        dc_n: NDArray[np.float32] | None,  # [L*D, B, H], likewise; None for an RNN
        # Of x, of the state and of each parameter: whether its gradient is wanted. None is all.
        wanted: Sequence[bool] | None = None,
        threads: int = 0,
        dc: NDArray[np.float32] | None = None,  # c's shape of every step, likewise
        wants_cut: bool = False,  # whether the gradients of cut_h and cut_c are
    ) -> tuple[Any, ...]: ...
    def tape_size(
        self, places: int, rows: int, recompute: bool = False, dropout: bool = False, cut_rows: int = 0
    ) -> int:
        """How many numbers the tape of B rows keeps; places: T * B, or the rows of a packed x."""

def small_network(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    weights: str,  # "float16", "bfloat16" or "int8"
    # As for Network32; weights of uint16 (bits) or int8, after each of int8 its scales, [rows] of float32.
    parameters: Sequence[NDArray[Any]],
    isa: str,
    proj_size: int = 0,
    input_range: NDArray[np.float32] | None = None,  # [I], of int8: what x is divided by
    variant: _Variant | None = None,
    reverse: bool = False,
    zoneout: float = 0.0,
) -> Network32:
    """Make a network of smaller weights, for `infer` and streams alone."""

@final
class Tape64:
    """Tape32 in float64."""

    def __init__(
        self,
        network: Network64,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        memory: NDArray[np.float64],
        batch_first: bool,
        lengths: NDArray[np.int64] | None = None,
        reset: NDArray[np.bool_] | None = None,
        recompute: bool = False,
        masks: NDArray[np.bool_] | None = None,
        mask_scale: float = 0.0,
        cut_rows: int = 0,
    ) -> None: ...
    @property
    def nbytes(self) -> int: ...

@final
class Network64:
    """Network32 in float64."""

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        bias: bool,
        parameters: Sequence[NDArray[np.float64]],
        isa: str,
        proj_size: int = 0,
        threads: int = 0,
        variant: _Variant | None = None,
        reverse: bool = False,
        zoneout: float = 0.0,
    ) -> None: ...
    @property
    def isa(self) -> str: ...
    def infer(
        self,
        x: NDArray[np.float64],
        h0: NDArray[np.float64] | None,
        c0: NDArray[np.float64] | None,
        batch_first: bool,
        y: NDArray[np.float64] | None = None,
        h_n: NDArray[np.float64] | None = None,
        c_n: NDArray[np.float64] | None = None,
        lengths: NDArray[np.int64] | None = None,
        reset: NDArray[np.bool_] | None = None,
        threads: int = 0,
        cut_h: NDArray[np.float64] | None = None,
        cut_c: NDArray[np.float64] | None = None,
        return_c: bool = False,
    ) -> tuple[Any, ...]: ...
    def forward(
        self,
        x: NDArray[np.float64],
        h0: NDArray[np.float64] | None,
        c0: NDArray[np.float64] | None,
        batch_first: bool,
        lengths: NDArray[np.int64] | None = None,
        reset: NDArray[np.bool_] | None = None,
        recompute: bool = False,
        masks: NDArray[np.bool_] | None = None,
        mask_scale: float = 0.0,
        y: NDArray[np.float64] | None = None,
        h_n: NDArray[np.float64] | None = None,
        c_n: NDArray[np.float64] | None = None,
        memory: NDArray[np.float64] | None = None,
        threads: int = 0,
        cut_h: NDArray[np.float64] | None = None,
        cut_c: NDArray[np.float64] | None = None,
        return_c: bool = False,
        renewed: NDArray[np.bool_] | None = None,
    ) -> tuple[Any, ...]: ...
    def backward(
        self,
        tape: Tape64,
        dy: NDArray[np.float64] | None,
        dh_n: NDArray[np.float64] | None,
        dc_n: NDArray[np.float64] | None,
        wanted: Sequence[bool] | None = None,
        threads: int = 0,
        dc: NDArray[np.float64] | None = None,
        wants_cut: bool = False,
    ) -> tuple[Any, ...]: ...
    def tape_size(
        self, places: int, rows: int, recompute: bool = False, dropout: bool = False, cut_rows: int = 0
    ) -> int: ...

class StreamParts:
    """Base of `Stream` and `StreamPool`, which holds these where `fast_step` finds them at once."""

    _core: Any
    _model: Any

@final
class Stream32:
    """The states of B rows, which are stepped together. One thread at a time, else RuntimeError.

    Networks are of the shape of the first, with one direction.
    """

    def __init__(self, network: Network32, rows: int) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def step(
        self, network: Network32, x: NDArray[np.float32], y: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """x [B, I], y [B, P], in C order. Overlaps are not checked, as in infer."""

    def run(
        self,
        network: Network32,
        x: NDArray[np.float32],
        batch_first: bool,
        y: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """x and y as in infer, with B rows."""

    def read(self) -> tuple[NDArray[np.float32], Any]:
        """Copies of h [L, B, P] and c [L, B, H]; None for c of an RNN."""

    def write(self, h: NDArray[np.float32] | None, c: NDArray[np.float32] | None) -> None:
        """Shaped as in read; None is zero."""

    def clear(
        self,
        rows: NDArray[np.int64],
        h: NDArray[np.float32] | None = None,  # [L, n, P] and [L, n, H] of n rows; None is zero
        c: NDArray[np.float32] | None = None,
    ) -> None: ...

@final
class StreamPool32:
    """The states of streams that are known by ids. Otherwise as Stream32."""

    def __init__(self, network: Network32, capacity: int) -> None: ...
    @property
    def capacity(self) -> int: ...
    @property
    def open_count(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def open(self, h: NDArray[np.float32] | None = None, c: NDArray[np.float32] | None = None) -> int:
        """An id whose state is h [L, 1, P] and c [L, 1, H], None being zero; -1 if all are open."""

    def close(self, ids: NDArray[np.int64]) -> None: ...
    def step(
        self,
        network: Network32,
        ids: NDArray[np.int64],  # [n], each once, here and elsewhere: else ValueError, and nothing is done
        x: NDArray[np.float32],  # [n, I], C order
        y: NDArray[np.float32] | None = None,  # [n, P]
    ) -> NDArray[np.float32]: ...
    def read(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], Any]: ...
    def write(
        self, ids: NDArray[np.int64], h: NDArray[np.float32] | None, c: NDArray[np.float32] | None
    ) -> None: ...
    def grow(self, capacity: int) -> None: ...
    def is_open(self, id: int) -> bool: ...
    def ids(self) -> NDArray[np.int64]:
        """Of all that are open."""

    def saved(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], Any]:
        """What a new pool needs to be like this one: restore_table's table, open ids, and their h and c."""

    def restore_table(self, table: NDArray[np.int64]) -> None:
        """Open streams begin from zero."""

@final
class Stream64:
    """Stream32 in float64."""

    def __init__(self, network: Network64, rows: int) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def step(
        self, network: Network64, x: NDArray[np.float64], y: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]: ...
    def run(
        self,
        network: Network64,
        x: NDArray[np.float64],
        batch_first: bool,
        y: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]: ...
    def read(self) -> tuple[NDArray[np.float64], Any]: ...
    def write(self, h: NDArray[np.float64] | None, c: NDArray[np.float64] | None) -> None: ...
    def clear(
        self,
        rows: NDArray[np.int64],
        h: NDArray[np.float64] | None = None,
        c: NDArray[np.float64] | None = None,
    ) -> None: ...

@final
class StreamPool64:
    """StreamPool32 in float64."""

    def __init__(self, network: Network64, capacity: int) -> None: ...
    @property
    def capacity(self) -> int: ...
    @property
    def open_count(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def open(self, h: NDArray[np.float64] | None = None, c: NDArray[np.float64] | None = None) -> int: ...
    def close(self, ids: NDArray[np.int64]) -> None: ...
    def step(
        self,
        network: Network64,
        ids: NDArray[np.int64],
        x: NDArray[np.float64],
        y: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]: ...
    def read(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], Any]: ...
    def write(
        self, ids: NDArray[np.int64], h: NDArray[np.float64] | None, c: NDArray[np.float64] | None
    ) -> None: ...
    def grow(self, capacity: int) -> None: ...
    def is_open(self, id: int) -> bool: ...
    def ids(self) -> NDArray[np.int64]: ...
    def saved(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], Any]: ...
    def restore_table(self, table: NDArray[np.int64]) -> None: ...

# The execution provider for ONNX Runtime: what Python tells it, and asks it.
onnxruntime_provider: str

def onnxruntime_use_isa(isa: str) -> None: ...
def onnxruntime_open_report(name: str) -> None: ...
def onnxruntime_close_report(name: str) -> list[tuple[str, str, str, str, str]]:
    """Of each node that was asked about: the graph, name, operator, first output, and why it was left."""

# The handlers for JAX: what Python registers, and tells them.
def jax_handlers() -> dict[str, object]:
    """By the name of its target, a capsule with each handler's address."""

def jax_use_isa(isa: str) -> None: ...
def jax_tape_numbers(
    is_double: bool,
    places: int,
    rows: int,
    recompute: bool,
    dropout: bool,
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    proj_size: int,
    variant: tuple[Any, ...] | None,
    reverse: bool,
) -> int:
    """Numbers of the array that a training pass of T*B places and B rows leaves as its tape."""

def jax_kept_networks() -> tuple[int, int]:
    """How many packed networks are kept for later calls, and their bytes; `give_back_memory` drops them."""
