"""What the tests of the compiled core share: the reference's results under the same names, and errors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lstmfast import GRU, LSTM, RNN, reference

from .helpers import ROOT, Array, parts

Model: TypeAlias = LSTM | RNN | GRU

FORWARD = ("y", "state")  # how names of forward results begin; all others are gradients


def cell_of(model: Model) -> str:
    """The reference's name of the model's cell."""
    return model._cell()


def reference_of(model: Model, dtype: Any = "float64") -> reference.Reference:
    """The NumPy reference with the model's weights."""
    return reference.Reference(cell_of(model), model.parameters, model.num_layers, model.bidirectional, dtype)


def from_reference(
    model: Model,
    x: Array,
    state: Any,
    dy: Array | None,
    dstate: Any,
    dtype: str = "float64",
    *,
    lengths: Any = None,
    reset: Array | None = None,
    mask: Array | None = None,
    masks: Array | None = None,
) -> dict[str, Array]:
    """What `helpers.everything` gives (without what a call gives), computed by the reference in `dtype`.

    Arrays that nobody may write to: what was asked last is kept, because tests ask the same for each ISA.
    """
    form = (cell_of(model), model.num_layers, model.bidirectional, model.batch_first, dtype)
    question = fingerprint_of(
        (form, dict(model.parameters), x, state, dy, dstate, lengths, reset, mask, masks)
    )
    if question in _ANSWERS:
        _ANSWERS.move_to_end(question)
        return dict(_ANSWERS[question])
    batched = x.ndim == 3

    def in_time_order(array: Array | None) -> Array | None:
        if array is None:
            return None
        if not batched:
            return array[:, np.newaxis]
        return array.swapaxes(0, 1) if model.batch_first else array

    def back(array: Array) -> Array:
        if not batched:
            return array[:, 0]
        return array.swapaxes(0, 1) if model.batch_first else array

    def state_in(value: Any) -> list[Array | None]:
        arrays = [None, None] if value is None else parts(value)
        return [a if a is None or batched else a[:, np.newaxis] for a in arrays]

    def state_out(name: str, arrays: tuple[Array | None, ...]) -> dict[str, Array]:
        kept = [a for a in arrays if a is not None]
        return {f"{name} {n}": a if batched else a[:, 0] for n, a in enumerate(kept)}

    truth = reference_of(model, dtype)
    y, end, cache = truth.forward(
        in_time_order(x),  # type: ignore[arg-type]
        *state_in(state),
        lengths=None if lengths is None else np.atleast_1d(np.asarray(lengths, np.int64)),
        reset=in_time_order(reset),
        mask=in_time_order(mask),
        masks=masks,
    )
    dx, dh0, dc0, dparameters = truth.backward(cache, in_time_order(dy), *state_in(dstate))
    results = {"y": back(y), **state_out("state", end), "dx": back(dx), **state_out("dstate", (dh0, dc0))}
    results |= {f"d {name}": array for name, array in dparameters.items()}
    for array in results.values():
        array.flags.writeable = False
    _ANSWERS[question] = results
    if len(_ANSWERS) > MOST_ANSWERS:
        _ANSWERS.popitem(last=False)
    return dict(results)


MOST_ANSWERS = 64
_ANSWERS: OrderedDict[bytes, dict[str, Array]] = OrderedDict()  # of from_reference, the last ones last


def fingerprint_of(value: Any) -> bytes:
    """The same for the same numbers, dtypes and shapes, however they lie in memory."""
    found = hashlib.blake2b(type(value).__name__.encode())
    if isinstance(value, np.ndarray):
        found.update(f"{value.dtype.str}{value.shape}".encode())
        found.update(np.ascontiguousarray(value).data)
    elif isinstance(value, (tuple, list)):
        for part in value:
            found.update(fingerprint_of(part))
    elif isinstance(value, dict):
        found.update(fingerprint_of(list(value.items())))
    else:
        found.update(repr(value).encode())
    return found.digest()


def ours(results: dict[str, Array]) -> dict[str, Array]:
    """`helpers.everything` without what a call gives: the names of `from_reference`."""
    return {name: array for name, array in results.items() if not name.startswith("called")}


def is_forward(name: str) -> bool:
    """Whether `name` is of a result of forward, not of a gradient."""
    return name.startswith(FORWARD)


def assert_close(
    actual: dict[str, Array],
    expected: dict[str, Array],
    what: str,
    forward: float = 1e-12,
    gradients: float = 1e-10,
    least: float = 0.0,
) -> None:
    """Compare forward results to `forward`, gradients to `gradients`, relative to an array's largest number.

    What forward results are relative to is 1 at least, so that the bound is absolute for what an LSTM and a
    tanh RNN give; for gradients it is `least` at least.
    """
    assert set(actual) == set(expected), what
    for name, truth in expected.items():
        array = actual[name]
        assert array.shape == truth.shape, f"{what}, {name}: shapes {array.shape} and {truth.shape}"
        if truth.size == 0:
            continue
        largest = float(np.abs(truth).max())
        bound = forward * max(1.0, largest) if is_forward(name) else gradients * max(least, largest)
        error = float(np.abs(array - truth).max())
        assert error <= bound, f"{what}, {name}: off by {error:.3g}, more than {bound:.3g}"


def relative_square(array: Array, truth: Array) -> float:
    """The mean square of the error over that of the truth, 0 where both are nothing but zeros."""
    off = float(((array.astype("float64") - truth) ** 2).sum())
    size = float((truth**2).sum())
    return off / size if size else (0.0 if off == 0 else np.inf)


def users_environment(**more: str) -> dict[str, str]:
    """A user's environment for a process that finds what this one finds.

    How threads of OpenMP wait is set for this process alone, where others run beside it (noxfile.py).
    """
    here = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    return {**here, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **more}


def run_python(script: str, *arguments: str, timeout: float = 120, **environment: str) -> str:
    """Run a script in a fresh interpreter that finds what this one finds; return its output.

    For what may kill a process, or needs one without a history. Warnings are left to the script: since
    Python 3.12 fork in a process with threads warns, which is no error of ours.
    """
    return _ended_well("-c", script, *arguments, timeout=timeout, environment=environment).stdout


def run_module(name: str, *arguments: str, timeout: float = 300) -> str:
    """Run a module of the tests likewise, warnings aside; children can import it as their main."""
    done = _ended_well("-W", "ignore", "-m", name, *arguments, timeout=timeout, environment={}, folder=ROOT)
    assert not done.stderr, done.stderr
    return done.stdout


def _ended_well(
    *arguments: str, timeout: float, environment: dict[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=users_environment(**environment),
        cwd=folder,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def state_like(model: Model, h: Array, c: Array) -> Any:
    """A state for `model`: the pair for a cell with memory, else h alone."""
    return (h, c) if model._KIND.has_memory else h


def in_every_form(x: Array, dtype: str) -> dict[str, Any]:
    """Small integers in all the forms in which a call takes them."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]))
    wide[..., ::2] = x
    return {
        "integers": x,
        "lists": x.tolist(),
        "float16": x.astype("float16"),
        "float64": x.astype("float64"),
        "big-endian": x.astype(">f4"),
        "strided": wide[..., ::2],
        "Fortran": np.asfortranarray(x.astype(dtype)),
        "read-only": np.frombuffer(x.astype(dtype).tobytes(), dtype).reshape(x.shape),
        "unaligned": unaligned(x.astype(dtype)),
    }


def unaligned(array: Array) -> Array:
    """The same numbers, one byte off."""
    view = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view
