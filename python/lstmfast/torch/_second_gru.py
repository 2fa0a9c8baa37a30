"""The GRU among the cells of `_second`.

A unit's sums are four, as in the core: [n, r, z, q], n what x makes of the candidate and q what h does. So
x has a part in the first three and h in the last three. With a dot for changes, a for sums before their
curves, and s for slopes:
    n = tanh(a_n + r q),  h = n + z (h_prev - n)
    n. = s_n (a_n. + r q. + q s_r a_r.),  h. = (1 - z) n. + (h_prev - n) s_z a_z. + z h_prev.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from ._second_cells import Cell, Weights, one_less_twice, parts_of_product
from ._second_steps import Carried

_Maybe: TypeAlias = Tensor | None


def in_slots(ih: _Maybe, hh: _Maybe, b_ih: _Maybe = None, b_hh: _Maybe = None) -> Weights:
    """Lay out weights or changes of them, of r, z and n: W_ih as n, r, z, and the bias by all four sums."""
    of_x, biases = [None if each is None else torch.roll(each, len(each) // 3, 0) for each in (ih, b_ih)], []
    if of_x[1] is not None:
        biases.append(functional.pad(of_x[1], (0, len(of_x[1]) // 3)))
    if b_hh is not None:
        biases.append(functional.pad(b_hh, (len(b_hh) // 3, 0)))
    return Weights(of_x[0], hh, torch.stack(biases).sum(0) if biases else None)


def out_of_slots(gradients: Weights) -> list[Tensor]:
    """Undo `in_slots`, for gradients: of W_ih, W_hh, b_ih and b_hh, each in its own memory."""
    width = len(gradients.bias) // 4
    of_x, of_h = gradients.bias[: 3 * width], gradients.bias[width:].clone()
    return [torch.roll(gradients.ih, -width, 0), gradients.hh, torch.roll(of_x, -width, 0), of_h]


class GRU(Cell):
    """Slots are [N, 4, H] where they stand together."""

    sums = 4

    def of_x(self, a: Tensor) -> Tensor:
        return a[:, : 3 * self.h.shape[1]]

    def of_h(self, a: Tensor) -> Tensor:
        return a[:, self.h.shape[1] :]

    def take(self, *kept: Any) -> None:
        """Take n, r and z, activated, and q: [N, 4, H]."""
        (self.slots,) = kept
        n, r, z, q = self.slots.unbind(1)
        self.s_n = n.square().neg_().add_(1)
        self.s_r, self.s_z = (1 - r).mul_(r), (1 - z).mul_(z)
        self.q_by_a = q * self.s_r
        by_n = (1 - z).mul_(self.s_n)
        # What h's slots are multiplied with in h.
        self.by_a = torch.stack([by_n, by_n * self.q_by_a, (self.h_before - n).mul_(self.s_z), by_n * r], 1)

    def run_changes(self, ahead: Sequence[Tensor]) -> None:
        h, hh = Carried(self.states_change[0]), self.weights.hh.T
        N, H = self.h.shape
        changes, self.h_change = self.h.new_empty((N, 4 * H)), torch.empty_like(self.h)
        flat = map(self.steps.parts, (changes, self.by_a, self.slots[:, 2], self.h_change))
        for part, a, by_a, z, h_here in zip(ahead, *flat, strict=True):
            rows = len(part)
            before = h.of_rows(rows)
            self.of_h(a.copy_(part)).addmm_(before, hh)
            torch.addcmul((a.view(rows, 4, H) * by_a).sum(1), z, before, out=h_here)
            h.now = h_here
        self.a_change = changes.view(N, 4, H)
        self.end_change = (h.left(),)

    def back(
        self, u: Tensor, u_end: Sequence[Tensor], r: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor], _Maybe]:
        """Go back; lam is the gradient of h in <u, h>, one of a."""
        N, H = self.h.shape
        hh, steps = self.weights.hh, self.steps
        by_a, z = map(steps.parts, (self.by_a, self.slots[:, 2]))
        lam, one = torch.empty_like(u), u.new_empty((N, 4, H))
        from_h = Carried(u_end[0])
        each = list(zip(*map(steps.parts, (u, lam, one)), by_a, z, strict=True))
        for u_here, of_h, of_a, by, z_here in reversed(each):
            rows = len(u_here)
            torch.add(u_here, from_h.of_rows(rows), out=of_h)
            torch.mul(by, of_h.unsqueeze(1), out=of_a)
            from_h.now = torch.addmm(of_h * z_here, self.of_h(of_a.view(rows, -1)), hh)
        # <u, h.> by what is in it: all steps at once, then the recurrence.
        two = self.beside_the_recurrence(lam)
        one = one.view(N, -1)
        # (h_prev - n) s_z a_z. by h_prev.
        direct = steps.parts((self.s_z * self.a_change[:, 2]).mul_(lam))
        to_h = parts_of_product(steps, self.of_h(one), self.weights_change.hh, H)
        from_h = Carried(torch.zeros_like(u_end[0]))
        each = list(zip(*map(steps.parts, (r, two)), direct, to_h, by_a, z, strict=True))
        for r_here, of_a, beside, later, by, z_here in reversed(each):
            rows = len(r_here)
            of_h = r_here + from_h.of_rows(rows)
            of_a.addcmul_(by, of_h.unsqueeze(1))
            past = (beside + later).addcmul_(of_h, z_here)
            from_h.now = torch.addmm(past, self.of_h(of_a.view(rows, -1)), hh)
        return one, two.view(N, -1), [from_h.left()], None

    def beside_the_recurrence(self, lam: Tensor) -> Tensor:
        """Find what <u, h.> has for a, [N, 4, H], but for what comes from later steps."""
        n, r, z, q = self.slots.unbind(1)
        a_n, a_r, a_z, q_change = self.a_change.unbind(1)
        s_n, s_r, s_z, q_by_a = self.s_n, self.s_r, self.s_z, self.q_by_a
        inner = (a_n + r * q_change).addcmul_(q_by_a, a_r)  # how tanh's argument changes
        by_n = (1 - z) * s_n
        of_a = torch.empty_like(self.slots)
        # h. by tanh's argument: -2 (1 - z) n n. - s_n s_z a_z.
        of_n = (by_n * n).mul_(inner).mul_(-2).addcmul_(s_n * s_z, a_z, value=-1)
        of_a[:, 0] = of_n
        # By a_r: s_r (q of_n + (1 - z) s_n (q. + q (1 - 2 r) a_r.))
        bend = one_less_twice(r).mul_(q).mul_(a_r).add_(q_change).mul_(by_n)
        torch.mul(bend.addcmul_(q, of_n), s_r, out=of_a[:, 1])
        # By a_z: s_z (h_prev. - n. + (h_prev - n) (1 - 2 z) a_z.)
        bend = one_less_twice(z).mul_(self.h_before - n).mul_(a_z).add_(self.h_change_before)
        torch.mul(bend.addcmul_(s_n, inner, value=-1), s_z, out=of_a[:, 2])
        # By q: r of_n + (1 - z) s_n s_r a_r.
        torch.mul(by_n, s_r * a_r, out=of_a[:, 3])
        of_a[:, 3].addcmul_(r, of_n)
        return of_a.mul_(lam.unsqueeze(1))
