"""Bad arguments, and a model that sees whether one has changed anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ..helpers import assert_same_bits, everything, has_memory, make, random, random_state, random_x

HUGE = 10**5000  # str() refuses it
NOT_NUMBERS: list[tuple[Any, str]] = [
    ("x", "'x' (str), as an array of dtype <U1"),
    (None, "None, as an array of dtype object"),
    ({"a": 1}, "a dict of length 1, as an array of dtype object"),
    (object(), "an object of type object, as an array of dtype object"),
    ([["a"]], "a list of length 1, as an array of dtype <U1"),
    (np.zeros((4, 2, 3), "complex64"), "of dtype complex64"),
    (np.zeros((4, 2, 3), "object"), "of dtype object"),
    (np.zeros((4, 2, 3), "U3"), "of dtype <U3"),
    (np.zeros((4, 2, 3), "S3"), "of dtype |S3"),
    (np.zeros((4, 2, 3), "M8[s]"), "of dtype datetime64[s]"),
    (np.zeros((4, 2, 3), "m8[s]"), "of dtype timedelta64[s]"),
    (np.zeros((4, 2, 3), [("a", "f4")]), "of dtype [('a', '<f4')]"),
    (np.ma.masked_array(np.zeros((4, 2, 3), "f4")), "a masked array; fill its gaps first"),
    (10**100, "an integer of 333 bits, as an array of dtype object"),
]


class Refuses:
    """No array comes of this."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("on another device")


NOT_NUMBERS.append((Refuses(), "an object of type Refuses: on another device"))


def raises(kind: type[Exception], message: str) -> Any:
    """`pytest.raises` for a message that starts with these very words."""
    return pytest.raises(kind, match=f"^{re.escape(message)}")


every_wrong_seed = pytest.mark.parametrize(
    ("value", "error", "got"),
    [
        (-1, ValueError, "-1 (int)"),
        (True, TypeError, "the bool True"),
        (1.5, TypeError, "1.5 (float)"),
        ("x", TypeError, "'x' (str)"),
        ([1, 2], TypeError, "a list of length 2"),
        (np.random.RandomState(0), TypeError, "an object of type RandomState"),
        (np.random.PCG64(0), TypeError, "an object of type PCG64"),
    ],
)


class Case:
    """A model with right arguments for everything; `check` sees that nothing has changed."""

    def __init__(self, kind: str, batched: bool = True, **options: Any) -> None:
        self.kind = kind
        self.model: Any = make(kind, 3, 5, num_layers=2, **options)
        self.x, self.state = random_x(self.model, 4, 2), random_state(self.model, 2)
        features = self.model.proj_size or 5
        self.dy = random((*self.x.shape[:2], features), seed=5)
        self.dstate = random_state(self.model, 2, seed=6)
        if not batched:
            axis = 0 if self.model.batch_first else 1
            self.x, self.dy = self.x.squeeze(axis)[..., :], self.dy.squeeze(axis)
        self.tape = self.model.forward(self.x, self.state)[2]
        self.arguments = [array.copy() for array in self.arrays()]
        self.network, self.parameters = self.model._network, self.model.parameters
        self.weights = self.model.state_dict()
        self.before = everything(self.model, self.x, self.state, self.dy, self.dstate)

    def arrays(self) -> list[Any]:
        states = [*self.state, *self.dstate] if has_memory(self.kind) else [self.state, self.dstate]
        return [self.x, self.dy, *states]

    def check(self) -> None:
        assert_same_bits(self.arrays(), self.arguments)
        assert self.model._network is self.network
        assert self.model.parameters is self.parameters
        assert_same_bits(self.model.state_dict(), self.weights)
        assert_same_bits(everything(self.model, self.x, self.state, self.dy, self.dstate), self.before)
        assert_same_bits(self.model.backward(self.tape, self.dy, self.dstate).x, self.before["dx"])

    def calls(self) -> list[Callable[..., Any]]:
        return [self.model, self.model.forward]
