"""What the Python API promises of models, parameters, calls, tapes and gradients."""

from __future__ import annotations

import copy
import itertools
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import KINDS, assert_same_bits, everything, make, parts, random, random_state, random_x

NAMES_2_LAYERS_2_DIRECTIONS = [
    f"{which}_l{layer}{direction}"
    for layer in (0, 1)
    for direction in ("", "_reverse")
    for which in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
]


def layouts() -> list[dict[str, Any]]:
    """Every combination of layers, directions and bias."""
    return [
        {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
        for num_layers in (1, 2)
        for bidirectional in (False, True)
        for bias in (True, False)
    ]


# Models.


def test_exports() -> None:
    for name in lstmfast.__all__:
        assert hasattr(lstmfast, name), name
    assert lstmfast.__version__.count(".") == 2


def test_attributes() -> None:
    lstm = lstmfast.LSTM(3, 4, 2, False, True, 0.25, True, 3, dtype="float64", seed=1)
    expected = {
        "input_size": 3,
        "hidden_size": 4,
        "num_layers": 2,
        "bias": False,
        "batch_first": True,
        "dropout": 0.25,
        "bidirectional": True,
        "proj_size": 3,
        "dtype": np.dtype("float64"),
        "isa": lstmfast.isa(),
    }
    assert {name: getattr(lstm, name) for name in expected} == expected
    rnn = lstmfast.RNN(3, 4, 2, "relu", False, True, 0.25, True, dtype="float64", seed=1)
    expected |= {"nonlinearity": "relu", "proj_size": 0}
    assert {name: getattr(rnn, name) for name in expected} == expected


@pytest.mark.parametrize(
    "name",
    [
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
        "dtype",
        "isa",
        "parameters",
    ],
)
def test_attributes_cannot_be_set(name: str, kind: str) -> None:
    model = make(kind, 2, 3)
    with pytest.raises(AttributeError):
        setattr(model, name, getattr(model, name))


def test_sizes_of_any_integer_type() -> None:
    lstm = lstmfast.LSTM(np.int64(3), np.uint8(4), num_layers=np.array(2), bias=np.bool_(True))  # type: ignore[arg-type]
    assert [type(n) for n in (lstm.input_size, lstm.hidden_size, lstm.num_layers, lstm.bias)] == [
        int,
        int,
        int,
        bool,
    ]
    assert (lstm.input_size, lstm.hidden_size, lstm.num_layers) == (3, 4, 2)


@pytest.mark.parametrize("spelled", [0, 1, 0.25, np.float32(0.25), np.float64(1), np.int8(0)])
def test_dropout_of_any_real_type(kind: str, spelled: Any) -> None:
    model = make(kind, 3, 4, dropout=spelled)
    assert type(model.dropout) is float
    assert model.dropout == spelled


@pytest.mark.parametrize("spelled", ["float64", "f8", "double", float, np.float64, np.dtype("f8")])
def test_dtype_as_numpy_reads_it(spelled: Any) -> None:
    assert lstmfast.LSTM(1, 1, dtype=spelled).dtype is np.dtype("float64")


def test_dtype_is_numpys_own_object() -> None:
    """Or `is` would not find that an array has it, and every call would take the slow path."""
    other = pickle.loads(pickle.dumps(np.dtype("float64")))
    assert other is not np.dtype("float64")
    assert lstmfast.LSTM(1, 1, dtype=other).dtype is np.dtype("float64")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (lstmfast.LSTM(3, 4), "LSTM(3, 4)"),
        (
            lstmfast.LSTM(3, 4, 2, False, True, bidirectional=True, dtype="float64"),
            "LSTM(3, 4, num_layers=2, bias=False, batch_first=True, bidirectional=True, dtype='float64')",
        ),
        (
            lstmfast.LSTM(3, 4, 2, dropout=0.5, proj_size=2),
            "LSTM(3, 4, num_layers=2, dropout=0.5, proj_size=2)",
        ),
        (lstmfast.LSTM(3, 4, dropout=1), "LSTM(3, 4, dropout=1.0)"),
        (lstmfast.RNN(3, 4), "RNN(3, 4)"),
        (lstmfast.RNN(3, 4, 3, dropout=0.1), "RNN(3, 4, num_layers=3, dropout=0.1)"),
        (lstmfast.RNN(3, 4, 2, "relu"), "RNN(3, 4, num_layers=2, nonlinearity='relu')"),
    ],
)
def test_repr(model: lstmfast.LSTM | lstmfast.RNN, text: str) -> None:
    assert repr(model) == text
    again = eval(text, {"LSTM": lstmfast.LSTM, "RNN": lstmfast.RNN})
    assert repr(again) == text


