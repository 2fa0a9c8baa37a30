"""The handlers for XLA, called with frames as XLA makes them, and as it never would. Without JAX."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p, cast
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

T, B, I, H = 5, 3, 2, 4
# XLA's numbers for element types.
TYPES = {"bool": 1, "int32": 4, "int64": 5, "float32": 11, "float64": 12}
BUFFER, SCALAR, STRING = 1, 3, 4
EXECUTE = 3
FINGERPRINT = 128  # bytes

Array = np.ndarray[Any, Any]


class Struct(Structure):
    """Each of XLA's begins with its size and what was appended by name."""

    def __init__(self, *values: Any) -> None:
        super().__init__(ctypes.sizeof(type(self)), None, *values)


HEAD: Any = (("struct_size", c_size_t), ("extensions", c_void_p))
CREATE = ctypes.CFUNCTYPE(c_void_p, c_void_p)


class Version(Struct):
    _fields_ = (*HEAD, ("major", c_int), ("minor", c_int))


class CreateError(Struct):
    _fields_ = (*HEAD, ("message", c_char_p), ("code", c_int))


class Api(Struct):
    _fields_ = (
        *HEAD,
        ("version", Version),
        ("internal", c_void_p),
        ("create_error", CREATE),
        ("others", c_void_p * 12),
    )


class Buffer(Struct):
    _fields_ = (*HEAD, ("dtype", c_int), ("data", c_void_p), ("rank", c_int64), ("sizes", POINTER(c_int64)))


class Many(Struct):
    _fields_ = (*HEAD, ("count", c_int64), ("types", POINTER(c_int)), ("items", POINTER(c_void_p)))


class Attributes(Struct):
    _fields_ = (
        *HEAD,
        ("count", c_int64),
        ("types", POINTER(c_int)),
        ("names", POINTER(c_void_p)),
        ("items", POINTER(c_void_p)),
    )


class Frame(Struct):
    _fields_ = (
        *HEAD,
        ("api", POINTER(Api)),
        ("context", c_void_p),
        ("stage", c_int),
        ("arguments", Many),
        ("results", Many),
        ("attributes", Attributes),
    )


class Text(Structure):
    _fields_ = (("data", c_char_p), ("size", c_size_t))


class Scalar(Structure):
    _fields_ = (("dtype", c_int), ("value", c_void_p))


class Extension(Structure):
    _fields_ = (("struct_size", c_size_t), ("type", c_int), ("next", c_void_p), ("metadata", c_void_p))


class Metadata(Struct):
    _fields_ = (("struct_size", c_size_t), ("version", Version), ("traits", c_uint32))

    def __init__(self) -> None:
        Structure.__init__(self, ctypes.sizeof(type(self)), Version(7, 7), 7)


def handler(name: str) -> Any:
    capsule = _core.jax_handlers()[name]
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = c_void_p, [ctypes.py_object, c_char_p]
    return ctypes.CFUNCTYPE(c_void_p, c_void_p)(get(capsule, None))


class Call:
    """A frame, and all that it points to."""

    def __init__(
        self, arguments: Sequence[Array], results: Sequence[Array], attributes: dict[str, Any]
    ) -> None:
        self.errors: list[str] = []
        self._kept: list[Any] = []
        self._create = CREATE(self._take_error)
        self._api = Api(Version(0, 3), None, self._create)
        self.frame = Frame(
            ctypes.pointer(self._api),
            None,
            EXECUTE,
            self._many(arguments),
            self._many(results),
            self._attributes(attributes),
        )

    def _take_error(self, given: int) -> int:
        self.errors.append(cast(given, POINTER(CreateError)).contents.message.decode())
        return 1  # an error that is somewhere

    def _keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing

    def _many(self, arrays: Sequence[Array]) -> Many:
        count = len(arrays)
        items = [
            self._keep(
                Buffer(
                    TYPES[str(array.dtype)],
                    self._keep(array).ctypes.data,
                    array.ndim,
                    self._keep((c_int64 * max(array.ndim, 1))(*array.shape)),
                )
            )
            for array in arrays
        ]
        types = self._keep((c_int * max(count, 1))(*[BUFFER] * count))
        return Many(count, types, self._keep((c_void_p * max(count, 1))(*map(ctypes.addressof, items))))

    def _attributes(self, values: dict[str, Any]) -> Attributes:
        types, names, items = [], [], []
        for name, value in sorted(values.items()):
            names.append(ctypes.addressof(self._keep(Text(name.encode(), len(name)))))
            if isinstance(value, str):
                types.append(STRING)
                items.append(ctypes.addressof(self._keep(Text(value.encode(), len(value)))))
                continue
            number = self._keep(np.array(value, np.float64 if isinstance(value, float) else np.int64))
            types.append(SCALAR)
            scalar = Scalar(TYPES[str(number.dtype)], number.ctypes.data)
            items.append(ctypes.addressof(self._keep(scalar)))
        count = len(types)
        return Attributes(
            count,
            self._keep((c_int * count)(*types)),
            self._keep((c_void_p * count)(*names)),
            self._keep((c_void_p * count)(*items)),
        )

    def run(self, name: str) -> list[str]:
        """Call a handler; return the messages of its errors, one or none."""
        failed = handler(name)(byref(self.frame))
        assert bool(failed) == bool(self.errors)
        return self.errors


