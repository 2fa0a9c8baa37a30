"""Layers from weight files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._base import checks, kinds
from .format import DTYPES, ENTRY, FORMAT, safetensors_module
from .saved import Saved


def load(path: object) -> Saved:
    """Read a layer of whichever class the file names; see `lstmfast.load`."""
    text = checks.path(path)
    module = safetensors_module()
    with open(text, "rb"):  # so that a file that cannot be opened is the usual OSError
        pass
    try:
        with module.safe_open(text, framework="numpy") as file:
            return _read(file)
    except module.SafetensorError as error:
        raise ValueError(f"{text}: expected a whole safetensors file: {error}") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{text}: {error}") from error


def _read(file: Any) -> Saved:  # noqa: ANN401 - safetensors.safe_open, which has no types
    """Build the layer from an open file; its sizes are believed only when the tensors bear them out."""
    cls, config = _description(file.metadata())
    layer = cls.__new__(cls)
    layer._configure(config, None)

    stored = layer._stored(file.keys(), "tensors")
    for name, (shape, dtype) in stored.items():
        tensor = file.get_slice(name)
        actual = tuple(tensor.get_shape())
        came = DTYPES.get(tensor.get_dtype(), tensor.get_dtype())
        if actual != shape or came != dtype.name:
            raise ValueError(f"{name}: expected {dtype.name} {shape}, got {came} {actual}")
    layer._restore({name: file.get_tensor(name) for name in stored}, "tensors")
    return layer


def _description(metadata: Mapping[str, str] | None) -> tuple[type[Saved], dict[str, Any]]:
    """Class and configuration from the file's metadata, checked but for the configuration's values."""
    if not metadata or ENTRY not in metadata:
        raise ValueError(
            f"expected metadata with lstmfast's entry {ENTRY!r}, got {sorted(metadata or ())};"
            " tensors of other origin can be read with safetensors and given to load_state_dict"
        )
    try:
        description = json.loads(metadata[ENTRY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata {ENTRY!r}: expected JSON: {error}") from error
    if not isinstance(description, dict) or "format" not in description:
        got = checks.shown(description)
        raise ValueError(f"metadata {ENTRY!r}: expected a JSON object with an entry 'format', got {got}")
    version = description["format"]
    if isinstance(version, bool) or version != FORMAT:
        got = checks.shown(version)
        raise ValueError(f"format: expected {FORMAT}, got {got}; a later lstmfast may read it")
    name = checks.choice(description.get("class"), "class", kinds.class_names())
    cls: type[Saved] = kinds.class_named(name)
    return cls, cls._expected_config(description.get("config"))
