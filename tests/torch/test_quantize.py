"""`lstmfast.torch.quantize`: the plain API's quantised layers in models, bit for bit, and the way back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits, parts

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402

from .cut_helpers import CONFIG, CUTS, LENGTHS, ROWS, configured, cut_input  # noqa: E402
from .helpers import input_of, is_ours, quietly, randn, state_of, tensors  # noqa: E402

KINDS = ("float16", "bfloat16", "int8")
KIND = pytest.mark.parametrize("kind", KINDS)


def plain_of(module: Any) -> Any:
    return getattr(lstmfast, type(module).__name__).from_torch(module)


def as_arrays(results: Any) -> list[Any]:
    y, end = results
    return [each.numpy() for each in (y, *tensors(end))]


class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Three recurrent modules, one after the other, and what is left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.LSTM(3, 4)
        self.second = torch.nn.RNN(4, 5, bidirectional=True)
        self.gru = torch.nn.GRU(10, 6)
        self.head = torch.nn.Linear(6, 2)

    def forward(self, x: Any, scale: Any = 1.0) -> Any:
        return self.head(self.gru(self.second(self.first(x)[0] * scale)[0])[0])


@CONFIG
@KIND
@pytest.mark.parametrize("cut", [None, *CUTS])
def test_results_are_the_plain_layers(config: str, kind: str, cut: str | None, dtype: str) -> None:
    theirs, _ = configured(config, dtype)
    cuts = CUTS[cut](theirs.batch_first) if cut else {}
    x, hx = cut_input(theirs, cuts), state_of(theirs, ROWS)
    given = {name: np.asarray(value) for name, value in cuts.items()}
    if "reset" in given:
        given["reset"] = given["reset"] != 0
    state = tuple(h.numpy() for h in tensors(hx))
    y, end = plain_of(theirs).quantize(kind)(x.numpy(), state if len(state) == 2 else state[0], **given)
    module = lstmfast.torch.quantize(theirs, kind)
    assert module is theirs
    found = as_arrays(module(x, hx, **cuts))  # weights want gradients, but are constants
    assert_same_bits(found, [each.astype(dtype) for each in (y, *parts(end))])


@KIND
def test_packed_sequences(kind: str) -> None:
    _, ours = configured("lstm, both ways, projected", "float32")
    lstmfast.torch.quantize(ours, kind)
    lengths = torch.tensor([2, 6, 1, 5])
    x = input_of(ours, 4)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, end = ours(packed)
    expected = ours(x, lengths=lengths)
    assert torch.equal(pad_packed_sequence(y, batch_first=True)[0], expected[0])
    assert all(torch.equal(a, b) for a, b in zip(end, expected[1], strict=True))


def test_whole_models_and_back() -> None:
    model = Model()
    x = randn((6, 2, 3), model.first.weight_ih_l0)
    plain, parameters = model(x), list(model.parameters())
    state, classes = model.state_dict(), [type(module) for module in model.modules()]
    assert lstmfast.torch.quantize(model, "int8") is model
    assert not torch.equal(model(x), plain)
    torch.testing.assert_close(model(x), plain, rtol=0.1, atol=0.05)
    found = {entry.name: entry for entry in lstmfast.torch.report(model)}
    assert found["first"].accelerated
    assert "quantized to int8" in found["first"].reason
    assert "quantized to int8" in found["gru"].reason
    way = lstmfast.torch.explain(model.first, x)
    assert (way.path, "quantized to int8" in way.reason) == ("lstmfast", True)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    lstmfast.torch.quantize(model, "bfloat16")  # of the weights as they are, not of those of int8
    once = lstmfast.torch.quantize(copy.deepcopy(lstmfast.torch.restore(copy.deepcopy(model))), "bfloat16")
    assert torch.equal(model(x), once(x))
    lstmfast.torch.restore(model)
    assert [type(module) for module in model.modules()] == classes
    assert torch.equal(model(x), plain)
    model(x).sum().backward()
    assert not any("lstmfast" in name for name in vars(model.first))


def test_modules_made_as_ours_stay_ours() -> None:
    module = lstmfast.torch.LSTM(3, 4)
    x = randn((5, 2, 3), module.weight_ih_l0)
    plain = module(x)[0]
    lstmfast.torch.restore(lstmfast.torch.quantize(module, "int8"))
    assert type(module) is lstmfast.torch.LSTM
    assert torch.equal(module(x)[0], plain)


# Calibration.


def test_calibrated_as_the_plain_layers_are() -> None:
    model = Model()
    with torch.no_grad():
        model.first.weight_ih_l0[:, 0] *= 100
    inputs = [
        randn((6, 2, 3), model.first.weight_ih_l0, n) * torch.tensor([0.01, 1.0, 5.0]) for n in range(3)
    ]
    scale = torch.tensor(2.0)
    first = lstmfast.torch.accelerate(copy.deepcopy(model.first))
    with torch.no_grad():
        between = [first(x)[0] * s for x, s in zip(inputs, (1.0, scale, 1.0), strict=True)]
    layers = [
        plain_of(model.first).quantize("int8", torch.cat(inputs).numpy()),
        plain_of(model.second).quantize("int8", torch.cat(between).numpy()),
    ]
    model.train()
    seen: list[bool] = []
    model.head.register_forward_hook(lambda head, *_: seen.append(head.training))
    calls = iter([inputs[0], (inputs[1], scale), {"x": inputs[2]}])
    lstmfast.torch.quantize(model, "int8", calls)
    assert seen == [False] * 3  # run in eval mode, which is put back
    assert all(module.training for module in model.modules())
    assert_same_bits(
        as_arrays(model.first(inputs[0])),
        [each for part in [layers[0](inputs[0].numpy())] for each in (part[0], *part[1])],
    )
    x = between[0]
    y, end = layers[1](x.numpy())
    assert_same_bits(as_arrays(model.second(x)), [y, end])


@pytest.mark.parametrize("packed", [False, True])
def test_calibration_does_not_look_past_ends(packed: bool) -> None:
    theirs, ours = configured("lstm", "float32")
    x = cut_input(ours, {"lengths": LENGTHS})
    lengths = torch.tensor(LENGTHS).clamp(min=1)
    x = x.nan_to_num(0) if packed else x
    one = (
        {"input": pack_padded_sequence(x, lengths, enforce_sorted=False)}
        if packed
        else {"input": x, "lengths": LENGTHS}
    )
    lstmfast.torch.quantize(ours, "int8", [one])
    x = x.nan_to_num(0)
    y, _ = plain_of(theirs).quantize("int8", x.numpy())(x.numpy())
    assert_same_bits(ours(x)[0].numpy(), y)


# What is refused.

BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no module": (
        lambda: ("model", "int8"),
        TypeError,
        "model: quantize expected a torch.nn.Module, got str",
    ),
    "kind": (
        lambda: (Model(), "int4"),
        ValueError,
        "kind: expected 'float16' or 'bfloat16' or 'int8', got 'int4'",
    ),
    "calibration": (lambda: (Model(), "float16", [1]), ValueError, "calibration: expected None for float16"),
    "one tensor": (
        lambda: (Model(), "int8", torch.zeros(5, 2, 3)),
        TypeError,
        r"calibration: expected an iterable of the model's inputs, such as \[x\], got a tensor of shape",
    ),
    "nothing": (
        lambda: (Model(), "int8", []),
        ValueError,
        "come to each LSTM, GRU and RNN of the model, got none for first",
    ),
    "not finite": (
        lambda: (Model(), "int8", [torch.full((5, 2, 3), torch.inf)]),
        ValueError,
        "first: calibration: expected finite numbers, got inf",
    ),
    "a weight": (
        lambda: (broken(), "int8"),
        ValueError,
        "second: weight_hh_l0: expected finite numbers, got nan",
    ),
    "bfloat16": (
        lambda: (Model().bfloat16(), "int8"),
        RuntimeError,
        "first: quantize: .* torch.bfloat16, not float32",
    ),
    "computed": (
        lambda: (torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(3, 4), "weight_hh_l0"), "int8"),
        RuntimeError,
        "the model itself: quantize: expected weights that stay, got weight_hh_l0",
    ),
}


def broken() -> Any:
    model = Model()
    with torch.no_grad():
        model.second.weight_hh_l0[1, 1] = torch.nan
    return model


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_change_nothing(name: str) -> None:
    make, error, match = BAD[name]
    given = make()
    before = [type(module) for module in given[0].modules()] if name != "no module" else []
    with pytest.raises(error, match=match):
        lstmfast.torch.quantize(*given)
    if before:
        after = [type(module) for module in given[0].modules()]
        assert [cls.__name__ for cls in after] == [cls.__name__ for cls in before]
        assert not any(map(is_ours, given[0].modules()))


def quantized(**options: Any) -> Any:
    return lstmfast.torch.quantize(quietly(lambda: torch.nn.LSTM(3, 4, **options)), "int8")


def test_it_is_for_inference() -> None:
    module, x = quantized(), torch.randn(5, 2, 3)
    with pytest.raises(RuntimeError, match="quantized to int8, for inference, and has no gradients"):
        module(x.requires_grad_())
    with torch.no_grad():
        assert not module(x)[0].requires_grad
    h = torch.zeros(1, 2, 4)
    with pytest.raises(RuntimeError, match="has no gradients"):
        module(x.detach(), (h, h.clone().requires_grad_()))
    dropping = quantized(num_layers=2, dropout=0.5)
    with pytest.raises(RuntimeError, match=r"has no dropout: call eval\(\)"):
        dropping(x.detach())
    dropping.eval()(x.detach())


def test_calls_that_are_not_for_the_core_are_refused() -> None:
    module, x = quantized(), torch.randn(5, 2, 3)
    with torch.autocast("cpu"), pytest.raises(RuntimeError, match=r"quantized to int8, .* autocast is on"):
        module(x)
    with pytest.raises(RuntimeError, match=r"torch\.float64, not torch\.float32"):
        module(x.double())
    with pytest.raises(RuntimeError, match=r"torch\.func"):
        torch.func.vmap(lambda x: module(x)[0])(x[None])
    with pytest.raises(RuntimeError, match=r"torch\.float64, not torch\.float32"):
        lstmfast.torch.explain(module, x.double())
    with pytest.raises(RuntimeError, match="TorchScript cannot run"):
        quietly(lambda: torch.jit.script(module))


CHANGES: dict[str, Callable[[Any], Any]] = {
    "loaded": lambda module: module.load_state_dict(torch.nn.LSTM(3, 4).state_dict()),
    "replaced": lambda module: setattr(module, "weight_hh_l0", torch.nn.Parameter(torch.zeros(16, 4))),
    "in place": lambda module: torch.nn.init.zeros_(module.bias_ih_l0),
    "dtype": lambda module: module.double(),
    "meta": lambda module: module.to("meta"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_weights_that_change_are_noticed(name: str) -> None:
    module, x = quantized(), torch.randn(5, 2, 3)
    y = module(x)[0]
    module.load_state_dict(copy.deepcopy(module.state_dict()))  # the same ones
    module.weight_hh_l0 = torch.nn.Parameter(module.weight_hh_l0.detach().clone())
    assert torch.equal(module(x)[0], y)
    CHANGES[name](module)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"changed, replaced or moved after quantize\(\)"):
            module(x)


@KIND
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_and_pickles_are_quantized(kind: str, way: Any) -> None:
    model = lstmfast.torch.quantize(Model(), kind)
    x = randn((6, 2, 3), model.first.weight_ih_l0)
    other = way(model.first)
    assert torch.equal(other(x)[0], model.first(x)[0])
    assert "quantized" in lstmfast.torch.report(other)[0].reason
    assert not torch.equal(lstmfast.torch.restore(other)(x)[0], model.first(x)[0])


def test_freezing_is_no_matter() -> None:
    module, x = quantized(), torch.randn(5, 2, 3)
    y = module(x)[0]
    assert not module.freeze().frozen
    assert torch.equal(module(x)[0], y)
    lstmfast.torch.unfreeze(module).unfreeze()
    assert torch.equal(module(x)[0], y)
    frozen = lstmfast.torch.LSTM(3, 4).freeze()
    lstmfast.torch.restore(lstmfast.torch.quantize(frozen, "int8"))
    assert not frozen.frozen


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
def test_compiled_with_a_break_and_not_exported() -> None:
    model = lstmfast.torch.accelerate(Model())
    x = randn((6, 2, 3), model.first.weight_ih_l0)
    traced = make_fx(lambda x: model.first(x)[0])
    compiled = torch.compile(model.first, backend="eager")
    with torch.no_grad():
        plain = compiled(x)[0]
        lstmfast.torch.quantize(model, "int8")
        assert torch.equal(compiled(x)[0], model.first(x)[0])
        assert not torch.equal(compiled(x)[0], plain)
        for way in (lambda: torch.export.export(model.first, (x,)), lambda: traced(x)):
            with pytest.raises(Exception, match="quantized"):
                way()  # type: ignore[no-untyped-call]
