"""`freeze`: no look at the weights, and what becomes of changes that happen nevertheless."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from ..core_helpers import run_python

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .helpers import input_of, leaf, outcome, pair, state_of, tensors  # noqa: E402


def y_of(module: Any, x: Any, hx: Any = None) -> Any:
    with torch.no_grad():
        return module(x, hx)[0]


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_relu"])
def test_frozen_results_are_the_same_bits(kind: str, dtype: str) -> None:
    _, ours = pair(kind, dtype, num_layers=2, bidirectional=True, dropout=0.5)
    x, hx = input_of(ours), state_of(ours)
    ours.eval()
    expected = y_of(ours, x, hx)
    assert not ours.frozen
    assert ours.freeze() is ours
    assert ours.frozen
    assert ours.freeze().frozen  # again
    assert torch.equal(y_of(ours, x, hx), expected)
    assert lstmfast.torch.explain(ours, x).reason.endswith("frozen: weights are taken to be as they were")
    assert ours.unfreeze() is ours
    assert not ours.frozen
    assert torch.equal(y_of(ours, x, hx), expected)


def test_no_pass_over_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = pair("lstm")
    x = input_of(ours)
    ours.freeze()

    def never(*_: Any) -> Any:
        raise AssertionError("it looked")

    monkeypatch.setattr(lstmfast._core, "fingerprint", never)
    y_of(ours, x)
    with pytest.raises(AssertionError, match="it looked"):
        y_of(ours.unfreeze(), x)


def in_place(module: Any) -> None:
    with torch.no_grad():
        module.bias_hh_l0.add_(1)


def there_and_back(module: Any) -> None:
    dtype = module.weight_hh_l0.dtype
    module.to(torch.float32 if dtype is torch.float64 else torch.float64)
    module.to(dtype)


def replaced(module: Any) -> None:
    module.weight_ih_l0 = torch.nn.Parameter(2 * module.weight_ih_l0.detach())


def other_data(module: Any) -> None:
    module.weight_ih_l0.data = 2 * module.weight_ih_l0.data


SEEN: dict[str, Callable[[Any], Any]] = {
    "in place": in_place,
    "replaced": replaced,
    "other data": other_data,
    "load_state_dict": lambda m: m.load_state_dict({n: 2 * v for n, v in m.state_dict().items()}),
    "load_state_dict, assigned": lambda m: m.load_state_dict(
        {n: 2 * v for n, v in m.state_dict().items()}, assign=True
    ),
    "there and back": there_and_back,
    "float": lambda m: m.float(),
    "meta": lambda m: m.to("meta"),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_change_that_pytorch_sees_is_an_error(name: str) -> None:
    theirs, ours = pair("lstm")
    x = input_of(ours)
    ours.freeze()
    for module in (theirs, ours):
        SEEN[name](module)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"changed, replaced or moved after freeze\(\); call unfreeze"):
            y_of(ours, x)
    with pytest.raises(RuntimeError, match="unfreeze"):
        lstmfast.torch.explain(ours, x)
    ours.unfreeze()
    x = x.to(ours.weight_hh_l0.device, ours.weight_hh_l0.dtype)
    found, expected = outcome(y_of, ours, x), outcome(y_of, theirs, x)
    assert type(found) is type(expected)
    if name != "meta":
        torch.testing.assert_close(found, expected)


# In a process of its own: whether an address is used again depends on all that was allocated before.
REPLACED = """
import torch, lstmfast.torch

def by_data(module):
    module.weight_hh_l0.data = 1.5 * module.weight_hh_l0.data

def by_parameter(module):
    module.weight_hh_l0 = torch.nn.Parameter(1.5 * module.weight_hh_l0.detach())

def by_load_state_dict(module):
    state = {name: 1.5 * value for name, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)

def computed(module):
    weight = module.parametrizations.weight_hh_l0.original0
    weight.data.mul_(1.5)

def refuses(module, x):
    try:
        with torch.no_grad():
            module(x)
    except RuntimeError as error:
        assert "unfreeze" in str(error), error
        return True
    return False

x, stale = torch.randn(4, 2, 5), {}
for replace in (by_data, by_parameter, by_load_state_dict, computed):
    for hidden_size in (7, 32, 100):
        module = lstmfast.torch.LSTM(5, hidden_size)
        if replace is computed:
            torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
        else:
            replace(module)
        try:
            module.freeze()
        except RuntimeError:
            continue  # which is an answer, for weights that are computed
        for _ in range(30):
            replace(module)
            if not refuses(module, x):
                stale[replace.__name__] = stale.get(replace.__name__, 0) + 1
