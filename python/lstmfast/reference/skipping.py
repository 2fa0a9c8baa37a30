"""Sequences in which steps are skipped: layer by layer, step by step, of all rows at once.

A step that is skipped is computed like the others, and thrown away: `np.where` keeps what was before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .cells import Cell, LayerCache
from .pieces import Cut, checked_lengths, checked_reset
from .products import Array
from .stack import TIME, Stack
from .zoneout import Bools, Zoneout


class Plan(NamedTuple):
    """What becomes of each row at each step."""

    within: Bools  # [T, B]: it is before the row's end
    taken: Bools  # [T, B]: the step is run; at others within the row the state and the output stay
    reset: Bools  # [T, B]: a new sequence begins with the first step that is taken from here on


class PassCache(NamedTuple):
    """What one layer's direction keeps for its backward pass."""

    order: list[int]  # of steps, as they were run
    fresh: Bools  # [T, B]: the step began a piece at a cut
    caches: list[LayerCache]  # of each step
    c: Array  # [T, B, H], repeated as y is


class StepsCache(NamedTuple):
    """What all layers keep for their backward pass."""

    plan: Plan
    passes: list[PassCache]  # L*D
    masks: Array | None  # [L-1, T, B, D*P]

    @property
    def steps_and_rows(self) -> tuple[int, ...]:
        """T and B."""
        return self.plan.taken.shape


def plan(T: int, B: int, lengths: ArrayLike | None, reset: ArrayLike | None, mask: ArrayLike) -> Plan:
    """Check the three and say what they mean."""
    array = np.asarray(mask)
    if array.dtype != bool:
        raise ValueError(f"mask must be bools, got {array.dtype}")
    if array.shape != (T, B):
        raise ValueError(f"mask must have shape {(T, B)}, got {array.shape}")
    within = np.arange(T)[:, np.newaxis] < np.array(checked_lengths(lengths, T, B))
    return Plan(within, array & within, checked_reset(reset, T, B) & within)


def forward(
    stack: Stack,
    x: Array,
    h0: Array,
    c0: Array,
    masks: Array | None,
    steps: Plan,
    starts: Cut,
    renewed: Bools | None,
) -> tuple[Array, Array, Array, StepsCache]:
    """All layers, each with its directions; arguments and results are those of `pieces.forward`."""
    y, h_n, c_n = x, np.empty_like(h0), np.empty_like(c0)
    caches: list[PassCache] = []
    for layer in range(stack.num_layers):
        if masks is not None and layer > 0:
            y = y * masks[layer - 1]
        outputs = []
        for time in TIME[stack.ways]:
            k = len(caches)
            begins = Cut(starts.h[k], starts.c[k])
            zoneout = Zoneout(stack.zoneout, None if renewed is None else renewed[k])
            out, h_n[k], c_n[k], cache = pass_forward(
                stack.cell, stack.weights[k], y, h0[k], c0[k], steps, begins, time, zoneout
            )
            outputs.append(out)
            caches.append(cache)
        y = np.concatenate(outputs, axis=2)
    return y, h_n, c_n, StepsCache(steps, caches, masks)


def backward(
    stack: Stack, cache: StepsCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None, starts: Cut
) -> tuple[Array, Array, Array, Sequence[Mapping[str, Array]]]:
    """All gradients; to starts is added what arrives at what cuts began from."""
    D = stack.num_directions
    dh0, dc0 = np.empty_like(dh_n), np.empty_like(dc_n)
    dweights = list(stack.weights)
    for layer in reversed(range(stack.num_layers)):
        dx: Any = 0
        for direction, dy_k in enumerate(np.split(dy, D, axis=2)):
            k = layer * D + direction
            dc_k = None if dc_y is None else np.split(dc_y, D, axis=2)[direction]
            begins = Cut(starts.h[k], starts.c[k])
            one = stack.cell, stack.weights[k], cache.passes[k]
            found = pass_backward(*one, dy_k, dh_n[k], dc_n[k], dc_k, cache.plan, begins)
            dx_k, dh0[k], dc0[k], dweights[k] = found
            dx = dx + dx_k  # both directions read the same x
        if cache.masks is not None and layer > 0:
            dx = dx * cache.masks[layer - 1]
        dy = dx  # this layer's x is the y of the layer below
        dc_y = None  # c of the last layer alone is an output
    return dy, dh0, dc0, dweights


def memory(stack: Stack, cache: StepsCache) -> Array:
    """Return the last layer's c after every step, [T, B, D*H], where y is 0, 0 as well."""
    return np.concatenate([one.c for one in cache.passes[-stack.num_directions :]], axis=2)


