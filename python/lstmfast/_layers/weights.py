"""Weights of any convention as our parameters, and back: what `from_weights` and `to_weights` do."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._base import checks, kinds
from .._base.checks import AnyArray, Array
from .._base.conventions import choosing, holding, table, walking
from .._base.conventions.convention import Convention
from .._base.conventions.formats import FORMATS
from .._base.conventions.forms import Form, Sizes
from .._base.kinds import Kind
from .._base.layer import Layer
from .._base.parameters import PEEPHOLES, Layout

# What arrays say, so that nobody needs to, or what they cannot be.
_SAID = ("input_size", "hidden_size", "num_layers", "bias", "bidirectional", "proj_size", "peephole")
_NOT_FOR_WEIGHTS = ("coupled", "seed", "init")
_STATES = ("h_0", "c_0")


class _Read(NamedTuple):
    """A layer's parameters in one direction, without layer and direction in their names."""

    called: str
    form: Form
    sizes: Sizes
    parameters: dict[str, AnyArray]


def read(
    kind: Kind,
    arrays: object,
    convention: object,
    prefix: str,
    rest: MutableMapping[str, Any] | None,
    options: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Read arrays: the arguments that make a layer like theirs, and its parameters by name."""
    row = table.row(convention)
    unsaid = ("dtype", "reset_after", "nonlinearity")
    options = {name: value for name, value in options.items() if value is not None or name not in unsaid}
    forms = _forms(row, kind, options.pop("forget_bias", None), options.get("reset_after"))
    more: dict[str, Any] = {}
    if row.file:
        split, more = FORMATS[row.file].read(arrays, kind.name, options)
    else:
        split = holding.split(arrays, row, forms, prefix)
    for name in (*_SAID, *_NOT_FOR_WEIGHTS):
        if name in options:
            why = "which the arrays say" if name in _SAID else "which weights do not go with"
            raise TypeError(f"{name}: expected no such argument, {why}, got {checks.shown(options[name])}")
    layers = [[_read(*each, row, forms, kind) for each in passes] for passes in split]
    first = layers[0][0]
    _expect_alike(layers)
    dtypes = {array.dtype for passes in layers for each in passes for array in each.parameters.values()}
    config: dict[str, Any] = {
        "input_size": first.sizes.I,
        "hidden_size": first.sizes.H,
        "num_layers": len(layers),
        "bias": "bias_ih" in first.parameters,
        "bidirectional": len(layers[0]) == 2,
        "dtype": "float64" if dtypes == {checks.FLOAT64} else "float32",
    }
    if kind is kinds.RNN:
        config["nonlinearity"] = row.nonlinearity
    if first.sizes.P:
        config["proj_size"] = first.sizes.P
    if PEEPHOLES in first.parameters:
        config["peephole"] = True
    if kind is kinds.GRU and not first.form.reset_after:
        config["reset_after"] = False
    _keep_states(layers, rest)
    _keep(more, rest)
    parameters = {
        f"{name}_l{k}{holding.WAYS[d]}": array
        for k, passes in enumerate(layers)
        for d, each in enumerate(passes)
        for name, array in each.parameters.items()
        if name not in _STATES
    }
    return config | options, parameters


def write(
    layer: Layer,
    convention: object,
    prefix: str,
    rest: Mapping[str, Any] | None,
    forget_bias: float | None,
) -> Any:  # noqa: ANN401 - whatever the convention has
    """Turn a layer's parameters into arrays."""
    return _write(layer, layer._parameters, convention, prefix, rest, forget_bias, gradients=False)


def gradients(
    layer: Layer,
    parameters: Mapping[str, Array],
    convention: object,
    prefix: str = "",
    forget_bias: float | None = None,
) -> Any:  # noqa: ANN401 - whatever the convention has
    """Turn gradients by a layer's parameters into those by the arrays that `write` makes of these."""
    return _write(layer, parameters, convention, prefix, None, forget_bias, gradients=True)


def _write(
    layer: Layer,
    parameters: Mapping[str, Array],
    convention: object,
    prefix: str,
    rest: Mapping[str, Any] | None,
    forget_bias: float | None,
    *,
    gradients: bool,
) -> Any:  # noqa: ANN401 - whatever the convention has
    row, variant, kind = table.row(convention), layer._variant, layer._KIND
    if variant.coupled:
        raise ValueError(
            f"to_weights: expected a layer with all gates for {row.name!r}, got one with coupled ones"
        )
    forms = _forms(row, kind, forget_bias, variant.reset_after if kind is kinds.GRU else None)
    failure: ValueError | None = None
    for form in _able(forms, layer._layout, row):
        try:
            layers = _written(layer, parameters, form, row, rest, gradients)
        except ValueError as error:  # of a bias, say, for which another form of the row may have room
            failure = failure or error
            continue
        if row.file:
            return FORMATS[row.file].written(layers, kind.name, rest or {})
        return holding.merged(layers, row, prefix)
    assert failure is not None
    raise failure


def _written(
    layer: Layer,
    parameters: Mapping[str, Array],
    form: Form,
    row: Convention,
    rest: Mapping[str, Any] | None,
    gradients: bool,
) -> list[list[dict[str, AnyArray]]]:
    """Turn the parameters of each layer and direction into arrays of a form."""
    layout, kind = layer._layout, layer._KIND
    layers = []
    for k in range(layout.num_layers):
        sizes = Sizes(layout.input_size if k == 0 else layout.features, layout.hidden_size, layout.proj_size)
        passes = []
        for d, way in enumerate(holding.WAYS[: layout.directions]):
            end = f"_l{k}{way}"
            own = {name[: -len(end)]: array for name, array in parameters.items() if name.endswith(end)}
            own |= _states(rest, k * layout.directions + d, form, layout)
            try:
                theirs = walking.written(own, form, kind.name, sizes, gradients=gradients)
            except ValueError as error:
                raise ValueError(
                    f"to_weights: layer {k}{way} has no form for {row.name!r}: {error}"
                ) from None
            passes.append({name: np.ascontiguousarray(array).copy() for name, array in theirs.items()})
        layers.append(passes)
    return layers


def _forms(row: Convention, kind: Kind, forget_bias: object, reset_after: object) -> tuple[Form, ...]:
    forms = table.forms(row, kind.name)
    if forget_bias is not None:
        if kind is not kinds.LSTM or not row.option:
            raise TypeError(
                f"forget_bias: expected none for {kind.name} of {row.name!r}, whose cell takes none"
            )
        number = checks.real(forget_bias, "forget_bias", "a number")
        forms = tuple(form.adding(number) for form in forms)
    if reset_after is not None and kind is kinds.GRU:
        wanted = checks.flag(reset_after, "reset_after")
        able = tuple(form for form in forms if form.reset_after == wanted)
        if not able:
            raise ValueError(
                f"reset_after: expected {not wanted}, which is how {row.name!r} has it, got {wanted}"
            )
        forms = able
    return forms


def _read(
    called: str, arrays: dict[str, AnyArray], row: Convention, forms: Sequence[Form], kind: Kind
) -> _Read:
    form, sizes = choosing.fitted(arrays, forms, called, row.name)
    wide = all(array.dtype == checks.FLOAT64 for array in arrays.values())
    dtype = checks.FLOAT64 if wide else checks.FLOAT32
    converted = {name: checks.converted(array, dtype) for name, array in arrays.items()}
    return _Read(called, form, sizes, walking.read(converted, form, kind.name, sizes))


def _expect_alike(layers: Sequence[Sequence[_Read]]) -> None:
    """Check that layers and directions fit each other."""
    first = layers[0][0]
    features = len(layers[0]) * first.sizes.S
    for k, passes in enumerate(layers):
        if len(passes) != len(layers[0]):
            raise ValueError(
                f"{passes[0].called}: expected as many directions as the first layer has,"
                f" {len(layers[0])}, got {len(passes)}"
            )
        expected = Sizes(first.sizes.I if k == 0 else features, first.sizes.H, first.sizes.P)
        for each in passes:
            if each.sizes != expected:
                raise ValueError(
                    f"{each.called}: expected a layer of {_sizes(expected)}, got one of {_sizes(each.sizes)}"
                )
            if (each.parameters.keys(), each.form.reset_after) != (
                first.parameters.keys(),
                first.form.reset_after,
            ):
                raise ValueError(
                    f"{each.called}: expected a layer that is made of the same as the first,"
                    f" {', '.join(first.parameters)}, got one of {', '.join(each.parameters)}"
                )


def _sizes(sizes: Sizes) -> str:
    projected = f" projected to {sizes.P}" if sizes.P else ""
    return f"{sizes.I} inputs and {sizes.H} units{projected}"


def _keep_states(layers: Sequence[Sequence[_Read]], rest: MutableMapping[str, Any] | None) -> None:
    """Hand over initial states, which a layer has not."""
    for name in _STATES:
        found = [each.parameters[name] for passes in layers for each in passes if name in each.parameters]
        if not found:
            continue
        if rest is not None:
            rest[name] = np.stack(found)
        elif any(array.any() for array in found):
            raise ValueError(
                f"rest: expected a dict, for the arrays have an initial state {name}, which a layer"
                " does not keep, got None"
            )


def _keep(more: Mapping[str, Any], rest: MutableMapping[str, Any] | None) -> None:
    """Hand over other parts of a file."""
    if more and rest is None:
        raise ValueError(
            f"rest: expected a dict, for the file has more than a layer keeps, {', '.join(more)}, got None"
        )
    if rest is not None:
        rest.update(more)


def _states(rest: Mapping[str, Any] | None, place: int, form: Form, layout: Layout) -> dict[str, AnyArray]:
    states = {}
    for name, of in zip(_STATES, ("h0", "c0"), strict=True):
        if rest is not None and name in rest and of in form.parts:
            size = layout.output_size if name == "h_0" else layout.hidden_size
            depth = layout.num_layers * layout.directions
            whole = checks.real_array(rest[name], f"rest[{name!r}]")
            if whole.shape != (depth, size):
                raise ValueError(
                    f"rest[{name!r}]: expected shape {(depth, size)} [L*D, H], got {whole.shape}"
                )
            states[name] = whole[place]
    return states


def _able(forms: Sequence[Form], layout: Layout, row: Convention) -> list[Form]:
    """Find the forms that can say all that the layer has, and leave out what they need not say."""
    needed = {"p": layout.peepholes > 0, "r": layout.proj_size > 0, "b": layout.bias}
    words = {"p": "peepholes", "r": "a projection", "b": "biases"}
    able = []
    lacking = ""
    for form in forms:
        lacks = [words[of] for of, wanted in needed.items() if wanted and of not in form.parts]
        if lacks:
            lacking = lacking or " and ".join(lacks)
            continue
        if not layout.bias and not form.forget_offset:
            form = form.without("b", "bh")
        for of in ("p", "r"):
            if not needed[of]:
                form = form.without(of)
        able.append(form)
    if not able:
        raise ValueError(
            f"to_weights: expected a layer without {lacking} for {row.name!r}, which has none, got one with"
            " them"
        )
    return able
