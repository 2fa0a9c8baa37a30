"""How a layer in one direction changes with what it was given, and back: the cells of `_second`.

For an LSTM, with a dot for changes, a for the gates before their curves, and m for what a projection R takes:
    a. = W x. + W. x + U h_prev. + U. h_prev + b.
    c. = f. c_prev + f c_prev. + i. g + i g.,  m. = o. tanh(c) + o (1 - tanh(c)^2) c.,  h. = R m. + R. m
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ._second_steps import Carried, Steps

_Maybe: TypeAlias = Tensor | None


class Weights(NamedTuple):
    """Of a layer in a direction, or how they change (None: not at all), or their gradients."""

    ih: Any  # [G*H, I]
    hh: Any  # [G*H, S], S being H, or P with a projection
    bias: Any  # [G*H], the sum of both; of a GRU [4*H], in slots: see `_second_gru`
    hr: Any = None  # [P, H] of a projection


class Cell:
    """A layer in one direction: what it was given, what it computed, and how that changes."""

    sums: int  # of a unit, before their curves
    h_change: Tensor  # [N, S], in the order of the steps, as all sequences are
    end_change: tuple[Tensor, ...]  # of h, [B, S], and, of an LSTM, of c, [B, H]

    def __init__(
        self, weights: Weights, steps: Steps, x: Tensor, states: Sequence[Tensor], h: Tensor, *kept: Tensor
    ) -> None:
        """Take what a forward pass had and gave.

        x: [N, I]; states: h_0 and, of an LSTM, c_0, [B, ...]; h: [N, S]; kept: what else `take` wants.
        """
        self.weights, self.steps, self.x, self.states, self.h = weights, steps, x, states, h
        self.h_before = steps.before(h, states[0])
        self.take(*kept)

    def take(self, *kept: Tensor) -> None:
        """Find what changes and gradients are made of."""
        raise NotImplementedError

    def of_x(self, a: Tensor) -> Tensor:
        """Of sums before their curves, [N, ...], or of gradients of theirs, those that x has a part in."""
        return a

    def of_h(self, a: Tensor) -> Tensor:
        """Those that the state before has a part in."""
        return a

    def change(self, weights: Weights, x: _Maybe, states: Sequence[Tensor]) -> None:
        """Find how all of it changes when weights, x (None: it does not) and states do."""
        self.weights_change, self.x_change, self.states_change = weights, x, states
        none = self.x.new_zeros(1) if weights.bias is None else weights.bias
        ahead = none.expand(len(self.x), self.sums * self.states[-1].shape[1]).clone()
        of_x, of_h = self.of_x(ahead), self.of_h(ahead)
        for part, changing, weight in (
            (of_x, x, self.weights.ih),
            (of_x, self.x, weights.ih),
            (of_h, self.h_before, weights.hh),
        ):
            if changing is not None and weight is not None:
                part.addmm_(changing, weight.T)
        self.run_changes(self.steps.parts(ahead))
        self.h_change_before = self.steps.before(self.h_change, states[0])

    def run_changes(self, ahead: Sequence[Tensor]) -> None:
        """Run all steps of the changes from what of a's is known ahead."""
        raise NotImplementedError

    def go_back(
        self, u: Tensor, u_end: Sequence[Tensor], r: Tensor, is_first: bool
    ) -> tuple[_Maybe, Tensor, list[Tensor], Weights]:
        """Go back from gradients u of h and u_end of the last states, and r, of <u, h.> by h.

        Returns the same two of x (the first one None for the first layer, where nobody asks), then what
        <u, h.> has for gradients: by the states, and by the weights.
        """
        one, two, states, of_hr = self.back(u, u_end, r)
        change = self.weights_change
        one_x, two_x = self.of_x(one), self.of_x(two)
        x_u = None if is_first else one_x @ self.weights.ih
        x_r = two_x @ self.weights.ih
        if change.ih is not None:
            x_r.addmm_(one_x, change.ih)
        of_ih = two_x.T @ self.x
        if self.x_change is not None:
            of_ih.addmm_(one_x.T, self.x_change)
        of_hh = (self.of_h(two).T @ self.h_before).addmm_(self.of_h(one).T, self.h_change_before)
        return x_u, x_r, states, Weights(of_ih, of_hh, two.sum(0), of_hr)

    def back(
        self, u: Tensor, u_end: Sequence[Tensor], r: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor], _Maybe]:
        """Return gradients of a, [N, G*H]: of <u, h>, and of <u, h.>; and the latter's of states and W_hr."""
        raise NotImplementedError


def parts_of_product(steps: Steps, left: Tensor, right: _Maybe, width: int) -> Sequence[Tensor]:
    """Of each step, the product of what a change of weights meets; zeros [rows, width] where it is none."""
    if right is None:
        zeros = left.new_zeros((max(steps.sizes), width))
        return [zeros[:rows] for rows in steps.sizes]
    return steps.parts(left @ right)