def attributes(given: str = "", wanted: str = "", gradients: str = "", **others: Any) -> dict[str, Any]:
    plain = {
        "cell": "lstm", "input_size": I, "hidden_size": H, "num_layers": 1, "bidirectional": 0, "bias": 1,
        "proj_size": 0, "reverse": 0, "variant": 0, "batch_first": 0, "recompute": 0, "dropout_scale": 0.0,
        "samples": -1,
    }  # fmt: skip
    return {**plain, "given": given, "wanted": wanted, "gradients": gradients, **others}


def made(dtype: str = "float32") -> tuple[lstmfast.LSTM, Array, list[Array], list[Array]]:
    """A layer, x, the weights in their order, and room for y, h_n and c_n."""
    lstm = lstmfast.LSTM(I, H, dtype=dtype, seed=0)
    x = np.random.default_rng(0).standard_normal((T, B, I)).astype(dtype)
    results = [np.full(shape, 7, dtype) for shape in ((T, B, H), (1, B, H), (1, B, H))]
    return lstm, x, [*map(np.array, lstm.state_dict().values())], results


@pytest.fixture(autouse=True)
def _default_isa() -> None:
    _core.jax_use_isa(lstmfast.isa())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inference_is_the_layers(dtype: str) -> None:
    lstm, x, weights, results = made(dtype)
    assert Call([x, *weights], results, attributes()).run("lstmfast_infer") == []
    y, (h_n, c_n) = lstm(x)
    assert all(np.array_equal(one, other) for one, other in zip(results, (y, h_n, c_n), strict=True))


