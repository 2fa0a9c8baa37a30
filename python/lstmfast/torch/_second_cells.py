"""How a layer in one direction changes with what it was given, and back: the cells of `_second`.

For an LSTM, with a dot for changes, and a for the gates before their curves:
    a. = W x. + W. x + U h_prev. + U. h_prev + b.
    c. = f. c_prev + f c_prev. + i. g + i g.,  h. = o. tanh(c) + o (1 - tanh(c)^2) c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

_Maybe: TypeAlias = Tensor | None


class Weights(NamedTuple):
    """Of a layer in a direction, or how they change (None: not at all), or their gradients."""

    ih: Any  # [G*H, I]
    hh: Any  # [G*H, H]
    bias: Any  # [G*H], the sum of both


class Cell:
    """A layer in one direction: what it was given, what it computed, and how that changes."""

    # [T, B, H] each; `before` is what stood before each step. The ends are of h and, of an LSTM, c, [B, H].
    h: Tensor
    h_before: Tensor
    h_change: Tensor
    h_change_before: Tensor
    end_change: tuple[Tensor, ...]

    def __init__(self, weights: Weights, x: Tensor, states: Sequence[Tensor]) -> None:
        """Run forward. x: [T, B, I], in the order of the steps; states: h_0 and, of an LSTM, c_0, [B, H]."""
        self.weights, self.x, self.states = weights, x, states
        self.run((torch.matmul(x, weights.ih.T) + weights.bias).unbind())

    def run(self, ahead: Sequence[Tensor]) -> None:
        """Run all steps from what of a is known ahead."""
        raise NotImplementedError

    def change(self, weights: Weights, x: _Maybe, states: Sequence[Tensor]) -> None:
        """Find how all of it changes when weights, x (None: it does not) and states do."""
        self.weights_change, self.x_change, self.states_change = weights, x, states
        ahead = self.x.new_zeros((*self.x.shape[:2], len(self.weights.ih)))
        for changing, weight in ((x, self.weights.ih), (self.x, weights.ih), (self.h_before, weights.hh)):
            if changing is not None and weight is not None:
                ahead += torch.matmul(changing, weight.T)
        if weights.bias is not None:
            ahead += weights.bias
        self.run_changes(ahead.unbind())

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
        one, two, states = self.back(u, u_end, r)
        change = self.weights_change
        x_u = None if is_first else torch.matmul(one, self.weights.ih)
        x_r = torch.matmul(two, self.weights.ih)
        if change.ih is not None:
            x_r += torch.matmul(one, change.ih)
        first, flat = one.flatten(0, 1).T, two.flatten(0, 1).T
        of_ih = flat @ self.x.flatten(0, 1)
        if self.x_change is not None:
            of_ih += first @ self.x_change.flatten(0, 1)
        of_hh = flat @ self.h_before.flatten(0, 1) + first @ self.h_change_before.flatten(0, 1)
        return x_u, x_r, states, Weights(of_ih, of_hh, two.sum((0, 1)))

    def back(self, u: Tensor, u_end: Sequence[Tensor], r: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return gradients of a, [T, B, G*H]: of <u, h>, and of <u, h.>; and the latter's of the states."""
        raise NotImplementedError

    def to_state(self, one: Tensor) -> Sequence[Tensor]:
        """Of each step, what U. h_prev in its a. has for h_prev."""
        if self.weights_change.hh is None:
            return [one.new_zeros(self.states[0].shape)] * len(one)
        return list(torch.matmul(one, self.weights_change.hh).unbind())


