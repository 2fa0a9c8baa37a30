"""Streams: a model's state kept from call to call, for data that arrives frame by frame."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _core, _parameters
from ._checks import Array
from ._tape import StateT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._inference import Inference, Names

# What messages call a state, its parts together, h and c.
_STATE: Names = ("state", ("h", "c"), "state: h", "state: c")

_MOST_STREAMS = 1 << 24  # of a pool, as the core has it


class _Kept(_core.StreamParts, Generic[StateT]):
    """What Stream and StreamPool have in common: a model, and states in the core."""

    __slots__ = ()

    _model: Inference[StateT, Any]
    _core: Any  # Stream32 or StreamPool32 of the core, or those of float64

    @property
    def model(self) -> Inference[StateT, Any]:
        """The model that is run. Weights that it is given later hold from the next call on."""
        return self._model

    @property
    def nbytes(self) -> int:
        """Bytes held besides the model: states, and what a step needs."""
        count: int = self._core.nbytes
        return count

    def _joined(self, h: Array, c: Array) -> StateT:
        return self._model._join(h, c, True)

    def _result(
        self,
        run: Callable[[Array | None], Array],
        x: Array,
        out: object,
        shape: tuple[int, ...],
        symbols: str,
    ) -> Array:
        """Run into `out`, checked for a result of this shape, or into a new array; return whichever it is.

        x is the core's: it and the core's result have all axes, the user's may have none for a single row.
        """
        if out is None:
            return run(None).reshape(shape)
        y = _checks.output(out, "out", shape, symbols, self._model.dtype)
        _checks.apart({"out": y}, {"x": x})
        run(y.reshape(*x.shape[:-1], shape[-1]))
        return out  # type: ignore[return-value] # an array, as `output` has seen

    def _width(self) -> tuple[int, str]:
        """How wide y is, in numbers and in words."""
        layout = self._model._layout
        return layout.output_size, layout.output_symbol


class Stream(_Kept[StateT]):
    """A model's state, kept from call to call: frames or chunks in, outputs out.

    Frames one by one, chunks, and the whole sequence in one call of the model give the same bits.

    Parameters
    ----------
    model
        An `LSTM` or `RNN` with one direction. It is shared, not copied: weights that it is given later hold
        from the next call on.
    batch
        B, rows that are stepped together, an integer >= 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or the model is bidirectional: the reverse direction begins with
        the last step, which a stream does not know.

    Notes
    -----
    `lstm.stream()` makes one; it starts from the zero state. Shapes: T time steps, B rows, I `input_size`, H
    `hidden_size` (h and y have P `proj_size` numbers instead where there is a projection), L layers.

    `step` and `run` with `out` take no memory but for small objects of the interpreter's own (`run`: and
    scratch). A stream serves one thread at a time: whatever another one asks of it meanwhile is a
    RuntimeError. Different streams never wait for each other. Pickles and copies have the state, and the
    model with it. A child that is forked while another thread is in a call has the stream as it was in the
    midst of it: there, reset it or set its state.

    Examples
    --------
    >>> import lstmfast
    >>> stream = lstmfast.LSTM(3, 5, seed=0).stream()
    >>> stream.step(np.zeros(3, np.float32)).shape
    (5,)
    >>> stream.run(np.zeros((10, 3), np.float32)).shape
    (10, 5)
    """

    __slots__ = ()

    def __init__(self, model: Inference[StateT, Any], batch: int = 1) -> None:
        _check_model(model)
        rows = _checks.integer(batch, "batch", 1)
        _check_room(model, rows, "batch")
        make = _core.Stream32 if model.dtype == _checks.FLOAT32 else _core.Stream64
        self._core = make(model._network, rows)  # type: ignore[arg-type]
        self._model = model

    @property
    def batch(self) -> int:
        """B, rows that are stepped together."""
        rows: int = self._core.rows
        return rows

    @_core.fast_step  # the usual arguments skip this function; it does the rest, and all messages
    def step(self, x: ArrayLike, *, out: Array | None = None) -> Array:
        """Run one frame.

        Parameters
        ----------
        x
            [B, I], or [I] where B is 1; of any real dtype.
        out
            A C-ordered array of y's shape and dtype: y is written there, and `out` itself is returned.
            It may share no memory with x.

        Returns
        -------
        y
            The last layer's h, [B, H], or [H] where x is [I].

        Raises
        ------
        TypeError, ValueError
            If x or out is not as above. The state is then as it was.
        RuntimeError
            If another thread is using this stream.
        """
        model = self._model
        x, frame = _frames(x, self.batch, model, "[B, I]")
        width, symbol = self._width()
        shape, symbols = ((width,), f"[{symbol}]") if frame else ((len(x), width), f"[B, {symbol}]")
        return self._result(lambda y: self._core.step(model._network, x, y), x, out, shape, symbols)

    @_core.fast_run
    def run(self, x: ArrayLike, *, out: Array | None = None) -> Array:
        """Run a chunk of T frames.

        Parameters
        ----------
        x
            [T, B, I], [B, T, I] if the model is `batch_first`, or [T, I] where B is 1; of any real dtype.
        out
            As for `step`.

        Returns
        -------
        y
            The last layer's h of every step, x's shape with H for I.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As for `step`.
        """
        model = self._model
        width, symbol = self._width()
        batch_first = model.batch_first
        x, batched = _checks.sequence(
            x, model.input_size, batch_first, model.dtype, width * model.dtype.itemsize
        )
        rows = x.shape[0 if batch_first else 1]
        if rows != self.batch:
            axes = "[B, T, I]" if batch_first else "[T, B, I]"
            came = f"{rows}" if batched else "[T, I], which is one row"
            raise ValueError(f"x: expected {axes} with the stream's {self.batch} rows, got {came}")
        shape = (*x.shape[:2], width) if batched else (model._steps(x.shape), width)
        axes = ("B, T" if batch_first else "T, B") if batched else "T"
        symbols = f"[{axes}, {symbol}]"
        return self._result(
            lambda y: self._core.run(model._network, x, batch_first, y), x, out, shape, symbols
        )

    @property
    def state(self) -> StateT:
        """Copies of the state, as the model's calls take it: (h [L, B, H], c [L, B, H]), or h of an RNN.

        It can be set to anything that a call takes, None (zero) included, also as [L, H] where B is 1.
        """
        return self._joined(*self._core.read())

    @state.setter
    def state(self, state: Any) -> None:  # noqa: ANN401 - what the model's calls take
        h = c = None
        if state is not None:
            model, rows = self._model, self.batch
            halves = model._halves(state, _STATE[0], _STATE[1])
            h, c = (
                None if half is None else _checks.real_array(half, name)
                for half, name in zip(halves, _STATE[2:], strict=True)
            )
            given = c if h is None else h
            batched = not (rows == 1 and given is not None and given.ndim == 2)
            h, c = model._split(model._join(h, c, True), _STATE, rows, batched)  # type: ignore[arg-type]
        self._core.write(h, c)

    def reset(self, rows: ArrayLike | None = None) -> None:
        """Set the state of some rows to zero.

        Parameters
        ----------
        rows
            None for all; else which: integers from 0 to B-1, one or several, or bools [B].

        Raises
        ------
        TypeError, ValueError
            If rows are not as above. Nothing is reset then.
        """
        if rows is None:
            self._core.write(None, None)
        else:
            self._core.clear(_rows(rows, self.batch))

    def snapshot(self) -> StreamSnapshot:
        """Return the state as it is now, for `restore` to come back to: of this stream, or of another."""
        return StreamSnapshot(*self._core.read())

    def restore(self, snapshot: StreamSnapshot) -> None:
        """Go back to the state of a snapshot, which stays as it is.

        Raises
        ------
        TypeError
            If it is no snapshot.
        ValueError
            If it is one of other layers, sizes, rows or dtype.
        """
        if not isinstance(snapshot, StreamSnapshot):
            raise TypeError(f"snapshot: expected one from snapshot(), got {_checks.shown(snapshot)}")
        model, rows = self._model, self.batch
        expected = [model._h_shape(rows, True)[0]]
        if model._HAS_MEMORY:
            expected.append(model._c_shape(rows, True)[0])
        came = [half for half in (snapshot._h, snapshot._c) if half is not None]
        if [half.shape for half in came] != expected or came[0].dtype != model.dtype:
            raise ValueError(f"snapshot: expected {_described(expected, model.dtype)}, got {snapshot!r}")
        self._core.write(snapshot._h, snapshot._c)

    def __reduce__(self) -> tuple[Any, ...]:
        made = type(self), self._model, self.batch, *self._core.read()
        return _restored_stream, made, getattr(self, "__dict__", None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._model!r}, batch={self.batch})"


class StreamSnapshot:
    """The state of a stream at one time, from `Stream.snapshot`. It cannot be changed; it can be pickled."""

    __slots__ = ("_c", "_h")

    _h: Array  # [L, B, S]
    _c: Array | None  # [L, B, H]; None for an RNN

    def __init__(self, h: Any, c: Any) -> None:  # noqa: ANN401 - arrays, or a mistake
        for half, name in ((h, "h"), (c, "c")):
            if not isinstance(half, np.ndarray) and (half is not None or name == "h"):
                raise TypeError(f"{name}: expected an array of a stream's, got {_checks.shown(half)}")
        self._h = _parameters.read_only(h)
        self._c = None if c is None else _parameters.read_only(c)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._h, self._c)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._h.nbytes + (0 if self._c is None else self._c.nbytes)

    def __repr__(self) -> str:
        shapes = [half.shape for half in (self._h, self._c) if half is not None]
        return f"{type(self).__name__}({_described(shapes, self._h.dtype)})"


class StreamPool(_Kept[StateT]):
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
        _check_model(model)
        count = _checks.integer(capacity, "capacity", 1, _MOST_STREAMS)
        _check_room(model, count, "capacity")
        make = _core.StreamPool32 if model.dtype == _checks.FLOAT32 else _core.StreamPool64
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

    def open(self) -> int:
        """Open a stream in the zero state.

        Returns
        -------
        int
            Its id.

        Raises
        ------
        RuntimeError
            If as many are open as the capacity says.
        """
        id: int = self._core.open()
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
        self._core.close(_ids(ids))

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
        count = _checks.integer(capacity, "capacity", 1, _MOST_STREAMS)
        if count < now:
            raise ValueError(f"capacity: expected at least what it is now, {now}, got {count}")
        _check_room(self._model, count, "capacity")
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
        names = _ids(ids)
        one = np.ndim(ids) == 0
        x, frame = _frames(x, len(names), model, "[n, I]")
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
        return self._joined(*self._core.read(_ids(ids)))

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
        names = _ids(ids)
        h = c = None
        if state is not None:
            h, c = self._model._split(state, _STATE, len(names), True)
        self._core.write(names, h, c)

    def reset(self, ids: ArrayLike) -> None:
        """Set the states of some streams to zero.

        Raises
        ------
        TypeError, ValueError
            If ids are not of open streams, each once. Nothing is reset then.
        """
        self._core.write(_ids(ids), None, None)

    def __reduce__(self) -> tuple[Any, ...]:
        made = type(self), self._model, *self._core.saved()
        return _restored_pool, made, getattr(self, "__dict__", None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._model!r}: {len(self)} of {self.capacity} streams open>"


def _restored_stream(
    cls: type[Stream[Any]], model: Inference[Any, Any], batch: int, h: Array, c: Array | None
) -> Stream[Any]:
    """Make a stream again that was pickled or copied."""
    stream = cls.__new__(cls)  # a subclass may be made in another way
    Stream.__init__(stream, model, batch)
    stream._core.write(h, c)
    return stream


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


def _check_model(model: object) -> None:
    from ._inference import Inference

    if not isinstance(model, Inference):
        raise TypeError(f"model: expected an LSTM or an RNN, got {_checks.shown(model)}")
    if model.bidirectional:
        raise ValueError(
            "model: expected one direction, got bidirectional=True: the reverse direction begins with the"
            " last step, which a stream does not know"
        )


def _check_room(model: Inference[Any, Any], rows: int, name: str) -> None:
    """ValueError if no machine could address the states of so many rows."""
    layout = model._layout
    width = layout.output_size + (layout.hidden_size if model._HAS_MEMORY else 0)
    _checks.addressable(rows * layout.num_layers * width * model.dtype.itemsize, name, rows)


def _frames(value: object, rows: int, model: Inference[Any, Any], symbols: str) -> tuple[Array, bool]:
    """Check one frame of so many rows; return it as the core takes it, and whether it came as [I]."""
    array = _checks.real_array(value, "x")
    size = model.input_size
    frame = rows == 1 and array.shape == (size,)
    if not frame and array.shape != (rows, size):
        also = f" or {(size,)} [I]" if rows == 1 else ""
        raise ValueError(f"x: expected shape {(rows, size)} {symbols}{also}, got {array.shape}")
    return _checks.dense(array.reshape(rows, size), model.dtype), frame


def _integers(value: object, name: str, kinds: str, what: str) -> NDArray[Any]:
    """Check an array of integers, as `_checks.array_of`; to NumPy an empty list is one of floats."""
    if isinstance(value, (list, tuple)) and not value:
        return np.zeros(0, np.int64)
    return _checks.array_of(value, name, kinds, what)


def _rows(value: object, batch: int) -> NDArray[np.int64]:
    """Check which rows of a stream are meant."""
    array = _integers(value, "rows", "biu", f"integers from 0 to {batch - 1}, or bools [{batch}]")
    if array.dtype.kind == "b":
        if array.shape != (batch,):
            raise ValueError(f"rows: expected {batch} bools [B], got {array.shape}")
        return np.flatnonzero(array)
    if array.ndim > 1:
        raise ValueError(f"rows: expected one axis, got {array.shape}")
    array = array.reshape(-1)
    wrong = array[(array < 0) | (array >= batch)]
    if wrong.size:
        raise ValueError(f"rows: expected integers from 0 to {batch - 1}, got {wrong[0]}")
    return np.require(array, np.int64, ("C", "A"))


def _ids(value: object) -> NDArray[np.int64]:
    """Check ids, one or several, but for whether there are such streams."""
    # To NumPy, integers beyond its own are objects, or floats.
    for id in value if isinstance(value, (list, tuple)) else (value,):
        if type(id) is int and not -sys.maxsize - 1 <= id <= sys.maxsize:
            came = id if id.bit_length() <= 256 else _checks.shown(id)
            raise ValueError(f"ids: expected open streams, got {came}, which this pool never gave")
    array = _integers(value, "ids", "iu", "integers")
    if array.ndim > 1:
        raise ValueError(f"ids: expected one axis [n], or one id, got {array.shape}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"ids: expected open streams, got {array.max()}, which this pool never gave")
    return np.require(array.reshape(-1), np.int64, ("C", "A"))


def _described(shapes: list[tuple[int, ...]], dtype: np.dtype[Any]) -> str:
    """Say what states are, by their shapes."""
    return f"{' and '.join(map(str, shapes))} of {dtype}"
