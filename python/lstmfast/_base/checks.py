"""Checks of arguments: each returns the value in the form that the rest of the package uses.

A TypeError is for a value of the wrong kind, a ValueError for one of the right kind that cannot be;
both name the argument, what was expected and what came. Nothing here takes memory for a value that
is then refused, lists and other array-likes excepted: their shape is known only once they are arrays.
"""

from __future__ import annotations

import math
import operator
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
AnyArray: TypeAlias = NDArray[Any]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

# Bits of ndarray.flags.num (NPY_ARRAY_C_CONTIGUOUS and NPY_ARRAY_ALIGNED): one comparison for both.
READY = 0x0001 | 0x0100


def shown(value: object) -> str:
    """Say what `value` is, in a few words however large it is."""
    if isinstance(value, ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if value is None or isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    kind = type(value).__name__
    if isinstance(value, (int, float, complex, str, bytes, np.generic)):
        text = repr(value)
        return f"{text if len(text) <= 80 else text[:80] + '...'} ({kind})"
    if isinstance(value, (tuple, list, dict, set)):
        return f"a {kind} of length {len(value)}"
    return f"an object of type {kind}"


def integer(value: object, name: str, low: int, high: int = sys.maxsize) -> int:
    """Check an integer, low <= value <= high; a bool is none."""
    expected = f"{name}: expected an integer >= {low}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{expected}, got the bool {value}")
    try:
        n = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{expected}, got {shown(value)}") from None
    if n < low:
        raise ValueError(f"{expected}, got {shown(n)}")
    if n > high:
        raise ValueError(f"{name}: expected an integer <= {high}, got {shown(n)}")
    return n


def flag(value: object, name: str) -> bool:
    """Check a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {shown(value)}")
    return bool(value)


def choice(value: object, name: str, choices: Sequence[str]) -> str:
    """Check a string that is one of `choices`."""
    expected = f"{name}: expected {' or '.join(map(repr, choices))}"
    if not isinstance(value, str):
        raise TypeError(f"{expected}, got {shown(value)}")
    if value not in choices:
        raise ValueError(f"{expected}, got {shown(value)}")
    return str(value)


def float_dtype(value: object, among: Sequence[str] = ("float32", "float64")) -> np.dtype[Any]:
    """Find NumPy's own dtype object for float32 or float64, so that `is` tells whether an array has it."""
    expected = f"dtype: expected {' or '.join(map(repr, among))}"
    if value is None:  # which NumPy reads as float64
        raise TypeError(f"{expected}, got None")
    try:
        dtype = np.dtype(value)  # type: ignore[call-overload]
    except Exception:
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{expected}, got {shown(value)}") from None
    for known in (FLOAT32, FLOAT64):
        if dtype == known and known.name in among:
            return known
    raise ValueError(f"{expected}, got {dtype}")


def seed_generator(seed: object) -> np.random.Generator:
    """Make a generator of None (fresh entropy) or an integer >= 0; a generator is used as it is."""
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    expected = "seed: expected None, an integer >= 0 or a numpy.random.Generator"
    if isinstance(seed, (bool, np.bool_)):
        raise TypeError(f"{expected}, got the bool {seed}")
    try:
        n = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{expected}, got {shown(seed)}") from None
    if n < 0:
        raise ValueError(f"{expected}, got {shown(n)}")
    return np.random.default_rng(n)