# Parameters.


@pytest.mark.parametrize("layout", layouts())
def test_names_shapes_and_order(kind: str, dtype: str, layout: dict[str, Any]) -> None:
    model = make(kind, 3, 5, dtype=dtype, **layout)
    rows = 20 if kind == "lstm" else 5
    directions = 2 if layout["bidirectional"] else 1
    expected = {}
    for name in NAMES_2_LAYERS_2_DIRECTIONS:
        if (
            ("_l1" in name and layout["num_layers"] == 1)
            or ("reverse" in name and directions == 1)
            or ("bias" in name and not layout["bias"])
        ):
            continue
        columns = 5 if "hh" in name else 3 if "_l0" in name else 5 * directions
        expected[name] = (rows,) if "bias" in name else (rows, columns)
    assert {name: array.shape for name, array in model.parameters.items()} == expected
    assert list(model.parameters) == list(expected) == list(model.state_dict())
    assert {array.dtype for array in model.parameters.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("layout", layouts())
def test_names_shapes_and_order_with_a_projection(dtype: str, layout: dict[str, Any]) -> None:
    """weight_hr [P, H] follows the biases of its layer and direction; W_hh and later layers' W_ih read P."""
    model = make("lstm", 3, 5, proj_size=2, dtype=dtype, **layout)
    directions = 2 if layout["bidirectional"] else 1
    expected: dict[str, tuple[int, ...]] = {}
    for layer in range(layout["num_layers"]):
        for direction in ("", "_reverse")[:directions]:
            end = f"_l{layer}{direction}"
            expected[f"weight_ih{end}"] = (20, 3 if layer == 0 else 2 * directions)
            expected[f"weight_hh{end}"] = (20, 2)
            if layout["bias"]:
                expected[f"bias_ih{end}"] = expected[f"bias_hh{end}"] = (20,)
            expected[f"weight_hr{end}"] = (2, 5)
    assert {name: array.shape for name, array in model.parameters.items()} == expected
    assert list(model.parameters) == list(expected)
    generator = np.random.default_rng(0)
    for array in model.parameters.values():
        assert_same_bits(array, generator.uniform(-(5**-0.5), 5**-0.5, array.shape).astype(dtype))


def test_initial_weights_are_those_of_the_seed(kind: str, dtype: str) -> None:
    model = make(kind, 3, 16, num_layers=2, dtype=dtype, seed=7)
    generator = np.random.default_rng(7)
    for array in model.parameters.values():
        assert_same_bits(array, generator.uniform(-0.25, 0.25, array.shape).astype(dtype))
    assert_same_bits(
        make(kind, 3, 16, num_layers=2, dtype=dtype, seed=np.int32(7)).state_dict(), model.state_dict()
    )


def test_seed_none_and_generator() -> None:
    first, second = (lstmfast.LSTM(2, 3).parameters["weight_ih_l0"] for _ in range(2))
    assert (first != second).all()
    generator = np.random.default_rng(7)
    one, two = (lstmfast.LSTM(2, 3, seed=generator) for _ in range(2))
    assert_same_bits(one.state_dict(), lstmfast.LSTM(2, 3, seed=7).state_dict())
    assert (one.parameters["weight_ih_l0"] != two.parameters["weight_ih_l0"]).all()


def test_parameters_are_read_only(kind: str) -> None:
    model = make(kind, 2, 3)
    for change in range(3):  # as they were drawn, and after either way to change them
        with pytest.raises(TypeError):
            model.parameters["weight_ih_l0"] = np.zeros(1)
        for array in model.parameters.values():
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
        if change == 0:
            model.load_state_dict(model.state_dict())
        else:
            model.update({"weight_ih_l0": model.state_dict()["weight_ih_l0"]})


def test_state_dict_is_a_copy(kind: str) -> None:
    model = make(kind, 2, 3)
    x = random_x(model, 4, 2)
    before, y = model.state_dict(), model(x)[0]
    for array in model.state_dict().values():
        array[...] = 7
    assert_same_bits(dict(model.parameters), before)
    assert_same_bits(model(x)[0], y)


@pytest.mark.parametrize("layout", layouts())
def test_load_state_dict(kind: str, dtype: str, isa: str, layout: dict[str, Any]) -> None:
    source = make(kind, 3, 5, dtype=dtype, isa=isa, **layout, seed=1)
    target = make(kind, 3, 5, dtype=dtype, isa=isa, **layout, seed=2)
    x, state = random_x(source, 4, 2), random_state(source, 2)
    weights = source.state_dict()
    assert (target(x, state)[0] != source(x, state)[0]).any()
    target.load_state_dict(dict(reversed(weights.items())))  # the order is no matter
    assert_same_bits(target.state_dict(), weights)
    assert_same_bits(everything(target, x, state), everything(source, x, state))
    # Only copies were kept.
    for array in weights.values():
        array[...] = 7
    assert_same_bits(everything(target, x, state), everything(source, x, state))


def test_update_replaces_what_it_names(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa, num_layers=2)
    x = random_x(model, 4, 2)
    before, y, snapshot = model.state_dict(), model(x)[0], model.parameters
    new = random(before["weight_hh_l1"].shape, "float64", seed=9)
    model.update({"weight_hh_l1": new})
    expected = before | {"weight_hh_l1": new.astype("float32")}
    assert_same_bits(model.state_dict(), expected)
    assert_same_bits(dict(snapshot), before)
    fresh = make(kind, 3, 5, isa=isa, num_layers=2, seed=99)
    fresh.load_state_dict(expected)
    assert (model(x)[0] != y).any()
    assert_same_bits(everything(model, x), everything(fresh, x))


def test_update_of_nothing_keeps_tapes(kind: str) -> None:
    model = make(kind, 3, 5)
    y, _, tape = model.forward(random_x(model, 4, 2))
    model.update({})
    model.backward(tape, y)


class Tensor:
    """What torch's tensors do: no array before `detach`, if they require grad."""

    def __init__(self, array: np.ndarray[Any, Any], requires_grad: bool = True) -> None:
        self.array, self.requires_grad = array, requires_grad

    def detach(self) -> Tensor:
        return Tensor(self.array, False)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy()")
        return self.array if dtype is None else self.array.astype(dtype)


def test_weights_from_tensors(kind: str) -> None:
    source, target = make(kind, 3, 5, seed=1), make(kind, 3, 5, seed=2)
    target.load_state_dict({name: Tensor(array) for name, array in source.state_dict().items()})
    assert_same_bits(target.state_dict(), source.state_dict())


def test_an_input_that_requires_grad_is_refused() -> None:
    # Silently detached, its gradient would be lost.
    with pytest.raises(
        TypeError, match=r"^x: expected an array of real numbers, got an object of type Tensor: .*detach"
    ):
        make("lstm", 3, 5)(Tensor(np.zeros((4, 2, 3))))


def test_weights_from_torch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    if kind == "lstm":
        theirs = torch.nn.LSTM(3, 5, 2, bidirectional=True)
    else:
        theirs = torch.nn.RNN(3, 5, 2, bidirectional=True, nonlinearity=kind.removeprefix("rnn_"))
    ours = make(kind, 3, 5, num_layers=2, bidirectional=True)
    weights = {name: value.numpy() for name, value in theirs.state_dict().items()}
    for mapping in (theirs.state_dict(), dict(theirs.named_parameters()), weights):
        ours.load_state_dict(make(kind, 3, 5, num_layers=2, bidirectional=True, seed=5).state_dict())
        ours.load_state_dict(mapping)
        assert_same_bits(ours.state_dict(), weights)
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})


