"""JAX's transformations: each gives what the call itself, or many of them, would."""

from __future__ import annotations

import sys
from functools import partial
from subprocess import run as run_process
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import make, random

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax import export  # noqa: E402

import lstmfast.jax  # noqa: E402

from .helpers import CUTS, B, H, I, P, T, close, function_of, loss_of, params_of  # noqa: E402

N = 4  # mapped elements
MODEL = lstmfast.LSTM(I, H, seed=0)
PARAMS = params_of(MODEL)
X = random((T, B, I), seed=1)
XS = random((N, T, B, I), seed=2)
LOSS = loss_of(lstmfast.jax.lstm)


def same(actual: Any, expected: Any) -> None:
    close(actual, expected, bound=0)


def several(params: Any) -> Any:
    """As many different weights as there are mapped elements."""
    return jax.tree.map(lambda array: jnp.stack([array * (1 + 0.1 * n) for n in range(N)]), params)


def stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


# vmap.


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("rows", [None, 1, B])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_vmap_over_x(kind: str, batch_first: bool, rows: int | None, axis: int) -> None:
    model = make(kind, I, H, bidirectional=True, batch_first=batch_first)
    run, params = function_of(model), params_of(model)
    axes = (T,) if rows is None else (rows, T) if batch_first else (T, rows)
    xs = jnp.asarray(random((N, *axes, I)))
    expected = stacked([run(x, params) for x in xs])
    mapped = jax.vmap(lambda x: run(x, params), in_axes=axis)
    for each in (mapped, jax.jit(mapped)):
        same(each(jnp.moveaxis(xs, 0, axis)), expected)


def test_vmap_is_one_call_of_all_rows() -> None:
    """And so is its gradient, where grad is outside."""
    per_element = partial(jax.vmap(LOSS, (None, 0)), PARAMS)
    text = str(jax.make_jaxpr(per_element)(XS))
    assert text.count("lstmfast_infer") == 1
    assert "samples=-1" in text
    assert "scan" not in text
    text = str(jax.make_jaxpr(jax.grad(lambda params: jax.vmap(LOSS, (None, 0))(params, XS).sum()))(PARAMS))
    assert (text.count("lstmfast_forward"), text.count("lstmfast_backward")) == (1, 1)
    assert "samples=4" not in text


@pytest.mark.parametrize("mapped", [("x",), ("state",), ("cuts",), ("x", "state"), ("x", "state", "cuts")])
@pytest.mark.parametrize("weights", [False, True])
def test_vmap_over_some(mapped: tuple[str, ...], weights: bool) -> None:
    state = random((N, 1, B, H), seed=3), random((N, 1, B, H), seed=4)
    cuts = {
        "lengths": np.random.default_rng(0).integers(0, T + 1, (N, B)),
        "reset": random((N, T, B), seed=5) > 0.5,
        "mask": random((N, T, B), seed=6) > 0,
    }
    arguments = {"x": XS, "state": state, "cuts": cuts, "params": several(PARAMS)}
    mapped = (*mapped, "params") if weights else mapped

    def each(n: int, name: str) -> Any:
        return jax.tree.map(lambda array: array[n], arguments[name])

    def run(x: Any, state: Any, cuts: Any, params: Any) -> Any:
        return lstmfast.jax.lstm(x, params, state, **cuts)

    def gradient(*given: Any) -> Any:
        return jax.grad(lambda x, state, params: LOSS(params, x, state, **given[2]), (0, 1, 2))(
            given[0], given[1], given[3]
        )

    given = [arguments[name] if name in mapped else each(0, name) for name in arguments]
    in_axes = [0 if name in mapped else None for name in arguments]
    for function, bound in ((run, 0.0), (gradient, 0.0)):
        expected = stacked(
            [function(*(each(n if name in mapped else 0, name) for name in arguments)) for n in range(N)]
        )
        close(jax.jit(jax.vmap(function, in_axes))(*given), expected, bound)


def test_gradients_for_each_mapped_element() -> None:
    """Those of one are of that one alone, though weights are not mapped."""
    expected = stacked([jax.grad(LOSS)(PARAMS, x) for x in XS])
    mapped = jax.vmap(jax.grad(LOSS), (None, 0))
    same(mapped(PARAMS, XS), expected)
    same(jax.jit(mapped)(PARAMS, XS), expected)
    assert abs(expected["weight_hh_l0"][0] - expected["weight_hh_l0"][1]).max() > 0.01


