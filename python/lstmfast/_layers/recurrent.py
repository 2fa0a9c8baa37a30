"""Training of a recurrent model: forward with a tape, and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from .._base import checks
from .._base.arguments import Names, StateLikeT, StateT
from .._base.checks import Array
from .._small import making
from .._small.quantized import Quantized
from .._streams.streamed import Streamed
from . import dropout, recurrent_dropout
from .model import Model
from .tape import Gradients, Tape

if TYPE_CHECKING:
    from typing_extensions import Self

# What messages call a state's gradient, its parts together, h and c.
_DSTATE: Names = ("dstate", ("dh_n", "dc_n"), "dstate: dh_n", "dstate: dc_n")


class Recurrent(Model, Streamed[StateT, StateLikeT]):
    """Base of all layers that train; they differ in their kind and in what a state is."""

    @overload
    def forward(
        self,
        x: ArrayLike,
        state: StateLikeT | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset_to: StateLikeT | None = None,
        recompute: bool = False,
        return_c: Literal[False] = False,
        seed: int | np.random.Generator | None = None,
    ) -> tuple[Array, StateT, Tape]: ...
    @overload
    def forward(
        self,
        x: ArrayLike,
        state: StateLikeT | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset_to: StateLikeT | None = None,
        recompute: bool = False,
        return_c: Literal[True],
        seed: int | np.random.Generator | None = None,
    ) -> tuple[Array, StateT, Tape, Array]: ...
    def forward(
        self,
        x: ArrayLike,
        state: StateLikeT | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        reset_to: StateLikeT | None = None,
        recompute: bool = False,
        return_c: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> tuple[Array, StateT, Tape] | tuple[Array, StateT, Tape, Array]:
        """Run all steps and keep what `backward` needs. See the class for shapes and errors.

        Parameters
        ----------
        x, state, lengths, reset, mask, reset_to
            See the class.
        recompute
            Keep h and c of every step but not the gates, which `backward` then computes once more: the same
            bits for less memory and more time.
        return_c
            Of an LSTM: return c of every step as well.
        seed
            Of what dropout drops: None (different every time), an integer >= 0 (the same every time) or a
            `numpy.random.Generator`. Outputs are kept where its `random((L-1, T, B, D*H), dtype=float32)`, in
            this order whatever `batch_first`, is at least `dropout`; without dropout, or with one layer,
            nothing is drawn. Then come numbers likewise for `zoneout`, [L*D, T, B, H], and for
            `recurrent_dropout`, of the shape of each `weight_hh`.

        Returns
        -------
        y, state
            The same bits as from a call, unless there is dropout of any kind. y is read-only, because the
            tape refers to it: copy it to change it.
        tape
            For `backward`. It refers to x, too, which must not be changed before.
        c
            With `return_c` alone: as from a call.
        """
        x, h, c, rows, batched = self._take(x, state)
        lengths, reset, skips = self._cut(lengths, reset, mask, x.shape, batched)
        cut = self._take_cut(reset_to, rows, batched)
        recompute = checks.flag(recompute, "recompute")
        return_c = self._check_return_c(return_c)
        layout = self._layout
        steps = self._steps(x.shape)
        outputs = (layout.num_layers - 1, steps, rows, layout.features)
        own = self._network  # once, and before its weights are: another thread may change both
        generator = seed if seed is None else checks.seed_generator(seed)
        if self._zoneout or self._recurrent_dropout:
            generator = checks.seed_generator(generator)
        masks, scale = dropout.drawn(self._dropout, outputs, generator)
        more: dict[str, Any] = {"cut_h": cut.h, "cut_c": cut.c} if cut.given else {}
        dropped = None
        if generator is not None:
            states = (self._depth, steps, rows, layout.output_size)
            if (renewed := recurrent_dropout.renewed(self._zoneout, states, generator)) is not None:
                more["renewed"] = renewed if skips is None else skips.dropped(renewed)
            dropped = recurrent_dropout.dropped(self, self._recurrent_dropout, generator)
        held = 0 if dropped is None else dropped.nbytes + layout.nbytes(self._dtype)
        if skips is not None:
            x = skips.taken(x)
            masks = None if masks is None else skips.dropped(masks)
        network = own if dropped is None else dropped.network
        if return_c:
            more["return_c"] = True
        y, h, c, core_tape, *memory = network.forward(
            x, h, c, self._batch_first, lengths, reset, recompute, masks, scale, **more
        )
        if skips is not None:
            held += x.nbytes + y.nbytes + skips.nbytes  # the tape refers to these, which nobody else does
            y, memory = skips.repeated(y), [skips.repeated(array) for array in memory]
        y.flags.writeable = False
        core_shape = y.shape
        y = self._as_given(y, batched)
        tape = Tape(core_tape, self, own, rows, core_shape, y.shape, batched, cut, dropped, skips, held)
        if return_c:
            return y, self._join(h, c, batched), tape, self._as_given(memory[0], batched)
        return y, self._join(h, c, batched), tape

    def backward(
        self,
        tape: Tape,
        dy: ArrayLike | None,
        dstate: StateLikeT | None = None,
        *,
        dc: ArrayLike | None = None,
        wants_x: bool = True,
    ) -> Gradients[StateT]:
        """Find the derivatives of a scalar loss by backpropagation through time.

        Parameters
        ----------
        tape
            From this model's `forward`, with the weights unchanged since; may be used again. It knows
            `lengths`, `reset` and `mask` of that call, and what was dropped.
        dy
            dloss/dy, the shape of y; None is zero.
        dstate
            dloss/d(state after the last step), shaped like that state; None is zero, also as one half of an
            LSTM's pair.
        dc
            dloss/dc of an LSTM's c at every step, the shape of `forward`'s with `return_c`; None is zero.
        wants_x
            Whether dloss/dx is found. Nobody needs that of the data that a first layer reads, and it is an
            eighth to a third of the work; False leaves it out, and `Gradients.x` is None.

        Returns
        -------
        Gradients
            Of x, of the initial state and of every parameter.

        Raises
        ------
        TypeError
            If tape is no Tape, or an array is not of real numbers.
        ValueError
            If the tape is another model's or older than the weights, or if a shape is not as above.

        Notes
        -----
        The mathematics: P. J. Werbos, "Backpropagation through time: what it does and how to do it",
        Proc. IEEE 78 (1990) 1550-1560; spelled out in `lstmfast.reference`.
        """
        if not isinstance(tape, Tape):
            raise TypeError(f"tape: expected a Tape from forward, got {checks.shown(tape)}")
        network = self._network
        if tape._network is not network:
            if tape._owner is self:
                raise ValueError(
                    "tape: the weights have changed since forward made it (update or load_state_dict);"
                    " expected a tape of the present weights: run forward again"
                )
            raise ValueError(
                f"tape: expected one of this model, {self!r}, got one of another, {tape._owner!r}"
            )
        batched = tape._batched
        if dy is not None:
            axes = self._y_axes(batched)
            dy = checks.exact(dy, "dy", tape._y_shape, axes, self._dtype).reshape(tape._core_shape)
        more: dict[str, Any] = {}
        if dc is not None:
            more["dc"] = self._take_dc(dc, tape)
        skips = tape._skips
        if skips is not None:
            dy = None if dy is None else skips.sums(dy)
            more = {name: skips.sums(gradient) for name, gradient in more.items()}
        if tape._cut.given:
            more["wants_cut"] = True
        dh_n = dc_n = None
        if dstate is not None:
            dh_n, dc_n = self._split(dstate, _DSTATE, tape._rows, batched)
        if tape._dropped is not None:
            network = tape._dropped.network
        if not checks.flag(wants_x, "wants_x"):
            more["wanted"] = [False, True, *(True for _ in self._parameters)]
        dx, dh_0, dc_0, dparameters, *dcut = network.backward(tape._core, dy, dh_n, dc_n, **more)
        gradients = dict(zip(self._parameters, dparameters, strict=True))
        if tape._dropped is not None:
            for name, factor in tape._dropped.factors.items():
                gradients[name] *= factor
        if dx is not None:
            dx = self._as_given(dx if skips is None else skips.spread(dx), batched)
        return Gradients(
            dx,
            self._join(dh_0, dc_0, batched),
            gradients,
            self._of_cut(dcut, tape._cut.shared) if dcut else None,
        )

    def _take_dc(self, dc: ArrayLike, tape: Tape) -> Array:
        """Check and convert the gradient of c of every step."""
        if not self._KIND.has_memory:
            raise ValueError(f"dc: expected None, for {self._KIND.name} has no c")
        width = self._layout.directions * self._layout.hidden_size
        axes = self._y_axes(tape._batched).replace("P]", "H]")
        checked = checks.exact(dc, "dc", (*tape._y_shape[:-1], width), axes, self._dtype)
        return checked.reshape(*tape._core_shape[:-1], width)

    def _of_cut(self, dcut: list[Any], shared: bool) -> StateT:
        """Put the gradient of what cuts began from together; of what was one for all rows, their sum."""
        halves = [half if half is None or not shared else half.sum(axis=1, keepdims=True) for half in dcut]
        return self._join(halves[0], halves[1], not shared)

    def quantize(
        self, kind: str, calibration: ArrayLike | None = None
    ) -> Quantized[StateT, StateLikeT, Self]:
        """Make the same layer with smaller weights, for inference.

        Where weights do not fit in a core's own cache, reading them is what a step of few rows spends its
        time on. `lstmfast.compare` shows what smaller ones save and what they cost.

        Parameters
        ----------
        kind
            "float16" or "bfloat16": half the bytes of float32, arithmetic in float32. "int8": a quarter of
            them, products of whole numbers; x and h are rounded to 8 bits, too, at each step and for each row
            by itself.
        calibration
            For "int8" alone, data like x ([T, B, I], [B, T, I] or [T, I]) in which the I inputs have the
            sizes that they will have: each is then rounded in proportion to its own. Of use where they differ
            much. None: all are rounded in proportion to the largest.

        Returns
        -------
        QuantizedLSTM, QuantizedGRU or QuantizedRNN
            It computes in float32, also for a model of float64, and runs on this model's `isa`. Weights that
            this model is given later do not change it.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, or a weight or bias is not finite in float32; the message names
            it.
        """
        return making.quantized(self, kind, calibration)