@pytest.mark.parametrize("bias", [True, False])
def test_weights_of_a_projection_from_torch(bias: bool) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2, bias=bias)
    ours = make("lstm", 3, 5, num_layers=2, bidirectional=True, proj_size=2, bias=bias)
    assert list(ours.parameters) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert_same_bits(ours.state_dict(), {name: w.numpy() for name, w in theirs.state_dict().items()})
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})


# Calls.


def shapes(batch_first: bool, layout: dict[str, Any]) -> list[tuple[tuple[int, ...], ...]]:
    """Shapes of x, y, h, c, lengths and reset, batched and not; 6 steps, 4 rows, 3 inputs, 5 units."""
    T, B, H = 6, 4, 5
    P = layout.get("proj_size", H)
    D = 2 if layout["bidirectional"] else 1
    depth = layout["num_layers"] * D
    batch = (B, T) if batch_first else (T, B)
    return [
        ((*batch, 3), (*batch, D * P), (depth, B, P), (depth, B, H), (B,), batch),
        ((T, 3), (T, D * P), (depth, P), (depth, H), (), (T,)),
    ]


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        *((kind, layout) for kind in KINDS for layout in layouts()),
        *(("lstm", {"proj_size": 2, **layout}) for layout in layouts()),
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_shapes(kind: str, dtype: str, layout: dict[str, Any], cut: bool) -> None:
    for batch_first in (False, True):
        model = make(kind, 3, 5, dtype=dtype, batch_first=batch_first, dropout=0.5, **layout)
        for x_shape, y_shape, h_shape, c_shape, l_shape, r_shape in shapes(batch_first, layout):
            x = random(x_shape, dtype)
            options: dict[str, Any] = {}
            if cut:
                options = {"lengths": np.full(l_shape, 5), "reset": np.ones(r_shape, bool)}
            y, state = model(x, **options)
            y2, state2, tape = model.forward(x, state, recompute=cut, **options)
            grads = model.backward(tape, y2, state)
            assert y.shape == y2.shape == y_shape
            assert grads.x.shape == x_shape
            assert isinstance(state, tuple) == isinstance(grads.state, tuple) == (kind == "lstm")
            for result in (state, state2, grads.state):
                assert [a.shape for a in parts(result)] == [h_shape, c_shape][: len(parts(result))]
            arrays = [*parts(state), *parts(state2), *parts(grads.state)]
            out = (np.empty_like(y), copy.deepcopy(state))
            assert model(x, **options, out=out) is out
            assert_same_bits(out, (y, state))
            arrays += [y, y2, grads.x, *grads.parameters.values()]
            assert {array.dtype for array in arrays} == {np.dtype(dtype)}
            assert {type(array) for array in arrays} == {np.ndarray}
            assert [(name, array.shape) for name, array in grads.parameters.items()] == [
                (name, array.shape) for name, array in model.parameters.items()
            ]


