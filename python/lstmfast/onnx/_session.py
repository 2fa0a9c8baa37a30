"""Sessions of ONNX Runtime whose recurrent nodes run on lstmfast."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import _core
from .._base import checks, kinds, runtime
from . import _runtime

WEIGHTS = ("float32", *kinds.LSTM.smaller)
_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3  # of ONNX Runtime's log levels
# What InferenceSession takes by name besides; of a name that it does not know it says nothing.
_MORE = ("disabled_optimizers", "enable_fallback", "read_config_from_model")
# The options of our provider, as a session's configuration has them.
_OPTIONS = ("isa", "report", "threads", "weights")


def session(
    model: Any,
    sess_options: Any = None,
    providers: Sequence[Any] | None = None,
    provider_options: Sequence[Mapping[str, Any]] | None = None,
    *,
    threads: int | None = None,
    weights: str = "float32",
    isa: str | None = None,
    **more: Any,
) -> Any:
    """Make an `onnxruntime.InferenceSession` whose LSTM, GRU and RNN nodes run on lstmfast.

    All other nodes run on ONNX Runtime's CPU provider, and so do those that are none for us: `explain` says
    which, and why. Everything about the session is ONNX Runtime's.

    Parameters
    ----------
    model
        A path, bytes, or an `onnx.ModelProto`.
    sess_options
        An `onnxruntime.SessionOptions`, or None for one that logs errors alone (ONNX Runtime warns of every
        session in which some nodes are its own). Under onnxruntime 1.24 our provider and its options are
        added to it, and stay there.
    providers, provider_options
        Of ONNX Runtime, for the nodes that are not ours, as `InferenceSession` takes them. Other ones than
        its CPU provider need onnxruntime 1.25.
    threads
        How many threads a node of ours may use. They are the session's own: no more than its
        `intra_op_num_threads`. Without `sess_options` that is set to the same. None: as many as the session's
        options say, and where they say nothing, as `lstmfast.get_num_threads()` does at each call.
    weights
        "float32", as they are; or "float16", "bfloat16" or "int8", for those who accept the error
        (docs/numerics.md): of nodes of float32, whose weights are finite.
    isa
        One of `lstmfast.available_isas()`; None is `lstmfast.isa()`.
    more
        Everything else that `InferenceSession` takes by name: `disabled_optimizers`, `enable_fallback`, which
        is off here, so that an error is one, and `read_config_from_model`.

    Returns
    -------
    onnxruntime.InferenceSession

    Raises
    ------
    ImportError
        If onnxruntime is not installed, or older than 1.24.
    TypeError, ValueError
        If an argument is of the wrong kind or value, or the model is none.
    FileNotFoundError
        If there is no such file.

    Notes
    -----
    Results have the same bits on every machine, with any number of threads, alone and in any batch. Where
    ONNX's text leaves a choice they are what ONNX Runtime computes: `clip` limits the arguments of gates and
    not the cell state; a row of length 0 ends with a zero state, whatever its initial one; Affine,
    ScaledTanh and ThresholdedRelu without alpha have 0. Nodes with `layout=1` or of float64, which ONNX
    Runtime cannot run, keep the initial state of such a row, and have the standard's numbers.

    Weights are packed once for all nodes and sessions of the process that have the same, and ONNX Runtime
    gives its own copy back.

    Examples
    --------
    >>> session = lstmfast.onnx.session("model.onnx")                     # doctest: +SKIP
    >>> session.run(None, {"x": x})                                       # doctest: +SKIP
    """
    options = {"weights": checks.choice(weights, "weights", WEIGHTS)}
    if threads is not None:
        threads = checks.integer(threads, "threads", 1, runtime.MAX_THREADS)
    if isa is not None:
        options["isa"] = checks.choice(isa, "isa", runtime.available_isas())
    made = make(model, options, sess_options, providers, provider_options, threads=threads, **more)
    # What it took to read the file, and copies of weights: free, but the process's still.
    _core.give_back_memory()
    return made


def make(
    model: Any,
    options: dict[str, str],
    sess_options: Any = None,
    providers: Sequence[Any] | None = None,
    provider_options: Sequence[Mapping[str, Any]] | None = None,
    *,
    threads: int | None = None,
    **more: Any,
) -> Any:
    """Make a session with these options of our provider."""
    for name in more:
        if name not in _MORE:
            raise TypeError(f"session() got an unexpected keyword argument {name!r}")
    onnxruntime = _runtime.find()
    readable = readable_model(model)
    if sess_options is None:
        sess_options = onnxruntime.SessionOptions()
        sess_options.log_severity_level = _ERRORS_ONLY
        sess_options.intra_op_num_threads = threads or 0
    elif not isinstance(sess_options, onnxruntime.SessionOptions):
        raise TypeError(
            f"sess_options: expected an onnxruntime.SessionOptions or None, got {checks.shown(sess_options)}"
        )
    threads = threads or sess_options.intra_op_num_threads
    if threads > 0:
        options = {**options, "threads": str(min(threads, runtime.MAX_THREADS))}
    _runtime.register()
    more.setdefault("enable_fallback", 0)
    try:
        if _runtime.version_of(onnxruntime) >= _runtime.TAKES_NAMES:
            others = list(providers or [])
            if provider_options is not None:
                provider_options = [options, *provider_options]
                others = [_runtime.NAME, *others]
            else:
                others = [(_runtime.NAME, options), *others]
            return onnxruntime.InferenceSession(readable, sess_options, others, provider_options, **more)
        if provider_options is not None or any(each != _CPU for each in providers or ()):
            raise ValueError(
                f"providers: expected None or [{_CPU!r}] under onnxruntime {onnxruntime.__version__}, got"
                f" {checks.shown(providers)}: with others it needs 1.25 or newer"
            )
        _add_by_device(onnxruntime, sess_options, options)
        return onnxruntime.InferenceSession(readable, sess_options, **more)
    except (
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf,
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
    ) as error:
        raise ValueError(f"model: expected an ONNX model that onnxruntime takes: {error}") from error
    except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
        if "No graph" not in str(error):
            raise
        raise ValueError(f"model: expected an ONNX model, got one without a graph: {error}") from error


def readable_model(model: Any) -> str | bytes:
    """Give a model as ONNX Runtime takes it."""
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if not path.is_file():
            raise FileNotFoundError(f"model: expected a file, got {str(path)!r}")
        if path.stat().st_size == 0:
            raise ValueError(f"model: expected an ONNX model, got {str(path)!r}, which is empty")
        return str(path)
    if isinstance(model, (bytes, bytearray, memoryview)):
        data = bytes(model)
    else:
        serialize = getattr(model, "SerializeToString", None)
        if serialize is None or not hasattr(model, "graph"):
            raise TypeError(f"model: expected a path, bytes or an onnx.ModelProto, got {checks.shown(model)}")
        data = serialize()
    if not data:
        raise ValueError("model: expected an ONNX model, got one without anything in it")
    return data


def _add_by_device(onnxruntime: Any, sess_options: Any, options: Mapping[str, str]) -> None:
    """Add our provider to a session's options; a second time only its options, in place of the first ones."""
    marker = "lstmfast.is_added"

    def entry(key: str) -> str:
        try:
            return str(sess_options.get_session_config_entry(key))
        except RuntimeError:  # there is none
            return ""

    if not entry(marker):
        sess_options.add_provider_for_devices(_runtime.device(onnxruntime), dict(options))
        sess_options.add_session_config_entry(marker, "1")
        return
    for name in _OPTIONS:
        key, value = f"ep.{_runtime.NAME.lower()}.{name}", options.get(name, "")
        if entry(key) != value:  # ONNX Runtime warns of what is said twice
            sess_options.add_session_config_entry(key, value)