def pass_forward(
    cell: Cell,
    weights: Mapping[str, Array],
    x: Array,
    h: Array,
    c: Array,
    steps: Plan,
    begins: Cut,
    time: slice,
    zoneout: Zoneout,
) -> tuple[Array, Array, Array, PassCache]:
    """One direction of one layer.

    Parameters
    ----------
    x : [T, B, I]
    h, c : [B, P] and [B, H]
    begins : [B, P] and [B, H]
        What pieces begin from at a cut.
    time
        The direction's.

    Returns
    -------
    y : [T, B, P]
        At a skipped step what it was at the step before in the direction's own order, or 0 if none was taken
        yet; 0 where a row has ended.
    h, c
        After the last step.
    cache
        For `pass_backward`.
    """
    T, B, _ = x.shape
    within, taken, reset = (array[:, :, np.newaxis] for array in steps)
    reverse = time.step == -1
    y, memories = np.zeros((T, B, h.shape[1]), x.dtype), np.zeros((T, B, c.shape[1]), x.dtype)
    output, kept = np.zeros_like(h), np.zeros_like(c)
    order = list(range(T))[time]
    fresh = np.zeros((T, B, 1), bool)
    caches = []
    begun, pending = np.zeros((B, 1), bool), np.zeros((B, 1), bool)
    for t in order:
        if not reverse:
            pending = pending | reset[t]
        fresh[t] = taken[t] & pending & (begun | (not reverse))
        # What x has at skipped steps must not reach anything, NaN times 0 neither.
        y_t, c_out, cache = cell.forward(
            np.where(taken[t], x[t], 0)[np.newaxis],
            np.where(fresh[t], begins.h, h),
            np.where(fresh[t], begins.c, c),
            weights,
            zoneout.at(t),
        )
        h, c = np.where(taken[t], cache.h[-1], h), np.where(taken[t], c_out, c)
        output, kept = np.where(taken[t], y_t[0], output), np.where(taken[t], c_out, kept)
        y[t], memories[t] = np.where(within[t], output, 0), np.where(within[t], kept, 0)
        pending = pending & ~taken[t]
        begun = begun | taken[t]
        if reverse:  # a mark cuts the row before its step: between it and the step that is next in reverse
            pending = pending | reset[t]
        caches.append(cache)
    return y, h, c, PassCache(order, fresh, caches, memories)


def pass_backward(
    cell: Cell,
    weights: Mapping[str, Array],
    cache: PassCache,
    dy: Array,
    dh: Array,
    dc: Array,
    dc_y: Array | None,
    steps: Plan,
    begins: Cut,
) -> tuple[Array, Array, Array, dict[str, Array]]:
    """Gradients of `pass_forward`: of x, h, c and the weights; those of what cuts began from into begins."""
    within, taken, _ = (array[:, :, np.newaxis] for array in steps)
    dx = np.zeros((*dy.shape[:2], weights["weight_ih"].shape[1]), dy.dtype)
    dc_y = np.zeros((*dy.shape[:2], dc.shape[1]), dy.dtype) if dc_y is None else dc_y
    doutput, dkept = np.zeros_like(dh), np.zeros_like(dc)
    dweights = {kind: np.zeros_like(array) for kind, array in weights.items()}
    for t, cache_t in zip(reversed(cache.order), reversed(cache.caches), strict=True):
        # Of all that repeated them, and their own.
        doutput = doutput + np.where(within[t], dy[t], 0)
        dkept = dkept + np.where(within[t], dc_y[t], 0)
        dx_t, dh_t, dc_t, dweights_t = cell.backward(
            cache_t,
            np.where(taken[t], doutput, 0)[np.newaxis],
            np.where(taken[t], dh, 0),
            np.where(taken[t], dc, 0),
            np.where(taken[t], dkept, 0)[np.newaxis],
        )
        doutput, dkept = np.where(taken[t], 0, doutput), np.where(taken[t], 0, dkept)
        begins.h[...] += np.where(cache.fresh[t], dh_t, 0)
        begins.c[...] += np.where(cache.fresh[t], dc_t, 0)
        dh = np.where(taken[t], np.where(cache.fresh[t], 0, dh_t), dh)
        dc = np.where(taken[t], np.where(cache.fresh[t], 0, dc_t), dc)
        dx[t] = dx_t[0]
        for kind, sums in dweights.items():
            sums += dweights_t[kind]
    return dx, dh, dc, dweights