def test_batch_first_is_a_transposition(kind: str, dtype: str, isa: str) -> None:
    options: dict[str, Any] = {"dtype": dtype, "isa": isa, "num_layers": 2, "bidirectional": True}
    time_first, batch_first = (make(kind, 3, 5, batch_first=flag, **options) for flag in (False, True))
    x, state = random_x(time_first, 6, 4), random_state(time_first, 4)
    dy, dstate = random((6, 4, 10), dtype, seed=5), random_state(time_first, 4, seed=6)
    expected = everything(time_first, x, state, dy, dstate)
    for layout in (np.ascontiguousarray, lambda array: array):  # a copy, and a view with other strides
        flipped = [layout(array.swapaxes(0, 1)) for array in (x, dy)]
        actual = everything(batch_first, flipped[0], state, flipped[1], dstate)
        for name in ("called", "y", "dx"):
            actual[name] = actual[name].swapaxes(0, 1)
        assert_same_bits(actual, expected)


@pytest.mark.parametrize("batch_first", [False, True])
def test_unbatched_is_a_batch_of_one(kind: str, dtype: str, isa: str, batch_first: bool) -> None:
    model = make(kind, 3, 5, dtype=dtype, isa=isa, num_layers=2, bidirectional=True, batch_first=batch_first)
    axis = 0 if batch_first else 1
    x, state = random_x(model, 6, 1), random_state(model, 1)
    dy, dstate = random((*x.shape[:2], 10), dtype, seed=5), random_state(model, 1, seed=6)
    expected = everything(model, x, state, dy, dstate)
    for name, array in expected.items():
        if name in ("called", "y", "dx"):
            expected[name] = array.squeeze(axis)
        elif "state" in name:
            expected[name] = array.squeeze(1)

    def one(state: Any) -> Any:
        return tuple(s.squeeze(1) for s in state) if isinstance(state, tuple) else state.squeeze(1)

    assert_same_bits(everything(model, x.squeeze(axis), one(state), dy.squeeze(axis), one(dstate)), expected)


def test_no_state_is_zero(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa)
    x = random_x(model, 6, 4)
    zero = np.zeros((1, 4, 5), "float32")
    states: list[Any] = [zero]
    if kind == "lstm":
        states = [(zero, zero), (None, zero), (zero, None), (None, None), [zero, zero]]
    for state in states:
        assert_same_bits(everything(model, x, state), everything(model, x))


