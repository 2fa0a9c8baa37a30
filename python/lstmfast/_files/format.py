"""Weight files: safetensors, with the configuration as JSON in the file's metadata.

The metadata has one entry of ours, `lstmfast`, a JSON object: `format` (1), `class` ("LSTM", "RNN",
"QuantizedLSTM" or "QuantizedRNN") and `config`, the constructor's arguments (and what else there is to know
of quantized layers). The tensors have the parameters' names, shapes and dtypes. Format of the file:
https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from .._base import checks
from .._base.checks import AnyArray

FORMAT = 1
ENTRY = "lstmfast"
# safetensors' names
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "U16": "uint16", "I8": "int8"}


def save(name: str, config: Mapping[str, Any], parameters: Mapping[str, AnyArray], path: object) -> None:
    """Write the file; see `Saved.save`. name: of the class."""
    text = checks.path(path)
    safetensors_module()
    from safetensors.numpy import save as to_bytes

    description = {"format": FORMAT, "class": name, "config": config}
    data = to_bytes(dict(parameters), metadata={ENTRY: json.dumps(description)})

    target = os.path.realpath(text)  # a link stays a link
    temporary = os.path.join(os.path.dirname(target), f".lstmfast-{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power failure could leave the new name on an empty file
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def safetensors_module() -> ModuleType:
    """Import safetensors, or say how it is installed."""
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "save and load need the package safetensors, which is not installed: pip install 'lstmfast[save]'"
        ) from error
    return safetensors