@pytest.mark.parametrize("recompute", [False, True])
def test_a_tape_goes_forward_and_back(recompute: bool) -> None:
    lstm, x, weights, results = made()
    shape = ("lstm", I, H, 1, False, True, 0, None, False)
    size = _core.jax_tape_numbers(False, T * B, B, recompute, False, *shape)
    tape = np.zeros(size + 16, np.float32)
    tape = tape[-tape.ctypes.data % 64 // 4 :][:size]
    how = attributes(recompute=int(recompute))
    assert Call([x, *weights], [*results, tape], how).run("lstmfast_forward") == []
    kept = _core.jax_kept_networks()
    assert kept[0] >= 1
    assert kept[1] >= 2 * sum(weight.nbytes for weight in weights)

    dy = np.random.default_rng(1).standard_normal((T, B, H)).astype(np.float32)
    gradients = [np.full_like(x, 7), *(np.full_like(weight, 7) for weight in weights)]
    how = attributes("dy", "x", "1111", recompute=int(recompute))
    assert Call([x, results[0], tape, *weights, dy], gradients, how).run("lstmfast_backward") == []
    y, _, own = lstm.forward(x)
    wanted = lstm.backward(own, dy)
    assert np.array_equal(results[0], y)
    for one, other in zip(gradients, (wanted.x, *wanted.parameters.values()), strict=True):
        assert np.array_equal(one, other)
    _core.give_back_memory()
    assert _core.jax_kept_networks() == (0, 0)


def test_samples_are_calls_in_one() -> None:
    lstm, x, weights, results = made()
    many = np.stack([x, 2 * x])
    twice = [np.stack([one, one]) for one in results]
    assert Call([many, *weights], twice, attributes(samples=2)).run("lstmfast_infer") == []
    for k, each in enumerate(many):
        assert np.array_equal(twice[0][k], lstm(each)[0])


def test_tapes_are_as_large_as_the_cores() -> None:
    shape = ("lstm", I, H, 2, True, True, 0)
    parameters = lstmfast.LSTM(I, H, 2, bidirectional=True).state_dict()
    weights = [np.array(one) for one in parameters.values()]
    network = _core.Network32(*shape[:6], weights, lstmfast.isa(), 0)
    for recompute in (False, True):
        for dropout in (False, True):
            wide = _core.jax_tape_numbers(True, T * B, B, recompute, dropout, *shape, None, False)
            size = _core.jax_tape_numbers(False, T * B, B, recompute, dropout, *shape, None, False)
            assert size == network.tape_size(T * B, B, recompute, dropout) + FINGERPRINT // 4
            assert wide > FINGERPRINT // 8
    with pytest.raises(ValueError, match="places, rows: expected at least 0"):
        _core.jax_tape_numbers(False, -1, B, False, False, *shape, None, False)


def test_an_isa_that_is_none() -> None:
    with pytest.raises(ValueError, match="mmx"):
        _core.jax_use_isa("mmx")


def test_it_tells_xla_what_it_was_written_for() -> None:
    call = Call([], [], attributes())
    metadata = Metadata()
    extension = Extension(ctypes.sizeof(Extension), 1, None, ctypes.addressof(metadata))
    call.frame.extensions = ctypes.addressof(extension)
    for name in _core.jax_handlers():
        assert call.run(name) == []
        assert (metadata.version.major, metadata.version.minor, metadata.traits) == (0, 3, 0)
    call.frame.api = None  # as jaxlib 0.5 asks
    for name in _core.jax_handlers():
        assert call.run(name) == []
        assert (metadata.version.major, metadata.version.minor) == (0, 1)


def test_other_stages_do_nothing() -> None:
    call = Call([], [], {})
    for stage in range(EXECUTE):
        call.frame.stage = stage
        for name in _core.jax_handlers():
            assert call.run(name) == []


def wrong(what: str) -> tuple[Call, str]:
    """A frame with one thing wrong, and what is to be said."""
    _, x, weights, results = made()
    more: dict[str, Any] = {}
    message = ""
    if what == "nothing comes":
        return Call([], [], attributes()), "arguments: expected more than 0"
    if what == "no attributes":
        return Call([x, *weights], results, {}), "expected such an attribute, got none"
    if what == "a weight is missing":
        weights, message = weights[:-1], "arguments: expected more than 4, for there should be bias_hh"
    elif what == "one too many":
        weights, message = [*weights, x], "arguments: expected 5, got 6"
    elif what == "a weight is too short":
        weights[1], message = weights[1][:-1], "weight_hh: expected shape [16, 4], got [15, 4]"
    elif what == "whole numbers":
        x, message = x.astype(np.int32), "x: expected float32 or float64"
    elif what == "weights of another type":
        weights[0], message = (
            weights[0].astype(np.float64),
            "weight_ih: expected XLA's element type 11, got 12",
        )
    elif what == "two axes":
        x, message = x[0], "x: expected three axes, got shape [3, 2]"
    elif what == "y is too short":
        results[0], message = results[0][:-1], "y: expected shape [5, 3, 4], got [4, 3, 4]"
    elif what == "a cell that is none":
        more, message = {"cell": "lstn"}, "lstn"
    elif what == "sizes below zero":
        more, message = {"hidden_size": -4}, "hidden_size"
    elif what == "a text for a number":
        more, message = {"num_layers": "one"}, "num_layers: expected an attribute of another type"
    elif what == "a length too long":
        weights.insert(0, np.array([T, T + 1, 0], np.int32))
        more, message = {"given": "lengths"}, "lengths: expected 0 to 5 (x's time steps), got 6 at [1]"
    else:
        weights.insert(0, np.array([T, -1, 0], np.int64))
        more, message = {"given": "lengths"}, "got -1 at [1]"
    return Call([x, *weights], results, attributes() | more), message


@pytest.mark.parametrize(
    "what",
    [
        "nothing comes", "no attributes", "a weight is missing", "one too many", "a weight is too short",
        "whole numbers", "weights of another type", "two axes", "y is too short", "a cell that is none",
        "sizes below zero", "a text for a number", "a length too long", "a length below zero",
    ],
)  # fmt: skip
def test_what_is_wrong_is_an_error_of_xlas(what: str) -> None:
    call, message = wrong(what)
    (told,) = call.run("lstmfast_infer")
    assert message in told