def test_gradient_of_a_mapped_sum() -> None:
    expected = jax.tree.map(lambda array: array.sum(0), stacked([jax.grad(LOSS)(PARAMS, x) for x in XS]))
    close(jax.jit(jax.grad(lambda params: jax.vmap(LOSS, (None, 0))(params, XS).sum()))(PARAMS), expected)


def test_gradients_of_mapped_weights() -> None:
    params = several(PARAMS)
    expected = stacked([jax.grad(LOSS)(jax.tree.map(lambda a, n=n: a[n], params), X) for n in range(N)])
    same(jax.jit(jax.vmap(jax.grad(LOSS), (0, None)))(params, X), expected)
    same(jax.jit(jax.grad(lambda params: jax.vmap(LOSS, (0, None))(params, X).sum()))(params), expected)


@pytest.mark.parametrize("outer", ["weights", "x"])
def test_nested_vmap(outer: str) -> None:
    twice = jnp.stack([XS, XS[::-1] * 0.5])
    params = jax.tree.map(lambda array: array[:2], several(PARAMS)) if outer == "weights" else PARAMS
    weights_axis = 0 if outer == "weights" else None

    def of(m: int) -> Any:
        return jax.tree.map(lambda array: array[m], params) if outer == "weights" else params

    for function in (lambda params, x: lstmfast.jax.lstm(x, params), jax.grad(LOSS)):
        mapped = jax.vmap(jax.vmap(function, (None, 0)), (weights_axis, 0))
        expected = stacked([stacked([function(of(m), x) for x in twice[m]]) for m in range(2)])
        same(jax.jit(mapped)(params, twice), expected)


def test_vmap_with_dropout_and_a_key_each() -> None:
    model = lstmfast.LSTM(I, H, 2, seed=0)
    keys = jax.random.split(jax.random.key(0), N)

    def of_key(key: Any, x: Any) -> Any:
        return jax.grad(lambda params: LOSS(params, x, dropout=0.5, key=key))(params_of(model))

    same(jax.jit(jax.vmap(of_key))(keys, XS), stacked([of_key(k, x) for k, x in zip(keys, XS, strict=True)]))


# Loops, memory, and programs that travel.


