"""What the Python API promises of models and their parameters."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import KINDS, assert_same_bits, everything, gates_of, make, random, random_state, random_x
from .helpers import layouts

NAMES_2_LAYERS_2_DIRECTIONS = [
    f"{which}_l{layer}{direction}"
    for layer in (0, 1)
    for direction in ("", "_reverse")
    for which in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
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
    rows = 5 * gates_of(kind)
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


def test_weights_from_torch(kind: str, torch: Any) -> None:
    if kind in ("lstm", "gru"):
        theirs = getattr(torch.nn, kind.upper())(3, 5, 2, bidirectional=True)
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
def test_weights_of_a_projection_from_torch(bias: bool, torch: Any) -> None:
    theirs = torch.nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2, bias=bias)
    ours = make("lstm", 3, 5, num_layers=2, bidirectional=True, proj_size=2, bias=bias)
    assert list(ours.parameters) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert_same_bits(ours.state_dict(), {name: w.numpy() for name, w in theirs.state_dict().items()})
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})


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