class LSTM(Cell):
    """Gates are [N, 4, H] where they stand together: i, f, g, o."""

    sums = 4

    def take(self, *kept: Tensor) -> None:
        """Take the activated gates, [N, 4, H], and c, [N, H]."""
        gates, c = kept
        i, _, g, o = gates.unbind(1)
        self.gates = gates
        self.c_before = self.steps.before(c, self.states[1])
        # In place where it can be: fresh memory takes longer than the arithmetic.
        self.slopes = (1 - gates).mul_(gates)
        torch.sub(1, g.square(), out=self.slopes[:, 2])
        self.tanh_c = torch.tanh(c)
        self.m_by_tanh = self.tanh_c.square().neg_().add_(1)
        self.m_by_c = o * self.m_by_tanh
        # What each gate is multiplied with: of c, and the last one of m.
        self.by_a = torch.stack([g, self.c_before, i, self.tanh_c], 1).mul_(self.slopes)
        self.m = self.h if self.weights.hr is None else o * self.tanh_c

    def run_changes(self, ahead: Sequence[Tensor]) -> None:
        h, c = map(Carried, self.states_change)
        N, H = self.c_before.shape
        hh, hr, steps = self.weights.hh.T, self.weights.hr, self.steps
        changes = h.now.new_empty((N, 4 * H))
        cs, ms = h.now.new_empty((2, N, H))
        hs, from_hr = ms, ahead
        if hr is not None:
            hs = h.now.new_empty((N, len(hr)))
            change = self.weights_change.hr
            from_hr = parts_of_product(steps, self.m, None if change is None else change.T, len(hr))
        for part, product, a, by_a, f, slope, c_here, m, h_here in zip(
            ahead,
            from_hr,
            *map(steps.parts, (changes, self.by_a, self.gates[:, 1], self.m_by_c, cs, ms, hs)),
            strict=True,
        ):
            rows = len(part)
            torch.addmm(part, h.of_rows(rows), hh, out=a)
            parts = a.view(rows, 4, H) * by_a
            torch.addcmul(parts[:, :3].sum(1), f, c.of_rows(rows), out=c_here)
            torch.addcmul(parts[:, 3], slope, c_here, out=m)
            if hr is not None:
                torch.addmm(product, m, hr.T, out=h_here)
            h.now, c.now = h_here, c_here
        self.a_change = changes.view(N, 4, H)
        self.h_change, self.m_change, self.c_change = hs, ms, cs
        self.c_change_before = steps.before(cs, self.states_change[1])
        self.end_change = h.left(), c.left()

    def back(
        self, u: Tensor, u_end: Sequence[Tensor], r: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor], _Maybe]:
        N, H = self.c_before.shape
        hh, hr, steps, change = self.weights.hh, self.weights.hr, self.steps, self.weights_change
        f, slopes, by_a = map(steps.parts, (self.gates[:, 1], self.m_by_c, self.by_a))
        # <u, h>: lam is the gradient of h, nu of m, mu of c, one of a.
        lam, one = torch.empty_like(u), u.new_empty((N, 4, H))
        mu, nu = u.new_empty((2, N, H)) if hr is not None else (torch.empty_like(u), lam)
        from_h, from_c = map(Carried, u_end)
        each = list(zip(*map(steps.parts, (u, lam, nu, mu, one)), by_a, slopes, f, strict=True))
        for u_here, of_h, of_m, of_c, of_a, by, slope, f_here in reversed(each):
            rows = len(u_here)
            torch.add(u_here, from_h.of_rows(rows), out=of_h)
            if hr is not None:
                torch.mm(of_h, hr, out=of_m)
            torch.addcmul(from_c.of_rows(rows), of_m, slope, out=of_c)
            torch.mul(by[:, :3], of_c.unsqueeze(1), out=of_a[:, :3])
            torch.mul(by[:, 3], of_m, out=of_a[:, 3])
            from_h.now, from_c.now = of_a.view(rows, -1) @ hh, of_c * f_here
        # <u, h.> by what is in it: all steps at once, then the recurrence.
        two, of_c_beside, to_c = self.beside_the_recurrence(mu, nu)
        # What the next step has of the state before it: U. h_prev in a., f. c_prev in c..
        one = one.view(N, -1)
        to_h = parts_of_product(steps, one, change.hh, hh.shape[1])
        of_hs = torch.empty_like(u)
        from_hr = to_h if hr is None else parts_of_product(steps, lam, change.hr, H)
        from_h, from_c = (Carried(torch.zeros_like(end)) for end in u_end)
        flat = map(steps.parts, (r, of_hs, two, of_c_beside, to_c))
        each = list(zip(*flat, to_h, from_hr, by_a, slopes, f, strict=True))
        for r_here, of_h, of_a, more_c, later_c, later_h, product, by, slope, f_here in reversed(each):
            rows = len(r_here)
            torch.add(r_here, from_h.of_rows(rows), out=of_h)
            of_m = of_h if hr is None else torch.addmm(product, of_h, hr)
            of_c = torch.addcmul(more_c + from_c.of_rows(rows), of_m, slope)
            of_a[:, :3].addcmul_(by[:, :3], of_c.unsqueeze(1))
            of_a[:, 3].addcmul_(by[:, 3], of_m)
            from_h.now = torch.addmm(later_h, of_a.view(rows, -1), hh)
            from_c.now = torch.addcmul(later_c, of_c, f_here)
        of_hr = None if hr is None else (of_hs.T @ self.m).addmm_(lam.T, self.m_change)
        return one, two.view(N, -1), [from_h.left(), from_c.left()], of_hr

    def beside_the_recurrence(self, mu: Tensor, nu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find what <u, h.> has for a, [N, 4, H], c and the c before, but for what comes from later steps."""
        i, f, g, o = self.gates.unbind(1)
        a_i, a_f, a_g, a_o = self.a_change.unbind(1)
        s_i, s_f, s_g, s_o = self.slopes.unbind(1)
        m_by_tanh, c_change = self.m_by_tanh, self.c_change
        of_a = torch.empty_like(self.gates)
        # Slopes times mu (s_g a_g. + g (1 - 2 i) a_i.), mu (c_prev. + c_prev (1 - 2 f) a_f.),
        # mu (s_i a_i. - 2 i g a_g.), nu ((1 - tanh(c)^2) c. + tanh(c) (1 - 2 o) a_o.).
        by_i = one_less_twice(i).mul_(g).mul_(a_i).addcmul_(s_g, a_g)
        by_f = one_less_twice(f).mul_(self.c_before).mul_(a_f).add_(self.c_change_before)
        by_g = (s_i * a_i).addcmul_(i * g, a_g, value=-2)
        by_o = one_less_twice(o).mul_(self.tanh_c).mul_(a_o).addcmul_(m_by_tanh, c_change)
        for k, (by, of) in enumerate([(by_i, mu), (by_f, mu), (by_g, mu), (by_o, nu)]):
            torch.mul(by, of, out=of_a[:, k])
        of_a *= self.slopes
        of_c = (s_o * a_o).addcmul_(o * self.tanh_c, c_change, value=-2).mul_(m_by_tanh).mul_(nu)
        return of_a, of_c, (mu * s_f).mul_(a_f)


def one_less_twice(gate: Tensor) -> Tensor:
    """1 - 2 gate: how a sigmoid's slope changes with its argument, over the slope."""
    return torch.rsub(gate, 1, alpha=2)


class RNN(Cell):
    """With tanh."""

    sums = 1

    def take(self, *kept: Tensor) -> None:
        self.slopes = self.slope()

    def slope(self) -> Tensor:
        """Of h by a, [N, H]."""
        return self.h.square().neg_().add_(1)

    def bend(self) -> Tensor:
        """Of the slope by a."""
        return (-2 * self.h).mul_(self.slopes)

    def run_changes(self, ahead: Sequence[Tensor]) -> None:
        h, hh = Carried(self.states_change[0]), self.weights.hh.T
        self.a_change, self.h_change = torch.empty_like(self.h), torch.empty_like(self.h)
        flat = map(self.steps.parts, (self.a_change, self.slopes, self.h_change))
        for part, a, slope, h_here in zip(ahead, *flat, strict=True):
            torch.addmm(part, h.of_rows(len(part)), hh, out=a)
            torch.mul(a, slope, out=h_here)
            h.now = h_here
        self.end_change = (h.left(),)

    def back(
        self, u: Tensor, u_end: Sequence[Tensor], r: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor], _Maybe]:
        hh, steps = self.weights.hh, self.steps
        from_h = Carried(u_end[0])
        lam, one = torch.empty_like(u), torch.empty_like(u)
        each = list(zip(*map(steps.parts, (u, lam, self.slopes, one)), strict=True))
        for u_here, of_h, slope, of_a in reversed(each):
            torch.add(u_here, from_h.of_rows(len(u_here)), out=of_h)
            torch.mul(of_h, slope, out=of_a)
            from_h.now = of_a @ hh
        two = self.bend().mul_(lam).mul_(self.a_change)
        to_h = parts_of_product(steps, one, self.weights_change.hh, hh.shape[1])
        from_h = Carried(torch.zeros_like(u_end[0]))
        each = list(zip(*map(steps.parts, (r, self.slopes, two)), to_h, strict=True))
        for r_here, slope, of_a, later in reversed(each):
            of_a.addcmul_(r_here + from_h.of_rows(len(r_here)), slope)
            from_h.now = torch.addmm(later, of_a, hh)
        return one, two, [from_h.left()], None


class ReluRNN(RNN):
    """With relu, whose slope does not bend."""

    def slope(self) -> Tensor:
        return (self.h > 0).to(self.h.dtype)

    def bend(self) -> Tensor:
        return torch.zeros_like(self.h)
