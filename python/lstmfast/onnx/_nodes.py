"""LSTM, GRU and RNN nodes as configurations and weights of ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base import kinds
from .._base.checks import FLOAT32, FLOAT64, AnyArray
from .._base.conventions.orders import ONNX
from .._base.kinds import Kind
from .._base.parameters import PEEPHOLES
from .._files import onnx_activations
from .._files.onnx_package import package
from ._constants import Constants
from ._models import is_quantized
from ._scopes import Place, Scope

WAYS = ("", "_reverse")
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
REQUIRED = ("W", "R")
OPTIONAL = ("B", "P")
_ATTRIBUTES = {
    "activation_alpha": "FLOATS",
    "activation_beta": "FLOATS",
    "activations": "STRINGS",
    "clip": "FLOAT",
    "direction": "STRING",
    "hidden_size": "INT",
    "input_forget": "INT",
    "layout": "INT",
    "linear_before_reset": "INT",
}


def kind_of(node: Any) -> Kind:
    """Find the kind of a node that `is_recurrent`."""
    return kinds.LSTM if is_quantized(node) else kinds.BY_NAME[node.op_type]


def attributes(node: Any) -> dict[str, Any]:
    """Return a node's attributes, strings as such."""
    onnx = package("lstmfast.onnx")
    found = {}
    for each in node.attribute:
        wanted = _ATTRIBUTES.get(each.name)
        if wanted is not None and each.type != getattr(onnx.AttributeProto, wanted):
            raise ValueError(f"expected the attribute {each.name} of type {wanted}")
        found[each.name] = _text(onnx.helper.get_attribute_value(each))
    return found


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value


