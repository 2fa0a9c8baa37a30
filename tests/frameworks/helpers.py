"""What proves a convention: a framework's own weights in our layer, and ours in the framework.

A test gives `prove` a framework's arrays, as it holds them, and a function that runs its own layer with
such arrays. All of it is compared: outputs, last states, gradients, and the way back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lstmfast._base.kinds import class_named
from lstmfast._layers import weights

from ..helpers import Array, parts

T, B, I, H = 5, 3, 3, 4

# Largest difference, relative to the largest number of an array, but at least to 1.
BOUNDS = {"float64": 1e-12, "float32": 1e-5}

Tree: TypeAlias = Any  # arrays, or lists or dicts of them


@dataclass(frozen=True)
class Call:
    """Inputs, and a random linear loss: what it multiplies outputs and last states with."""

    x: Array  # [T, B, I]
    state: tuple[Array, ...]  # each [L*D, B, H] or, of a projected h, [L*D, B, P]
    dy: Array
    dstate: tuple[Array, ...]

    def loss(self, y: Any, state: Any, cast: Callable[[Array], Any] = lambda array: array) -> Any:
        """The loss, in the framework's own arithmetic; `cast` makes its arrays."""
        terms = [(y * cast(self.dy)).sum()]
        terms += [(end * cast(d)).sum() for end, d in zip(state, self.dstate, strict=True)]
        return sum(terms[1:], terms[0])


@dataclass(frozen=True)
class Result:
    """What the framework's layer gives, in the axes of `Call`."""

    y: Any
    state: tuple[Any, ...]
    gradients: Tree = None  # of the loss by the arrays, as they are; None: it does not train


Run: TypeAlias = Callable[[Tree, Call], Result]


def prove(
    kind: str,
    convention: str,
    arrays: Tree,
    run: Run,
    *,
    dtype: str = "float64",
    same_bits: bool = True,
    one_bias_of_n: bool = False,
    gradients: bool = True,
    back: bool = True,
    expected: Tree = None,
    **options: Any,
) -> Any:
    """Compare the framework's layer with ours, both ways.

    Parameters
    ----------
    kind
        "LSTM", "GRU" or "RNN".
    convention
        By name.
    arrays
        The framework's, with random numbers.
    run
        Runs the framework's layer with arrays like these.
    dtype
        In which both compute.
    same_bits
        Whether what is written is what was read, bit by bit; False: but for rounding.
    one_bias_of_n
        Whether a GRU has no bias that r multiplies, so that ours must be 0 there.
    gradients
        Whether they are compared, where the framework has them.
    back
        Whether what is written has the arrays that were read.
    expected
        What is written, where it has more names than what was read.
    options
        Of `from_weights`: what arrays do not say.

    Returns
    -------
    The layer.
    """
    layer = class_named(kind).from_weights(arrays, convention, **options)
    assert layer.dtype == np.dtype(dtype)
    call = random_call(layer)
    theirs = run(arrays, call)
    assert_same_results(layer, call, theirs)
    if gradients and theirs.gradients is not None:
        assert_same_gradients(layer, call, theirs.gradients, arrays, convention, options)
    more = {name: options[name] for name in ("forget_bias", "prefix") if name in options}
    if not back:
        return layer
    written = layer.to_weights(convention, **more)
    assert_same_arrays(written, arrays if expected is None else expected, same_bits)
    other = with_random_weights(layer, one_bias_of_n)
    assert_same_results(other, call, run(other.to_weights(convention, **more), call))
    return layer


def random_call(layer: Any) -> Call:
    """Numbers for a layer that is not batch first."""
    rng = np.random.default_rng(7)
    D = 2 if layer.bidirectional else 1
    width = getattr(layer, "proj_size", 0) or layer.hidden_size
    widths = (width, layer.hidden_size) if layer._KIND.has_memory else (width,)

    def numbers(*shape: int) -> Array:
        return np.asarray(rng.standard_normal(shape), layer.dtype)

    def states() -> tuple[Array, ...]:
        return tuple(numbers(layer.num_layers * D, B, width) for width in widths)

    return Call(numbers(T, B, layer.input_size), states(), numbers(T, B, D * width), states())


def assert_same_results(layer: Any, call: Call, theirs: Result) -> None:
    y, state = layer(call.x, given(call.state))
    close(y, theirs.y, "y")
    for name, mine, other in zip("hc", parts(state), theirs.state, strict=False):
        close(mine, other, name)
    assert len(parts(state)) == len(theirs.state)


