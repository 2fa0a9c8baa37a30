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
from typing import Any, TypeAlias

from . import _checks
from ._checks import AnyArray
from ._lstm import LSTM
from ._quantized import QuantizedLSTM, QuantizedRNN
from ._rnn import RNN

FORMAT = 1
_ENTRY = "lstmfast"
AnyLayer: TypeAlias = LSTM | RNN | QuantizedLSTM | QuantizedRNN
_CLASSES: dict[str, type[AnyLayer]] = {cls._KIND: cls for cls in (LSTM, RNN, QuantizedLSTM, QuantizedRNN)}
# safetensors' names
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "U16": "uint16", "I8": "int8"}


def save(kind: str, config: Mapping[str, Any], parameters: Mapping[str, AnyArray], path: object) -> None:
    """Write the file; see `Layer.save`."""
    text = _checks.path(path)
    _safetensors()
    from safetensors.numpy import save as to_bytes

    description = {"format": FORMAT, "class": kind, "config": config}
    data = to_bytes(dict(parameters), metadata={_ENTRY: json.dumps(description)})

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


def load(path: str | os.PathLike[str]) -> AnyLayer:
    """Read a model that `save` wrote.

    Returns
    -------
    LSTM, RNN, QuantizedLSTM or QuantizedRNN
        Whichever was saved, with its configuration and weights. It runs on `lstmfast.isa()`.

    Raises
    ------
    ImportError
        If safetensors is not installed: `pip install 'lstmfast[save]'`.
    OSError
        If the file cannot be read; FileNotFoundError if there is none.
    ValueError
        If it is not what `save` writes: no safetensors file, cut short, without our metadata, of a later
        version, or with tensors that do not fit the configuration. The message names the path.
    """
    text = _checks.path(path)
    module = _safetensors()
    with open(text, "rb"):  # so that a file that cannot be opened is the usual OSError
        pass
    try:
        with module.safe_open(text, framework="numpy") as file:
            return _read(file)
    except module.SafetensorError as error:
        raise ValueError(f"{text}: expected a whole safetensors file: {error}") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{text}: {error}") from error


def _read(file: Any) -> AnyLayer:  # noqa: ANN401 - safetensors.safe_open, which has no types
    """Build the layer from an open file; its sizes are believed only when the tensors bear them out."""
    cls, config = _description(file.metadata())
    layer = cls.__new__(cls)
    layer._configure(config, None)

    stored = layer._stored(file.keys(), "tensors")
    for name, (shape, dtype) in stored.items():
        tensor = file.get_slice(name)
        actual = tuple(tensor.get_shape())
        came = _DTYPES.get(tensor.get_dtype(), tensor.get_dtype())
        if actual != shape or came != dtype.name:
            raise ValueError(f"{name}: expected {dtype.name} {shape}, got {came} {actual}")
    layer._restore({name: file.get_tensor(name) for name in stored}, "tensors")
    return layer


def _description(metadata: Mapping[str, str] | None) -> tuple[type[AnyLayer], dict[str, Any]]:
    """Class and configuration from the file's metadata, checked but for the configuration's values."""
    if not metadata or _ENTRY not in metadata:
        raise ValueError(
            f"expected metadata with lstmfast's entry {_ENTRY!r}, got {sorted(metadata or ())};"
            " tensors of other origin can be read with safetensors and given to load_state_dict"
        )
    try:
        description = json.loads(metadata[_ENTRY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata {_ENTRY!r}: expected JSON: {error}") from error
    if not isinstance(description, dict) or "format" not in description:
        got = _checks.shown(description)
        raise ValueError(f"metadata {_ENTRY!r}: expected a JSON object with an entry 'format', got {got}")
    version = description["format"]
    if isinstance(version, bool) or version != FORMAT:
        got = _checks.shown(version)
        raise ValueError(f"format: expected {FORMAT}, got {got}; a later lstmfast may read it")
    kind = _checks.choice(description.get("class"), "class", tuple(_CLASSES))
    cls = _CLASSES[kind]
    config = description.get("config")
    names = set(cls._config_names())
    if not isinstance(config, dict) or config.keys() != names:
        came = sorted(config) if isinstance(config, dict) else _checks.shown(config)
        raise ValueError(f"config: expected {sorted(names)}, got {came}")
    return cls, config


def _safetensors() -> ModuleType:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "save and load need the package safetensors, which is not installed: pip install 'lstmfast[save]'"
        ) from error
    return safetensors
