"""Files of models with smaller weights, and changes of them."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..helpers import Array, random_x
from ..small.helpers import WEIGHT_DTYPES, trained
from .helpers import header_of, with_header

# Of the forms that there are: a kind of weights, and whether int8's are calibrated.
FORMS = [(weight_dtype, False) for weight_dtype in WEIGHT_DTYPES] + [("int8", True)]
every_form = pytest.mark.parametrize(("weight_dtype", "calibrated"), FORMS)
TENSOR = {"float16": ("F16", np.float16), "bfloat16": ("U16", np.uint16), "int8": ("I8", np.int8)}


def made(kind: str, weight_dtype: str, calibrated: bool = False, **options: Any) -> tuple[Any, Any]:
    """A model with one weight that is too large for float16, and its smaller form."""
    model = trained(kind, 3, 5, **options)
    weights = model.state_dict()
    weights["weight_hh_l0"][0, 0] = 1e5
    model.load_state_dict(weights)
    return model, model.quantize(weight_dtype, random_x(model, 4, 2) if calibrated else None)


@functools.cache
def saved(kind: str, weight_dtype: str, calibrated: bool = False) -> bytes:
    """What save writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        made(kind, weight_dtype, calibrated)[1].save(path)
        return path.read_bytes()


def described(data: bytes) -> dict[str, Any]:
    """The description in the file's metadata."""
    description: dict[str, Any] = json.loads(header_of(data)[0]["__metadata__"]["lstmfast"])
    return description


def changed(data: bytes, **entries: Any) -> bytes:
    """The file with other entries in that description."""
    header, tensors = header_of(data)
    header["__metadata__"]["lstmfast"] = json.dumps(described(data) | entries)
    return with_header(header, tensors)


def configured(data: bytes, **entries: Any) -> bytes:
    """The file with other entries in its configuration."""
    return changed(data, config=described(data)["config"] | entries)


def with_tensors(data: bytes, tensors: dict[str, Array], without: str = "") -> bytes:
    """The file with other tensors, or more of them, and without one."""
    from safetensors.numpy import load, save

    kept = {name: array for name, array in load(data).items() if name != without}
    return save(kept | tensors, header_of(data)[0]["__metadata__"])


def tensors_of(data: bytes) -> dict[str, Array]:
    """Copies of the tensors in a file."""
    from safetensors.numpy import load

    return {name: array.copy() for name, array in load(data).items()}