def real(value: object, name: str, expected: str) -> float:
    """Check a real number; a bool is none. One beyond all floats is infinity. expected: in words."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise TypeError(f"{name}: expected {expected}, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def probability(value: object, name: str) -> float:
    """Check a number from 0 to 1; a bool is none."""
    expected = "a number from 0 to 1"
    number = real(value, name, expected)
    if not 0 <= number <= 1:  # not so for NaN, too
        raise ValueError(f"{name}: expected {expected}, got {shown(value)}")
    return number


def projection(value: object, hidden_size: int) -> int:
    """Check proj_size, an integer from 0 (no projection) to hidden_size - 1."""
    n = integer(value, "proj_size", 0)
    if n >= hidden_size:
        raise ValueError(f"proj_size: expected less than hidden_size ({hidden_size}), got {shown(n)}")
    return n


def is_masked(value: object) -> bool:
    """Tell whether it is a masked array."""
    # For an array itself np.ma need not be there: NumPy imports it when first asked for.
    return type(value) is not ndarray and isinstance(value, ndarray) and isinstance(value, np.ma.MaskedArray)


def array_of(value: object, name: str, kinds: str, what: str) -> NDArray[Any]:
    """Check an array whose dtype is of one of `kinds`; arrays are not copied but lose their subclass.

    Parameters
    ----------
    kinds
        Letters of `numpy.dtype.kind`: b for bools, i and u for integers, f for floating point.
    what
        What messages say was expected, such as "an array of real numbers".
    """
    expected = f"{name}: expected {what}"
    if is_masked(value):
        raise TypeError(
            f"{expected}, got a masked array; fill its gaps first, for example by its method filled(0)"
        )
    try:
        array = np.asarray(value)
    except MemoryError:
        raise
    except ValueError as error:  # e.g. rows of different lengths
        raise ValueError(f"{expected}, got {shown(value)}: {error}") from error
    except Exception as error:  # whatever an object's __array__ raises; e.g. a tensor of another device
        raise TypeError(f"{expected}, got {shown(value)}: {error}") from error
    if array.dtype.kind not in kinds:
        got = "one" if value is array else f"{shown(value)}, as an array"
        raise TypeError(f"{expected}, got {got} of dtype {array.dtype}")
    return array


def real_array(value: object, name: str) -> NDArray[Any]:
    """Check an array of real numbers of any dtype."""
    return array_of(value, name, "biuf", "an array of real numbers")


def quiet() -> np.errstate:
    """Let infinities and NaN come about without a warning: they are data, and nothing of ours prints."""
    return np.errstate(over="ignore", invalid="ignore")


def weight(value: object, name: str) -> NDArray[Any]:
    """Check an array of real numbers, as `real_array`; a tensor may require grad, as PyTorch's weights do.

    Such a tensor refuses to become an array, because what is done to the array is lost on its graph. That is
    for the user to know of data; of weights, which are copied, it can never be meant otherwise.
    """
    if not isinstance(value, ndarray) and getattr(value, "requires_grad", False) is True:
        value = value.detach()  # type: ignore[attr-defined]
    return real_array(value, name)


def converted(array: NDArray[Any], dtype: np.dtype[Any]) -> Array:
    """Convert an array of real numbers, keeping its layout, or return it itself if it has the dtype.

    Numbers beyond the dtype's range become infinities, as in NumPy's `astype`, but without its warning.
    """
    if array.dtype == dtype:
        return array
    with quiet():
        return array.astype(dtype, copy=False)


def dense(array: NDArray[Any], dtype: np.dtype[Any]) -> Array:
    """Convert as `converted`; the result is C-ordered and aligned, too."""
    if array.dtype == dtype and array.flags.num & READY == READY:
        return array
    with quiet():
        return np.require(array, dtype, ("C", "A"))


def sequence(
    value: object, input_size: int, batch_first: bool, dtype: np.dtype[Any], row_bytes: int
) -> tuple[Array, bool]:
    """Check x; return it as the core takes it, three-dimensional, and whether it came batched.

    `row_bytes` is what one row of y takes: a broadcast array can have more rows than memory has bytes.
    """
    array = real_array(value, "x")
    if array.ndim not in (2, 3) or array.shape[-1] != input_size:
        axes = "B, T" if batch_first else "T, B"
        raise ValueError(
            f"x: expected shape [{axes}, {input_size}] or, unbatched, [T, {input_size}]"
            f" (the last is input_size), got {array.shape}"
        )
    # Sizes of 0 count as 1: even an array without a number must have strides that can be addressed.
    places = math.prod(size or 1 for size in array.shape[:-1])
    if places * max(row_bytes, input_size * dtype.itemsize) > sys.maxsize:
        raise ValueError(f"x: shape {array.shape} makes a result larger than the address space")
    batched = array.ndim == 3
    if not batched:
        array = array[np.newaxis] if batch_first else array[:, np.newaxis]
    # The core walks the first two axes by their strides, the last one by vectors. Aligned arrays have
    # strides that are multiples of the itemsize.
    if not (array.dtype == dtype and array.flags.aligned and array.strides[2] == dtype.itemsize):
        array = dense(array, dtype)
    return array, batched


def addressable(nbytes: int, name: str, value: int) -> None:
    """Check that arrays of so many bytes can be addressed, on any machine."""
    if nbytes > sys.maxsize:
        raise ValueError(f"{name}: {shown(value)} needs {shown(nbytes)} bytes, more than the address space")


def exact(value: object, name: str, shape: tuple[int, ...], symbols: str, dtype: np.dtype[Any]) -> Array:
    """Check for exactly this shape, called `symbols` in messages, and return a C-ordered array."""
    if (
        type(value) is ndarray
        and value.dtype is dtype
        and value.shape == shape
        and value.flags.num & READY == READY
    ):
        return value
    array = real_array(value, name)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape} {symbols}, got {array.shape}")
    return dense(array, dtype)


def output(value: object, name: str, shape: tuple[int, ...], symbols: str, dtype: np.dtype[Any]) -> Array:
    """Check an array that a result of this shape can be written to, as it is."""
    if not isinstance(value, ndarray):
        raise TypeError(f"{name}: expected an array of shape {shape} {symbols}, got {shown(value)}")
    if is_masked(value):
        raise TypeError(f"{name}: expected an array of shape {shape} {symbols}, got a masked array")
    if value.dtype != dtype:
        raise TypeError(f"{name}: expected an array of dtype {dtype}, got {shown(value)}")
    if value.shape != shape:
        raise ValueError(f"{name}: expected shape {shape} {symbols}, got {value.shape}")
    if value.flags.num & READY != READY:
        raise ValueError(f"{name}: expected an aligned array in C order, got one that is not")
    if not value.flags.writeable:
        raise ValueError(f"{name}: expected a writeable array, got one that is read-only")
    return value.view(ndarray)


def apart(outputs: Mapping[str, Array | None], inputs: Mapping[str, Array | None]) -> None:
    """Check that no output shares memory with another array, but for the state that a new one replaces.

    Bounds of memory are compared, which for all but strided inputs is exact.
    """
    before = {"out: h_n": "state: h_0", "out: c_n": "state: c_0"}
    given = [(name, array) for name, array in (*outputs.items(), *inputs.items()) if array is not None]
    for place, (name, array) in enumerate(given):
        for other_name, other in given[place + 1 :]:
            if name not in outputs or not np.may_share_memory(array, other):
                continue
            if before.get(name) == other_name and array.ctypes.data == other.ctypes.data:
                continue  # of one shape, so that each number has its own place
            raise ValueError(f"{name}: expected memory of its own, got some that {other_name} has, too")


def pair(value: object, name: str, parts: tuple[str, str]) -> tuple[object, object]:
    """Check a tuple or a list of two; `parts` are their names in messages."""
    if type(value) is tuple and len(value) == 2:
        return value
    expected = f"{name}: expected a pair ({parts[0]}, {parts[1]})"
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{expected}, got {shown(value)}")
    if len(value) != 2:
        raise ValueError(f"{expected}, got {shown(value)}")
    return value[0], value[1]


def path(value: object) -> str:
    """Check the name of a file, a string, bytes or anything that has one."""
    try:
        return os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"path: expected a string or a path, got {shown(value)}") from None
