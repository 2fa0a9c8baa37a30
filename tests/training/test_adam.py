"""Adam takes PyTorch's steps, in each model's own dtype, or none at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast.training import Adam, Dense


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"learning_rate": 0.3, "betas": (0.5, 0.9), "eps": 1e-3},
        {"learning_rate": 0.05, "betas": (0.0, 0.99)},
    ],
    ids=["defaults", "others", "no momentum"],
)
def test_adam_is_that_of_torch(settings: dict[str, Any], torch: Any) -> None:
    rng = np.random.default_rng(0)
    heads = [Dense(3, 2, dtype="float64", seed=1), Dense(2, 4, bias=False, dtype="float64", seed=2)]
    theirs = [{n: torch.tensor(w, requires_grad=True) for n, w in head.parameters.items()} for head in heads]
    kwargs = dict(settings)
    their_adam = torch.optim.Adam(
        [w for of_one in theirs for w in of_one.values()], lr=kwargs.pop("learning_rate", 1e-3), **kwargs
    )
    adam = Adam(*heads, **settings)
    for step in range(100):
        scale = 10.0 ** rng.integers(-6, 3)  # gradients of very different sizes, and now and then none
        gradients = [
            {n: scale * rng.standard_normal(w.shape) * (step % 7 > 0) for n, w in head.parameters.items()}
            for head in heads
        ]
        adam.step(*gradients)
        for of_one, of_gradients in zip(theirs, gradients, strict=True):
            for name, w in of_one.items():
                w.grad = torch.tensor(of_gradients[name])
        their_adam.step()
    for head, of_one in zip(heads, theirs, strict=True):
        for name, w in of_one.items():
            np.testing.assert_allclose(
                head.parameters[name], w.detach().numpy(), rtol=1e-12, atol=1e-13, err_msg=name
            )


def test_adam_is_that_of_torch_in_float32(torch: Any) -> None:
    head = Dense(3, 2, bias=False, seed=1)
    w = torch.tensor(head.parameters["weight"], requires_grad=True)
    theirs, adam = torch.optim.Adam([w], lr=0.1), Adam(head, learning_rate=0.1)
    # Up to nearly the largest number whose square float32 can hold.
    for scale in (1.8e19, 1.0, 1e-3, 1e10, 1e-20, 0.0, 1.0):
        gradient = (scale * np.linspace(-1, 1, 6).reshape(2, 3)).astype("float32")
        adam.step({"weight": gradient})
        w.grad = torch.tensor(gradient)
        theirs.step()
        np.testing.assert_allclose(head.parameters["weight"], w.detach().numpy(), rtol=1e-5)


class Foreign:
    """Somebody else's model, whose weights are in an order of its own."""

    def __init__(self) -> None:
        self.parameters = {
            "w": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "scale": np.array(2.0, np.float32),
            "none": np.zeros((0, 2)),
        }

    def update(self, parameters: Any) -> None:
        self.parameters = dict(parameters)


def test_weights_of_any_shape_and_order_are_stepped() -> None:
    model = Foreign()
    before, adam = model.parameters, Adam(model, learning_rate=0.5)
    adam.step({"w": np.ones((3, 2)).T, "scale": -1.0, "none": np.zeros((0, 2))})
    np.testing.assert_allclose(model.parameters["w"], before["w"] - 0.5, rtol=1e-6)
    np.testing.assert_allclose(model.parameters["scale"], 2.5, rtol=1e-6)
    assert {name: w.shape for name, w in model.parameters.items()} == {
        "w": (2, 3),
        "scale": (),
        "none": (0, 2),
    }


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e20), ("float32", -2e19), ("float64", 1e160)])
def test_a_gradient_that_cannot_be_squared_is_refused(dtype: str, size: float) -> None:
    # The mean of squares would be infinite for ever after, and the weight never move again.
    head, other = Dense(1, 1, dtype=dtype, seed=0), Dense(1, 1, dtype=dtype, seed=0)
    adam, untouched = Adam(head), Adam(other)
    with pytest.raises(
        ValueError,
        match=rf"^gradients\[0\]\['weight'\]: expected numbers whose squares {dtype} can hold, got ",
    ):
        adam.step({"bias": [1.0], "weight": [[size]]})
    for _ in range(50):
        for one in (adam, untouched):
            one.step({"weight": [[1.0]], "bias": [1.0]})
    assert head.parameters["weight"] == other.parameters["weight"]
    np.testing.assert_allclose(
        Dense(1, 1, dtype=dtype, seed=0).parameters["weight"] - 0.05, head.parameters["weight"], rtol=1e-4
    )


