"""The three calls as primitives of JAX's: how each is batched, differentiated and compiled.

`jax.custom_vjp` alone would not do. Under `vmap` its backward pass has to return one gradient of the weights
for each mapped element, which JAX then adds up, though one call over all rows would have made the sum; and a
rule of its own cannot tell whether they are to be added up. A primitive is batched before it is
differentiated where `grad` is outside `vmap`, so that rows are folded first; where `vmap` is outside `grad`,
the calls that it sees are those of the forward and the backward pass, and each mapped element gets its own
gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import _targets
from ._spec import CUTS, Spec

# What comes out of a backward pass: x's gradient, the state's, and of each weight whether its own is there.
Wanted = tuple[bool, bool, tuple[bool, ...]]


def infer(spec: Spec, *arrays: Any) -> list[Any]:
    """Run all steps: y, h_n and, of a cell with memory, c_n; and c, where it is returned. Differentiable."""
    found: list[Any] = _infer_p.bind(*arrays, spec=spec)
    return found


def forward(spec: Spec, *arrays: Any) -> list[Any]:
    """Do the same and leave a tape, the last of the results."""
    found: list[Any] = _forward_p.bind(*arrays, spec=spec)
    return found


def backward(spec: Spec, given: tuple[str, ...], wanted: Wanted, *arrays: Any) -> list[Any]:
    """Return what is wanted of dx, dh0, dc0 and the gradients of the weights.

    arrays: x, y, the tape, what there is of CUTS, weights, and those of `given`: dy, dh_n, dc_n, dc.
    """
    found: list[Any] = _backward_p.bind(*arrays, spec=spec, given=given, wanted=wanted)
    return found


# As calls of XLA's.


def _with_samples(spec: Spec, shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [(spec.samples, *shape) if spec.samples >= 0 else shape for shape in shapes]


def _wanted(spec: Spec) -> tuple[str, ...]:
    return ("c",) if spec.returns_c else ()


def _infer(*arrays: Any, spec: Spec) -> list[Any]:
    x = arrays[0]
    if "dropped" in spec.given:  # which training has
        return _forward(*arrays, spec=spec)[:-1]
    shapes = _with_samples(spec, spec.result_shapes(x.shape))
    return _targets.call("lstmfast_infer", x, shapes, arrays, spec.attributes(spec.given, _wanted(spec)))


def _forward(*arrays: Any, spec: Spec) -> list[Any]:
    x = arrays[0]
    shapes = [*spec.result_shapes(x.shape), (spec.tape_numbers(x.shape, x.dtype),)]
    return _targets.call(
        "lstmfast_forward", x, _with_samples(spec, shapes), arrays, spec.attributes(spec.given, _wanted(spec))
    )


def _backward(*arrays: Any, spec: Spec, given: tuple[str, ...], wanted: Wanted) -> list[Any]:
    x = arrays[0]
    wants_x, wants_state, wants_weights = wanted
    layout = spec.layout
    shapes = [x.shape[-3:]] if wants_x else []
    if wants_state:
        shapes += spec.result_shapes(x.shape)[1 : 2 + spec.has_memory]
    shapes += [shape for (_, shape, _), wants in zip(layout.shapes(), wants_weights, strict=True) if wants]
    names = tuple(name for name, wants in (("x", wants_x), ("state", wants_state)) if wants)
    signs = "".join("1" if wants else "0" for wants in wants_weights)
    cuts = tuple(name for name in spec.given if name in CUTS)
    attributes = spec.attributes((*cuts, *given), names, signs)
    return _targets.call("lstmfast_backward", x, _with_samples(spec, shapes), arrays, attributes)


# Batched.


def _fold(arrays: Sequence[Any], dims: Sequence[int | None], *, spec: Spec) -> tuple[list[Any], list[int]]:
    """Make a mapped axis one of rows, where weights are not mapped."""
    if spec.samples >= 0 or any(dim is not None for dim in dims[1 + len(spec.given) :]):
        return _sample(arrays, dims, bind=_infer_p.bind, ranks=spec.ranks(), spec=spec)
    size = _axis_size(arrays, dims)
    x = arrays[0]
    rows = [n for axis, n in enumerate(x.shape) if axis != dims[0]][0 if spec.batch_first else 1]
    inner = spec
    if rows == 1 and not spec.batch_first:
        # [N, T, 1, I] is [N, T, I] as it lies.
        inner, before = spec.with_rows_first(), {"x": 0}
    else:
        before = {"x": 0 if spec.batch_first else 1}
    before |= {"h0": 1, "c0": 1, "lengths": 0, "reset": 1, "dropped": 2}
    folded = []
    for array, dim, name in zip(arrays, dims, spec.names, strict=True):
        if name == "weight":
            folded.append(array)
            continue
        axis = before[name]
        moved = (
            jnp.broadcast_to(jnp.expand_dims(array, axis), (*array.shape[:axis], size, *array.shape[axis:]))
            if dim is None
            else jnp.moveaxis(array, dim, axis)
        )
        if name == "x" and inner is not spec:
            moved = moved[:, :, 0] if moved.shape[2] == 1 else moved
            folded.append(moved)
        else:
            shape = moved.shape
            folded.append(moved.reshape(*shape[:axis], size * rows, *shape[axis + 2 :]))
    unfolded, axes = [], []
    for n, found in enumerate(infer(inner, *folded)):
        is_state = 1 <= n <= 1 + spec.has_memory
        axis = 1 if is_state else before["x"]
        if inner is not spec and not is_state:
            unfolded.append(found[:, :, None])
        else:
            unfolded.append(found.reshape(*found.shape[:axis], size, rows, *found.shape[axis + 1 :]))
        axes.append(axis)
    return unfolded, axes


def _sample(
    arrays: Sequence[Any],
    dims: Sequence[int | None],
    *,
    bind: Callable[..., list[Any]],
    ranks: Sequence[int],
    spec: Spec,
    **params: Any,
) -> tuple[list[Any], list[int]]:
    """Make a mapped axis one of samples, which the handler runs one by one; weights may be mapped, too."""
    size = _axis_size(arrays, dims)
    inner = spec.samples  # an axis of samples that is there already
    samples = size if inner < 0 else size * inner
    taken = []
    for array, dim, rank in zip(arrays, dims, ranks, strict=True):
        moved = array if dim is None else jnp.moveaxis(array, dim, 0)
        has_inner = moved.ndim - (dim is not None) > rank
        if inner >= 0 and (dim is not None or has_inner):
            if dim is None:
                moved = jnp.broadcast_to(moved[None], (size, *moved.shape))
            elif not has_inner:
                moved = jnp.broadcast_to(moved[:, None], (size, inner, *moved.shape[1:]))
            moved = moved.reshape(samples, *moved.shape[2:])
        taken.append(moved)
    if taken[0].ndim == 3:  # whose leading axis says how many there are
        taken[0] = jnp.broadcast_to(taken[0][None], (samples, *taken[0].shape))
    found = bind(*taken, spec=spec.of_samples(samples), **params)
    if inner >= 0:
        found = [each.reshape(size, inner, *each.shape[1:]) for each in found]
    return list(found), [0] * len(found)


def _axis_size(arrays: Sequence[Any], dims: Sequence[int | None]) -> int:
    (size,) = {array.shape[dim] for array, dim in zip(arrays, dims, strict=True) if dim is not None}
    return int(size)


def _sample_forward(
    arrays: Sequence[Any], dims: Sequence[int | None], *, spec: Spec
) -> tuple[list[Any], list[int]]:
    return _sample(arrays, dims, bind=_forward_p.bind, ranks=spec.ranks(), spec=spec)


def _sample_backward(
    arrays: Sequence[Any], dims: Sequence[int | None], *, spec: Spec, given: tuple[str, ...], wanted: Wanted
) -> tuple[list[Any], list[int]]:
    ranks = dict(zip(spec.names, spec.ranks(), strict=True))
    cuts = [ranks[name] for name in spec.given if name in CUTS]
    weights = spec.ranks()[1 + len(spec.given) :]
    return _sample(
        arrays,
        dims,
        bind=_backward_p.bind,
        ranks=[3, 3, 1, *cuts, *weights, *(3 for _ in given)],
        spec=spec,
        given=given,
        wanted=wanted,
    )


# Differentiated.


def _differentiated(
    primals: Sequence[Any], tangents: Sequence[Any], *, spec: Spec
) -> tuple[list[Any], list[Any]]:
    """Leave it to a `jax.custom_vjp` of those arrays that have tangents."""
    which = tuple(type(tangent) is not ad.Zero for tangent in tangents)
    run = _with_gradients(spec, which)

    def of_perturbed(*perturbed: Any) -> list[Any]:
        values = iter(perturbed)
        found: list[Any] = run(
            *(
                next(values) if is_perturbed else primal
                for is_perturbed, primal in zip(which, primals, strict=True)
            )
        )
        return found

    def chosen(values: Sequence[Any]) -> list[Any]:
        return [value for is_perturbed, value in zip(which, values, strict=True) if is_perturbed]

    found: tuple[list[Any], list[Any]] = jax.jvp(of_perturbed, chosen(primals), chosen(tangents))
    return found


def _with_gradients(spec: Spec, which: tuple[bool, ...]) -> Callable[..., Any]:
    """Make the call with its backward pass, which computes gradients of those arrays alone."""
    states = [n for n, name in enumerate(spec.names) if name in ("h0", "c0")]
    first_weight = 1 + len(spec.given)
    wanted = (which[0], any(which[n] for n in states), which[first_weight:])

    def run(*arrays: Any) -> list[Any]:
        return infer(spec, *arrays)

    def run_forward(*arrays: Any) -> tuple[list[Any], Any]:
        values = [array.value for array in arrays]
        *results, tape = forward(spec, *values)
        kept = [value for value, name in zip(values, spec.names, strict=True) if name not in ("h0", "c0")]
        return results, (kept[0], results[0], tape, *kept[1:])

    def run_backward(kept: Any, cotangents: Sequence[Any]) -> tuple[Any, ...]:
        names = ("dy", "dh_n", "dc_n", "dc")[: len(cotangents)]
        arrays = {
            name: cotangent
            for name, cotangent in zip(names, cotangents, strict=True)
            if not isinstance(cotangent, jax.custom_derivatives.SymbolicZero)
        }
        found = iter(backward(spec, tuple(arrays), wanted, *kept, *arrays.values()))
        gradients: list[Any] = [None] * len(which)
        if wanted[0]:
            gradients[0] = next(found)
        if wanted[1]:
            of_state = dict(
                zip(("h0", "c0"), [next(found) for _ in range(1 + spec.has_memory)], strict=False)
            )
            for n in states:
                gradients[n] = of_state[spec.names[n]]
        for n in range(first_weight, len(which)):
            if which[n]:
                gradients[n] = next(found)
        return tuple(gradients)

    made: Any = jax.custom_vjp(run)
    made.defvjp(run_forward, run_backward, symbolic_zeros=True)
    differentiable: Callable[..., Any] = made
    return differentiable


def _refuse(*_: Any, **__: Any) -> Any:
    raise NotImplementedError(
        "lstmfast.jax: expected derivatives of the first order (jax.grad, jax.vjp), got a derivative of one"
    )


# Primitives.


def _primitive(
    name: str, run: Callable[..., list[Any]], batch: Callable[..., Any], params: tuple[str, ...] = ("spec",)
) -> Primitive:
    made = Primitive(name)
    made.multiple_results = True
    made.def_impl(jax.jit(made.bind, static_argnames=params))

    def abstract(*avals: Any, **params: Any) -> list[Any]:
        # Not made by hand: along which axes of a mesh results vary is said otherwise by each version of JAX.
        found: list[Any] = jax.make_jaxpr(partial(run, **params))(*avals).out_avals
        return found

    made.def_abstract_eval(abstract)
    batching.primitive_batchers[made] = batch
    mlir.register_lowering(made, mlir.lower_fun(run, multiple_results=True), platform="cpu")
    mlir.register_lowering(made, _refuse_platform)
    return made


def _refuse_platform(context: Any, *_: Any, **__: Any) -> Any:
    platforms = ", ".join(context.module_context.platforms)
    raise NotImplementedError(
        f"lstmfast.jax: expected the platform cpu, got {platforms}; see jax.default_device"
    )


_infer_p = _primitive("lstmfast_infer", _infer, _fold)
_forward_p = _primitive("lstmfast_forward", _forward, _sample_forward)
_backward_p = _primitive("lstmfast_backward", _backward, _sample_backward, ("spec", "given", "wanted"))
ad.primitive_jvps[_infer_p] = _differentiated
ad.primitive_jvps[_forward_p] = _refuse
ad.primitive_jvps[_backward_p] = _refuse
