"""One stream: a model's state kept from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from .._base import checks
from .._base.arguments import StateT
from .._base.checks import Array
from .._base.inference import Inference
from .arguments import check_model, check_room, frames, rows_of
from .kept import STATE, TO, Kept
from .snapshot import StreamSnapshot, described


class Stream(Kept[StateT]):
    """A model's state, kept from call to call: frames or chunks in, outputs out.

    Frames one by one, chunks, and the whole sequence in one call of the model give the same bits.

    Parameters
    ----------
    model
        A layer of any kind that runs forward alone. It is shared, not copied: weights that it is given later
        hold from the next call on.
    batch
        B, rows that are stepped together, an integer >= 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or the model runs in reverse, too or alone: that begins with
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
        check_model(model)
        rows = checks.integer(batch, "batch", 1)
        check_room(model, rows, "batch")
        make = _core.Stream32 if model.dtype == checks.FLOAT32 else _core.Stream64
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
        x, frame = frames(x, self.batch, model, "[B, I]")
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
        x, batched = checks.sequence(
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
            halves = model._halves(state, STATE[0], STATE[1])
            h, c = (
                None if half is None else checks.real_array(half, name)
                for half, name in zip(halves, STATE[2:], strict=True)
            )
            given = c if h is None else h
            batched = not (rows == 1 and given is not None and given.ndim == 2)
            h, c = model._split(model._join(h, c, True), STATE, rows, batched)  # type: ignore[arg-type]
        self._core.write(h, c)

    def reset(self, rows: ArrayLike | None = None, *, to: Any = None) -> None:  # noqa: ANN401 - a state
        """Set the state of some rows to zero, or to a state.

        Parameters
        ----------
        rows
            None for all; else which: integers from 0 to B-1, one or several, or bools [B].
        to
            None for zero; else the state of one row, that all these take: (h [L, H], c [L, H]), or h of an
            RNN or a GRU.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above. Nothing is reset then.
        """
        if to is None:
            if rows is None:
                self._core.write(None, None)
            else:
                self._core.clear(rows_of(rows, self.batch))
            return
        chosen = np.arange(self.batch) if rows is None else rows_of(rows, self.batch)
        one = self._model._split(to, TO, 1, False)
        h, c = (None if half is None else np.repeat(half, len(chosen), axis=1) for half in one)
        self._core.clear(chosen, h, c)

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
            raise TypeError(f"snapshot: expected one from snapshot(), got {checks.shown(snapshot)}")
        model, rows = self._model, self.batch
        expected = [model._h_shape(rows, True)[0]]
        if model._KIND.has_memory:
            expected.append(model._c_shape(rows, True)[0])
        came = [half for half in (snapshot._h, snapshot._c) if half is not None]
        if [half.shape for half in came] != expected or came[0].dtype != model.dtype:
            raise ValueError(f"snapshot: expected {described(expected, model.dtype)}, got {snapshot!r}")
        self._core.write(snapshot._h, snapshot._c)

    def __reduce__(self) -> tuple[Any, ...]:
        made = type(self), self._model, self.batch, *self._core.read()
        return _restored_stream, made, getattr(self, "__dict__", None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._model!r}, batch={self.batch})"


def _restored_stream(
    cls: type[Stream[Any]], model: Inference[Any, Any], batch: int, h: Array, c: Array | None
) -> Stream[Any]:
    """Make a stream again that was pickled or copied."""
    stream = cls.__new__(cls)  # a subclass may be made in another way
    Stream.__init__(stream, model, batch)
    stream._core.write(h, c)
    return stream