def test_first_step_of_adam_is_the_learning_rate_against_the_sign() -> None:
    head = Dense(2, 2, bias=False, dtype="float64", seed=0)
    before = head.parameters["weight"]
    Adam(head, learning_rate=0.25).step({"weight": [[3.0, -1e-2], [1e5, 0.0]]})
    np.testing.assert_allclose(before - head.parameters["weight"], [[0.25, -0.25], [0.25, 0]], rtol=2e-6)


def test_learning_rate_may_change_between_steps() -> None:
    head = Dense(1, 1, bias=False, dtype="float64", seed=0)
    adam = Adam(head, learning_rate=0.5)
    adam.learning_rate = 0.0
    before = head.parameters["weight"].copy()
    adam.step({"weight": [[1.0]]})
    assert head.parameters["weight"] == before
    adam.learning_rate = 0.125
    adam.step({"weight": [[1.0]]})
    np.testing.assert_allclose(before - head.parameters["weight"], [[0.125]], rtol=1e-6)
    with pytest.raises(
        ValueError, match="learning_rate: expected a finite number that is not negative, got -1"
    ):
        adam.learning_rate = -1
    assert adam.learning_rate == 0.125


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_trains_lstm_rnn_and_head_in_their_own_dtype(dtype: str) -> None:
    models: list[Any] = [
        lstmfast.LSTM(2, 3, dtype=dtype, seed=0),
        lstmfast.RNN(2, 3, dtype=dtype, seed=0),
        Dense(3, 1, dtype=dtype, seed=0),
    ]
    before = [model.state_dict() for model in models]
    Adam(*models, learning_rate=0.5).step(
        *({name: np.ones(w.shape) for name, w in model.parameters.items()} for model in models)
    )
    for model, old in zip(models, before, strict=True):
        assert list(model.parameters) == list(old)
        for name, w in model.parameters.items():
            assert w.dtype == dtype
            np.testing.assert_allclose(old[name] - w, 0.5, rtol=1e-6, err_msg=name)


GOOD = {"weight": np.ones((1, 2)), "bias": np.ones(1)}


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        ((GOOD,), ValueError, "gradients: expected 2 mappings, one for each model, got 1"),
        ((GOOD, GOOD, GOOD), ValueError, "gradients: expected 2 mappings, one for each model, got 3"),
        (
            (GOOD, {"weight": np.ones((1, 2))}),
            ValueError,
            r"gradients\[1\]: missing bias; expected the names weight, bias",
        ),
        ((GOOD, GOOD | {"w": np.ones(1)}), ValueError, r"gradients\[1\]: unexpected w; expected the names"),
        ((GOOD, {"Weight": 0, "bias": 0}), ValueError, "unexpected Weight; missing weight"),
        (
            (GOOD, GOOD | {"bias": np.ones(2)}),
            ValueError,
            r"gradients\[1\]\['bias'\]: expected shape \(1,\), got \(2,\)",
        ),
        (
            (GOOD, GOOD | {"bias": 1.0}),
            ValueError,
            r"gradients\[1\]\['bias'\]: expected shape \(1,\), got \(\)",
        ),
        (
            (GOOD, GOOD | {"bias": ["a"]}),
            TypeError,
            r"gradients\[1\]\['bias'\]: expected an array of real numbers",
        ),
        (
            (GOOD, GOOD | {"bias": [1j]}),
            TypeError,
            r"gradients\[1\]\['bias'\]: expected an array of real numbers",
        ),
        (
            (GOOD, [1, 2]),
            TypeError,
            r"gradients\[1\]: expected a mapping from names to arrays, got a list of length 2",
        ),
        ((GOOD, None), TypeError, r"gradients\[1\]: expected a mapping from names to arrays, got None"),
        (
            (GOOD, GOOD | {"bias": [np.nan]}),
            ValueError,
            r"gradients\[1\]\['bias'\]: expected finite numbers, got NaN",
        ),
        ((GOOD, GOOD | {"weight": [[0, -np.inf]]}), ValueError, "in 1 of 2 places"),
        ((GOOD, GOOD | {"weight": [[0, 1e300]]}), ValueError, "expected finite numbers"),  # not in float32
    ],
)
def test_adam_refuses_a_bad_step_and_changes_nothing(
    gradients: Any, error: type[Exception], message: str
) -> None:
    heads, others = ([Dense(2, 1, seed=0), Dense(2, 1, seed=1)] for _ in range(2))
    adam, untouched = Adam(*heads), Adam(*others)
    adam.step(GOOD, GOOD)
    untouched.step(GOOD, GOOD)
    with pytest.raises(error, match=message):
        adam.step(*gradients)
    # Neither weights nor running means nor the count of steps: both go on as one.
    for _ in range(2):
        for head, other in zip(heads, others, strict=True):
            for name, w in head.parameters.items():
                np.testing.assert_array_equal(w, other.parameters[name])
        adam.step(GOOD, GOOD)
        untouched.step(GOOD, GOOD)