def test_no_gradient_is_zero(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa)
    x, state = random_x(model, 6, 4), random_state(model, 4)
    y, _, tape = model.forward(x, state)
    dh = random((1, 4, 5), seed=5)
    zero = np.zeros_like(dh)

    def gradients(dy: Any, dstate: Any) -> list[Any]:
        grads = model.backward(tape, dy, dstate)
        return [grads.x, *parts(grads.state), *grads.parameters.values()]

    assert not any(array.any() for array in gradients(None, None))
    if kind == "lstm":
        pairs: list[Any] = [((dh, None), (dh, zero)), ((None, dh), (zero, dh)), ((None, None), None)]
    else:
        pairs = [(None, zero)]
    for short, full in pairs:
        assert_same_bits(gradients(None, short), gradients(np.zeros_like(y), full))
        assert_same_bits(gradients(y, short), gradients(y, full))


def test_state_continues_a_sequence(kind: str, dtype: str, isa: str) -> None:
    model = make(kind, 3, 5, dtype=dtype, isa=isa, num_layers=2)
    x = random_x(model, 9, 4)
    whole, end = model(x)
    state = None
    for start, stop in ((0, 1), (1, 5), (5, 9)):
        y, state = model(x[start:stop], state)
        assert_same_bits(y, whole[start:stop])
    assert_same_bits(state, end)


def test_no_steps_and_no_rows(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa, num_layers=2, bidirectional=True)
    for T, B in ((0, 4), (6, 0), (0, 0)):
        x, state = random_x(model, T, B), random_state(model, B)
        y, end, tape = model.forward(x, state)
        grads = model.backward(tape, y, end)
        assert y.shape == (T, B, 10)
        assert grads.x.shape == (T, B, 3)
        if T == 0:  # the state stays what it was, and so does its gradient
            assert_same_bits(end, state)
            assert_same_bits(grads.state, state)
        assert not any(array.any() for array in grads.parameters.values())
        assert_same_bits(model(x, state), (y, end))


def test_nan_and_infinity_flow(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa)
    x = random_x(model, 6, 4)
    clean = model(x)[0]
    x[2, 1, 0] = np.nan
    y = model(x)[0]
    assert np.isnan(y[2:, 1]).all()
    assert_same_bits(np.delete(y, 1, axis=1), np.delete(clean, 1, axis=1))
    assert_same_bits(y[:2], clean[:2])
    x[2, 1, 0] = np.inf
    y = model(x)[0]
    if kind == "rnn_relu":
        assert not np.isfinite(y[2, 1]).all()
    elif kind == "rnn_tanh":
        assert (np.abs(y[2, 1]) == 1).all()
    else:
        assert np.isfinite(y[2, 1]).all()


def test_results_are_the_callers(kind: str) -> None:
    model = make(kind, 3, 5)
    x = random_x(model, 6, 4)
    y, state = model(x)
    kept = y.copy(), [part.copy() for part in parts(state)]
    for array in (y, *parts(state)):
        array[...] = 7
    y, state = model(x)
    assert_same_bits((y, parts(state)), kept)


# Lengths and resets: how they are given. What comes of them is compared elsewhere.


class Recorder:
    """A network that keeps what it is called with."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.seen: tuple[Any, ...] = ()

    def infer(self, *arguments: Any) -> Any:
        self.seen = arguments[7:9]
        return self.network.infer(*arguments)

    def forward(self, *arguments: Any) -> Any:
        self.seen = arguments[4:]
        return self.network.forward(*arguments)

    def backward(self, *arguments: Any) -> Any:
        return self.network.backward(*arguments)


def recorded(model: Any) -> Recorder:
    """Put a recorder before the model's network."""
    model._network = recorder = Recorder(model._network)
    return recorder


def test_lengths_of_any_integer_type(kind: str) -> None:
    model = make(kind, 3, 5, bidirectional=True)
    x = random_x(model, 6, 3)
    expected = model(x, lengths=[6, 0, 4])
    given: list[Any] = [np.array([6, 0, 4], dtype) for dtype in ("i1", "u1", ">i2", "u4", "i8", "u8")]
    given += [(6, 0, 4), [np.int8(6), 0, np.uint8(4)], np.array([6, 9, 0, 9, 4])[::2]]
    for lengths in given:
        assert_same_bits(model(x, lengths=lengths), expected)
        assert_same_bits(model.forward(x, lengths=lengths)[:2], expected)
    for length in (4, np.uint8(4), np.array(4), np.int64(4)):
        assert_same_bits(model(x[:, 2], lengths=length)[0], expected[0][:, 2])


