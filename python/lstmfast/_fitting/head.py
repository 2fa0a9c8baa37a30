"""A dense head whose products the core makes: the same bits on every machine, whatever the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .._base.checks import Array
from .._layers.rnn import RNN
from .._layers.tape import Tape
from ..training import Dense
from . import exact


@dataclass(frozen=True, eq=False)
class HeadPass:
    """A forward pass of the head, as its backward pass needs it."""

    z: Array  # [..., K], logits
    tape: Tape


class Head:
    """The products of a `training.Dense`: z = W x + b, and back.

    NumPy hands a product to its BLAS, which adds in an order of its own for each machine, size and number of
    threads. The core's order is fixed: here a dense layer is an RNN over one step, without a state and with
    the identity for tanh. That takes once to twice what a BLAS takes, and 0.05 ms of a training step of 1 ms.
    """

    def __init__(self, dense: Dense, isa: str) -> None:
        self.dense = dense
        K = dense.out_features
        self._core = RNN(
            dense.in_features,
            K,
            activations=[("Affine", 1.0, 0.0)],
            bias=dense.bias,
            dtype=dense.dtype,
            seed=0,
            isa=isa,
        )
        self._none = {"weight_hh_l0": np.zeros((K, K), dense.dtype)}
        if dense.bias:
            self._none["bias_hh_l0"] = np.zeros(K, dense.dtype)
        self._packed: Mapping[str, Array] | None = None  # the weights that the core has now

    def logits(self, x: Array) -> Array:
        """Compute z [..., K] from x [..., in_features], keeping nothing."""
        self._pack()
        y, _ = self._core(x.reshape(1, -1, x.shape[-1]))
        return y.reshape(*x.shape[:-1], y.shape[-1])

    def forward(self, x: Array) -> HeadPass:
        """Compute z, and keep what `backward` needs."""
        self._pack()
        y, _, tape = self._core.forward(x.reshape(1, -1, x.shape[-1]))
        return HeadPass(y.reshape(*x.shape[:-1], y.shape[-1]), tape)

    def backward(self, passed: HeadPass, dz: Array) -> tuple[Array, dict[str, Array]]:
        """Find the gradients of x, [..., in_features], and of the head's parameters."""
        grads = self._core.backward(passed.tape, dz.reshape(1, -1, dz.shape[-1]))
        parameters = {"weight": grads.parameters["weight_ih_l0"]}
        if self.dense.bias:
            parameters["bias"] = grads.parameters["bias_ih_l0"]
        return grads.x.reshape(*dz.shape[:-1], grads.x.shape[-1]), parameters

    def outputs(self, z: Array) -> Array:
        """Apply the head's activation to logits."""
        if self.dense.activation == "softmax":
            return exact.softmax(z)[0].astype(z.dtype)
        return z

    def _pack(self) -> None:
        weights = dict(self.dense.parameters)
        if self._packed is None or any(weights[name] is not self._packed[name] for name in weights):
            self._core.update({f"{name}_ih_l0": array for name, array in weights.items()} | self._none)
            self._packed = weights