assert not stale, f"calls that went on with weights as they had been: {stale}"
"""


def test_a_weight_that_lies_where_the_frozen_one_lay() -> None:
    """What replaces a weight twice may have the address of the first, and a version as new as that one's.

    So may each of those that are computed for each call.
    """
    run_python(REPLACED)


def test_a_change_that_it_does_not_see_is_for_unfreeze() -> None:
    theirs, ours = pair("lstm")
    x = input_of(ours)
    before = y_of(ours, x)
    ours.freeze()
    for module in (theirs, ours):
        module.weight_hh_l0.data.mul_(0.5)
    assert torch.equal(y_of(ours, x), before)
    torch.testing.assert_close(y_of(ours.unfreeze(), x), y_of(theirs, x))
    ours.freeze()
    torch.testing.assert_close(y_of(ours, x), y_of(theirs, x))


def test_on_a_graph_frozen_weights_are_constants() -> None:
    _, ours = pair("lstm", num_layers=2)
    x, hx = leaf(input_of(ours)), tuple(map(leaf, state_of(ours)))
    inputs = [x, *hx]
    expected = torch.autograd.grad(ours(x, hx)[0].sum(), inputs)
    ours.freeze()
    y, _ = ours(x, hx)
    y.sum().backward()
    assert all(torch.equal(leaf.grad, g) for leaf, g in zip(inputs, expected, strict=True))
    assert all(parameter.grad is None for parameter in ours.parameters())
    assert not ours(x.detach())[0].requires_grad


def test_copies_and_pickles_are_not_frozen() -> None:
    _, ours = pair("lstm")
    x = input_of(ours)
    ours.freeze()
    expected = y_of(ours, x)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(other) is type(ours)
        assert not other.frozen
        assert torch.equal(y_of(other, x), expected)
        with torch.no_grad():
            other.weight_hh_l0.zero_()
        assert not torch.equal(y_of(other, x), expected)
    assert ours.frozen
    assert torch.equal(y_of(ours, x), expected)


def test_what_cannot_be_frozen() -> None:
    ours = lstmfast.torch.LSTM(3, 5, dtype=torch.bfloat16)
    with pytest.raises(RuntimeError, match=r"^freeze: the core cannot run this module: .*bfloat16"):
        ours.freeze()
    assert not ours.frozen


def test_computed_weights_are_refused_at_once() -> None:
    _, ours = pair("lstm")
    x = input_of(ours)
    torch.nn.utils.parametrizations.weight_norm(ours, "weight_hh_l0")
    expected = y_of(ours, x)
    with pytest.raises(RuntimeError, match=r"^freeze: .* got weight_hh_l0, computed at each call$"):
        ours.freeze()
    assert not ours.frozen
    assert torch.equal(y_of(ours, x), expected)


def test_whole_models_are_frozen_wholly_or_not_at_all() -> None:
    model = torch.nn.Sequential(lstmfast.torch.LSTM(3, 3), torch.nn.ReLU(), lstmfast.torch.GRU(3, 3))
    first, _, last = model
    assert lstmfast.torch.freeze(model) is model
    assert first.frozen
    assert last.frozen
    assert lstmfast.torch.unfreeze(model) is model
    assert not first.frozen
    last.to(torch.bfloat16)
    with pytest.raises(RuntimeError, match=r"^2: freeze: .*bfloat16"):
        lstmfast.torch.freeze(model)
    assert not first.frozen
    first.freeze()
    with pytest.raises(RuntimeError, match=r"^2: "):
        lstmfast.torch.freeze(model)
    assert first.frozen  # it was before
    for function in (lstmfast.torch.freeze, lstmfast.torch.unfreeze):
        with pytest.raises(TypeError, match=r"^model: "):
            function(None)


def test_modules_made_in_inference_mode() -> None:
    """Their weights have no version."""
    with torch.inference_mode():
        torch.manual_seed(0)
        theirs, ours = torch.nn.LSTM(3, 5), lstmfast.torch.LSTM(3, 5)
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(4, 2, 3)
        expected = theirs(x)[0]
        for _ in range(2):
            torch.testing.assert_close(ours(x)[0], expected)
            ours.freeze()
        ours.weight_hh_l0 = torch.nn.Parameter(2 * ours.weight_hh_l0)
        with pytest.raises(RuntimeError, match="unfreeze"):
            ours(x)


def test_dropout_is_the_modes_business() -> None:
    _, ours = pair("lstm", num_layers=2, dropout=0.5)
    x = input_of(ours)
    torch.manual_seed(1)
    expected = y_of(ours.train(), x)
    ours.freeze()
    torch.manual_seed(1)
    assert torch.equal(y_of(ours, x), expected)
    assert not torch.equal(y_of(ours.eval(), x), expected)
    assert len(tensors(ours(x)[1])) == 2