def test_lengths_and_resets_from_torch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    model = make(kind, 3, 5)
    x, reset = random_x(model, 6, 3), np.eye(6, 3, -2, bool)
    expected = model(x, lengths=[6, 0, 4], reset=reset)
    assert_same_bits(model(x, lengths=torch.tensor([6, 0, 4]), reset=torch.from_numpy(reset)), expected)


def test_no_rows_have_no_lengths(kind: str) -> None:
    model = make(kind, 3, 5)
    x = random_x(model, 6, 0)
    given: list[Any] = [[], (), np.zeros(0, "uint8")]
    for lengths in given:
        assert_same_bits(model(x, lengths=lengths), model(x))


def test_what_cuts_nothing_is_not_handed_on(kind: str) -> None:
    """The core is faster without, and its results are the same."""
    for batch_first in (False, True):
        model = make(kind, 3, 5, batch_first=batch_first)
        recorder = recorded(model)
        x = random_x(model, 6, 4)
        nothing = np.zeros(x.shape[:2], bool)
        for call in (model, model.forward):
            call(x, lengths=[6] * 4, reset=nothing)
            assert recorder.seen[:2] == (None, None)
            call(x[:, 0] if not batch_first else x[0], lengths=6, reset=[False] * 6)
            assert recorder.seen[:2] == (None, None)
            call(x, lengths=[6, 6, 6, 5], reset=nothing)
            assert recorder.seen[1] is None
            call(x, lengths=[6] * 4, reset=~nothing)
            assert recorder.seen[0] is None


def test_the_core_is_given_resets_in_time_order(kind: str) -> None:
    reset = np.random.default_rng(0).random((6, 4)) < 0.3
    odd = (reset * np.uint8(2)).view(bool)  # a bool that is no 0 or 1 in memory
    for batch_first in (False, True):
        model = make(kind, 3, 5, batch_first=batch_first)
        recorder = recorded(model)
        x = random_x(model, 6, 4)
        for given in (reset, odd, np.asfortranarray(reset), reset.tolist(), np.repeat(reset, 2, 1)[:, ::2]):
            model(x, reset=np.swapaxes(given, 0, 1) if batch_first else given)
            assert_same_bits(recorder.seen[1].view("uint8"), reset.view("uint8"))
            assert recorder.seen[1].flags.c_contiguous
        model(random((6, 3)), reset=reset[:, 0])
        assert_same_bits(recorder.seen[1].view("uint8"), reset[:, :1].view("uint8"))


