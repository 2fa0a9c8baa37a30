"""The operators called by name: what PyTorch's own operator refuses, they refuse, with or without data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402
from lstmfast.torch import _operators, _weights  # noqa: E402

I, H = 6, 7
SPEC = _weights.Spec("lstm", I, H, 2, False, True, 0)
CONFIG = {"cell": "lstm", "bias": True, "bidirectional": False}


def draw(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) * 0.4


def packed(batch_sizes: bool = True) -> dict[str, Any]:
    """What infer takes, of four rows of 5, 3, 3 and 1 steps; or of four rows of 5 steps."""
    x, sizes = draw(5, 4, I), None
    if batch_sizes:
        sequence = pack_padded_sequence(x, torch.tensor([5, 3, 3, 1]))
        x, sizes = sequence.data, sequence.batch_sizes
    weights = [draw(*shape) for _, shape, _ in SPEC.layout.shapes()]
    given = {"x": x, "h0": draw(2, 4, H), "c0": draw(2, 4, H), "weights": weights, "batch_sizes": sizes}
    return {**given, **CONFIG}


def with_masks(given: dict[str, Any]) -> dict[str, Any]:
    """What forward takes."""
    masks = torch.ones(1, *given["x"].shape[:-1], H, dtype=torch.bool)
    return {**given, "masks": masks, "mask_scale": 1.25}


def on_the_way_back(given: dict[str, Any]) -> dict[str, Any]:
    """What backward takes."""
    ahead = with_masks(given)
    with torch.no_grad():
        y, h_n, c_n, reserve = _operators.forward(**ahead)
    back = {"dy": y + 1, "dh_n": h_n + 1, "dc_n": c_n + 1, "y": y, "reserve": reserve, "wanted": [True] * 11}
    return {**ahead, **back}


OPERATORS: dict[str, tuple[Any, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "infer": (_operators.infer, dict),
    "forward": (_operators.forward, with_masks),
    "backward": (_operators.backward, on_the_way_back),
}
OPERATOR = pytest.mark.parametrize("name", OPERATORS)


def faked(value: Any, mode: Any) -> Any:
    """A tensor, or a list of them, without data."""
    if isinstance(value, list):
        return [faked(one, mode) for one in value]
    return mode.from_tensor(value) if isinstance(value, torch.Tensor) else value


def assert_refused(operator: Any, given: dict[str, Any], error: type[Exception], match: str) -> None:
    with torch.no_grad(), pytest.raises(error, match=match):
        operator(**given)


def assert_kind_refused(operator: Any, given: dict[str, Any], error: type[Exception], match: str) -> None:
    """With data and without: what is traced is refused when it is traced."""
    assert_refused(operator, given, error, match)
    with FakeTensorMode() as mode:
        assert_refused(operator, {name: faked(value, mode) for name, value in given.items()}, error, match)


def by_pytorch(given: dict[str, Any]) -> Any:
    """PyTorch's own operator on packed sequences."""
    state = (given["h0"], given["c0"])
    return torch._VF.lstm(
        given["x"], given["batch_sizes"], state, given["weights"], True, 2, 0.0, False, False
    )


# batch_sizes.

KINDS = ["int32", "int16", "int8", "uint8", "float32", "float64", "float16", "bool", "complex64"]


@OPERATOR
@pytest.mark.parametrize("dtype", KINDS)
def test_batch_sizes_are_of_int64(name: str, dtype: str) -> None:
    operator, of = OPERATORS[name]
    given = of(packed())
    given["batch_sizes"] = given["batch_sizes"].to(getattr(torch, dtype))
    if name == "infer":
        with pytest.raises(RuntimeError, match="expected scalar type Long"):
            by_pytorch(given)
    assert_kind_refused(operator, given, TypeError, f"batch_sizes: expected torch.int64, got torch.{dtype}$")


SIZES: dict[str, Callable[[Any], Any]] = {
    "no axis": lambda sizes: sizes[0],
    "two axes": lambda sizes: sizes[None],
    "nothing": lambda sizes: sizes[:0],
    "zeros": lambda sizes: sizes * 0,
    "negative": lambda sizes: -sizes,
    "negative at the end": lambda sizes: torch.tensor([4, 4, 5, -1]),
    "too many": lambda sizes: torch.cat([sizes, sizes[-1:]]),
}
# What PyTorch's takes without a word: it computes something else than was asked for, or leaves rows out.
CARELESS: dict[str, Callable[[Any], Any]] = {
    "rising": lambda sizes: sizes.flip(0),
    "too few": lambda sizes: sizes[:-1],
    "too few, all alike": lambda sizes: torch.tensor([4, 4]),
}


@OPERATOR
@pytest.mark.parametrize("what", [*SIZES, *CARELESS])
def test_batch_sizes_that_cannot_be(name: str, what: str) -> None:
    operator, of = OPERATORS[name]
    given = of(packed())
    given["batch_sizes"] = (SIZES | CARELESS)[what](given["batch_sizes"])
    if name == "infer" and what in SIZES:
        with pytest.raises((RuntimeError, IndexError, ValueError)):
            by_pytorch(given)
    assert_refused(operator, given, ValueError, "^lstmfast: batch_sizes: expected")