class LSTM(Cell):
    """Gates are [T, B, 4, H] where they stand together: i, f, g, o."""

    def run(self, ahead: Sequence[Tensor]) -> None:
        h, c = self.states
        T, (B, H) = len(ahead), h.shape
        hh = self.weights.hh.T
        gates = h.new_empty((T, B, 4, H))
        cs, hs = h.new_empty((T + 1, B, H)), h.new_empty((T + 1, B, H))
        tanh_cs = h.new_empty((T, B, H))
        cs[0], hs[0] = c, h
        for k, (part, gate, tanh_c) in enumerate(zip(ahead, gates.unbind(), tanh_cs.unbind(), strict=True)):
            a = torch.addmm(part, hs[k], hh).view(B, 4, H)
            torch.sigmoid(a, out=gate)
            i, f, g, o = gate.unbind(1)
            torch.tanh(a[:, 2], out=g)
            torch.addcmul(f * cs[k], i, g, out=cs[k + 1])
            torch.tanh(cs[k + 1], out=tanh_c)
            torch.mul(o, tanh_c, out=hs[k + 1])
        self.h_before, self.h, self.c_before, self.gates, self.tanh_c = (
            hs[:-1],
            hs[1:],
            cs[:-1],
            gates,
            tanh_cs,
        )
        self.slopes = gates * (1 - gates)
        self.slopes[:, :, 2] = 1 - gates[:, :, 2].square()
        i, f, g, o = gates.unbind(2)
        self.c_slope = o * (1 - tanh_cs.square())  # of h by c
        # What each gate is multiplied with: of c, and the last one of h.
        self.factors = torch.stack([g, self.c_before, i, tanh_cs], 2)
        self.by_a = self.factors * self.slopes

    def run_changes(self, ahead: Sequence[Tensor]) -> None:
        h, c = self.states_change
        T, (B, H) = len(ahead), h.shape
        hh = self.weights.hh.T
        changes = h.new_empty((T, B, 4 * H))
        cs, hs = h.new_empty((T + 1, B, H)), h.new_empty((T + 1, B, H))
        cs[0], hs[0] = c, h
        each = zip(
            ahead,
            changes.unbind(),
            self.by_a.unbind(),
            self.gates[:, :, 1].unbind(),
            self.c_slope.unbind(),
            strict=True,
        )
        for k, (part, a, by_a, f, slope) in enumerate(each):
            torch.addmm(part, hs[k], hh, out=a)
            parts = a.view(B, 4, H) * by_a
            torch.addcmul(parts[:, :3].sum(1), f, cs[k], out=cs[k + 1])
            torch.addcmul(parts[:, 3], slope, cs[k + 1], out=hs[k + 1])
        self.a_change = changes.view(T, B, 4, H)
        self.h_change_before, self.h_change, self.c_change_before, self.c_change = (
            hs[:-1],
            hs[1:],
            cs[:-1],
            cs[1:],
        )
        self.end_change = hs[-1], cs[-1]

    def back(self, u: Tensor, u_end: Sequence[Tensor], r: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        T, B, H = u.shape
        hh = self.weights.hh
        i, f, g, o = self.gates.unbind(2)
        # <u, h>: lam is the gradient of h, mu of c, one of a.
        lam, mu, one = torch.empty_like(u), torch.empty_like(u), u.new_empty((T, B, 4, H))
        from_h, from_c = u_end
        for k in range(T - 1, -1, -1):
            torch.add(u[k], from_h, out=lam[k])
            torch.addcmul(from_c, lam[k], self.c_slope[k], out=mu[k])
            self.of_a(mu[k], lam[k], self.by_a[k], one[k])
            from_h, from_c = one[k].view(B, -1) @ hh, mu[k] * f[k]
        # <u, h.> by what is in it: all steps at once, then the recurrence.
        a_i, a_f, a_g, a_o = self.a_change.unbind(2)
        s_i, s_f, s_g, s_o = self.slopes.unbind(2)
        c_by_h = 1 - self.tanh_c.square()
        extra = torch.stack(
            [
                mu * (s_g * a_g + g * (1 - 2 * i) * a_i),
                mu * (self.c_change_before + self.c_before * (1 - 2 * f) * a_f),
                mu * (s_i * a_i - 2 * i * g * a_g),
                lam * (c_by_h * self.c_change + self.tanh_c * (1 - 2 * o) * a_o),
            ],
            2,
        )
        extra *= self.slopes
        of_c_extra = lam * c_by_h * (s_o * a_o - 2 * o * self.tanh_c * self.c_change)
        # What the next step has of the state before it: U. h_prev in a., f. c_prev in c..
        one = one.view(T, B, -1)
        to_h, to_c = self.to_state(one), mu * s_f * a_f
        two = torch.empty_like(extra)
        from_h, from_c = torch.zeros_like(u[0]), torch.zeros_like(u[0])
        for k in range(T - 1, -1, -1):
            of_h = r[k] + from_h
            of_c = torch.addcmul(of_c_extra[k] + from_c, of_h, self.c_slope[k])
            self.of_a(of_c, of_h, self.by_a[k], two[k])
            two[k] += extra[k]
            from_h = torch.addmm(to_h[k], two[k].view(B, -1), hh)
            from_c = torch.addcmul(to_c[k], of_c, f[k])
        return one, two.view(T, B, -1), [from_h, from_c]

    @staticmethod
    def of_a(of_c: Tensor, of_h: Tensor, by_a: Tensor, out: Tensor) -> None:
        """Gradients of a, [B, 4, H], from those of c and h, and of these by a."""
        torch.mul(by_a[:, :3], of_c.unsqueeze(1), out=out[:, :3])
        torch.mul(by_a[:, 3], of_h, out=out[:, 3])


class RNN(Cell):
    """With tanh."""

    def curve(self, a: Tensor, out: Tensor) -> None:
        """Compute h, [B, H], from a."""
        torch.tanh(a, out=out)

    def slope(self) -> Tensor:
        """Of h by a, [T, B, H]."""
        return 1 - self.h.square()

    def bend(self) -> Tensor:
        """Of the slope by a."""
        return -2 * self.h * self.slopes

    def run(self, ahead: Sequence[Tensor]) -> None:
        hs = self.states[0].new_empty((len(ahead) + 1, *self.states[0].shape))
        hs[0] = self.states[0]
        for k, part in enumerate(ahead):
            self.curve(torch.addmm(part, hs[k], self.weights.hh.T), hs[k + 1])
        self.h_before, self.h = hs[:-1], hs[1:]
        self.slopes = self.slope()

    def run_changes(self, ahead: Sequence[Tensor]) -> None:
        (h,) = self.states_change
        self.a_change = torch.empty_like(self.h)
        hs = h.new_empty((len(ahead) + 1, *h.shape))
        hs[0] = h
        for k, (part, a) in enumerate(zip(ahead, self.a_change.unbind(), strict=True)):
            torch.addmm(part, hs[k], self.weights.hh.T, out=a)
            torch.mul(a, self.slopes[k], out=hs[k + 1])
        self.h_change_before, self.h_change = hs[:-1], hs[1:]
        self.end_change = (hs[-1],)

    def back(self, u: Tensor, u_end: Sequence[Tensor], r: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        (from_h,) = u_end
        lam, one = torch.empty_like(u), torch.empty_like(u)
        for k in range(len(u) - 1, -1, -1):
            torch.add(u[k], from_h, out=lam[k])
            torch.mul(lam[k], self.slopes[k], out=one[k])
            from_h = one[k] @ self.weights.hh
        extra = lam * self.bend() * self.a_change
        to_h = self.to_state(one)
        two = torch.empty_like(u)
        from_h = torch.zeros_like(u[0])
        for k in range(len(u) - 1, -1, -1):
            torch.addcmul(extra[k], r[k] + from_h, self.slopes[k], out=two[k])
            from_h = torch.addmm(to_h[k], two[k], self.weights.hh)
        return one, two, [from_h]


class ReluRNN(RNN):
    """With relu, whose slope does not bend."""

    def curve(self, a: Tensor, out: Tensor) -> None:
        torch.clamp(a, min=0, out=out)

    def slope(self) -> Tensor:
        return (self.h > 0).to(self.h.dtype)

    def bend(self) -> Tensor:
        return torch.zeros_like(self.h)