def test_lengths_and_resets_may_change_after_the_call(kind: str) -> None:
    for batch_first in (False, True):
        model = make(kind, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
        x = random_x(model, 6, 4)
        dy = random((*x.shape[:2], 10), seed=5)
        lengths = np.array([6, 0, 2, 5])
        reset = np.zeros(x.shape[:2], bool)
        reset[2, 3] = True
        expected = model.backward(model.forward(x, lengths=lengths, reset=reset)[2], dy)
        tape = model.forward(x, lengths=lengths, reset=reset)[2]
        lengths[:] = 10**9
        reset[:] = True
        actual = model.backward(tape, dy)
        assert_same_bits(actual.x, expected.x)
        assert_same_bits(actual.parameters, expected.parameters)


# Dropout and recomputing: how they are asked for.


def test_a_call_drops_nothing(kind: str) -> None:
    x = random((6, 4, 3))
    with_dropout = make(kind, 3, 5, num_layers=3, dropout=0.5)
    assert_same_bits(with_dropout(x), make(kind, 3, 5, num_layers=3)(x))
    assert (with_dropout.forward(x)[0] != with_dropout(x)[0]).any()


def test_nothing_is_drawn_where_nothing_is_dropped(kind: str) -> None:
    x = random((6, 4, 3))
    for options in ({"num_layers": 1, "dropout": 0.5}, {"num_layers": 3}):
        model = make(kind, 3, 5, **options)
        generator = np.random.default_rng(3)
        before = generator.bit_generator.state
        assert_same_bits(model.forward(x, seed=generator)[:2], model(x))
        assert generator.bit_generator.state == before


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_masks_are_those_of_one_draw(kind: str, p: float, bits: Any) -> None:
    for batch_first in (False, True):
        options: dict[str, Any] = {"num_layers": 3, "bidirectional": True, "batch_first": batch_first}
        model = make(kind, 3, 5, dropout=p, **options)
        recorder = recorded(model)
        x = random_x(model, 7, 3)
        ours, theirs = (np.random.Generator(bits(8)) for _ in range(2))
        for _ in range(2):  # the second call goes on where the first one ended
            model.forward(x, seed=ours)
            _, _, _, masks, scale = recorder.seen
            expected = theirs.random((2, 7, 3, 10), dtype=np.float32).astype("float64") >= p
            assert masks.flags.c_contiguous
            np.testing.assert_array_equal(masks, expected)
            assert scale == (0.0 if p == 1 else 1 / (1 - p))
    lstm = make("lstm", 3, 5, num_layers=2, proj_size=2, dropout=p)
    recorder = recorded(lstm)
    lstm.forward(random((7, 3)), seed=np.random.Generator(bits(8)))
    expected = np.random.Generator(bits(8)).random((1, 7, 1, 2), dtype=np.float32).astype("float64") >= p
    np.testing.assert_array_equal(recorder.seen[3], expected)


def test_seeds_of_dropout(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2, dropout=0.5)
    x = random((6, 4, 3))

    def run(seed: Any) -> Any:
        return model.forward(x, seed=seed)[0]

    assert_same_bits(run(7), run(np.int32(7)))
    assert_same_bits(run(7), run(np.random.default_rng(7)))
    assert (run(7) != run(8)).any()
    assert (run(None) != run(None)).any()
    generator = np.random.default_rng(7)
    assert (run(generator) != run(generator)).any()


def test_backward_goes_through_what_was_dropped(kind: str) -> None:
    """A tape knows its masks: others that are drawn between are no matter."""
    model = make(kind, 3, 5, num_layers=2, dropout=0.5)
    x = random((6, 4, 3))
    tapes = [model.forward(x, seed=seed)[2] for seed in (1, 2)]
    gradients = [model.backward(tape, np.ones((6, 4, 5))) for tape in tapes]
    assert (gradients[0].x != gradients[1].x).any()
    assert_same_bits(model.backward(tapes[0], np.ones((6, 4, 5))).x, gradients[0].x)


def test_recompute_gives_the_same_bits_and_a_smaller_tape(kind: str, dtype: str, isa: str) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dropout": 0.5}
    model = make(kind, 3, 40, dtype=dtype, isa=isa, **options)
    x, state = random_x(model, 30, 4), random_state(model, 4)
    dy, dstate = random((30, 4, 80), dtype, seed=5), random_state(model, 4, seed=6)
    results = []
    for recompute in (False, True, np.True_):
        y, end, tape = model.forward(x, state, recompute=recompute, seed=1)
        for _ in range(2):  # a tape may be used again
            grads = model.backward(tape, dy, dstate)
            results.append([tape.nbytes, y, *parts(end), grads.x, *parts(grads.state), grads.parameters])
    for other in results[1:]:
        assert_same_bits(other[1:], results[0][1:])
    if kind == "lstm":  # an RNN keeps no gates at all
        assert results[2][0] < 0.6 * results[0][0]
    assert results[2][0] <= results[0][0]


# Tapes and gradients.


def test_forward_gives_what_a_call_gives(kind: str, dtype: str, isa: str) -> None:
    model = make(kind, 3, 5, dtype=dtype, isa=isa, num_layers=2, bidirectional=True)
    x, state = random_x(model, 6, 4), random_state(model, 4)
    assert_same_bits(model.forward(x, state)[:2], model(x, state))


@pytest.mark.parametrize("shape", [(6, 4, 3), (6, 3)])
def test_y_of_forward_is_read_only(kind: str, shape: tuple[int, ...]) -> None:
    model = make(kind, 3, 5)
    y, _, _ = model.forward(random(shape))
    with pytest.raises(ValueError, match="read-only"):
        y[...] = 0
    model(random(shape))[0][...] = 0


def test_a_tape_may_be_used_again(kind: str, isa: str) -> None:
    model = make(kind, 3, 5, isa=isa, num_layers=2)
    y, end, tape = model.forward(random_x(model, 6, 4), random_state(model, 4))

    def gradients(dy: Any, dstate: Any) -> list[Any]:
        grads = model.backward(tape, dy, dstate)
        return [grads.x, *parts(grads.state), *grads.parameters.values()]

    first = gradients(y, end)
    other = gradients(np.ones_like(y), None)
    assert_same_bits(gradients(y, end), first)
    assert_same_bits(gradients(np.ones_like(y), None), other)
    assert (other[0] != first[0]).any()


def test_a_tape_outlives_everything_else(kind: str) -> None:
    model = make(kind, 3, 5)
    expected = everything(model, random_x(model, 6, 4), dy=np.ones((6, 4, 5), "float32"))
    tape = model.forward(random_x(model, 6, 4).copy())[2]  # x and y are the tape's alone now
    for _ in range(20):
        np.full((6, 4, 5), 1e9, "float32")  # would fill memory that was given back
    assert_same_bits(model.backward(tape, np.ones((6, 4, 5))).x, expected["dx"])


def test_a_tape_of_a_copied_model_is_as_good(kind: str) -> None:
    model = make(kind, 3, 5)
    y, _, tape = model.forward(random_x(model, 6, 4))
    assert_same_bits(copy.copy(model).backward(tape, y).x, model.backward(tape, y).x)


def test_tape_describes_itself() -> None:
    model = lstmfast.LSTM(3, 5)
    short, long = (model.forward(random_x(model, T, 4))[2] for T in (6, 60))
    assert isinstance(short, lstmfast.Tape)
    assert 6 * 4 * 5 * 4 <= short.nbytes < long.nbytes
    assert repr(short) == f"<Tape of LSTM(3, 5), y (6, 4, 5), {short.nbytes} bytes>"


def test_gradients_are_frozen(kind: str) -> None:
    model = make(kind, 3, 5)
    y, _, tape = model.forward(random_x(model, 6, 4))
    grads = model.backward(tape, y)
    assert isinstance(grads, lstmfast.Gradients)
    assert type(grads.parameters) is dict
    with pytest.raises(AttributeError):
        grads.x = y  # type: ignore[misc]


def test_a_step_along_the_gradient_lowers_the_loss(kind: str, isa: str) -> None:
    """The whole way that training goes: forward, backward, update."""
    model = make(kind, 3, 8, isa=isa, dtype="float64", num_layers=2)
    x, target = random_x(model, 6, 4), random((6, 4, 8), "float64", seed=5, scale=0.3)
    losses = []
    for _ in range(20):
        y, _, tape = model.forward(x)
        losses.append(float(((y - target) ** 2).mean()))
        grads = model.backward(tape, 2 * (y - target) / y.size)
        model.update({name: model.parameters[name] - 0.1 * d for name, d in grads.parameters.items()})
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))
    assert losses[-1] < 0.95 * losses[0]


