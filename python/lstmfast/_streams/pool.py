"""Many streams of one model, by id."""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._base import checks
from .._base.arguments import StateT
from .._base.checks import Array
from .._base.inference import Inference
from .arguments import check_model, check_room, frames, ids_of
from .kept import STATE, TO, Kept

MOST_STREAMS = 1 << 24  # of a pool, as the core has it


class StreamPool(Kept[StateT]):
    """Many streams of one model: opened and closed one by one, stepped together, whichever they are.

    Parameters
    ----------
    model
        As for `Stream`.
    capacity
        How many streams can be open at a time, an integer from 1 to 2**24. A stream takes the bytes of its
        state, 4 L (H + H) in float32, and some 25 more (and all together what up to 512 rows need of scratch,
        in a model with several layers or a projection).

    Raises
    ------
    TypeError, ValueError
        As for `Stream`.

    Notes
    -----
    `lstm.stream_pool(capacity)` makes one. A row's result depends on nothing but its own stream: not on which
    others are stepped with it, nor in which order.

    Ids are integers that are never given twice. One that is closed or was never given, or that is there twice
    in one call, is a ValueError, and no state has changed then. Where `ids` is asked for it may be one id
    or several, [n].

    Threads, `out`, pickles and copies are as for `Stream`.

    Examples
    --------
    >>> import lstmfast
    >>> pool = lstmfast.LSTM(3, 5, seed=0).stream_pool(100)
    >>> ids = [pool.open() for _ in range(7)]
    >>> pool.step(ids[::-2], np.zeros((4, 3), np.float32)).shape
    (4, 5)
    """

    __slots__ = ()

    def __init__(self, model: Inference[StateT, Any], capacity: int) -> None:
        check_model(model)
        count = checks.integer(capacity, "capacity", 1, MOST_STREAMS)
        check_room(model, count, "capacity")
        make = _core.StreamPool32 if model.dtype == checks.FLOAT32 else _core.StreamPool64
        self._core = make(model._network, count)  # type: ignore[arg-type]
        self._model = model

    @property
    def capacity(self) -> int:
        """How many streams can be open at a time."""
        count: int = self._core.capacity
        return count

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids of all open streams, [n], in no particular order."""
        ids: NDArray[np.int64] = self._core.ids()
        return ids

    def __len__(self) -> int:
        """Count the open streams."""
        count: int = self._core.open_count
        return count

    def __contains__(self, id: object) -> bool:
        """Whether it is the id of an open stream."""
        try:
            number = operator.index(id)  # type: ignore[arg-type]
        except TypeError:
            return False
        return 0 <= number <= sys.maxsize and self._core.is_open(number)

    def __bool__(self) -> bool:
        """Be true, also with no stream open."""
        return True

    def open(self, state: Any = None) -> int:  # noqa: ANN401 - what `Stream.reset` takes
        """Open a stream in the zero state, or in another.

        Parameters
        ----------
        state
            None for zero; else the state of one row: (h [L, H], c [L, H]), or h of an RNN or a GRU.

        Returns
        -------
        int
            Its id.

        Raises
        ------
        RuntimeError
            If as many are open as the capacity says.
        TypeError, ValueError
            If the state is not as above. None is opened then.
        """
        h, c = (None, None) if state is None else self._model._split(state, STATE, 1, False)
        id: int = self._core.open(h, c)
        if id < 0:
            raise RuntimeError(
                f"all {self.capacity} streams of the pool are open: close some, or make room, grow(capacity)"
            )
        return id

    def close(self, ids: ArrayLike) -> None:
        """Close streams. Their ids mean nothing any more, and will mean nothing again.

        Raises
        ------
        TypeError, ValueError
            If ids are not of open streams, each once. None is closed then.
        """
        self._core.close(ids_of(ids))

    def grow(self, capacity: int) -> None:
        """Make room for more streams. Open ones go on, under their ids; nothing else ever makes room.

        Parameters
        ----------
        capacity
            How many can be open from now on, an integer; at least as many as now.

        Raises
        ------
        TypeError, ValueError
            If it is not.
        MemoryError
            If there is no memory for them; then nothing has changed.
        """
        now = self.capacity
        count = checks.integer(capacity, "capacity", 1, MOST_STREAMS)
        if count < now:
            raise ValueError(f"capacity: expected at least what it is now, {now}, got {count}")
        check_room(self._model, count, "capacity")
        self._core.grow(count)

    @_core.fast_pool_step
    def step(self, ids: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
        """Run one frame of some streams, as one batch.

        Parameters
        ----------
        ids
            [n], in any order, each once; or one id. int64 is fastest.
        x
            Their frames, [n, I], or [I] of one id; of any real dtype.
        out
            As for `Stream.step`.

        Returns
        -------
        y
            The last layer's h of each, [n, H], or [H] of one id.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above. All states are then as they were.
        RuntimeError
            If another thread is using this pool.
        """
        model = self._model
        names = ids_of(ids)
        one = np.ndim(ids) == 0
        x, frame = frames(x, len(names), model, "[n, I]")
        if frame != one:
            came = "one id with x [n, I]" if one else "ids [n] with x [I]"
            raise ValueError(f"x: expected [I] of one id, or [n, I] of ids [n], got {came}")
        width, symbol = self._width()
        shape, symbols = ((width,), f"[{symbol}]") if one else ((len(names), width), f"[n, {symbol}]")
        return self._result(lambda y: self._core.step(model._network, names, x, y), x, out, shape, symbols)

    def state(self, ids: ArrayLike) -> StateT:
        """Copy the states of some streams, as the model's calls take them: (h [L, n, H], c [L, n, H]) or h.

        Raises
        ------
        TypeError, ValueError
            If ids are not of open streams, each once.
        """
        return self._joined(*self._core.read(ids_of(ids)))

    def set_state(self, ids: ArrayLike, state: Any) -> None:  # noqa: ANN401 - what the model's calls take
        """Set the states of some streams.

        Parameters
        ----------
        ids
            [n], each once, or one id.
        state
            What a call of the model takes for n rows, None (zero) included.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above. All states are then as they were.
        """
        names = ids_of(ids)
        h = c = None
        if state is not None:
            h, c = self._model._split(state, STATE, len(names), True)
        self._core.write(names, h, c)

    def reset(self, ids: ArrayLike, *, to: Any = None) -> None:  # noqa: ANN401 - a state
        """Set the states of some streams to zero, or to a state.

        Parameters
        ----------
        ids
            [n], each once, or one id.
        to
            None for zero; else the state of one row, that all these take: (h [L, H], c [L, H]), or h of an
            RNN or a GRU.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above. Nothing is reset then.
        """
        names = ids_of(ids)
        one = (None, None) if to is None else self._model._split(to, TO, 1, False)
        h, c = (None if half is None else np.repeat(half, len(names), axis=1) for half in one)
        self._core.write(names, h, c)

    def __reduce__(self) -> tuple[Any, ...]:
        made = type(self), self._model, *self._core.saved()
        return _restored_pool, made, getattr(self, "__dict__", None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._model!r}: {len(self)} of {self.capacity} streams open>"


def _restored_pool(
    cls: type[StreamPool[Any]],
    model: Inference[Any, Any],
    table: NDArray[np.int64],
    ids: NDArray[np.int64],
    h: Array,
    c: Array | None,
) -> StreamPool[Any]:
    """Make a pool again that was pickled or copied, with its ids."""
    pool = cls.__new__(cls)
    StreamPool.__init__(pool, model, len(table))
    pool._core.restore_table(table)
    pool._core.write(ids, h, c)
    return pool