def named_inputs(node: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Return what a node's inputs are called, by the operator's names; nothing for those it has not."""
    return {name: given for name, given in zip(names, node.input, strict=False) if given}


def weights(
    scope: Scope, given: dict[str, str], constants: Constants, names: tuple[str, ...]
) -> dict[str, AnyArray]:
    """Find the values of a node's weights; those that only become known when the model runs are an error."""
    found = {}
    for name in names:
        if name not in given:
            continue
        try:
            found[name] = constants.value(scope, given[name])
        except ValueError as error:
            raise ValueError(f"expected {name} to be a constant, but {error}") from error
    for name in REQUIRED:
        if name not in found:
            raise ValueError(f"expected {name}, got none")
    return found


def configuration(
    kind: Kind, options: dict[str, Any], sizes: tuple[int, int], dtype: np.dtype[Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Turn attributes, and which weights there are, into a configuration. sizes: of input and state."""
    direction = options.get("direction", "forward")
    if direction not in {"forward", "reverse", "bidirectional"}:
        raise ValueError(f"expected direction forward, reverse or bidirectional, got {direction!r}")
    if options.get("layout", 0) not in {0, 1}:
        raise ValueError(f"expected layout 0 or 1, got {options['layout']}")
    config: dict[str, Any] = {
        **kind.defaults,
        "input_size": sizes[0],
        "hidden_size": sizes[1],
        "bias": "B" in given,
        "batch_first": options.get("layout", 0) == 1,
        "bidirectional": direction == "bidirectional",
        "direction": "reverse" if direction == "reverse" else "forward",
        "dtype": dtype.name,
        "clip": None if options.get("clip") is None else _number(options["clip"], dtype),
        "activations": _activations(kind, options, 2 if direction == "bidirectional" else 1, dtype),
    }
    if kind is kinds.LSTM:
        config |= {"peephole": "P" in given, "coupled": options.get("input_forget", 0) != 0}
    if kind is kinds.RNN and _names(config["activations"]) == ["relu"]:
        config |= {"nonlinearity": "relu", "activations": None}
    if kind is kinds.GRU:
        config["reset_after"] = options.get("linear_before_reset", 0) != 0
    return config


def _activations(kind: Kind, options: dict[str, Any], directions: int, dtype: np.dtype[Any]) -> Any:
    names = options.get("activations")
    if not names:
        return None
    count = len(kind.activations)
    if kind is kinds.RNN and len(names) > count * directions:
        names = names[: count * directions]  # the operator's default is two, for one direction as well
    if len(names) != count * directions:
        raise ValueError(f"expected {count * directions} activations, got {len(names)}: {names}")
    numbers = [options.get(f"activation_{name}") or () for name in ("alpha", "beta")]
    functions = [
        (name, *(_number(value, dtype) for value in values))
        for name, values in onnx_activations.dealt(names, *numbers)
    ]
    if functions != functions[:count] * directions:
        raise ValueError(f"expected the same activations in both directions, got {functions}")
    return functions[:count]


def _names(functions: Any) -> list[str]:
    return [name.lower() for name, *_ in functions or ()]


def _number(value: float, dtype: np.dtype[Any]) -> float:
    """Read an attribute, a float32: as whoever wrote it did, if a layer will round it to that again."""
    return float(value) if dtype == FLOAT64 else float(str(np.float32(value)))


def plain(place: Place, constants: Constants) -> tuple[dict[str, Any], dict[str, AnyArray], tuple[int, ...]]:
    """Read a node: configuration, parameters by our names, and which arrays they were made of."""
    node, kind = place.node, kind_of(place.node)
    options = attributes(node)
    given = named_inputs(node, INPUTS)
    found = weights(place.scope, given, constants, (*REQUIRED, *OPTIONAL))
    dtype = _dtype(found)
    D, I, H = check_shapes(kind, options, found)
    config = configuration(kind, options, (I, H), dtype, given)
    coupled = config.get("coupled", False)
    made_of = tuple(id(array) for array in found.values())
    found = {name: array.astype(dtype) for name, array in found.items()}
    parameters = {}
    for d, way in enumerate(WAYS[:D]):
        parameters[f"weight_ih_l0{way}"] = ONNX.read(found["W"][d], kind, coupled)
        parameters[f"weight_hh_l0{way}"] = ONNX.read(found["R"][d], kind, coupled)
        parameters |= vectors(kind, found, d, coupled)
    return config, parameters, made_of


def vectors(kind: Kind, found: dict[str, AnyArray], d: int, coupled: bool) -> dict[str, AnyArray]:
    """Return the biases and peepholes of a direction, by our names."""
    parameters = {}
    if "B" in found:
        for name, half in zip(("bias_ih", "bias_hh"), np.split(found["B"][d], 2), strict=True):
            parameters[f"{name}_l0{WAYS[d]}"] = ONNX.read(half, kind, coupled)
    if "P" in found:
        parameters[f"{PEEPHOLES}_l0{WAYS[d]}"] = ONNX.read_peepholes(found["P"][d], coupled)
    return parameters


def check_shapes(
    kind: Kind, options: dict[str, Any], found: dict[str, AnyArray], inputs_first: bool = False
) -> tuple[int, int, int]:
    """Check the shapes of W, R, B and P against each other; return D, I and H.

    inputs_first: whether W is [D, I, G*H] and not [D, G*H, I], and R likewise.
    """
    for name in REQUIRED:
        if found[name].ndim != 3:
            raise ValueError(f"expected {name} with three axes, got shape {found[name].shape}")
    I, H = (found[name].shape[1 if inputs_first else 2] for name in REQUIRED)
    H = int(options.get("hidden_size", H))  # which may be left out
    D, rows = 2 if options.get("direction") == "bidirectional" else 1, kind.gates * H
    shapes: dict[str, tuple[int, ...]] = {"W": (D, rows, I), "R": (D, rows, H)}
    if inputs_first:
        shapes = {"W": (D, I, rows), "R": (D, H, rows)}
    shapes |= {"B": (D, 2 * rows), "P": (D, 3 * H)}
    for name, shape in shapes.items():
        if name in found and (found[name].shape != shape or 0 in shape):
            raise ValueError(
                f"expected {name} of shape {shape}, for {D} directions, {kind.gates} gates, {I} inputs and"
                f" {H} units, got {found[name].shape}"
            )
    return D, I, H


def _dtype(found: dict[str, AnyArray]) -> np.dtype[Any]:
    """Find the dtype of a layer of these weights: 16-bit ones are widened, which is exact."""
    names = {array.dtype.name for array in found.values()}
    if len(names) != 1 or not names <= {"float16", "bfloat16", "float32", "float64"}:
        raise ValueError(f"expected weights of one kind of floats, got {', '.join(sorted(names))}")
    return FLOAT64 if names == {"float64"} else FLOAT32