@pytest.mark.parametrize(
    "change",
    [
        lambda sizes: torch.stack([sizes, sizes], 1)[:, 0],
        lambda sizes: torch.cat([sizes, sizes[:1] * 0]),
        lambda sizes: torch.tensor([4, 4, 4, 0]),
    ],
    ids=["strided", "a step without rows", "steps without rows, all alike"],
)
def test_batch_sizes_that_pytorch_takes(change: Callable[[Any], Any]) -> None:
    given = packed()
    given["batch_sizes"] = change(given["batch_sizes"])
    with torch.no_grad():
        ours = _operators.infer(**given)
        given["batch_sizes"] = given["batch_sizes"].contiguous()  # PyTorch's reads past gaps
        theirs = by_pytorch(given)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_modules_on_a_graph_leave_them_to_pytorch(dtype: str) -> None:
    """So that the error is PyTorch's own, as in eager calls."""
    from torch.fx.experimental.proxy_tensor import make_fx

    module = lstmfast.torch.LSTM(I, H)
    given = packed()
    sizes = given["batch_sizes"].to(getattr(torch, dtype))
    state = (draw(1, 4, H), draw(1, 4, H))

    def run(data: Any) -> Any:
        return module(PackedSequence(data, sizes), state)[0].data

    for call in (run, make_fx(run)):
        with pytest.raises(RuntimeError, match="expected scalar type Long"):
            call(given["x"])


# Everything else.


def tensors_of(given: dict[str, Any]) -> list[tuple[str, int | None]]:
    """Each place of a tensor: a name, and of weights which."""
    found: list[tuple[str, int | None]] = []
    for name, value in given.items():
        if isinstance(value, torch.Tensor):
            found.append((name, None))
        if isinstance(value, list) and name == "weights":
            found += [(name, n) for n in range(len(value))]
    return found


def changed(given: dict[str, Any], place: tuple[str, int | None], change: Any) -> dict[str, Any]:
    """The same arguments with one tensor changed."""
    name, n = place
    if n is None:
        return {**given, name: change(given[name])}
    return {**given, name: [change(one) if k == n else one for k, one in enumerate(given[name])]}


@OPERATOR
@pytest.mark.parametrize("batch_sizes", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int32", "complex64", "bool", "uint8"])
def test_tensors_of_another_dtype(name: str, batch_sizes: bool, dtype: str) -> None:
    operator, of = OPERATORS[name]
    given = of(packed(batch_sizes))
    for place in tensors_of(given):
        if place[0] == "masks" and dtype == "bool":
            continue
        wrong = changed(given, place, lambda tensor: tensor.to(getattr(torch, dtype)))
        assert_kind_refused(operator, wrong, TypeError, "^lstmfast: .*: expected .*, got torch")


@OPERATOR
@pytest.mark.parametrize("batch_sizes", [False, True])
def test_tensors_without_data_among_others(name: str, batch_sizes: bool) -> None:
    """PyTorch then asks for shapes alone: results would be memory that nobody has written."""
    operator, of = OPERATORS[name]
    given = of(packed(batch_sizes))
    for place in tensors_of(given):
        wrong = changed(given, place, lambda tensor: tensor.to("meta"))
        assert_refused(operator, wrong, TypeError, "^lstmfast: expected all tensors on ")


@OPERATOR
@pytest.mark.parametrize("batch_sizes", [False, True])
def test_tensors_of_another_layout(name: str, batch_sizes: bool) -> None:
    operator, of = OPERATORS[name]
    given = of(packed(batch_sizes))
    for place in tensors_of(given):
        wrong = changed(given, place, lambda tensor: tensor.to_sparse())
        assert_refused(operator, wrong, NotImplementedError, "SparseCPU")


@OPERATOR
@pytest.mark.parametrize("batch_sizes", [False, True])
def test_tensors_of_another_shape(name: str, batch_sizes: bool) -> None:
    operator, of = OPERATORS[name]
    given = of(packed(batch_sizes))
    changes: list[Callable[[Any], Any]] = [
        lambda tensor: tensor[None],
        lambda tensor: tensor[..., :-1],
        lambda tensor: torch.cat([tensor, tensor[..., :1]], -1),
        lambda tensor: tensor[:0],
        lambda tensor: tensor.flatten()[0],
    ]
    for place in tensors_of(given):
        for change in changes:
            with torch.no_grad(), pytest.raises((ValueError, RuntimeError)):
                operator(**changed(given, place, change))


def test_weights_and_cells_that_cannot_be() -> None:
    given = packed()
    for weights in ([], given["weights"][:1], given["weights"][:7], [w.flatten() for w in given["weights"]]):
        assert_refused(_operators.infer, {**given, "weights": weights}, Exception, "^lstmfast: ")
    assert_refused(_operators.infer, {**given, "cell": "sru"}, ValueError, "^lstmfast: cell: expected")