def test_scan_over_single_steps() -> None:
    def run(params: Any, x: Any, state: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            y, state = lstmfast.jax.lstm(x[None], params, state)
            return state, y[0]

        end, y = jax.lax.scan(step, state, x)
        return y, end

    zeros = (jnp.zeros((1, B, H)),) * 2
    same(jax.jit(run)(PARAMS, X, zeros), lstmfast.jax.lstm(X, PARAMS))
    expected = jax.grad(LOSS, (0, 1, 2))(PARAMS, X, zeros)
    found = jax.jit(jax.grad(lambda *given: LOSS(*given), (0, 1, 2)))(PARAMS, X, zeros)
    same(found, expected)

    def loss(params: Any, x: Any, state: Any) -> Any:
        y, end = run(params, x, state)
        return jnp.sin(y).sum() + sum(jnp.cos(half).sum() for half in end)

    close(jax.jit(jax.grad(loss, (0, 1, 2)))(PARAMS, X, zeros), expected)


def test_scan_over_sequences() -> None:
    """Truncated backpropagation in one compiled loop: gradients go on through the states."""

    def loss(params: Any, xs: Any) -> Any:
        def piece(state: Any, x: Any) -> Any:
            y, state = lstmfast.jax.lstm(x, params, state)
            return state, jnp.sin(y).sum()

        return jax.lax.scan(piece, (jnp.zeros((1, B, H)),) * 2, xs)[1].sum()

    def whole(params: Any, xs: Any) -> Any:
        return jnp.sin(lstmfast.jax.lstm(xs.reshape(N * T, B, I), params)[0]).sum()

    close(jax.jit(jax.grad(loss, (0, 1)))(PARAMS, XS), jax.grad(whole, (0, 1))(PARAMS, jnp.asarray(XS)))


def test_checkpoint() -> None:
    """The forward pass is run again, with the same bits, and no tape is kept in between."""
    expected = jax.grad(LOSS, (0, 1))(PARAMS, X)
    same(jax.jit(jax.grad(jax.checkpoint(LOSS), (0, 1)))(PARAMS, X), expected)
    kept = jax.vjp(jax.checkpoint(LOSS), PARAMS, X)[1]
    most = max(array.size for array in jax.tree.leaves(kept) if hasattr(array, "size"))
    assert most < T * B * 5 * H


@pytest.mark.parametrize("symbolic", [False, True])
def test_export(symbolic: bool) -> None:
    """A program says all of its configuration itself; sizes of x may be left open, but for training."""
    pytest.importorskip("flatbuffers")
    shape = (*export.symbolic_shape("steps, rows"), I) if symbolic else X.shape
    checks = [
        export.DisabledSafetyCheck.custom_call(f"lstmfast_{name}")
        for name in ("infer", "forward", "backward")
    ]
    function = lstmfast.jax.lstm if symbolic else lambda x, params: jax.grad(LOSS)(params, x)
    made = export.export(jax.jit(function), disabled_checks=checks)(
        jax.ShapeDtypeStruct(shape, jnp.float32), PARAMS
    )
    loaded = export.deserialize(made.serialize())
    same(loaded.call(X, PARAMS), function(X, PARAMS))
    if symbolic:
        more = random((2 * T, B + 1, I))
        same(loaded.call(more, PARAMS), function(more, PARAMS))


def test_donated_arrays() -> None:
    state = (jnp.ones((1, B, H)), jnp.ones((1, B, H)))
    expected = lstmfast.jax.lstm(X, PARAMS, state)
    step = jax.jit(lstmfast.jax.lstm, donate_argnums=2)
    found = step(X, PARAMS, state)
    same(found, expected)
    assert state[0].is_deleted()
    same(step(X, PARAMS, found[1]), lstmfast.jax.lstm(X, PARAMS, expected[1]))


def test_shapes_without_numbers() -> None:
    found = jax.eval_shape(partial(lstmfast.jax.lstm, **CUTS), X, PARAMS)
    close(
        jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), found),
        jax.tree.map(jnp.zeros_like, found),
    )
    assert [half.shape for half in found[1]] == [(1, B, H)] * 2
    projected = params_of(lstmfast.LSTM(I, H, proj_size=P))
    assert jax.eval_shape(lstmfast.jax.lstm, X, projected)[0].shape == (T, B, P)


def test_other_platforms_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="expected the platform cpu, got cuda"):
        export.export(jax.jit(lstmfast.jax.lstm), platforms=["cuda"])(X, PARAMS)


SHARDED = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import lstmfast.jax
from tests.jax.helpers import close, loss_of
from tests.jax.test_transformations import PARAMS, random

X = random((6, 4, 5))
mesh = Mesh(np.array(jax.devices()), ("rows",))
assert mesh.size == 2
try:
    from jax import shard_map
except ImportError:  # which wants a rule of each primitive, and has no word for "the usual one"
    from functools import partial
    from jax.experimental.shard_map import shard_map
    shard_map = partial(shard_map, check_rep=False)
rows = P(None, "rows")
run = shard_map(
    lambda x, params: lstmfast.jax.lstm(x, params)[0], mesh=mesh, in_specs=(rows, P()), out_specs=rows
)
expected = lstmfast.jax.lstm(X, PARAMS)[0]
close(jax.jit(run)(X, PARAMS), expected, 0)
gradient = jax.grad(lambda params: jnp.sin(lstmfast.jax.lstm(X, params)[0]).sum())(PARAMS)
close(jax.jit(jax.grad(lambda params: jnp.sin(run(X, params)).sum()))(PARAMS), gradient)
# And of jit alone: XLA gathers what is spread over devices.
spread = jax.device_put(X, NamedSharding(mesh, rows))
close(jax.jit(lambda x: lstmfast.jax.lstm(x, PARAMS)[0])(spread), expected, 0)
"""


def test_shards() -> None:
    """On two devices, in a process that has two: gradients of weights that all share are added up."""
    found = run_process([sys.executable, "-c", SHARDED], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