def test_adam_says_what_to_pass_instead_of_the_gradients_object() -> None:
    head = Dense(2, 1, seed=0)
    _, tape = head.forward([1, 2])
    with pytest.raises(TypeError, match=r"got an object of type DenseGradients; pass its .parameters"):
        Adam(head).step(head.backward(tape, [1.0]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        (
            {"learning_rate": -1e-3},
            ValueError,
            "learning_rate: expected a finite number that is not negative",
        ),
        ({"learning_rate": np.inf}, ValueError, "learning_rate: expected a finite number"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate: expected a number, got NaN"),
        ({"learning_rate": 10**400}, ValueError, "learning_rate: expected a number that a float can hold"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate: expected a number, got 'fast'"),
        ({"learning_rate": True}, TypeError, "learning_rate: expected a number, got True"),
        ({"learning_rate": None}, TypeError, "learning_rate: expected a number, got None"),
        ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\]: expected a number from 0 to below 1, got 1.0"),
        ({"betas": (-0.1, 0.9)}, ValueError, r"betas\[0\]: expected a number from 0 to below 1, got -0.1"),
        ({"betas": (0.9,)}, ValueError, "betas: expected a pair"),
        ({"betas": 0.9}, TypeError, "betas: expected a pair"),
        ({"betas": ("a", 0.9)}, TypeError, r"betas\[0\]: expected a number"),
        ({"eps": 0}, ValueError, "eps: expected a finite number above 0, got 0"),
        ({"eps": np.inf}, ValueError, "eps: expected a finite number above 0, got inf"),
        (
            {"eps": 1e-50},
            ValueError,
            "eps: expected a number that is finite and above 0 in float32, .* 1e-50",
        ),
        ({"eps": 1e50}, ValueError, r"eps: expected a number that is finite and .* got 1e\+50"),
    ],
)
def test_adam_refuses_bad_settings(kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Adam(Dense(1, 1), **kwargs)


def test_an_eps_that_is_none_to_float32_is_one_to_float64() -> None:
    """A weight without gradients stays as it is; in float32 its step would be 0 / 0."""
    head = Dense(1, 1, dtype="float64", seed=0)
    before = head.state_dict()
    Adam(head, eps=1e-50).step({name: np.zeros_like(w) for name, w in before.items()})
    for name, w in head.parameters.items():
        np.testing.assert_array_equal(w, before[name])


def test_adam_refuses_what_it_cannot_train() -> None:
    head: Any = Dense(1, 1)
    with pytest.raises(TypeError, match="models: expected at least one, got none"):
        Adam()
    with pytest.raises(TypeError, match=r"models\[1\]: expected an object with parameters and update, got 1"):
        Adam(head, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"models\[0\]: expected an object with parameters and update, got"):
        Adam(Dense)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"models\[2\]: expected every model once"):
        Adam(head, Dense(1, 1), head)


class _Foreign:
    """A model of somebody else's, which can only be told to update."""

    def __init__(self, refuses: bool = False) -> None:
        self.parameters = {"weight": np.zeros(3, np.float32)}
        self.refuses = refuses

    def update(self, parameters: dict[str, Any]) -> None:
        if self.refuses:
            raise MemoryError
        self.parameters = {**self.parameters, **parameters}


class _Counting(lstmfast.LSTM):
    """One of ours, with an update of its user's."""

    updates = 0

    def update(self, parameters: Any) -> None:
        self.updates += 1
        super().update(parameters)


def test_all_models_take_a_step_or_none() -> None:
    ours, counting, other, refusing = lstmfast.LSTM(2, 3), _Counting(2, 3), _Foreign(), _Foreign(refuses=True)
    models: tuple[Any, ...] = (ours, counting, other, refusing)
    adam = Adam(*models)
    gradients = [{name: np.ones_like(w) for name, w in model.parameters.items()} for model in models]
    before = [dict(model.parameters) for model in models]
    with pytest.raises(MemoryError):
        adam.step(*gradients)
    for model, weights in zip(models, before, strict=True):
        for name, array in model.parameters.items():
            np.testing.assert_array_equal(array, weights[name])
    assert counting.updates == 2  # there and back
    refusing.refuses = False
    adam.step(*gradients)
    assert counting.updates == 3
    for model, weights in zip(models, before, strict=True):
        for name, array in model.parameters.items():
            assert (array != weights[name]).all()