def assert_same_gradients(
    layer: Any, call: Call, gradients: Tree, arrays: Tree, convention: str, options: dict[str, Any]
) -> None:
    """Compare ours, written as theirs are, with theirs.

    Then step aside in each array of theirs: our weights move, too, and both see the loss change by as much.
    """
    _, _, tape = layer.forward(call.x, given(call.state))
    ours = layer.backward(tape, call.dy, given(call.dstate)).parameters
    rng = np.random.default_rng(8)
    theirs = dict(leaves(gradients))
    assert list(theirs) == [path for path, _ in leaves(arrays)]
    written = dict(leaves(written_gradients(layer, ours, convention, options)))
    for path, array in leaves(arrays):
        assert theirs[path].shape == array.shape, path
        close(written[path], theirs[path], f"gradient by {path}")
        for _ in range(3):
            step = np.asarray(rng.standard_normal(array.shape), array.dtype)
            moved = type(layer).from_weights(replaced(arrays, path, array + step), convention, **options)
            change = sum(
                (gradient * (moved.parameters[name] - layer.parameters[name])).sum()
                for name, gradient in ours.items()
            )
            terms = theirs[path] * step  # that may cancel
            close(change, terms.sum(), f"gradient by {path}, a step aside", np.abs(terms).sum())


def written_gradients(layer: Any, ours: Any, convention: str, options: dict[str, Any]) -> Tree:
    """Gradients by our parameters as those by their arrays."""
    return weights.gradients(layer, ours, convention, options.get("prefix", ""), options.get("forget_bias"))


def with_random_weights(layer: Any, one_bias_of_n: bool) -> Any:
    """A layer of the same configuration whose biases are all apart from each other."""
    rng = np.random.default_rng(9)
    numbers = {
        name: np.asarray(rng.standard_normal(array.shape), array.dtype)
        for name, array in layer.state_dict().items()
    }
    if one_bias_of_n:
        for name in numbers:
            if name.startswith("bias_hh"):
                numbers[name][2 * layer.hidden_size :] = 0
    other = copy.deepcopy(layer)
    other.load_state_dict(numbers)
    return other


def given(state: tuple[Array, ...]) -> Any:
    """A state as our layers take it."""
    return state if len(state) > 1 else state[0]


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Array]]:
    """Every array as NumPy's, and the way to it."""
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from leaves(tree[key], f"{path}/{key}")
    elif isinstance(tree, (list, tuple)):
        for n, branch in enumerate(tree):
            yield from leaves(branch, f"{path}/{n}")
    else:
        yield path, np.asarray(tree)


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The tree of what a function makes of each array."""
    if isinstance(tree, dict):
        return {key: mapped(function, branch) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(mapped(function, branch) for branch in tree)  # a pair stays a tuple
    return function(tree)


def replaced(tree: Tree, path: str, array: Array) -> Tree:
    """The same tree with another array in this place."""
    found = iter([array if name == path else other for name, other in leaves(tree)])
    by_path = {name: next(found) for name, _ in leaves(tree)}

    def walk(branch: Tree, way: str) -> Tree:
        if isinstance(branch, dict):
            return {key: walk(branch[key], f"{way}/{key}") for key in branch}
        if isinstance(branch, (list, tuple)):
            return type(branch)(walk(other, f"{way}/{n}") for n, other in enumerate(branch))
        return by_path[way]

    return walk(tree, "")


def randomised(tree: Tree, dtype: str = "float64", seed: int = 6) -> Tree:
    """A tree of the same shapes with random numbers: no bias is 0, none is like another."""
    rng = np.random.default_rng(seed)
    return mapped(lambda array: np.asarray(rng.standard_normal(np.shape(array)), dtype), tree)


def assert_same_arrays(actual: Tree, expected: Tree, same_bits: bool = True) -> None:
    mine, others = dict(leaves(actual)), dict(leaves(expected))
    assert list(mine) == list(others)
    for path, array in others.items():
        assert mine[path].dtype == array.dtype, path
        assert mine[path].shape == array.shape, path
        if same_bits:
            assert mine[path].tobytes() == array.tobytes(), path
        else:
            close(mine[path], array, path)


def close(mine: Any, other: Any, what: str, size: float = 1.0) -> None:
    """Compare within `BOUNDS`; `size`: that of what was summed."""
    mine, other = np.asarray(mine), np.asarray(other)
    assert mine.shape == other.shape, what
    assert mine.dtype == other.dtype, what
    bound = BOUNDS[mine.dtype.name] * max(size, float(np.abs(other).max(initial=0)))
    assert float(np.abs(mine - other).max(initial=0)) <= bound, what
