"""Weight files: safetensors, with the configuration as JSON in the file's metadata.

The metadata has one entry of ours, `lstmfast`, a JSON object: `format` (1), `class` (the layer's, as "LSTM"
or "QuantizedLSTM") and `config`, the constructor's arguments (and what else there is to know of quantized
layers); what makes a variant of a cell is there where it is not as usual. The tensors have the parameters'
names, shapes and dtypes. Format of the file:
https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from .._base import checks
from .._base.checks import AnyArray
from . import writing

FORMAT = 1
ENTRY = "lstmfast"
# safetensors' names
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "U16": "uint16", "I8": "int8"}


def save(name: str, config: Mapping[str, Any], parameters: Mapping[str, AnyArray], path: object) -> None:
    """Write the file; see `Saved.save`. name: of the class."""
    text = checks.path(path)
    writing.write(text, to_bytes(name, config, parameters))


def to_bytes(name: str, config: Mapping[str, Any], parameters: Mapping[str, AnyArray]) -> bytes:
    """Make the file's bytes."""
    safetensors_module()
    import safetensors.numpy

    description = {"format": FORMAT, "class": name, "config": config}
    made: bytes = safetensors.numpy.save(dict(parameters), metadata={ENTRY: json.dumps(description)})
    return made


def safetensors_module() -> ModuleType:
    """Import safetensors, or say how it is installed."""
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "save and load need the package safetensors, which is not installed: pip install 'lstmfast[save]'"
        ) from error
    return safetensors