# Threads.


@pytest.mark.parametrize("kind", KINDS)
def test_calls_see_whole_weights_while_others_change_them(kind: str) -> None:
    model = make(kind, 8, 16, num_layers=2)
    x = random_x(model, 10, 4)
    weights = [make(kind, 8, 16, num_layers=2, seed=seed).state_dict() for seed in range(3)]
    allowed = []
    for w in weights:
        model.load_state_dict(w)
        allowed.append(model(x)[0].tobytes())
    assert len(set(allowed)) == 3
    stop, seen, errors = threading.Event(), set(), []

    def call() -> None:
        try:
            while not stop.is_set():
                seen.add(model(x)[0].tobytes())
                y, _, tape = model.forward(x)
                seen.add(y.tobytes())
                try:
                    model.backward(tape, y)
                except ValueError as error:  # right, if the weights changed in between
                    if "weights have changed" not in str(error):
                        raise
        except BaseException as error:
            errors.append(error)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for n in range(150):
        model.load_state_dict(weights[n % 3])
    stop.set()
    for caller in callers:
        caller.join()
    assert not errors
    assert seen <= set(allowed)


def test_updates_at_once_do_not_lose_each_other() -> None:
    model = lstmfast.LSTM(8, 16, 4)
    names = list(model.parameters)

    def write(name: str) -> None:
        for n in range(1, 41):
            model.update({name: np.full(model.parameters[name].shape, n)})

    writers = [threading.Thread(target=write, args=(name,)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {name: set(array.ravel().tolist()) for name, array in model.parameters.items()} == {
        name: {40.0} for name in names
    }
    y = model(np.ones((2, 1, 8)))[0]
    again = lstmfast.LSTM(8, 16, 4)
    again.load_state_dict(model.state_dict())
    assert_same_bits(again(np.ones((2, 1, 8)))[0], y)
